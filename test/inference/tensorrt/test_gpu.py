# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import sys
import threading

import pytest

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


def test_a_driver_that_does_not_start_is_named(engines, machine):
    machine.faults["init"] = [sys.modules["pycuda.driver"].LogicError("cuInit failed: no device")]
    assert "cuInit failed: no device" in why_unavailable()


@pytest.mark.parametrize("machine", [pytest.param({"devices": 0}, id="no GPU")], indirect=True)
def test_a_machine_without_a_gpu_is_named(engines):
    assert "finds no GPU" in why_unavailable()


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
