# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Faults of the GPU: a lost GPU, no free memory, and the context after the engine is closed."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

from kp_pose_ros.errors import EngineError, GpuLostError
from kp_pose_ros.inference.tensorrt import driver_api

from .engines import open_engine
from .results import SIZE, Case, Result, passed

NOWHERE = 1 << 20  # an address at which no driver allocates
TOO_MUCH = 1 << 50  # bytes


def bad_address(case: Case) -> Iterator[Result]:
    """A kernel that writes to an invalid address loses the GPU; every later call says so."""
    engine = open_engine(case)
    engine._networks[SIZE]._input = NOWHERE
    said = []
    for _ in range(2):
        try:
            engine.submit(case.frames()[:1]).result()
        except GpuLostError as error:
            said.append(str(error))
    engine.close()
    note = said[0] if said else "the engine continued"
    yield Result("a bad address loses the GPU", passed(len(said) == 2), note=note)


def out_of_memory(case: Case) -> Iterator[Result]:
    """An allocation that is too large is refused in a sentence; the engine works as before."""
    engine = open_engine(case)
    said = ""
    try:
        with engine._gpu.current():
            engine._free_slots[0].outputs[0].reserve(TOO_MUCH)
    except EngineError as error:
        said = str(error)
    engine.submit(case.frames()[:1]).result()
    engine.close()
    yield Result("out of memory", passed("lower max_batch" in said), note=said)


def context_after_close(case: Case) -> Iterator[Result]:
    """No context is current on the thread that closed the engine."""
    open_engine(case).close()
    context = ctypes.c_void_p()
    driver_api.load_driver().cuCtxGetCurrent(ctypes.byref(context))
    yield Result("no context is current after close", passed(not context.value))
