# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The whole runtime on a GPU that checks the rules; `machine` fails a test that breaks one."""

import json
import logging
import sys
import threading
from dataclasses import replace

import numpy as np
import onnx
import pytest
from echo_model import METADATA, write_echo_model
from fakes.machine import Stream
from fakes.tensorrt import make_plan
from pose_graphs import COCO, constant_model, random_raw
from recorder import Recorder

from kp_pose_ros.errors import EngineError, GpuLostError, ModelError
from kp_pose_ros.image.frame import ENCODINGS, Frame
from kp_pose_ros.inference.decode import DecodeSettings
from kp_pose_ros.inference.estimator import PoseEstimator
from kp_pose_ros.inference.factory import EstimatorSettings, build_engine, make_estimator
from kp_pose_ros.inference.onnx.engine import OnnxEngine
from kp_pose_ros.models.cache import content_hash
from kp_pose_ros.models.model import PoseModel

INTEGRATED = pytest.param({"integrated": True}, id="memory shared with the host")
DISCRETE = pytest.param({}, id="memory of its own")
# Each needs another network: 96 x 96, 64 x 96, ...
ONE_MORE_THAN_KEPT = [(96, 96), (60, 96), (30, 96), (96, 60), (96, 30)]
SLOTS = 2
CU_STREAM_NON_BLOCKING = 1  # cuda.h
NOT_CONVERTED = {"copy", "h2d", "letterbox", "infer", "d2h"}


@pytest.fixture
def model(tmp_path):
    return PoseModel.open(write_echo_model(tmp_path / "echo.onnx"))


@pytest.fixture
def open_engine(engines, model):
    """Open a TensorRT engine of the echo model; it is closed at the end, which finds leaks."""
    opened = []

    def open_one(**settings):
        settings = {"model": model, "precision": "fp32", "imgsz": (64, 96)} | settings
        opened.append(engines("engine").TensorRTEngine(settings.pop("model"), **settings))
        return opened[-1]

    yield open_one
    for engine in opened:
        engine.close()


def random_frame(seed, encoding="bgr8", size=(90, 120)):
    layout = ENCODINGS[encoding]
    rows = size[0] * layout.half_rows // 2
    axes = (layout.channels,) if layout.channels > 1 else ()
    noise = np.random.default_rng(seed).integers(8 * seed, 256, (rows, size[1], *axes))
    return Frame(noise.astype(layout.dtype), encoding)


def by_onnx_runtime(model, frames, imgsz=(64, 96)):
    return OnnxEngine(model, imgsz, len(frames)).submit(frames).result()


def run(engine):
    """Return what an engine finds in a frame."""
    return engine.submit([random_frame(1)]).result()


def assert_right(engine, model, frames, imgsz=(64, 96)):
    """Check that an engine finds in frames what ONNX Runtime finds."""
    assert_same(engine.submit(frames).result(), by_onnx_runtime(model, frames, imgsz))


def assert_same(found, expected):
    assert [each.letterbox for each in found] == [each.letterbox for each in expected]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.rows, other.rows, atol=1 / 255)


@pytest.mark.parametrize("machine", [DISCRETE, INTEGRATED], indirect=True)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_finds_what_onnx_runtime_finds(open_engine, model, encoding):
    frames = [random_frame(seed, encoding) for seed in range(3)]
    assert_right(open_engine(max_batch=4), model, frames)


@pytest.mark.parametrize("encoding", ["mono8", "bgr8", "yuyv", "bayer_rggb8", "mono16"])
def test_a_network_of_grey_pictures_sees_one_plane(open_engine, tmp_path, encoding):
    model = PoseModel.open(write_echo_model(tmp_path / "grey.onnx", channels=1))
    frames = [random_frame(seed, encoding) for seed in range(2)]
    assert_right(open_engine(model=model, max_batch=2), model, frames)


