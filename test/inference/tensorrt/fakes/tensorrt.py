# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stands in for `tensorrt`: the names that the engine uses. ONNX Runtime computes the results.

Its plans are the ONNX graph behind a line that names version and GPU, and are refused elsewhere.
"""

import enum
import json
import types
from contextlib import suppress

import numpy as np
import onnx
import onnxruntime

from fakes.machine import BrokenRuleError, Lenient, array_at

MAGIC = b"plan "
VERSION = "10.3.0"
DTYPES = {"tensor(float)": ("FLOAT", np.float32), "tensor(float16)": ("HALF", np.float16)}


def make_plan(graph, *, version=VERSION, largest=4):
    """Return what the fake's builder would serialize for the content of an ONNX file."""
    facts = json.dumps({"version": version, "largest": largest}).encode()
    return MAGIC + facts + b"\n" + graph


def make_tensorrt_on_a_driver(execute):
    """Return a module with the names of `tensorrt` for a real driver, or one made up in C.

    `execute(engine, source, target, stream)` runs a network; both tensors are (address, shape,
    type). What it raises is TensorRT's refusal.
    """
    trt = make_tensorrt(Lenient())

    def execute_async_v3(self, handle):
        if not self.has_scratch or not self.batch or len(self.addresses) < 2:
            return self._refuse("no memory, shape or address before the enqueue")
        tensors = []
        for name in self.engine.tensors:
            dtype = DTYPES[self.engine.tensors[name].type][1]
            tensors.append((self.addresses[name], self.get_tensor_shape(name), dtype))
        try:
            execute(self.engine, *tensors, handle)
        except Exception as error:
            return self._refuse(f"{type(error).__name__}: {error}")
        return True

    trt.IExecutionContext.execute_async_v3 = execute_async_v3
    del trt.IExecutionContext.__del__
    return trt


