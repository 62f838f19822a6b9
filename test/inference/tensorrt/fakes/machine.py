# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A machine with a GPU that exists only as rules.

Device memory is host memory, so that real kernels and networks can run on it. What is put on a
stream runs as late as it may: when somebody waits for it. Whoever reads a result too early, reuses
memory too soon or frees something in use is caught by that.
"""

import ctypes
import gc
import itertools
import threading
import weakref
from collections import defaultdict, deque
from dataclasses import dataclass, field

import numpy as np

# Calls whose errors concern the call alone: no GPU yet, or a PTX that the driver does not take.
HARMLESS = {"init", "module_from_buffer"}
# Not to be called while a stream captures (cuda.h, cuThreadExchangeStreamCaptureMode; CUDA C++
# Programming Guide, Prohibited and Unhandled Operations).
UNSAFE = {"mem_alloc", "pagelocked_empty", "Context.synchronize", "Stream.synchronize"}


class CudaError(Exception):
    """Base of the driver's errors."""


class CudaMemoryError(CudaError):
    """CUDA_ERROR_OUT_OF_MEMORY, after which the context works as before."""


class BrokenRuleError(Exception):
    """The code under test broke a rule that a real driver enforces, sooner or later."""


@dataclass(eq=False)
class Block:
    """Allocated memory: `kind` is device, pages (page-locked) or mapped (page-locked, for both)."""

    kind: str
    size: int
    content: np.ndarray = field(init=False)

    def __post_init__(self):
        # 0xAB: an uninitialised float is no convenient zero. Drivers align to 256 bytes.
        raw = np.full(self.size + 256, 0xAB, np.uint8)
        start = -raw.ctypes.data % 256
        self.content = raw[start : start + self.size]

    @property
    def address(self):
        return self.content.ctypes.data


@dataclass(eq=False)
class Work:
    """Something on a stream. `holds` are the blocks, contexts and so on that it uses."""

    run: object
    holds: tuple


class Machine:
    """State of the GPU and its driver, shared by both fakes.

    Attributes:
        faults: names of calls that shall fail, each with the exceptions still to raise.
        lost: the error after which every call fails with the same one: "the process must be
            terminated and relaunched" (cuda.h, CUDA_ERROR_ILLEGAL_ADDRESS and others).
        integrated: whether the GPU shares the host's memory.
        refused: how many of the next enqueues TensorRT refuses.
        invalidated: how many of the next captures a rule's violation invalidates.
        memory: bytes of its memory.
        captures: whether the driver captures CUDA graphs.
        timing_cache: whether TensorRT takes timing caches.
        builds: the configuration of each plan that was built.
        broken: rules that were broken where nothing can be raised, as in a destructor.
    """

    def __init__(self, run_kernel, *, integrated=False, devices=1, captures=True):
        self.run_kernel = run_kernel
        self.memory = 8 << 30
        self.captures = captures
        self.timing_cache = True
        self.lost = None
        self.integrated = integrated
        self.devices = devices
        self.faults = {}
        self.refused = self.invalidated = 0
        self.builds = []
        self.broken = []
        self.calls = []
        self.blocks = {}
        self.alive = weakref.WeakSet()
        self.retained = 0  # how often the context is
        self.graphs = {}
        self.numbers = itertools.count()
        self.handles = itertools.count(1)  # of graphs
        self._stacks = defaultdict(list)
        self._pending = set()

    # Contexts

    @property
    def stack(self):
        """The driver's contexts for this thread, the current one last."""
        return self._stacks[threading.get_ident(), "driver"]

    @property
    def context_is_retained(self):
        return self.retained > 0

    @property
    def pycuda_stack(self):
        """What pycuda believes to be the driver's stack."""
        return self._stacks[threading.get_ident(), "pycuda"]

    @property
    def left(self):
        """Contexts that are still on a stack of any thread."""
        return [each for stack in self._stacks.values() for each in stack]

    def call(self, name, *, needs_context=True):
        """Note a driver call and check that it is allowed."""
        self.calls.append(name)
        if self.lost is not None:
            raise self.lost
        if needs_context and not self.stack:
            raise BrokenRuleError(f"{name}: no context is current on this thread")
        if name in UNSAFE and any(stream.captured is not None for stream in self.streams()):
            raise BrokenRuleError(f"{name}: a stream captures")
        if self.faults.get(name):
            error = self.faults[name].pop(0)
            is_lost = isinstance(error, CudaError) and not isinstance(error, CudaMemoryError)
            if is_lost and name not in HARMLESS:
                self.lost = error
            raise error

    def streams(self):
        return [each for each in self.alive if isinstance(each, Stream)]

    def must_be_empty(self):
        """Check that the context is not released before everything made under it is freed."""
        gc.collect()
        held = [block.kind for block in self.blocks.values()]
        held += [type(each).__name__ for each in self.alive] + ["graph"] * len(self.graphs)
        if held:
            raise BrokenRuleError(f"leaked: {sorted(held)}")

    # Memory

    def allocate(self, kind, size):
        block = Block(kind, size)
        self.blocks[block.address] = block
        return block

    def free(self, block):
        if self.blocks.pop(block.address, None) is None:
            raise BrokenRuleError("freed twice")
        self.must_be_idle(block)

    def must_be_idle(self, thing):
        if self.is_busy(thing):
            raise BrokenRuleError(f"freed in use: {thing}")

    def find(self, address, size, kinds):
        """Return the block that holds `size` bytes from `address` on."""
        for start, block in self.blocks.items():
            if start <= address and address + size <= start + block.size:
                if block.kind not in kinds:
                    raise BrokenRuleError(f"{block.kind} memory where {kinds} are needed")
                return block
        raise BrokenRuleError(f"{size} bytes at {address:#x} are not allocated")

    # Streams

    def enqueue(self, stream, run, *holds):
        work = Work(run, holds)
        if stream.captured is not None:
            stream.captured.append(work)
            return
        stream.queue.append(work)
        self._pending.add(work)

    def is_busy(self, thing):
        return any(thing in work.holds for work in self._pending)

    def finish(self):
        """Run what is on all streams."""
        for each in self.streams():
            each.run_all()

    def run_next(self, stream):
        work = stream.queue.popleft()
        work.run()
        self._pending.discard(work)


class Lenient(Machine):
    """Checks nothing, since the driver does."""

    def __init__(self):
        super().__init__(None)

    def call(self, name, *, needs_context=True):
        pass

    def find(self, address, size, kinds):
        pass


class Stream:
    """The driver's stream: a queue of what was not run yet."""

    queue = ()  # if it could not be made

    def __init__(self, machine):
        self.machine = machine
        self.number = next(machine.numbers)
        self.queue = deque()
        self.captured = None  # the work of a capture that goes on
        machine.alive.add(self)

    def run_all(self):
        while self.queue:
            self.machine.run_next(self)


def array_at(address, shape, dtype):
    """Return the memory at an address as an array."""
    count = int(np.prod(shape)) * np.dtype(dtype).itemsize
    content = (ctypes.c_uint8 * count).from_address(address)
    return np.frombuffer(content, dtype).reshape(shape)