def test_finds_the_people_that_onnx_runtime_finds(open_engine, demo_weights, demo_photo):
    model = PoseModel.open(demo_weights)
    frame = Frame(demo_photo("bus.jpg"))
    engines = (open_engine(model=model, imgsz=(384, 640)), OnnxEngine(model, (384, 640)))
    ours, theirs = (
        PoseEstimator(engine, model, DecodeSettings()).estimate([frame])[0] for engine in engines
    )
    assert len(ours) == len(theirs) > 2
    np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=2)  # pixels of a 1080 x 810 photo
    sure = theirs.keypoints[..., 2] > 0.5
    np.testing.assert_allclose(ours.keypoints[sure], theirs.keypoints[sure], atol=2)


def test_frames_of_any_size_have_a_network_of_their_own(open_engine, model):
    sizes = [(90, 120), (120, 90), (64, 96), (200, 100), (90, 120)]
    frames = [random_frame(seed, size=size) for seed, size in enumerate(sizes)]
    assert_right(open_engine(imgsz=None, max_batch=5), model, frames, None)


def test_more_network_sizes_than_are_kept_come_and_go(open_engine, model):
    engine = open_engine(imgsz=None)
    for size in ONE_MORE_THAN_KEPT * 2:
        frames = [random_frame(1, size=size)]
        assert_right(engine, model, frames, None)


def test_a_network_in_use_does_not_go(open_engine, model):
    engine = open_engine(imgsz=None)
    frames = [random_frame(1, size=ONE_MORE_THAN_KEPT[0])]
    pending = engine.submit(frames)
    for size in ONE_MORE_THAN_KEPT[1:]:
        engine.prepare(size)
    assert_same(pending.result(), by_onnx_runtime(model, frames, None))


def test_a_network_of_a_fixed_batch_takes_any_number_of_frames(open_engine, tmp_path):
    model = PoseModel.open(write_echo_model(tmp_path / "two.onnx", batch=2))
    frames = [random_frame(seed) for seed in range(5)]
    assert_right(open_engine(model=model, max_batch=5), model, frames)


def test_a_gpu_tells_nobody_of_the_end_of_a_batch(open_engine):
    told = []
    pending = open_engine().submit([random_frame(1)])
    pending.add_done_callback(told.append)
    assert told == [pending]


@pytest.mark.parametrize("machine", [DISCRETE, INTEGRATED], indirect=True)
def test_two_batches_are_on_their_way_at_once(open_engine, model):
    engine = open_engine(max_batch=2)
    batches = [[random_frame(seed), random_frame(seed + 10)] for seed in range(6)]
    expected = [by_onnx_runtime(model, batch) for batch in batches]
    earlier = engine.submit(batches[0])
    for index, batch in enumerate(batches[1:]):
        later = engine.submit(batch)
        assert_same(earlier.result(), expected[index])
        earlier = later
    assert_same(earlier.result(), expected[-1])


def test_a_batch_uploads_while_the_one_before_it_is_in_the_network(open_engine, machine, model):
    engine = open_engine()
    batches = [[random_frame(1)], [random_frame(2)]]
    first = engine.submit(batches[0])
    uploads, main = streams(machine)
    second = engine.submit(batches[1])
    waiting = len(main.queue)
    uploads.run_all()
    assert len(main.queue) == waiting, "nothing of either network had to run before"
    assert machine.calls.count("execute_async_v3") == 2
    assert "Event.synchronize" not in machine.calls
    assert_same(first.result(), by_onnx_runtime(model, batches[0]))
    assert_same(second.result(), by_onnx_runtime(model, batches[1]))


@pytest.mark.parametrize("machine", [INTEGRATED], indirect=True)
def test_frames_are_copied_to_memory_that_the_gpu_caches(open_engine, machine):
    engine = open_engine()
    run(engine)
    assert machine.calls.count("memcpy_htod_async") == 1
    assert "memcpy_dtoh_async" not in machine.calls, "the small outputs are mapped"


def streams(machine):
    """Return the stream of the uploads and that of the networks, which has more on it."""
    found = [each for each in machine.alive if isinstance(each, Stream)]
    return sorted(found, key=lambda stream: len(stream.queue))


def test_a_picture_is_taken_as_it_was_when_it_was_submitted(open_engine, model):
    frame = random_frame(1)
    expected = by_onnx_runtime(model, [frame])
    engine = open_engine()
    pending = engine.submit([frame])
    frame.pixels[:] = 0
    assert_same(pending.result(), expected)


