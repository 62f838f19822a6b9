# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The functions of the CUDA driver that pycuda lacks: CUDA graphs, and the driver's own stack."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

_SUCCESS = 0
OUT_OF_MEMORY = 2
# CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: other threads may use the GPU during the capture.
_THREAD_LOCAL = 1
_NO_FLAGS = ctypes.c_ulonglong(0)
# CU_STREAM_NON_BLOCKING, for which pycuda has no name. While a stream without it captures, any use
# of the legacy stream in the same context is invalid (CUDA C++ Programming Guide, "Prohibited and
# Unhandled Operations"), so that other code in the process would fail.
NON_BLOCKING = 1


def load_driver() -> ctypes.CDLL:
    """Return the CUDA driver's library, which pycuda has loaded before."""
    return ctypes.CDLL("libcuda.so.1")


class CudaGraph:
    """Work that was captured from a stream, to be launched as a whole with one call."""

    def __init__(self, library: ctypes.CDLL, executable: ctypes.c_void_p) -> None:
        self._library = library
        self._executable = executable

    def launch(self, stream: int) -> int:
        """Put the work on a stream; return the driver's error code, 0 for none."""
        code: int = self._library.cuGraphLaunch(self._executable, ctypes.c_void_p(stream))
        return code

    def close(self) -> None:
        """Free it; the GPU must be done with it."""
        self._library.cuGraphExecDestroy(self._executable)


class DriverApi:
    """Calls that act on the context that is current on this thread."""

    def __init__(self) -> None:
        self._library = load_driver()

    def pop_context(self) -> None:
        """Take the current context off the driver's stack for this thread."""
        self._library.cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p()))

    def capture(self, stream: int, enqueue: Callable[[], bool]) -> CudaGraph | None:
        """Return what `enqueue` puts on a stream as a graph, which does not run it.

        Args:
            stream: the stream's handle.
            enqueue: puts the work on it; returns whether that was accepted.

        Returns:
            None if the driver or `enqueue` refuses. The stream can be used normally afterwards.
        """
        library, handle = self._library, ctypes.c_void_p(stream)
        if library.cuStreamBeginCapture_v2(handle, _THREAD_LOCAL) != _SUCCESS:
            return None
        graph, executable = ctypes.c_void_p(), ctypes.c_void_p()
        accepted = False
        try:
            accepted = enqueue()
        finally:
            ended = library.cuStreamEndCapture(handle, ctypes.byref(graph))
        if ended != _SUCCESS or not graph.value:
            return None
        made = (
            accepted
            and library.cuGraphInstantiateWithFlags(ctypes.byref(executable), graph, _NO_FLAGS)
            == _SUCCESS
        )
        library.cuGraphDestroy(graph)
        return CudaGraph(library, executable) if made else None
