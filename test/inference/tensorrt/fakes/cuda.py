# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stands in for `pycuda.driver`: the names and signatures that the engine uses, and the rules."""

import itertools
import struct
import threading
import types

import numpy as np

from fakes.machine import BrokenRuleError, CudaError, CudaMemoryError
from fakes.machine import Stream as Queue
from kp_pose_ros.inference.tensorrt import kernel as letterbox_kernel


class MemoryError(CudaMemoryError):  # noqa: A001
    pass


class LogicError(CudaError):
    pass


class LaunchError(CudaError):
    pass


class RuntimeError(CudaError):  # noqa: A001
    pass


def make_driver(machine):
    """Return a module with the names of `pycuda.driver` whose GPU is `machine`."""
    driver = types.ModuleType("pycuda.driver")
    clock = itertools.count()

    class Device:
        def __init__(self, number):
            assert number < machine.devices

        def name(self):
            return "Rule Machine"

        def compute_capability(self):
            return (8, 7)

        def total_memory(self):
            return machine.memory

        def get_attribute(self, attribute):
            return 14 if attribute == "multiprocessors" else int(machine.integrated)

        def retain_primary_context(self):
            machine.call("retain_primary_context", needs_context=False)
            machine.retained += 1
            return Context()

    class Context:
        """pycuda keeps all contexts but the current one off the driver's stack (cuda.hpp)."""

        _is_valid = True

        def push(self):
            machine.call("Context.push", needs_context=False)
            if not machine.context_is_retained:
                raise BrokenRuleError("a released context is pushed")
            if machine.pycuda_stack:
                machine.stack.pop()
            machine.stack.append(self)
            machine.pycuda_stack.append(self)

        @staticmethod
        def pop():
            """Make the context before it current.

            "Note that this function may also return error codes from previous, asynchronous
            launches" (CUDA driver API, cuCtxPopCurrent); pycuda then leaves its own stack as it is.
            """
            machine.calls.append("Context.pop")
            if machine.faults.get("Context.pop"):
                machine.lost = machine.faults["Context.pop"].pop(0)
                raise machine.lost
            if not machine.pycuda_stack:
                raise LogicError("context::pop failed: cannot pop non-current context")
            machine.stack.pop()
            machine.pycuda_stack.pop()
            machine.stack.extend(machine.pycuda_stack[-1:])

        @staticmethod
        def synchronize():
            machine.call("Context.synchronize")
            machine.finish()

        def detach(self):
            """Release the primary context.

            pycuda (cuda.hpp, context::detach) does so only where it is current or on the thread
            that made it, and takes it off its own stack. The driver's stack stays as it is: "unlike
            cuCtxDestroy() this method does not pop the context from stack in any circumstances"
            (cuda.h, cuDevicePrimaryCtxRelease). It prints the driver's errors and raises none.
            """
            machine.calls.append("Context.detach")
            if not self._is_valid:
                raise LogicError("context::detach failed: cannot detach from invalid context")
            if machine.lost is None and machine.pycuda_stack[-1:] != [self]:
                raise BrokenRuleError("detach of a context that is not current may do nothing")
            self._is_valid = False
            machine.retained -= 1
            if machine.lost is None and not machine.retained:
                machine.must_be_empty()
            while machine.pycuda_stack[-1:] == [self]:
                machine.pycuda_stack.pop()

    class Stream(Queue):
        def __init__(self, flags=0):
            machine.call("Stream")
            super().__init__(machine)
            self.flags = flags

        @property
        def handle(self):
            return id(self)

        def synchronize(self):
            machine.call("Stream.synchronize")
            self.run_all()

        def wait_for_event(self, event):
            machine.call("Stream.wait_for_event")
            mark = event.mark
            machine.enqueue(self, lambda: event._reach(mark), event)

        def __del__(self):
            if self.queue and machine.lost is None:
                machine.broken.append("a stream with work on it was freed")

    class Event:
        def __init__(self, flags=0):
            machine.call("Event")
            self.stream = None
            self.mark = 0  # of the latest record
            self.reached = 0
            self.time = None
            machine.alive.add(self)

        def record(self, stream=None):
            machine.call("Event.record")
            self.stream = stream
            self.mark += 1
            mark = self.mark

            def run():
                self.reached, self.time = mark, next(clock)

            machine.enqueue(stream, run, self)
            return self

        def _reach(self, mark):
            while self.reached < mark:
                machine.run_next(self.stream)

        def synchronize(self):
            machine.call("Event.synchronize")
            self._reach(self.mark)
            return self

        def time_since(self, start):
            machine.call("Event.time_since")
            if not (self.reached == self.mark > 0 and start.reached == start.mark > 0):
                raise BrokenRuleError("time_since: an event was not reached yet")
            return float(self.time - start.time)

    class DeviceAllocation:
        def __init__(self, block):
            self.block = block

        def __int__(self):
            return self.block.address

        def free(self):
            machine.call("DeviceAllocation.free")
            machine.free(self.block)

    class PagelockedHostAllocation:
        def __init__(self, block, shape, dtype):
            self.block = block
            self.__array_interface__ = {
                "version": 3,
                "data": (block.address, False),
                "shape": shape,
                "typestr": np.dtype(dtype).str,
            }

        def get_device_pointer(self):
            machine.call("PagelockedHostAllocation.get_device_pointer")
            if self.block.kind != "mapped":
                raise BrokenRuleError("only memory with DEVICEMAP has a device pointer")
            return self.block.address

        def free(self):
            machine.call("PagelockedHostAllocation.free")
            machine.free(self.block)

    class Module:
        def __init__(self):
            machine.alive.add(self)

        def get_function(self, name):
            return Function(name, self)

    class Function:
        def __init__(self, name, module):
            self.name = name
            self.module = module

        def prepare(self, arg_types):
            self.format = "".join(arg_types)
            return self

        def prepared_async_call(self, grid, block, stream, *args):
            machine.call("Function.prepared_async_call")
            packed = struct.pack(self.format, *args)
            launch = letterbox_kernel.Launch.from_buffer_copy(packed)
            element = 4 if self.name.endswith("float32") else 2
            plane = launch.network_height * launch.network_width
            seen = ("device", "mapped")
            source = machine.find(launch.source, launch.row_step * launch.height, seen)
            network = machine.find(launch.network, launch.planes * plane * element, seen)
            machine.enqueue(
                stream,
                lambda: machine.run_kernel(self.name, grid, block, launch),
                source,
                network,
                self.module,
            )

    def mem_get_info():
        machine.call("mem_get_info")
        held = sum(block.size for block in machine.blocks.values())
        return machine.memory - held, machine.memory

    def mem_alloc(size):
        machine.call("mem_alloc")
        check_room(size)
        return DeviceAllocation(machine.allocate("device", size))

    def check_room(size):
        if size > mem_get_info()[0]:
            raise MemoryError("out of memory")

    def pagelocked_empty(shape, dtype, order="C", mem_flags=0):
        machine.call("pagelocked_empty")
        check_room(np.prod(shape))
        kind = "mapped" if mem_flags & driver.host_alloc_flags.DEVICEMAP else "pages"
        block = machine.allocate(kind, int(np.prod(shape)) * np.dtype(dtype).itemsize)
        owner = PagelockedHostAllocation(block, np.atleast_1d(shape), dtype)
        owner.__array_interface__["shape"] = tuple(np.atleast_1d(shape).tolist())
        return np.asarray(owner)

    def copy(name, host, device, size, stream, *, up):
        machine.call(name)
        pages = machine.find(host.ctypes.data, size, ("pages",))
        block = machine.find(device, size, ("device",))
        start = device - block.address
        there = block.content[start : start + size]
        host = host.reshape(-1).view(np.uint8)
        pair = (there, host) if up else (host, there)
        machine.enqueue(stream, lambda: np.copyto(*pair), pages, block)

    def memcpy_htod_async(dest, src, stream=None):
        copy("memcpy_htod_async", src, dest, src.nbytes, stream, up=True)

    def memcpy_dtoh_async(dest, src, stream=None):
        copy("memcpy_dtoh_async", dest, src, dest.nbytes, stream, up=False)

    def module_from_buffer(buffer):
        machine.call("module_from_buffer")
        assert b".visible .entry letterbox_packed_float32" in buffer
        return Module()

    def init():
        """cuda.h, CUDA_ERROR_NO_DEVICE (100): "no CUDA-capable devices were detected"."""
        machine.call("init", needs_context=False)
        if not machine.devices:
            raise RuntimeError("cuInit failed: no CUDA-capable device is detected")

    def get_driver_version():
        return 12060

    flags = types.SimpleNamespace
    driver.Error = CudaError
    offered = (
        MemoryError,
        LogicError,
        LaunchError,
        RuntimeError,
        Device,
        Context,
        Stream,
        Event,
        init,
    )
    offered += (get_driver_version, mem_get_info)
    offered += (mem_alloc, pagelocked_empty, memcpy_htod_async, memcpy_dtoh_async)
    offered += (module_from_buffer, Module, Function, DeviceAllocation, PagelockedHostAllocation)
    for each in offered:
        setattr(driver, each.__name__, each)
    driver.device_attribute = flags(
        INTEGRATED="integrated",
        CAN_MAP_HOST_MEMORY="can map",
        MULTIPROCESSOR_COUNT="multiprocessors",
    )
    driver.host_alloc_flags = flags(DEVICEMAP=2)
    driver.event_flags = flags(BLOCKING_SYNC=1)
    return driver