def test_what_was_found_stays_when_later_batches_come(open_engine, model):
    engine = open_engine()
    first = run(engine)
    for seed in range(2, 6):
        engine.submit([random_frame(seed)]).result()
    assert_same(first, by_onnx_runtime(model, [random_frame(1)]))


def test_streams_that_are_abandoned_leave_the_engine_free(open_engine, model):
    engine = open_engine()
    for _ in range(3):
        stream = PoseEstimator(engine, model, DecodeSettings()).stream([random_frame(1)] * 3)
        next(stream)
        stream.close()
    assert_right(engine, model, [random_frame(1)])


def test_a_third_batch_has_to_wait(open_engine):
    engine = open_engine()
    pending = [engine.submit([random_frame(seed)]) for seed in range(2)]
    with pytest.raises(RuntimeError, match="collect one first"):
        engine.submit([random_frame(3)])
    for each in pending:
        each.result()


def test_memory_grows_with_the_largest_frame_and_no_further(open_engine, machine, model):
    engine = open_engine()
    held = []
    for size in [(90, 120), (180, 240), (180, 240), (90, 120), (90, 120), (180, 240)]:
        frames = [random_frame(1, size=size)]
        assert_right(engine, model, frames)
        held.append(sum(block.size for block in machine.blocks.values()))
    assert len(set(held[2:])) == 1


def test_close_frees_everything(open_engine, machine):
    engine = open_engine()
    run(engine)
    engine.close()
    assert machine.blocks == {}
    assert not machine.context_is_retained


def test_close_frees_what_is_on_its_way(open_engine, machine):
    engine = open_engine()
    engine.submit([random_frame(1)])
    engine.close()
    assert machine.blocks == {}


def test_any_thread_may_call(open_engine, model):
    done = []

    def in_a_thread(function, *arguments):
        thread = threading.Thread(target=lambda: done.append(function(*arguments)))
        thread.start()
        thread.join()
        return done[-1]

    frames = [random_frame(1)]
    engine = in_a_thread(open_engine)
    pending = in_a_thread(engine.submit, frames)
    assert_same(in_a_thread(pending.result), by_onnx_runtime(model, frames))
    in_a_thread(engine.close)


def test_the_gpu_measures_the_stages(open_engine):
    engine = open_engine()
    run(engine)
    assert engine.times.seconds().keys() == NOT_CONVERTED


def test_layouts_that_the_kernel_cannot_read_are_converted_before(open_engine):
    engine = open_engine()
    engine.submit([random_frame(1, "bayer_rggb8")]).result()
    assert engine.times.seconds().keys() == NOT_CONVERTED | {"convert"}


def test_the_network_alone_runs_as_often_as_asked(open_engine, machine):
    engine = open_engine(max_batch=2)
    call = engine.network_call([random_frame(1), random_frame(2)])
    for _ in range(5):
        call()
    assert machine.calls.count("cuGraphLaunch") == 5


def test_the_name_tells_version_and_gpu(open_engine):
    assert open_engine().name == "TensorRT 10.3.0 on Rule Machine (compute capability 8.7)"


def test_the_build_of_a_plan_tells_how_far_it_is(open_engine):
    progress = Recorder()
    open_engine(progress=progress)
    assert progress.reports == ["begin", ("Timing tactics", 0, 1), ("Timing tactics", 1, 1), "end"]


def test_a_plan_is_built_once_for_all_engines(open_engine, machine):
    open_engine().close()
    open_engine()
    assert machine.calls.count("build_serialized_network") == 1


OPENING = ["retain_primary_context", "Stream", "mem_alloc"]
ALLOCATING = ["mem_alloc", "pagelocked_empty"]
RUNNING = ["Event", "mem_alloc", "pagelocked_empty", "memcpy_htod_async", "memcpy_dtoh_async"]
RUNNING += ["Function.prepared_async_call", "Stream.wait_for_event", "Event.record"]
RUNNING += ["Event.synchronize"]


@pytest.fixture
def fail(machine):
    """Make the next call of a driver function fail: fail(call)."""

    def fail(call, kind="LaunchError"):
        error = getattr(sys.modules["pycuda.driver"], kind)
        machine.faults[call] = [error("an illegal memory access was encountered")]

    return fail


