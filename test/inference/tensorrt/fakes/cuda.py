# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stands in for `pycuda.driver`: the names and signatures that the engine uses, and the rules."""

import itertools
import struct
import types

import numpy as np

from fakes.machine import BrokenRuleError
from fakes.machine import Stream as Queue
from kp_pose_ros.inference.tensorrt import kernel as letterbox_kernel


class Error(Exception):
    pass


class MemoryError(Error):  # noqa: A001
    pass


class LogicError(Error):
    pass


class LaunchError(Error):
    pass


def make_driver(machine):
    """Return a module with the names of `pycuda.driver` whose GPU is `machine`."""
    driver = types.ModuleType("pycuda.driver")
    clock = itertools.count()

    class Device:
        def __init__(self, number):
            assert number < machine.devices

        @staticmethod
        def count():
            return machine.devices

        def name(self):
            return "Rule Machine"

        def compute_capability(self):
            return (8, 7)

        def total_memory(self):
            return 8 << 30

        def get_attribute(self, attribute):
            return int(machine.integrated)

        def retain_primary_context(self):
            machine.call("retain_primary_context", needs_context=False)
            if machine.context_is_retained:
                raise BrokenRuleError("the context is retained twice")
            machine.context_is_retained = True
            return Context()

    class Context:
        def push(self):
            machine.call("Context.push", needs_context=False)
            if not machine.context_is_retained:
                raise BrokenRuleError("a released context is pushed")
            machine.stack.append(self)

        @staticmethod
        def pop():
            machine.call("Context.pop")
            machine.stack.pop()

        @staticmethod
        def synchronize():
            machine.call("Context.synchronize")
            machine.finish()

        def detach(self):
            """Release it; where it is current, pycuda pops it."""
            machine.call("Context.detach")
            machine.must_be_empty()
            machine.stack.remove(self)
            machine.context_is_retained = False

    class Stream(Queue):
        def __init__(self, flags=0):
            super().__init__(machine)
            machine.call("Stream")

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
            if self.queue:
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

        def query(self):
            machine.call("Event.query")
            return self.reached == self.mark

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
            network = machine.find(launch.network, 3 * plane * element, seen)
            machine.enqueue(
                stream,
                lambda: machine.run_kernel(self.name, grid, block, launch),
                source,
                network,
                self.module,
            )

    def mem_alloc(size):
        machine.call("mem_alloc")
        return DeviceAllocation(machine.allocate("device", size))

    def pagelocked_empty(shape, dtype, order="C", mem_flags=0):
        machine.call("pagelocked_empty")
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
        machine.call("init", needs_context=False)

    flags = types.SimpleNamespace
    offered = (Error, MemoryError, LogicError, LaunchError, Device, Context, Stream, Event, init)
    offered += (mem_alloc, pagelocked_empty, memcpy_htod_async, memcpy_dtoh_async)
    offered += (module_from_buffer, Module, Function, DeviceAllocation, PagelockedHostAllocation)
    for each in offered:
        setattr(driver, each.__name__, each)
    driver.device_attribute = flags(INTEGRATED="integrated", CAN_MAP_HOST_MEMORY="can map")
    driver.host_alloc_flags = flags(DEVICEMAP=2)
    driver.event_flags = flags(BLOCKING_SYNC=1)
    return driver
