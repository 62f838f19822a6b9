# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A machine with a GPU that exists only as rules.

Device memory is host memory, so that real kernels and networks can run on it. What is put on a
stream runs as late as it may: when somebody waits for it. Whoever reads a result too early, reuses
memory too soon or frees something in use is caught by that.
"""

import ctypes
import gc
import threading
import weakref
from collections import deque
from dataclasses import dataclass, field

import numpy as np


class BrokenRuleError(Exception):
    """The code under test did what a real driver punishes, sooner or later."""


@dataclass(eq=False)
class Block:
    """Allocated memory: `kind` is device, pages (page-locked) or mapped (page-locked, for both)."""

    kind: str
    size: int
    content: np.ndarray = field(init=False)

    def __post_init__(self):
        # 0xAB: an uninitialised float is no convenient zero.
        self.content = np.full(self.size, 0xAB, np.uint8)

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
        tensorrt: whose names TensorRT has: those of version 8 or of version 10.
        integrated: whether the GPU shares the host's memory.
        refused: how many of the next enqueues TensorRT refuses.
        builds: the configuration of each plan that was built.
        broken: rules that were broken where nothing can be raised, as in a destructor.
    """

    def __init__(self, run_kernel, *, integrated=False, devices=1, tensorrt=10):
        self.run_kernel = run_kernel
        self.tensorrt = tensorrt
        self.integrated = integrated
        self.devices = devices
        self.faults = {}
        self.refused = 0
        self.builds = []
        self.broken = []
        self.calls = []
        self.blocks = {}
        self.alive = weakref.WeakSet()
        self.context_is_retained = False
        self._stacks = threading.local()
        self._pending = set()

    # Contexts

    @property
    def stack(self):
        """This thread's contexts, the current one last."""
        if not hasattr(self._stacks, "contexts"):
            self._stacks.contexts = []
        return self._stacks.contexts

    def call(self, name, *, needs_context=True):
        """Note a driver call and check that it is allowed."""
        self.calls.append(name)
        if needs_context and not self.stack:
            raise BrokenRuleError(f"{name}: no context is current on this thread")
        if self.faults.get(name):
            raise self.faults[name].pop(0)

    def must_be_empty(self):
        """Check that the context is not released before everything made under it is freed."""
        gc.collect()
        held = [block.kind for block in self.blocks.values()]
        held += [type(each).__name__ for each in self.alive]
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
        if any(thing in work.holds for work in self._pending):
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
        stream.queue.append(work)
        self._pending.add(work)

    def finish(self):
        """Run what is on all streams."""
        for each in list(self.alive):
            if isinstance(each, Stream):
                each.run_all()

    def run_next(self, stream):
        work = stream.queue.popleft()
        work.run()
        self._pending.discard(work)


class Stream:
    """The driver's stream: a queue of what was not run yet."""

    def __init__(self, machine):
        self.machine = machine
        self.queue = deque()
        machine.alive.add(self)

    def run_all(self):
        while self.queue:
            self.machine.run_next(self)


def array_at(address, shape, dtype):
    """Return the memory at an address as an array."""
    count = int(np.prod(shape)) * np.dtype(dtype).itemsize
    content = (ctypes.c_uint8 * count).from_address(address)
    return np.frombuffer(content, dtype).reshape(shape)
