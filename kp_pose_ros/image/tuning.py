# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What makes images cheap for a whole process: for programs, not for a library's caller."""

from __future__ import annotations

import ctypes

import cv2

# Parameters of glibc's mallopt (malloc.h).
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3

_LARGEST_IMAGE = 32 * 2**20  # bytes; the largest threshold that every glibc takes
_KEPT = 256 * 2**20  # bytes of free memory that are not given back


def tune_process() -> None:
    """Have the C library keep freed memory, and OpenCV work in the thread that calls it.

    Each image passes through several buffers of its own size, on its way through DDS and rclpy as
    from bag to bag. glibc maps each anew, and the kernel fills it with zeros page by page: 2,000
    page faults and 5 ms of every 1280 x 720 frame, more than everything else that receiving or
    copying it costs.

    OpenCV's threads spin while they wait for work: on two cores, the letterbox of such a frame
    takes 0.55 ms with and without them, but 0.9 ms of CPU with them.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # another C library than glibc has none
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_IMAGE)
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
    cv2.setNumThreads(1)