@pytest.mark.parametrize("call", RUNNING)
def test_after_an_error_of_cuda_the_process_has_to_be_started_again(open_engine, fail, call):
    engine = open_engine()
    fail(call)
    for _ in range(2):
        with pytest.raises(GpuLostError, match=r"Rule Machine .* failed while .* start it again"):
            run(engine)
    with pytest.raises(GpuLostError):
        engine.prepare((64, 96))


def test_on_a_lost_gpu_nothing_is_touched_any_more(open_engine, machine, fail):
    engine = open_engine()
    pending = engine.submit([random_frame(1)])
    fail("Event.record")
    with pytest.raises(GpuLostError):
        engine.submit([random_frame(2)])
    before = len(machine.calls)
    with pytest.raises(GpuLostError):
        pending.result()
    engine.close()
    assert machine.calls[before:] == []
    assert machine.pycuda_stack == []


@pytest.mark.parametrize("call", ALLOCATING)
def test_out_of_memory_costs_its_batch_only(open_engine, machine, model, fail, call):
    engine = open_engine()
    fail(call, "MemoryError")
    with pytest.raises(EngineError, match=r"memory of Rule Machine .* lower max_batch or imgsz"):
        run(engine)
    assert_right(engine, model, [random_frame(1)])


@pytest.mark.parametrize(
    ("call", "kind"), [("Event.synchronize", "MemoryError"), ("to_rows", ZeroDivisionError)]
)
def test_results_that_fail_leave_the_engine_free(
    open_engine, engines, model, monkeypatch, fail, call, kind
):
    engine = open_engine()
    for _ in range(3):
        pending = engine.submit([random_frame(1)])
        with monkeypatch.context() as patch:
            if call == "to_rows":
                patch.setattr(engines("plans").NetworkSource, call, lambda *_: 1 / 0)
            else:
                fail(call, kind)
            with pytest.raises((EngineError, ZeroDivisionError)):
                pending.result()
    assert_right(engine, model, [random_frame(1)])


def test_a_batch_survives_that_the_next_one_runs_out_of_memory(open_engine, model, fail):
    engine = open_engine()
    pending = engine.submit([random_frame(1)])
    fail("mem_alloc", "MemoryError")
    with pytest.raises(EngineError, match="ran out"):
        engine.submit([random_frame(2)])
    assert_same(pending.result(), by_onnx_runtime(model, [random_frame(1)]))


def test_a_failure_while_a_network_makes_room_is_one_of_the_gpu(open_engine, fail):
    engine = open_engine(imgsz=None)
    for size in ONE_MORE_THAN_KEPT[:-1]:
        engine.prepare(size)
    fail("Stream.synchronize")
    with pytest.raises(GpuLostError):
        engine.submit([random_frame(1, size=ONE_MORE_THAN_KEPT[-1])]).result()


def test_an_enqueue_that_tensorrt_refuses_costs_its_batch_only(open_engine, machine, model):
    engine = open_engine()
    machine.refused = 1
    with pytest.raises(EngineError, match=r"TensorRT 10\.3\.0 refused to run .*\(no reason given"):
        run(engine)
    assert_right(engine, model, [random_frame(1)])


def test_an_enqueue_that_fails_since_the_gpu_is_lost_says_so(open_engine, machine, fail):
    engine = open_engine()
    machine.refused = 1
    fail("Context.synchronize")
    with pytest.raises(GpuLostError):
        run(engine)


@pytest.mark.parametrize("call", OPENING)
def test_running_out_of_memory_while_opening_leaves_nothing_behind(
    open_engine, machine, fail, call
):
    fail(call, "MemoryError")
    with pytest.raises(EngineError, match=r"memory of Rule Machine"):
        open_engine()
    assert machine.blocks == {}
    assert not machine.context_is_retained


