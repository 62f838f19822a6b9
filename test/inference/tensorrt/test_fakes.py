# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The stand-ins follow what NVIDIA documents; each test cites the place.

The quotations were compared with cuda.h of CUDA 12.9 and 13.0, NvInferRuntime.h of TensorRT 10.3
and 11.1 (github.com/NVIDIA/TensorRT, tags v10.3.0 and v11.1) and cuda.hpp of pycuda 2026.1; those
of guides with copies of the guides.
"""

import ctypes
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest
from echo_model import write_echo_model
from fakes.cuda import CAPTURE_INVALIDATED, CAPTURE_WRONG_THREAD, make_library
from fakes.machine import BrokenRuleError
from fakes.tensorrt import make_plan


@pytest.fixture
def driver(engines):
    return sys.modules["pycuda.driver"]


@pytest.fixture
def context(driver, machine):
    """The primary context, current on this thread."""
    context = driver.Device(0).retain_primary_context()
    context.push()
    yield context
    machine.lost = driver.LaunchError("the test is over")  # what is left may go in any order
    machine.stack.clear()
    machine.pycuda_stack.clear()


def test_a_lost_context_does_not_heal(driver, machine, context):
    """cuda.h, CUDA_ERROR_ILLEGAL_ADDRESS (700): "This leaves the process in an inconsistent state
    and any further CUDA work will return the same error. To continue using CUDA, the process must
    be terminated and relaunched."
    """
    machine.faults["mem_alloc"] = [driver.LaunchError("an illegal memory access")]
    for call in (driver.mem_alloc, driver.mem_alloc):
        with pytest.raises(driver.LaunchError):
            call(8)
    with pytest.raises(driver.LaunchError):
        context.synchronize()


def test_out_of_memory_concerns_the_call_alone(driver, machine, context):
    """cuda.h, CUDA_ERROR_OUT_OF_MEMORY (2), without the words of 700: "The API call failed because
    it was unable to allocate enough memory or other resources to perform the requested operation."
    """
    machine.faults["mem_alloc"] = [driver.MemoryError("out of memory")]
    with pytest.raises(driver.MemoryError):
        driver.mem_alloc(8)
    driver.mem_alloc(8).free()


def test_releasing_the_primary_context_pops_nothing(machine, context):
    """cuda.h, cuDevicePrimaryCtxRelease: "unlike cuCtxDestroy() this method does not pop the
    context from stack in any circumstances".
    """
    context.detach()
    assert machine.stack == [context]
    assert machine.pycuda_stack == []


def test_the_drivers_stack_holds_one_context_of_pycudas(machine, context):
    """pycuda, cuda.hpp: "We don't let CUDA's context stack get more than one deep." """
    context.push()
    assert (machine.stack, machine.pycuda_stack) == ([context], [context] * 2)
    context.pop()
    assert (machine.stack, machine.pycuda_stack) == ([context], [context])


def test_device_memory_is_aligned(driver, context):
    """CUDA C++ Programming Guide, Device Memory Accesses: "Any address of a variable residing in
    global memory or returned by one of the memory allocation routines from the driver or runtime
    API is always aligned to at least 256 bytes."
    """
    allocations = [driver.mem_alloc(size) for size in (1, 100, 1000)]
    assert [int(each) % 256 for each in allocations] == [0, 0, 0]


def test_waiting_for_a_stream_that_captures_is_refused(driver, machine, context):
    """CUDA C++ Programming Guide, Prohibited and Unhandled Operations: "It is invalid to
    synchronize or query the execution status of a stream which is being captured [...]. It is also
    invalid to [...] synchronize a broader handle which encompasses an active stream capture, such
    as a device or context handle".
    """
    stream, graph = driver.Stream(), ctypes.c_void_p()
    handle, library = ctypes.c_void_p(stream.handle), make_library(machine)
    library.cuStreamBeginCapture_v2(handle, 1)
    for wait in (stream.synchronize, context.synchronize):
        with pytest.raises(BrokenRuleError, match="captures"):
            wait()
    library.cuStreamEndCapture(handle, ctypes.byref(graph))
    library.cuGraphDestroy(graph)
    del wait, stream


def test_a_pop_may_report_what_happened_before_and_then_pops_nothing_of_pycudas(
    driver, machine, context
):
    """CUDA driver API, cuCtxPopCurrent: "this function may also return error codes from previous,
    asynchronous launches". Pycuda (cuda.hpp, context::pop) then throws before it pops its own
    stack, while its detach() prints errors and throws none.
    """
    machine.faults["Context.pop"] = [driver.LaunchError("an illegal address")]
    with pytest.raises(driver.LaunchError):
        context.pop()
    assert machine.pycuda_stack == [context]
    context.detach()
    assert machine.pycuda_stack == []


def test_allocating_while_a_stream_captures_is_refused(driver, machine, context):
    """cuda.h, cuThreadExchangeStreamCaptureMode: "some actions, such as a call to cudaMalloc, may
    be unsafe"; "If the local thread has an ongoing capture sequence [...], it is prohibited from
    potentially unsafe API calls."
    """
    stream, graph = driver.Stream(), ctypes.c_void_p()
    handle, library = ctypes.c_void_p(stream.handle), make_library(machine)
    library.cuStreamBeginCapture_v2(handle, 1)
    with pytest.raises(BrokenRuleError, match="captures"):
        driver.mem_alloc(8)
    library.cuStreamEndCapture(handle, ctypes.byref(graph))
    library.cuGraphDestroy(graph)
    del stream


def test_a_capture_ends_in_the_thread_that_began_it(driver, machine, context):
    """cuda.h, cuStreamBeginCapture: "If mode is not CU_STREAM_CAPTURE_MODE_RELAXED,
    cuStreamEndCapture must be called on this stream from the same thread."
    """
    stream, graph = driver.Stream(), ctypes.c_void_p()
    handle, library = ctypes.c_void_p(stream.handle), make_library(machine)
    library.cuStreamBeginCapture_v2(handle, 1)

    def end_elsewhere():
        context.push()
        code = library.cuStreamEndCapture(handle, ctypes.byref(graph))
        context.pop()
        return code

    with ThreadPoolExecutor(1) as one:
        assert one.submit(end_elsewhere).result() == CAPTURE_WRONG_THREAD
    assert library.cuStreamEndCapture(handle, ctypes.byref(graph)) == 0
    library.cuGraphDestroy(graph)
    del stream


def test_a_capture_that_broke_a_rule_has_no_graph(driver, machine, context):
    """cuda.h, cuStreamEndCapture: "If capture was invalidated, due to a violation of the rules of
    stream capture, then a NULL graph will be returned."
    """
    stream, graph = driver.Stream(), ctypes.c_void_p()
    handle, library = ctypes.c_void_p(stream.handle), make_library(machine)
    machine.invalidated = 1
    library.cuStreamBeginCapture_v2(handle, 1)
    assert library.cuStreamEndCapture(handle, ctypes.byref(graph)) == CAPTURE_INVALIDATED
    assert graph.value is None
    del stream


@pytest.fixture
def execution(driver, machine, context, tmp_path):
    """An execution context of the echo model, and memory for its tensors."""
    trt = sys.modules["tensorrt"]
    graph = onnx.load(write_echo_model(tmp_path / "echo.onnx", sides=(64, 96)))
    logger = type("Logger", (trt.ILogger,), {"log": lambda self, severity, text: None})()
    engine = trt.Runtime(logger).deserialize_cuda_engine(make_plan(graph.SerializeToString()))
    made = engine.create_execution_context(trt.ExecutionContextAllocationStrategy.USER_MANAGED)
    memory = driver.mem_alloc(1 << 20)
    made.set_device_memory(int(memory), 1000)
    return made, int(memory)


@pytest.mark.parametrize(("offset", "accepted"), [(0, True), (68_400, False), (68_608, True)])
def test_an_address_that_is_not_aligned_is_refused(execution, offset, accepted):
    """NvInferRuntime.h, IExecutionContext::setTensorAddress: "The pointer must have at least
    256-byte alignment"; setOutputTensorAddress: "false if the provided name [...] does not meet
    alignment requirements".
    """
    made, address = execution
    assert made.set_tensor_address("output0", address + offset) is accepted


def test_a_shape_outside_of_the_profile_is_refused(execution):
    """NvInferRuntime.h, IExecutionContext::setInputShape: "True on success, false if the provided
    name does not map to an input tensor, or if some other error occurred."
    """
    made, _ = execution
    assert made.set_input_shape("images", (4, 3, 64, 96)) is True
    assert made.set_input_shape("images", (5, 3, 64, 96)) is False


def test_an_enqueue_without_addresses_is_refused(driver, execution):
    """NvInferRuntime.h, setTensorAddress: "Before calling enqueueV3(), each input must have a
    non-null address and each output must have a non-null address"; enqueueV3: "True if the kernels
    were enqueued successfully, false otherwise."
    """
    made, _ = execution
    made.set_input_shape("images", (1, 3, 64, 96))
    assert made.execute_async_v3(driver.Stream().handle) is False


def test_a_context_is_captured_after_one_run_and_not_changed_any_more(driver, machine, execution):
    """TensorRT's guide, CUDA Graphs: "Call enqueueV3() once after an input shape change to update
    internal state", then capture. Changing the context afterwards is undefined behaviour for the
    graph, says the same section. The guide of TensorRT for RTX, Best Practices, gives the reasons:
    graphs "are specific to the input size and the locations of input and output buffers", and the
    address of the scratch memory "is also captured as part of the graph", so that "best practice is
    to use one execution context per captured graph".
    """
    made, address = execution
    stream, graph = driver.Stream(), ctypes.c_void_p()
    handle, library = ctypes.c_void_p(stream.handle), make_library(machine)
    made.set_input_shape("images", (1, 3, 64, 96))
    for name, place in (("images", address + 1024), ("output0", address + (1 << 19))):
        made.set_tensor_address(name, place)
    library.cuStreamBeginCapture_v2(handle, 1)
    assert made.execute_async_v3(stream.handle) is False
    library.cuStreamEndCapture(handle, ctypes.byref(graph))
    library.cuGraphDestroy(graph)
    assert made.execute_async_v3(stream.handle) is True
    library.cuStreamBeginCapture_v2(handle, 1)
    assert made.execute_async_v3(stream.handle) is True
    library.cuStreamEndCapture(handle, ctypes.byref(graph))
    with pytest.raises(BrokenRuleError, match="is changed"):
        made.set_input_shape("images", (2, 3, 64, 96))
    library.cuGraphDestroy(graph)
    stream.synchronize()


@pytest.mark.parametrize(
    ("callback", "is_built"),
    [("phase_start", True), ("step_complete", False), ("phase_finish", True)],
)
def test_what_a_callback_raises_is_dropped(driver, machine, context, tmp_path, callback, is_built):
    """TensorRT, python/src/infer/pyCore.cpp, PyProgressMonitor of v10.3.0 to v11.1: each callback
    has `catch (...)`, and stepComplete: "Use the exception as an indicator that we should cancel
    the build".
    """

    class Monitor(sys.modules["tensorrt"].IProgressMonitor):
        def phase_start(self, *_):
            self._fail_in("phase_start")

        def step_complete(self, *_):
            self._fail_in("step_complete")
            return True

        def phase_finish(self, *_):
            self._fail_in("phase_finish")

        def _fail_in(self, name):
            if name == callback:
                raise KeyboardInterrupt

    trt = sys.modules["tensorrt"]
    builder = trt.Builder(None)
    config = builder.create_builder_config()
    config.progress_monitor = Monitor()
    network = builder.create_network(1 << trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    graph = write_echo_model(tmp_path / "echo.onnx", sides=(64, 96))
    trt.OnnxParser(network, None).parse_from_file(graph)
    assert bool(builder.build_serialized_network(network, config)) is is_built


def test_memory_that_nobody_wrote_is_no_convenient_zero(driver, machine, context):
    memory = driver.mem_alloc(8)
    block = machine.find(int(memory), 8, ("device",))
    assert np.all(block.content == 0xAB)
    memory.free()
