# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import re
import sys
import threading

import pytest

from kp_pose_ros.errors import GpuLostError
from kp_pose_ros.inference.tensorrt.gpu import why_unavailable


def test_nothing_keeps_it_from_running_where_all_is_there(engines):
    assert why_unavailable() is None


@pytest.mark.parametrize(
    ("modules", "sentence"),
    [
        pytest.param(
            ["tensorrt", "tensorrt_rtx_bindings"], "TensorRT cannot be imported", id="no TensorRT"
        ),
        pytest.param(["pycuda"], "pycuda cannot be imported", id="no pycuda"),
    ],
)
def test_a_missing_package_is_named(engines, monkeypatch, modules, sentence):
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)
    assert why_unavailable().startswith(sentence)


@pytest.mark.parametrize(("version", "is_refused"), [("8.6.2", True), ("10.3.0.30", False)])
def test_a_tensorrt_before_10_3_is_refused(engines, monkeypatch, version, is_refused):
    monkeypatch.setattr(sys.modules["tensorrt"], "__version__", version)
    reason = why_unavailable()
    assert bool(reason) is is_refused
    assert reason in (None, "TensorRT 8.6.2 is too old: expected 10.3 or later, as in JetPack 6.1")


def test_a_driver_that_does_not_start_is_named(engines, machine):
    machine.faults["init"] = [sys.modules["pycuda.driver"].LogicError("cuInit failed: no device")]
    assert "cuInit failed: no device" in why_unavailable()


@pytest.mark.parametrize("machine", [pytest.param({"devices": 0}, id="no GPU")], indirect=True)
def test_a_machine_without_a_gpu_is_named(engines):
    assert re.search(
        r"finds no GPU \(cuInit failed: .*CUDA_VISIBLE_DEVICES .*Jetson.* /dev/nvmap",
        why_unavailable(),
    )


def test_type_stubs_alone_are_no_tensorrt(engines, monkeypatch):
    pytest.importorskip("tensorrt_rtx_bindings")
    monkeypatch.setitem(sys.modules, "tensorrt", type(sys)("tensorrt"))
    assert engines("bindings").IS_RTX


def test_two_modules_of_one_name_are_told_apart_by_their_multiprocessors(engines):
    gpu = engines("gpu").Gpu()
    assert gpu.info.multiprocessors == 14
    gpu.close()


def test_no_context_is_current_after_close(engines, machine):
    gpu = engines("gpu").Gpu()
    with gpu.current():
        pass
    gpu.close()
    assert machine.left == []
    assert not machine.context_is_retained


def test_any_thread_may_close_and_keeps_no_context(engines, machine):
    gpu = engines("gpu").Gpu()
    thread = threading.Thread(target=gpu.close)
    thread.start()
    thread.join()
    assert machine.left == []
    assert not machine.context_is_retained


@pytest.mark.parametrize("call", ["Context.push", "Context.pop", "mem_alloc"])
def test_pycuda_keeps_no_context_of_a_lost_gpu(engines, machine, call):
    """Pycuda aborts the process at the end of a thread that has one."""
    gpu = engines("gpu").Gpu()
    machine.faults[call] = [sys.modules["pycuda.driver"].LaunchError("an illegal address")]
    with pytest.raises(GpuLostError), gpu.current(), gpu.current(), gpu.errors("allocating"):
        gpu.driver.mem_alloc(8).free()
    assert machine.pycuda_stack == []
    assert not machine.context_is_retained, "pycuda would enter it to free what is left"
    machine.stack.clear()