@pytest.mark.parametrize(
    ("faults", "problem"),
    [
        pytest.param(
            {"module_from_buffer": "LogicError"}, "accepts no letterbox kernel", id="an old driver"
        ),
        pytest.param(
            {"module_from_buffer": "MemoryError"}, "memory of Rule Machine .* ran out", id="no room"
        ),
        pytest.param(
            {"module_from_buffer": "LogicError", "Context.synchronize": "LaunchError"},
            "Rule Machine .* failed while preparing the engine",
            id="a lost GPU",
        ),
    ],
)
def test_a_kernel_that_cannot_be_loaded_leaves_nothing_behind(
    open_engine, machine, fail, faults, problem
):
    for call, kind in faults.items():
        fail(call, kind)
    with pytest.raises(EngineError, match=problem):
        open_engine()
    assert machine.blocks == {}
    assert not machine.context_is_retained


NULLPTR = TypeError("pybind11::init(): factory function returned nullptr")


@pytest.mark.parametrize("factory", ["Builder", "Runtime"])
def test_tensorrt_that_does_not_start_is_named(open_engine, machine, factory):
    machine.faults[factory] = [NULLPTR]
    with pytest.raises(EngineError, match=r"TensorRT 10\.3\.0 does not start .* `nvidia-smi`"):
        open_engine()
    assert not machine.context_is_retained


@pytest.mark.parametrize("plan", [None, b"of another version"], ids=["not built", "not loaded"])
def test_a_build_that_failed_is_not_repeated(open_engine, machine, monkeypatch, plan):
    engine = open_engine(imgsz=None)

    def build(*_):
        machine.call("build_serialized_network")
        return plan

    monkeypatch.setattr(sys.modules["tensorrt"].Builder, "build_serialized_network", build)
    for _ in range(3):
        with pytest.raises(EngineError, match="is not tried again until a restart"):
            run(engine)
    assert machine.calls.count("build_serialized_network") == 1


def test_an_engine_that_found_no_room_is_loaded_later(open_engine, machine, model, fail):
    engine = open_engine(imgsz=None)
    for _ in range(2):
        fail("mem_alloc", "MemoryError")
        with pytest.raises(EngineError, match="ran out"):
            run(engine)
    assert_right(engine, model, [random_frame(1)], None)
    assert machine.calls.count("build_serialized_network") == 1


def test_an_engine_without_room_in_memory_is_not_taken_for_a_damaged_one(
    open_engine, machine, monkeypatch
):
    open_engine().close()

    def refuse(runtime, plan):
        runtime.logger.log(runtime.logger.ERROR, "Error Code 1: Cuda Runtime (out of memory)")

    monkeypatch.setattr(sys.modules["tensorrt"].Runtime, "deserialize_cuda_engine", refuse)
    with pytest.raises(EngineError, match=r"cannot load the engine .* lower max_batch"):
        open_engine()
    assert machine.calls.count("build_serialized_network") == 1


# Addresses, shapes and CUDA graphs


def test_every_pass_of_a_batch_has_an_aligned_output(open_engine, tmp_path):
    """300 rows of 57 float32 are 68,400 bytes, which is no multiple of 256."""
    rows = np.random.default_rng(0).uniform(0, 60, (300, 57)).astype(np.float32)
    graph = constant_model(rows, output_shape=("batch", 300, 57), metadata=METADATA)
    onnx.save(graph, tmp_path / "rows.onnx")
    model = PoseModel.open(tmp_path / "rows.onnx")
    one_at_a_time = PoseModel.open(fixed_batch(graph, tmp_path / "one.onnx"))
    engine = open_engine(model=one_at_a_time, max_batch=2)
    assert_right(engine, model, [random_frame(1), random_frame(2)])


