# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT as `trt`, from whichever of its packages is installed, and its log.

Importing this module raises ImportError if TensorRT is not installed; `gpu.why_unavailable`
gives the reason, also if its version is too old.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorrt as trt
else:
    try:
        import tensorrt as trt

        # Type stubs alone make an empty package of that name.
        trt.Builder  # noqa: B018
    except (ImportError, AttributeError):
        import tensorrt_rtx_bindings as trt  # TensorRT for RTX: the same interface

__all__ = ["IS_RTX", "IS_TOO_OLD", "LOGGER", "NAME", "trt"]

OLDEST = 10, 3  # the first with every name that is used here; TensorRT for RTX has had them all
IS_RTX = "rtx" in trt.__name__
VERSION: str = vars(trt)["__version__"]
NAME = f"TensorRT{' for RTX' if IS_RTX else ''} {VERSION}"
IS_TOO_OLD = not IS_RTX and tuple(map(int, VERSION.split(".")[:2])) < OLDEST

_log = logging.getLogger(__name__)
_LEVELS = {
    trt.ILogger.INTERNAL_ERROR: logging.ERROR,
    trt.ILogger.ERROR: logging.ERROR,
    trt.ILogger.WARNING: logging.DEBUG,  # dozens in every build, none that a user could fix
    trt.ILogger.INFO: logging.DEBUG,
    trt.ILogger.VERBOSE: logging.NOTSET,
}


class Logger(trt.ILogger):
    """TensorRT's messages in Python's log, and the latest errors for our own messages.

    Errors go to the log as debug lines: the caller raises an error that contains them.
    """

    def __init__(self) -> None:
        super().__init__()
        self._errors: list[str] = []

    def log(self, severity: trt.ILogger.Severity, message: str) -> None:
        """Take one message; called by TensorRT, from any of its threads."""
        level = _LEVELS[severity]
        if level == logging.ERROR:
            self._errors.append(message)
        if level:
            _log.debug("%s", message)

    def take_errors(self) -> str:
        """Return the errors since the last call as one text, and forget them."""
        errors, self._errors = self._errors, []
        return "; ".join(errors) or "no reason given"


# TensorRT keeps the first logger of a process and complains about others.
LOGGER = Logger()
