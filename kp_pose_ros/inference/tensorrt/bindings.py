# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT as `trt`, from whichever of its packages is installed, its log and its start.

Importing this module raises ImportError if TensorRT is not installed; `gpu.why_unavailable`
gives the reason, also if its version is too old.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Any

from kp_pose_ros.errors import EngineError, printable

if TYPE_CHECKING:
    import tensorrt as trt
else:
    try:
        import tensorrt as trt

        # Type stubs alone make an empty package of that name.
        trt.Builder  # noqa: B018
    except (ImportError, AttributeError):
        import tensorrt_rtx_bindings as trt  # TensorRT for RTX: the same interface

__all__ = ["IS_RTX", "IS_TOO_OLD", "LOGGER", "NAME", "is_out_of_memory", "new", "trt"]

OLDEST = 10, 3  # the first with every name that is used here; TensorRT for RTX has had them all
IS_RTX = "rtx" in trt.__name__
VERSION: str = vars(trt)["__version__"]
NAME = f"TensorRT{' for RTX' if IS_RTX else ''} {VERSION}"
IS_TOO_OLD = not IS_RTX and tuple(map(int, VERSION.split(".")[:2])) < OLDEST

_KEPT_WARNINGS = 3  # a build has dozens that do no harm
_LONGEST_REASONS = 1000  # characters, so that an error has room for its mend
_log = logging.getLogger(__name__)


class Logger(trt.ILogger):
    """TensorRT's messages in Python's log, and the latest problems for our own messages.

    All go to the log as debug lines: the caller raises an error that contains the problems.
    """

    def __init__(self) -> None:
        super().__init__()
        self._errors: list[str] = []
        self._warnings: deque[str] = deque(maxlen=_KEPT_WARNINGS)

    def log(self, severity: trt.ILogger.Severity, message: str) -> None:
        """Take one message; called by TensorRT, from any of its threads."""
        if severity == trt.ILogger.VERBOSE:
            return
        _log.debug("%s", message)
        if severity == trt.ILogger.WARNING:
            self._warnings.append(message)
        elif severity != trt.ILogger.INFO:
            self._errors.append(message)

    def take_reasons(self) -> str:
        """Return the errors since the last call, or else the latest warnings, and forget both.

        Some failures have warnings only, such as a driver too old for TensorRT's CUDA.
        """
        reasons = self._errors or [*self._warnings]
        self._errors = []
        self._warnings.clear()
        return printable("; ".join(reasons) or "no reason given", _LONGEST_REASONS)


# TensorRT keeps the first logger of a process and complains about others.
LOGGER = Logger()


def is_out_of_memory(reasons: str) -> bool:
    """Return whether TensorRT's reasons say so, in CUDA's words or its own ("OutOfMemory")."""
    return "outofmemory" in reasons.lower().replace(" ", "")


def new(kind: Any) -> Any:
    """Return a TensorRT builder or runtime.

    Raises:
        EngineError: TensorRT's factory returns none, which Python sees as a TypeError.
    """
    try:
        return kind(LOGGER)
    except TypeError as error:
        raise EngineError(
            f"{NAME} does not start ({LOGGER.take_reasons()}): check that the driver supports the "
            "CUDA version that it was built for; `nvidia-smi` shows the newest that it does"
        ) from error
