# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plans built by TensorRT for RTX, which needs no GPU for that."""

import logging
import subprocess
import sys
import weakref
from contextlib import closing
from importlib import import_module

import pytest
from echo_model import write_echo_model
from recorder import Recorder

from kp_pose_ros.errors import EngineError, SettingsError
from kp_pose_ros.inference.tensorrt.quantize import calibrate
from kp_pose_ros.models.model import PoseModel

SIZE = (96, 160)
pytestmark = pytest.mark.filterwarnings("ignore:.*TensorRT-RTX:DeprecationWarning")


@pytest.fixture(scope="module")
def builder():
    """The builder with the installed TensorRT for RTX."""
    pytest.importorskip("tensorrt_rtx_bindings")
    return import_module("kp_pose_ros.inference.tensorrt.builder")


@pytest.fixture(scope="module")
def people(demo_weights):
    return PoseModel.open(demo_weights)


@pytest.fixture
def echo(tmp_path):
    return PoseModel.open(write_echo_model(tmp_path / "echo.onnx"))


def build(builder, graph, precision="fp32", *, max_batch=4, **more):
    options = builder.BuildOptions(max_batch, precision)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builder, "ONLY_THIS_GPU", False)
        return builder.build_plan(graph, options, **more)


def test_graphs_of_every_precision_become_plans(builder, people, calibration_pictures):
    calibrate(people, SIZE, calibration_pictures)
    sizes = {}
    for precision in builder.PRECISIONS:
        graph = builder.graph_for(people, SIZE, precision)
        sizes[precision] = len(build(builder, graph, precision, max_batch=1))
    assert sizes["fp32"] > 11e6  # bytes: 2.9 million weights
    assert sizes["fp16"] < 0.75 * sizes["fp32"]
    assert sizes["int8"] > 3e6


@pytest.mark.parametrize(
    "form", [{}, {"batch": 2}, {"channels": 1}], ids=["any batch", "fixed batch", "grey"]
)
def test_other_forms_of_graphs_become_plans(builder, tmp_path, form):
    model = PoseModel.open(write_echo_model(tmp_path / "other.onnx", **form))
    assert build(builder, model.graph((64, 96)))


def test_the_build_tells_what_it_does(builder, echo):
    progress = Recorder()
    build(builder, echo.graph((64, 96)), progress=progress)
    first, *reports, last = progress.reports
    assert (first, last) == ("begin", "end")
    assert {"Building engine", "Optimizing graph"} <= {phase for phase, _, _ in reports}
    assert all(0 <= done <= total for _, done, total in reports)


def test_what_progress_raises_ends_the_build(builder, echo, monkeypatch):
    configs, real = [], builder._config
    monkeypatch.setattr(
        builder, "_config", lambda *given: configs.append(weakref.ref(made := real(*given))) or made
    )
    progress = Recorder(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt) as raised:
        build(builder, echo.graph((64, 96)), progress=progress)
    first, _, last = progress.reports
    assert (first, last) == ("begin", "end")
    assert configs[0]() is None, f"the traceback of {raised.value!r} keeps TensorRT's objects"


INTERRUPTED = """
import signal, sys
from pathlib import Path
from kp_pose_ros.inference.tensorrt import builder

graph, callback = sys.argv[1:]
builder.ONLY_THIS_GPU = False
owner = type(builder.LOGGER) if callback == "log" else builder._Monitor
real = getattr(owner, callback)

def interrupted(*arguments):
    setattr(owner, callback, real)
    signal.raise_signal(signal.SIGINT)
    return real(*arguments)

setattr(owner, callback, interrupted)
signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored
try:
    builder.build_plan(Path(graph), builder.BuildOptions(4, "fp32"))
except KeyboardInterrupt:
    sys.exit("interrupted")
"""