def fixed_batch(graph, path):
    """Write a graph that takes one picture only, and so a batch of two in two passes."""
    for value in (*graph.graph.input, *graph.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(graph, path)
    return path


@pytest.mark.parametrize(
    ("setter", "what"),
    [
        pytest.param("set_tensor_address", "the address 0x", id="an address"),
        pytest.param("set_input_shape", "the input shape", id="a shape"),
    ],
)
def test_what_tensorrt_does_not_accept_is_an_error(open_engine, monkeypatch, setter, what):
    engine = open_engine(max_batch=2)
    context = sys.modules["tensorrt"].IExecutionContext
    monkeypatch.setattr(context, setter, lambda self, name, value: False)
    with pytest.raises(EngineError, match=f"does not accept {what}"):
        run(engine)


def test_shapes_and_addresses_are_set_once(open_engine, machine):
    engine = open_engine(max_batch=2)
    for _ in range(2):
        run(engine)
    before = len(machine.calls)
    for _ in range(4):
        run(engine)
    assert {"set_input_shape", "set_tensor_address"}.isdisjoint(machine.calls[before:])


def test_a_batch_of_one_has_a_fixed_shape(open_engine, machine):
    engine = open_engine(max_batch=1)
    run(engine)
    assert "set_input_shape" not in machine.calls
    assert machine.builds[0].profiles == []


def test_from_its_third_run_on_a_batch_is_a_cuda_graph(open_engine, machine, model):
    engine = open_engine(max_batch=2)
    for count in (2, 2, 2, 2, 1, 1, 1, 1):
        frames = [random_frame(seed) for seed in range(count)]
        assert_right(engine, model, frames)
    before = machine.calls.count("execute_async_v3")
    launched = machine.calls.count("cuGraphLaunch")
    for seed in range(6):
        frames = [random_frame(seed)]
        assert_right(engine, model, frames)
    assert machine.calls.count("execute_async_v3") == before
    assert machine.calls.count("cuGraphLaunch") == launched + 6


def test_graphs_stay_when_a_batch_grows(open_engine, machine, model):
    engine = open_engine(max_batch=2)
    for count in (1, 1, 1, 1, 2, 2, 1, 1, 1, 1):
        frames = [random_frame(seed) for seed in range(count)]
        assert_right(engine, model, frames)
    assert machine.calls.count("cuGraphInstantiateWithFlags") == 2


def test_cameras_of_two_shapes_in_any_mixture_soon_need_no_new_context(open_engine, machine, model):
    engine = open_engine(imgsz=None, max_batch=4)
    shapes = [(96, 96), (60, 96)]
    mixtures = [(a, b) for a in range(5) for b in range(5 - a) if a + b]

    def run_all():
        for mixture in mixtures:
            frames = [
                random_frame(seed, size=shape)
                for shape, count in zip(shapes, mixture, strict=True)
                for seed in range(count)
            ]
            for _ in range(SLOTS):
                assert_right(engine, model, frames, None)
        return machine.calls.count("create_execution_context")

    assert run_all() == run_all()


@pytest.mark.parametrize("machine", [pytest.param({"captures": False}, id="old")], indirect=True)
def test_a_driver_that_does_not_capture_runs_the_network_without(
    open_engine, machine, model, caplog
):
    caplog.set_level(logging.INFO, "kp_pose_ros")
    engine = open_engine()
    for seed in range(6):
        frames = [random_frame(seed)]
        assert_right(engine, model, frames)
    assert machine.calls.count("execute_async_v3") == 6
    assert "runs without a CUDA graph" in caplog.text


def test_a_network_that_tensorrt_does_not_let_capture_runs_without(open_engine, machine, model):
    engine = open_engine()
    run(engine)
    run(engine)  # in the other slot
    machine.refused = 1
    for seed in range(4):
        frames = [random_frame(seed)]
        assert_right(engine, model, frames)


def test_a_network_whose_capture_breaks_a_rule_runs_without(open_engine, machine, model, caplog):
    caplog.set_level(logging.INFO, "kp_pose_ros")
    engine = open_engine()
    machine.invalidated = 2  # those of both slots
    for seed in range(6):
        frames = [random_frame(seed)]
        assert_right(engine, model, frames)
    assert "cuGraphLaunch" not in machine.calls
    assert "runs without a CUDA graph" in caplog.text


def test_other_code_may_use_the_legacy_stream_during_a_capture(open_engine, machine):
    """CUDA C++ Programming Guide, Prohibited and Unhandled Operations: "When any stream in the same
    context is being captured, and it was not created with cudaStreamNonBlocking, any attempted use
    of the legacy stream is invalid."
    """
    open_engine()
    assert [each.flags for each in streams(machine)] == [CU_STREAM_NON_BLOCKING] * 2


def test_a_graph_that_cannot_be_launched_means_a_lost_gpu(open_engine, machine, fail):
    engine = open_engine()
    for _ in range(4):
        run(engine)
    fail("cuGraphLaunch")
    with pytest.raises(GpuLostError, match="CUDA error 700"):
        run(engine)


def test_a_graph_without_room_on_the_gpu_costs_its_batch_only(open_engine, machine, model, fail):
    engine = open_engine()
    for _ in range(4):
        run(engine)
    fail("cuGraphLaunch", "MemoryError")
    with pytest.raises(EngineError, match=r"cannot launch a CUDA graph .* lower max_batch"):
        run(engine)
    assert_right(engine, model, [random_frame(1)])


def test_more_numbers_of_pictures_than_are_kept_come_and_go(
    open_engine, engines, model, monkeypatch
):
    monkeypatch.setattr(engines("network"), "_KEPT_RUNS", 1)
    engine = open_engine(max_batch=4)
    for count in (1, 2, 3, 4, 1, 2, 3, 4, 4, 4, 4):
        frames = [random_frame(seed) for seed in range(count)]
        assert_right(engine, model, frames)


def test_a_frame_that_cannot_be_converted_costs_only_its_batch(open_engine, model, monkeypatch):
    engine = open_engine(max_batch=2)
    broken = random_frame(1, "bayer_rggb8")
    with monkeypatch.context() as patch:
        patch.setattr(Frame, "to_bgr", lambda frame: 1 / 0)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                engine.submit([random_frame(2), broken]).result()
    assert_right(engine, model, [broken])


@pytest.mark.parametrize("machine", [pytest.param({"devices": 0}, id="no GPU")], indirect=True)
def test_without_a_gpu_it_says_so_in_a_sentence(open_engine):
    with pytest.raises(EngineError, match=r"engine 'tensorrt' cannot run here: .* finds no GPU"):
        open_engine()


def test_the_factory_opens_it_with_the_settings(engines, model):
    settings = EstimatorSettings(
        model.path, engine="tensorrt", imgsz=(64, 96), precision="fp32", max_batch=2
    )
    _, estimator = make_estimator(settings)
    assert estimator.engine.name.startswith("TensorRT 10.3.0 on Rule Machine")
    assert estimator.engine.max_batch == 2
    estimator.engine.close()


def test_what_is_built_ahead_serves_frames_of_that_shape(engines, machine, model):
    settings = EstimatorSettings(model.path, engine="tensorrt", precision="fp32")
    given, estimator = make_estimator(replace(settings, imgsz=(64, 96)))
    plan = build_engine(given, estimator, replace(settings, imgsz=(64, 96)))
    estimator.engine.close()
    assert (plan.is_file(), plan.suffix) == (True, ".plan")
    _, estimator = make_estimator(settings)
    estimator.estimate([random_frame(1, size=(640, 960))])
    estimator.engine.close()
    assert machine.calls.count("build_serialized_network") == 1


def test_auto_takes_it_where_there_is_a_gpu(engines, model, caplog, monkeypatch):
    monkeypatch.setattr("kp_pose_ros.inference.factory.has_gpu", lambda: True)
    caplog.set_level(logging.INFO, "kp_pose_ros")
    _, estimator = make_estimator(EstimatorSettings(model.path))
    estimator.engine.close()
    (line,) = [line for line in caplog.messages if "engine auto" in line]
    assert line.startswith("engine auto: TensorRT 10.3.0 on Rule Machine")


def test_auto_takes_another_one_where_tensorrt_does_not_start(
    engines, machine, model, caplog, monkeypatch
):
    """Such as pip's TensorRT for CUDA 13 on an older driver, which says why in a warning."""
    monkeypatch.setattr("kp_pose_ros.inference.factory.has_gpu", lambda: True)
    machine.faults["Runtime"] = [NULLPTR]
    logger = engines("bindings").LOGGER
    logger.log(logger.WARNING, "CUDA initialization failure with error: 35")
    _, estimator = make_estimator(EstimatorSettings(model.path))
    estimator.engine.close()
    (line,) = [line for line in caplog.messages if "engine auto" in line]
    assert "although there is an NVIDIA GPU, because TensorRT 10.3.0 does not start" in line
    assert "error: 35" in line
    assert not machine.context_is_retained


# Plans


def write_engine(path, graph, *, metadata=METADATA, version="10.3.0"):
    """Write an engine file as ultralytics does: length, JSON, plan."""
    header = json.dumps(metadata).encode()
    plan = make_plan(graph, version=version, largest=2)
    path.write_bytes(len(header).to_bytes(4, "little") + header + plan)
    return PoseModel.open(path)


def test_an_engine_of_the_user_runs_as_it_is(open_engine, machine, model, tmp_path):
    graph = write_echo_model(tmp_path / "graph.onnx", sides=(64, 96)).read_bytes()
    engine = open_engine(model=write_engine(tmp_path / "own.engine", graph), max_batch=4)
    frames = [random_frame(seed) for seed in range(4)]
    assert_right(engine, model, frames)
    assert "build_serialized_network" not in machine.calls


def test_an_engine_of_the_user_may_have_a_raw_output(open_engine, tmp_path):
    raw = random_raw(1, (17, 3), 3000)
    graph = constant_model(raw, input_shape=(1, 3, 64, 96))
    onnx.save(graph, tmp_path / "raw.onnx")
    own = write_engine(tmp_path / "own.engine", graph.SerializeToString(), metadata=COCO)
    (found,) = open_engine(model=own).submit([random_frame(1)]).result()
    (expected,) = by_onnx_runtime(PoseModel.open(tmp_path / "raw.onnx"), [random_frame(1)])
    order = np.argsort(-found.rows[:, 4], kind="stable")
    np.testing.assert_allclose(found.rows[order], expected.rows, rtol=1e-6)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"names": ["person", "dog"]}, id="two classes"),
        pytest.param({"kpt_shape": [17, 2]}, id="keypoints without a score"),
        pytest.param({"end2end": True}, id="finished rows"),
    ],
)
def test_an_engine_whose_output_is_not_what_its_header_says_is_refused(
    open_engine, tmp_path, changes
):
    graph = constant_model(random_raw(1, (17, 3), 126), input_shape=(1, 3, 64, 96))
    content = graph.SerializeToString()
    own = write_engine(tmp_path / "own.engine", content, metadata=COCO | changes)
    with pytest.raises(ModelError, match=r"own\.engine has the shape \? x 56 x 126, which is not"):
        open_engine(model=own)


