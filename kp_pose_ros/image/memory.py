# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How this process treats the memory of images."""

from __future__ import annotations

import ctypes

# Parameters of glibc's mallopt (malloc.h).
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3

_LARGEST_IMAGE = 32 * 2**20  # bytes; the largest threshold that every glibc takes
_KEPT = 256 * 2**20  # bytes of free memory that are not given back


def keep_image_memory() -> None:
    """Let the C library use freed memory again instead of giving it back to the kernel.

    Each image passes through several buffers of its own size, on its way through DDS and rclpy as
    from bag to bag. glibc maps each anew, and the kernel fills it with zeros page by page: 2,000
    page faults and 5 ms of every 1280 x 720 frame, more than everything else that receiving or
    copying it costs.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # another C library than glibc has none
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_IMAGE)
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