@pytest.mark.parametrize("callback", ["log", "phase_start", "step_complete"])
def test_ctrl_c_ends_the_build_whatever_it_interrupts(echo, callback):
    """The bindings drop what a callback raises, and Python raises in whichever comes next."""
    pytest.importorskip("tensorrt_rtx_bindings")
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", INTERRUPTED, echo.graph((64, 96)), callback],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.splitlines()[-1:]) == (1, ["interrupted"]), done.stderr


def test_a_file_that_is_no_graph_is_refused(builder, tmp_path):
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no graph")
    with pytest.raises(EngineError, match=f"cannot read the graph {path} .*export the model again"):
        build(builder, path)


def test_an_engine_for_this_gpu_needs_one(builder, echo):
    options = builder.BuildOptions(1, "fp32")
    with pytest.raises(EngineError, match=r"TensorRT for RTX .* cannot build .* as fp32"):
        builder.build_plan(echo.graph((64, 96)), options)


def test_an_unknown_precision_is_refused(builder):
    with pytest.raises(SettingsError, match="expected one of fp32, fp16, int8"):
        builder.BuildOptions(1, "fp8")


def test_int8_needs_calibration(builder, echo):
    with pytest.raises(EngineError, match=r"run `kp_pose build .* --int8 --calibration DIR`"):
        builder.graph_for(echo, (64, 96), "int8")


def test_layer_times_are_kept_for_the_next_build(builder, echo, tmp_path):
    kept = tmp_path / "times"
    for _ in range(2):
        assert build(builder, echo.graph((64, 96)), timing_cache=kept)
        assert kept.stat().st_size > 0


def test_layer_times_that_are_damaged_do_not_end_the_build(builder, echo, tmp_path):
    kept = tmp_path / "times"
    kept.write_bytes(b"damaged")
    assert build(builder, echo.graph((64, 96)), timing_cache=kept)


@pytest.fixture
def build_simulated(engines, echo, tmp_path):
    """Build a plan with the stand-in for TensorRT: build_simulated(timing_cache)."""
    builder = engines("builder")

    def build(timing_cache):
        graph = echo.graph((64, 96))
        with closing(engines("gpu").Gpu()) as gpu, gpu.current():
            return builder.build_plan(
                graph, builder.BuildOptions(4, "fp32"), timing_cache=timing_cache
            )

    return build


@pytest.mark.parametrize(
    ("severity", "message", "said"),
    [
        pytest.param(
            "ERROR",
            "Error Code 1: Cuda Runtime (out of memory)",
            r"\(out of memory\)\): lower max_batch or imgsz, or end other",
            id="no memory, says CUDA",
        ),
        pytest.param(
            "ERROR",
            "Error Code 2: OutOfMemory (no further information)",
            "OutOfMemory .* lower max_batch or imgsz, or end other",
            id="no memory, says TensorRT",
        ),
        pytest.param("ERROR", "no kernel", "no kernel.* try another precision", id="an error"),
        pytest.param("WARNING", "no kernel", "no kernel.* try another precision", id="a warning"),
        pytest.param("INFO", "no kernel", "no reason given", id="nothing"),
    ],
)
def test_a_build_that_fails_says_why_and_what_to_do(
    build_simulated, engines, monkeypatch, severity, message, said
):
    bindings = engines("bindings")

    def fail(*_):
        bindings.LOGGER.log(getattr(bindings.trt.ILogger, severity), message)

    monkeypatch.setattr(bindings.trt.Builder, "build_serialized_network", fail)
    with pytest.raises(engines("builder").BuildError, match=rf"cannot build .* as fp32 .*{said}"):
        build_simulated(None)


def test_a_timing_cache_that_is_refused_costs_no_build(build_simulated, machine, tmp_path):
    machine.timing_cache = False
    assert build_simulated(tmp_path / "times")
    assert not (tmp_path / "times").exists()


def test_a_timing_cache_that_cannot_be_kept_costs_no_build(build_simulated, tmp_path, caplog):
    caplog.set_level(logging.INFO, "kp_pose_ros")
    (tmp_path / "file").write_text("")
    assert build_simulated(tmp_path / "file" / "times")
    assert "layer times are not cached" in caplog.text
