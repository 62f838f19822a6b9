# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the ROS-free part logs through Python's `logging`, put into the node's own log."""

from __future__ import annotations

import logging

from rclpy.impl.rcutils_logger import RcutilsLogger

_package = logging.getLogger("kp_pose_ros")

# One line each: rclpy refuses a line of code that logs at two severities.
_METHODS = {
    logging.DEBUG: lambda logger, text: logger.debug(text),
    logging.INFO: lambda logger, text: logger.info(text),
    logging.WARNING: lambda logger, text: logger.warning(text),
    logging.ERROR: lambda logger, text: logger.error(text),
    logging.CRITICAL: lambda logger, text: logger.fatal(text),
}


class RosLogHandler(logging.Handler):
    """Passes the package's log records on to a ROS logger, from `attach` to `detach`."""

    def __init__(self, logger: RcutilsLogger) -> None:
        super().__init__()
        self._logger = logger

    def attach(self) -> None:
        """Begin."""
        _package.addHandler(self)
        _package.setLevel(logging.DEBUG)  # the ROS logger has a level of its own

    def detach(self) -> None:
        """End."""
        _package.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record at the ROS severity of its level."""
        _METHODS[record.levelno](self._logger, self.format(record))
