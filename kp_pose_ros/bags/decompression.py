# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Limits what rosbags decompresses: a few kilobytes of a bag may unpack to gigabytes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from lz4.frame import LZ4FrameDecompressor  # type: ignore[import-untyped]
from rosbags.rosbag2 import reader, storage_mcap

# Bytes of a chunk or a message; recorders close a chunk after a few MB.
_LARGEST = 2**27


def limit_decompression() -> None:
    """Replace the decompressors of rosbags, which has no setting for it, by limited ones."""
    of_bags: Any = reader
    of_chunks: Any = storage_mcap
    of_bags.zstd = of_chunks.zstd = _Limited(of_chunks.zstd)
    of_chunks.lz4_decompress = partial(decompress, LZ4FrameDecompressor)


class _Limited:
    """The module zstd with another `decompress`."""

    def __init__(self, zstd: Any) -> None:
        self._zstd = zstd
        self.decompress = partial(decompress, zstd.ZstdDecompressor)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._zstd, name)


def decompress(make: Callable[[], Any], content: bytes) -> bytes:
    """Return the content of compressed frames that follow each other.

    `make` makes the decompressor of one frame.

    Raises:
        ValueError: they are cut short, or unpack to more than expected.
    """
    parts, left = [], _LARGEST
    while content:
        frame = make()
        part = frame.decompress(content, max_length=left + 1)
        left -= len(part)
        if left < 0:
            raise ValueError(f"it unpacks to more than {_LARGEST} bytes")
        if not frame.eof:
            raise ValueError("its compressed data is cut short")
        parts.append(part)
        content = frame.unused_data
    return b"".join(parts)