SUCCESS, OUT_OF_MEMORY, INVALID_CONTEXT, ILLEGAL_ADDRESS, NOT_SUPPORTED = 0, 2, 201, 700, 801
CAPTURE_INVALIDATED, CAPTURE_WRONG_THREAD = 901, 908


def make_library(machine):
    """Return what stands in for libcuda.so.1, with the functions that pycuda lacks."""

    def stream_of(handle):
        return next(each for each in machine.streams() if id(each) == handle.value)

    def keep(pointer, content):
        pointer._obj.value = next(machine.handles)
        machine.graphs[pointer._obj.value] = content
        return SUCCESS

    class Library:
        @staticmethod
        def cuCtxPopCurrent_v2(pointer):
            machine.calls.append("cuCtxPopCurrent_v2")
            if not machine.stack:
                return INVALID_CONTEXT
            machine.stack.pop()
            return SUCCESS

        @staticmethod
        def cuCtxGetCurrent(pointer):
            pointer._obj.value = id(machine.stack[-1]) if machine.stack else None
            return SUCCESS

        @staticmethod
        def cuStreamBeginCapture_v2(handle, mode):
            machine.call("cuStreamBeginCapture_v2")
            if not machine.captures:
                return NOT_SUPPORTED
            stream = stream_of(handle)
            stream.captured, stream.capturing_thread = [], threading.get_ident()
            return SUCCESS

        @staticmethod
        def cuStreamEndCapture(handle, pointer):
            machine.call("cuStreamEndCapture")
            stream = stream_of(handle)
            if stream.capturing_thread != threading.get_ident():
                return CAPTURE_WRONG_THREAD
            captured, stream.captured = stream.captured, None
            if machine.invalidated:
                machine.invalidated -= 1
                return CAPTURE_INVALIDATED
            return keep(pointer, captured)

        @staticmethod
        def cuGraphInstantiateWithFlags(pointer, graph, flags):
            machine.call("cuGraphInstantiateWithFlags")
            return keep(pointer, list(machine.graphs[graph.value]))

        @staticmethod
        def cuGraphDestroy(graph):
            machine.call("cuGraphDestroy")
            del machine.graphs[graph.value]
            return SUCCESS

        @staticmethod
        def cuGraphLaunch(executable, handle):
            machine.calls.append("cuGraphLaunch")
            if machine.lost is not None:
                return ILLEGAL_ADDRESS
            if machine.faults.get("cuGraphLaunch"):
                error = machine.faults["cuGraphLaunch"].pop(0)
                if isinstance(error, CudaMemoryError):
                    return OUT_OF_MEMORY
                machine.lost = error
                return ILLEGAL_ADDRESS
            for work in machine.graphs[executable.value]:
                machine.enqueue(stream_of(handle), work.run, *work.holds)
            return SUCCESS

        @staticmethod
        def cuGraphExecDestroy(executable):
            machine.call("cuGraphExecDestroy")
            for work in machine.graphs.pop(executable.value):
                for held in work.holds:
                    machine.must_be_idle(held)
            return SUCCESS

    return Library
