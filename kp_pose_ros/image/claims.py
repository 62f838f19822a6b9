# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The size that a picture file claims, read before a decoder allocates memory for it.

A decoder allocates what the header says, so a file of a few hundred bytes can cost gigabytes. The
functions below find the same header that the decoder will find, and refuse a file whose structure
extends beyond its bytes.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Collection

from kp_pose_ros.errors import FrameError
from kp_pose_ros.image.frame import Size

MAX_PIXELS = 2**26  # 67 megapixels, more than the cameras of robots have

# The decoder keeps a JPEG of several scans as coefficients, in twice the memory of its pixels, and
# each scan passes over all of them. Encoders make about ten scans.
_MAX_BUFFERED_PIXELS = MAX_PIXELS // 2
_MAX_SCANNED_PIXELS = 16 * MAX_PIXELS
_MAX_DEEP_PIXELS = MAX_PIXELS // 4  # of a picture of 16 bits a channel, which is converted to 8

_CUT = "the picture is cut short"
_DAMAGED = "the picture is damaged"

# ITU-T T.81, table B.1. Any number of bytes FF may stand before a marker (B.1.1.2); FF 00, FF 01
# and the restart markers FF D0 to FF D7 have no segment.
_MARKER = re.compile(rb"\xff[\x02-\xcf\xd8-\xfe]")
_START_OF_IMAGE, _END_OF_IMAGE, _START_OF_SCAN = 0xD8, 0xD9, 0xDA
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SEQUENTIAL = (0xC0, 0xC1)
_PIXELS_PER_BYTE = 512  # a block of 8 x 8 pixels takes at least one bit


def kind_of(content: bytes) -> str | None:
    """Return which of `KINDS` a picture file is, by its first bytes; None if it is none of them."""
    return next((kind for kind in KINDS if _SIGNATURES[kind].match(content)), None)


def claimed_size(content: bytes, kinds: Collection[str]) -> Size:
    """Return the height and width that a picture file claims; `kinds` are those of `KINDS` allowed.

    Raises:
        FrameError: the file is of another kind, is cut short or damaged, or claims to be empty or
            larger than `MAX_PIXELS`.
    """
    kind = kind_of(content)
    if kind is None or kind not in kinds:
        raise FrameError(f"the data is not a {' or '.join(kinds)} picture")
    try:
        height, width = KINDS[kind](content)
    except (struct.error, IndexError) as error:  # a header beyond the end of the data
        raise FrameError(_CUT) from error
    if height * width > MAX_PIXELS:
        raise FrameError(
            f"the picture claims {width} x {height} pixels: expected at most {MAX_PIXELS}"
        )
    if height <= 0 or width <= 0:
        raise FrameError(f"{_DAMAGED}: it claims {width} x {height} pixels")
    return height, width


def _jpeg(content: bytes) -> Size:
    """Walk the segments as T.81 describes them, up to the end of the image."""
    size: Size | None = None
    is_buffered = False
    scans, position = 0, 2
    while found := _MARKER.search(content, position):
        marker, position = content[found.end() - 1], found.end()
        if marker in (_START_OF_IMAGE, _END_OF_IMAGE):
            break
        if marker in _START_OF_FRAME:
            if size:
                raise FrameError(f"{_DAMAGED}: it has two headers")
            size = struct.unpack_from(">HH", content, position + 3)
            is_buffered = marker not in _SEQUENTIAL
        scans += marker == _START_OF_SCAN
        position += max(2, *struct.unpack_from(">H", content, position))
    else:
        raise FrameError(_CUT)
    if not size or not scans or marker == _START_OF_IMAGE:  # another picture follows
        raise FrameError(_CUT)
    pixels = size[0] * size[1]
    if (
        pixels > _PIXELS_PER_BYTE * len(content)
        or scans * pixels > _MAX_SCANNED_PIXELS
        or ((is_buffered or scans > 1) and pixels > _MAX_BUFFERED_PIXELS)
    ):
        raise FrameError(
            f"the picture claims {size[1]} x {size[0]} pixels in {scans} scans: that is more than "
            f"is decoded from {len(content)} bytes"
        )
    return size


def _png(content: bytes) -> Size:
    """Walk the chunks (length, type, data, checksum) up to IEND."""
    height = width = 0
    position, kind = 8, b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", content, position)
        if (position == 8) != (kind == b"IHDR"):
            raise FrameError(f"{_DAMAGED}: it does not begin with one header")
        if position == 8:
            width, height = struct.unpack_from(">II", content, position + 8)
        position += 12 + length
        if position > len(content):
            raise FrameError(_CUT)
    return _if_not_too_deep(height, width, content[24])  # IHDR's bit depth


def _if_not_too_deep(height: int, width: int, bits: int) -> Size:
    if bits > 8 and height * width > _MAX_DEEP_PIXELS:
        raise FrameError(
            f"the picture claims {width} x {height} pixels of {bits} bits: expected at most "
            f"{_MAX_DEEP_PIXELS}"
        )
    return height, width


def _bmp(content: bytes) -> Size:
    (header_length,) = struct.unpack_from("<I", content, 14)
    width, height = struct.unpack_from("<HH" if header_length == 12 else "<ii", content, 18)
    return abs(height), width  # negative where the top row comes first


def _webp(content: bytes) -> Size:
    """Read the first chunk (RFC 9649); libwebp refuses a picture that differs from it."""
    kind = content[12:16]
    if kind == b"VP8X":
        low_width, high_width, low_height, high_height = struct.unpack_from("<HBHB", content, 24)
        return (low_height | high_height << 16) + 1, (low_width | high_width << 16) + 1
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", content, 21)
        return (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", content, 26)
    return height & 0x3FFF, width & 0x3FFF


def _tiff(content: bytes) -> Size:
    """Read the first directory (TIFF 6.0); a tile must not be larger than a picture may be."""
    order = "<" if content[:2] == b"II" else ">"
    (start,) = struct.unpack_from(order + "I", content, 4)
    (count,) = struct.unpack_from(order + "H", content, start)
    values: dict[int, int] = {}
    for position in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, length = struct.unpack_from(order + "HHI", content, position)
        at = position + 8
        if kind == 3 and length > 2:  # they lie elsewhere
            (at,) = struct.unpack_from(order + "I", content, at)
        (value,) = struct.unpack_from(order + ("H" if kind == 3 else "I"), content, at)
        values[tag] = max(value, values.get(tag, 0))
    tags = (256, 257, 322, 323, 258)
    width, height, tile_width, tile_height, bits = (values.get(tag, 0) for tag in tags)
    if tile_width * tile_height > MAX_PIXELS:
        raise FrameError(f"{_DAMAGED}: it claims tiles of {tile_width} x {tile_height} pixels")
    return _if_not_too_deep(height, width, bits)


KINDS: dict[str, Callable[[bytes], Size]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "BMP": _bmp,
    "WebP": _webp,
    "TIFF": _tiff,
}
_SIGNATURES = {
    "JPEG": re.compile(rb"\xff\xd8"),
    "PNG": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "BMP": re.compile(rb"BM"),
    "WebP": re.compile(rb"RIFF....WEBP", re.DOTALL),
    "TIFF": re.compile(rb"II\*\0|MM\0\*"),
}