def make_tensorrt(machine):
    """Return a module with the names of `tensorrt` that runs on `machine`."""
    trt = types.ModuleType("tensorrt")
    trt.__version__ = VERSION

    class DataType(enum.Enum):
        FLOAT = 0
        HALF = 1

    class TensorIOMode(enum.Enum):
        INPUT = 1
        OUTPUT = 2

    class MemoryPoolType(enum.Enum):
        WORKSPACE = 0

    class NetworkDefinitionCreationFlag(enum.IntEnum):
        STRONGLY_TYPED = 1

    class ExecutionContextAllocationStrategy(enum.Enum):
        USER_MANAGED = 2

    class ILogger:
        class Severity(enum.IntEnum):
            INTERNAL_ERROR = 0
            ERROR = 1
            WARNING = 2
            INFO = 3
            VERBOSE = 4

    for severity in ILogger.Severity:
        setattr(ILogger, severity.name, severity)

    class Dims4(tuple):
        __slots__ = ()

    class IProgressMonitor:
        def phase_start(self, phase_name, parent_phase, num_steps):
            raise NotImplementedError

        def step_complete(self, phase_name, step):
            raise NotImplementedError

        def phase_finish(self, phase_name):
            raise NotImplementedError

    class IOptimizationProfile:
        def set_shape(self, name, least, best, most):
            self.shapes = least, best, most

    class ITimingCache:
        def serialize(self):
            return b"times"

    class IBuilderConfig:
        progress_monitor = None

        def __init__(self):
            self.profiles = []
            self.timing_cache = None

        def set_memory_pool_limit(self, pool, size):
            assert pool is MemoryPoolType.WORKSPACE

        def add_optimization_profile(self, profile):
            self.profiles.append(profile)

        def create_timing_cache(self, content):
            return ITimingCache()

        def set_timing_cache(self, cache, ignore_mismatch):
            assert not ignore_mismatch
            if machine.timing_cache:
                self.timing_cache = cache
            return machine.timing_cache

        def get_timing_cache(self):
            return self.timing_cache

    class ITensor:
        name = "images"
        shape = None

    class INetworkDefinition:
        def get_input(self, index):
            return self.pictures

    class Builder:
        def __init__(self, logger):
            machine.call("Builder")

        def create_network(self, flags):
            assert flags == sum(1 << kind for kind in NetworkDefinitionCreationFlag)
            return INetworkDefinition()

        def create_builder_config(self):
            return IBuilderConfig()

        def create_optimization_profile(self):
            return IOptimizationProfile()

        def build_serialized_network(self, network, config):
            machine.call("build_serialized_network")
            machine.builds.append(config)
            if config.progress_monitor is not None and not tell(config.progress_monitor):
                return None
            largest = config.profiles[0].shapes[2][0] if config.profiles else None
            graph = onnx.load_from_string(network.graph)
            if network.pictures.shape[0] != -1:
                fix_batch(graph.graph, network.pictures.shape[0])
            network.graph = graph.SerializeToString()
            return memoryview(make_plan(network.graph, largest=largest))

    def fix_batch(graph, batch):
        for value in (*graph.input, *graph.output):
            value.type.tensor_type.shape.dim[0].dim_value = batch

    def tell(monitor):
        """Report a phase; return whether to go on.

        TensorRT's bindings print and drop what a callback raises; `step_complete` then counts as
        False (python/src/infer/pyCore.cpp, PyProgressMonitor).
        """
        goes_on = False
        with suppress(BaseException):
            monitor.phase_start("Timing tactics", None, 1)
        with suppress(BaseException):
            goes_on = monitor.step_complete("Timing tactics", 0)
        with suppress(BaseException):
            monitor.phase_finish("Timing tactics")
        return goes_on

    class OnnxParser:
        num_errors = 0

        def __init__(self, network, logger):
            self.network = network

        def parse_from_file(self, path):
            with open(path, "rb") as stream:  # noqa: PTH123
                self.network.graph = stream.read()
            sides = onnx.load_from_string(self.network.graph).graph.input[0].type.tensor_type
            self.network.pictures = ITensor()
            self.network.pictures.shape = Dims4(each.dim_value or -1 for each in sides.shape.dim)
            return True

    class Runtime:
        def __init__(self, logger):
            machine.call("Runtime")
            self.logger = logger
            machine.alive.add(self)

        def deserialize_cuda_engine(self, plan):
            machine.call("deserialize_cuda_engine")
            if not plan.startswith(MAGIC):
                self.logger.log(ILogger.ERROR, "Magic tag does not match")
                return None
            facts, _, graph = plan.removeprefix(MAGIC).partition(b"\n")
            facts = json.loads(facts)
            if facts["version"] != VERSION:
                self.logger.log(ILogger.ERROR, f"Version tag {facts['version']} does not match")
                return None
            return ICudaEngine(graph, facts["largest"], self)

    class ICudaEngine:
        num_io_tensors = 2

        def __init__(self, graph, largest, runtime):
            self.graph = graph
            self.session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
            self.largest = largest
            self.runtime = runtime
            tensors = (*self.session.get_inputs(), *self.session.get_outputs())
            self.tensors = {each.name: each for each in tensors}
            machine.alive.add(self)

        def get_tensor_name(self, index):
            return list(self.tensors)[index]

        def get_tensor_mode(self, name):
            return TensorIOMode.INPUT if name == self.get_tensor_name(0) else TensorIOMode.OUTPUT

        def get_tensor_dtype(self, name):
            return DataType[DTYPES[self.tensors[name].type][0]]

        def get_tensor_shape(self, name):
            return tuple(n if isinstance(n, int) else -1 for n in self.tensors[name].shape)

        def get_tensor_profile_shape(self, name, profile):
            picture = self.get_tensor_shape(name)[1:]
            return [(1, *picture), (self.largest, *picture), (self.largest, *picture)]

        device_memory_size_v2 = 1000

        def create_execution_context(self, strategy):
            machine.call("create_execution_context")
            assert strategy is ExecutionContextAllocationStrategy.USER_MANAGED
            return IExecutionContext(self)

    class Token:
        """Is part of the work of an execution context, so that it can go while work is there."""

        is_freed = False

    class IExecutionContext:
        def __init__(self, engine):
            self.engine = engine
            self.addresses = {}
            self.batch = max(engine.get_tensor_shape(engine.get_tensor_name(0))[0], 0)
            self.has_run = self.is_captured = False
            self.scratch = None
            self.has_scratch = False
            self.token = Token()
            machine.alive.add(self)

        def _refuse(self, reason):
            self.engine.runtime.logger.log(ILogger.ERROR, reason)
            return False

        def _change(self):
            if self.is_captured:
                raise BrokenRuleError("a context is changed that a CUDA graph was captured from")
            self.has_run = False

        def set_device_memory(self, address, size):
            self._change()
            if address % 256 or size < self.engine.device_memory_size_v2:
                raise BrokenRuleError("device memory is too small or not aligned")
            self.scratch = machine.find(address, size, ("device",))
            self.has_scratch = True

        def set_input_shape(self, name, shape):
            machine.call("set_input_shape")
            self._change()
            least, _, most = self.engine.get_tensor_profile_shape(name, 0)
            if not least[0] <= shape[0] <= most[0] or shape[1:] != least[1:]:
                return self._refuse(f"shape {shape} is outside of {least} to {most}")
            self.batch = shape[0]
            return True

        def get_tensor_shape(self, name):
            return (self.batch, *self.engine.get_tensor_shape(name)[1:])

        def set_tensor_address(self, name, address):
            """NvInferRuntime.h: "The pointer must have at least 256-byte alignment"."""
            machine.call("set_tensor_address")
            self._change()
            if address % 256:
                return self._refuse(f"address of {name} is not aligned to 256 bytes")
            self.addresses[name] = address
            return True

        def execute_async_v3(self, handle):
            machine.call("execute_async_v3")
            if machine.refused:
                machine.refused -= 1
                return self._refuse("no reason given by the rules")
            stream = next(each for each in machine.alive if id(each) == handle)
            if not self.has_scratch or not self.batch or len(self.addresses) < 2:
                return self._refuse("no memory, shape or address before the enqueue")
            if stream.captured is not None and not self.has_run:
                return self._refuse("the context must run once before it is captured")
            source, target = (self._memory(name) for name in self.engine.tensors)
            session, token = self.engine.session, self.token
            self.has_run = True
            self.is_captured |= stream.captured is not None

            def run():
                if token.is_freed:
                    raise BrokenRuleError("a CUDA graph outlives the context of its capture")
                target[1][:] = session.run(None, {source[0]: source[1]})[0]

            machine.enqueue(stream, run, source[2], target[2], self.scratch, token)
            return True

        def _memory(self, name):
            dtype = DTYPES[self.engine.tensors[name].type][1]
            shape = self.get_tensor_shape(name)
            size = int(np.prod(shape)) * np.dtype(dtype).itemsize
            block = machine.find(self.addresses[name], size, ("device", "mapped"))
            return name, array_at(self.addresses[name], shape, dtype), block

        def __del__(self):
            self.token.is_freed = True
            if machine.lost is not None:
                return
            if machine.is_busy(self.token):
                machine.broken.append("an execution context was freed in use")
            if not machine.stack:
                machine.broken.append("an execution context was freed without a current context")

    offered = (DataType, TensorIOMode, MemoryPoolType, NetworkDefinitionCreationFlag)
    offered += (ExecutionContextAllocationStrategy, IProgressMonitor)
    offered += (ILogger, Dims4, Builder, OnnxParser, Runtime, ICudaEngine, IExecutionContext)
    offered += (IOptimizationProfile, IBuilderConfig, ITimingCache, INetworkDefinition, ITensor)
    for each in offered:
        setattr(trt, each.__name__, each)
    return trt
