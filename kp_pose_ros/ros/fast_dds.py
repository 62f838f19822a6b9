# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fast DDS and raw images: the size of its shared memory, the priority of its threads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from kp_pose_ros.resources import config_path

if TYPE_CHECKING:
    from rclpy.impl.rcutils_logger import RcutilsLogger

_TRANSPORTS = "FASTDDS_BUILTIN_TRANSPORTS"
_READING_THREADS = "dds.shm"  # how the names of the threads that read shared memory begin


def large_images_profile() -> str:
    """Return the path of the profile that a process needs to publish raw images."""
    return str(config_path("large_images.xml"))


def profile_variable() -> str:
    """Return the environment variable that names the profile for this machine's Fast DDS.

    Version 3 (Kilted) renamed the variable and the package, and warns about the old name.
    """
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    if any(Path(prefix, "share", "fastdds").is_dir() for prefix in prefixes):
        return "FASTDDS_DEFAULT_PROFILES_FILE"
    return "FASTRTPS_DEFAULT_PROFILES_FILE"


def large_images_environment() -> dict[str, str]:
    """Return this process's environment with the profile, unless the user has chosen another.

    Transports that the user has chosen also stay; a profile would override them.
    """
    if _TRANSPORTS in os.environ:
        return dict(os.environ)
    return {profile_variable(): large_images_profile(), **os.environ}


def use_large_images() -> None:
    """Use the profile for what this process publishes; call it before `rclpy.init`.

    A raw annotated image overruns the default shared memory, and the poses are lost with it: they
    are sent again only when Fast DDS has noticed, seconds later.
    """
    os.environ.update(large_images_environment())


def prioritize_reading(
    priority: int, logger: RcutilsLogger, threads: Path = Path("/proc/self/task")
) -> None:
    """Give the threads that read shared memory a real-time priority (SCHED_FIFO), and log it.

    Fast DDS sends an image through shared memory in pieces, 0.5 MB at a time by default. Pieces
    that are not read within about 0.1 ms are overwritten, and the rest of a best-effort image is
    dropped. On two busy cores a normal thread came too late for 86 % of the 1280 x 720 images, a
    real-time one for 47 %. Reading a piece takes 0.02 ms.

    Args:
        priority: 1 to 99; even 1 precedes every normal thread of the machine.
        logger: the node's.
        threads: where the kernel lists this process's threads.
    """
    count = 0
    for thread in threads.iterdir():
        try:
            if (thread / "comm").read_text().startswith(_READING_THREADS):
                os.sched_setscheduler(int(thread.name), os.SCHED_FIFO, os.sched_param(priority))
                count += 1
        except PermissionError:
            logger.warning(
                f"parameter 'receive_priority' is {priority}, but this process may not use "
                "real-time priorities: run it as root or raise its limit rtprio "
                "(/etc/security/limits.conf)"
            )
            return
        except OSError:  # the thread has just ended
            continue
    if count:
        logger.info(f"{count} threads that read shared memory have real-time priority {priority}")
    else:
        logger.warning(
            f"parameter 'receive_priority' is {priority}, but no thread of Fast DDS reads shared "
            "memory here: it has no effect"
        )