def test_an_engine_of_another_version_is_refused_in_a_sentence(open_engine, tmp_path):
    own = write_engine(tmp_path / "own.engine", b"", version="8.6.1")
    with pytest.raises(EngineError) as refusal:
        open_engine(model=own)
    assert str(refusal.value) == (
        f"{own.path} does not run here, because TensorRT 10.3.0 on Rule Machine (compute "
        "capability 8.7) says: Version tag 8.6.1 does not match; an engine runs only with the "
        "TensorRT version and on the GPU model that it was built with: give the .pt or .onnx file "
        "that it was made from"
    )


def test_an_engine_whose_output_depends_on_the_picture_is_refused(open_engine, monkeypatch):
    context = sys.modules["tensorrt"].IExecutionContext
    monkeypatch.setattr(context, "get_tensor_shape", lambda self, name: (1, -1, 57))
    with pytest.raises(EngineError, match=r"has the shape \(1, -1, 57\): .* without NMS"):
        open_engine()


def test_an_engine_of_another_size_is_refused(open_engine, tmp_path):
    graph = write_echo_model(tmp_path / "graph.onnx", sides=(96, 96)).read_bytes()
    own = write_engine(tmp_path / "own.engine", graph)
    with pytest.raises(EngineError, match=r"expected pictures of \(3, 64, 96\)"):
        open_engine(model=own)


def test_a_cached_plan_that_tensorrt_refuses_is_built_anew(
    open_engine, machine, model, tmp_path, caplog
):
    open_engine().close()
    (plan,) = (tmp_path / "cache").glob("*.plan")
    plan.write_bytes(b"not for this driver")
    checksum = plan.with_name(f"{plan.name}.sha256")
    checksum.write_text(content_hash(plan))
    frames = [random_frame(1)]
    assert_right(open_engine(), model, frames)
    assert machine.calls.count("build_serialized_network") == 2
    assert "cannot be used and is built again: TensorRT 10.3.0" in caplog.text
    assert "Magic tag does not match" in caplog.text
