# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import struct
import zlib

import cv2
import numpy as np
import pytest

from kp_pose_ros.errors import FrameError
from kp_pose_ros.image.jpeg import decode_compressed, encode_jpeg

PICTURE = cv2.GaussianBlur(
    np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8), (0, 0), 4
)
JPEG = cv2.imencode(".jpg", PICTURE)[1].tobytes()
PROGRESSIVE = cv2.imencode(".jpg", PICTURE, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
GRAY = cv2.imencode(".jpg", PICTURE[..., 0])[1].tobytes()
PNG = cv2.imencode(".png", PICTURE)[1].tobytes()


def segment(marker, content):
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


# EXIF that says "turned by a quarter" (orientation 6) and holds a whole JPEG as thumbnail.
EXIF = segment(
    0xE1,
    b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    + cv2.imencode(".jpg", PICTURE[:16, :16])[1].tobytes(),
)
WITH_EXIF = JPEG[:2] + EXIF + JPEG[2:]


def png_claiming(width, height):
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        PNG[:8] + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + PNG[33:]
    )


def jpeg_claiming(width, height):
    position = JPEG.index(b"\xff\xc0") + 5
    return JPEG[:position] + struct.pack(">HH", height, width) + JPEG[position + 4 :]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(JPEG, id="JPEG"),
        pytest.param(PROGRESSIVE, id="progressive JPEG"),
        pytest.param(GRAY, id="grey JPEG"),
        pytest.param(PNG, id="PNG"),
        pytest.param(WITH_EXIF, id="turned by EXIF: the sensor's own pixels count"),
        pytest.param(JPEG + bytes(100), id="padded with zeros, as USB cameras do"),
    ],
)
def test_a_whole_picture_is_decoded(content):
    assert decode_compressed(content).source_size == (120, 160)


@pytest.mark.parametrize(
    ("content", "columns", "reduction"),
    [
        pytest.param(JPEG, 161, 1, id="more columns than there are"),
        pytest.param(JPEG, 81, 1, id="more than half of them"),
        pytest.param(JPEG, 80, 2, id="half of them"),
        pytest.param(JPEG, 39, 4, id="a little less than a quarter"),
        pytest.param(JPEG, 0, 8, id="none, as when nobody looks"),
        pytest.param(PROGRESSIVE, 80, 2, id="progressive JPEG"),
        pytest.param(GRAY, 80, 2, id="grey JPEG"),
        pytest.param(WITH_EXIF, 80, 2, id="turned by EXIF"),
        pytest.param(PNG, 10, 1, id="a PNG cannot be reduced"),
    ],
)
def test_a_jpeg_is_reduced_as_far_as_enough_columns_remain(content, columns, reduction):
    frame = decode_compressed(content, lambda size: columns)
    assert frame.reduction == reduction
    assert frame.size == (120 // reduction, 160 // reduction)
    assert frame.source_size == (120, 160)
    expected = cv2.resize(PICTURE, frame.size[::-1], interpolation=cv2.INTER_AREA)
    if content is not GRAY:
        assert np.abs(frame.pixels.astype(int) - expected).mean() < 3


def test_a_jpeg_is_not_reduced_to_a_part_of_a_pixel():
    odd = cv2.imencode(".jpg", PICTURE[:, :158])[1].tobytes()
    assert decode_compressed(odd, lambda size: 20).size == (60, 79)


def test_enough_columns_are_asked_for_the_picture_s_own_size():
    asked = []
    decode_compressed(JPEG, lambda size: asked.append(size) or 1000)
    assert asked == [(120, 160)]


@pytest.mark.parametrize(("quality", "error"), [(95, 2), (50, 8)])
def test_a_picture_becomes_a_jpeg(quality, error):
    jpeg = encode_jpeg(PICTURE, quality).tobytes()
    assert np.abs(decode_compressed(jpeg).pixels.astype(int) - PICTURE).mean() < error


def test_a_lower_quality_is_smaller():
    sizes = [len(encode_jpeg(PICTURE, quality)) for quality in (1, 50, 100)]
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(b"", "neither", id="nothing"),
        pytest.param(b"GIF89a" + bytes(100), "neither", id="another kind"),
        pytest.param(JPEG[:2], "cut short", id="JPEG without content"),
        pytest.param(JPEG[: len(JPEG) // 2], "cut short", id="half a JPEG"),
        pytest.param(JPEG[:-2], "cut short", id="JPEG without its end"),
        pytest.param(WITH_EXIF[:-2], "cut short", id="JPEG whose thumbnail alone has an end"),
        pytest.param(PNG[: len(PNG) // 2], "cut short", id="half a PNG"),
        pytest.param(PNG[:8] + PNG[-12:], "damaged", id="PNG without a header"),
        pytest.param(png_claiming(20000, 20000), "claim 20000 x 20000", id="400 megapixel PNG"),
        pytest.param(jpeg_claiming(60000, 60000), "claim 60000 x 60000", id="3.6 gigapixel JPEG"),
        pytest.param(jpeg_claiming(0, 0), "damaged", id="JPEG without pixels"),
        pytest.param(jpeg_claiming(160, 0), "damaged", id="JPEG without rows"),
    ],
)
def test_anything_else_is_refused(content, problem):
    with pytest.raises(FrameError, match=problem):
        decode_compressed(content)
    with pytest.raises(FrameError, match=problem):
        decode_compressed(content, lambda size: 640 // max(size))


@pytest.mark.parametrize("original", [JPEG, PROGRESSIVE, PNG], ids=["JPEG", "progressive", "PNG"])
def test_mutated_pictures_are_decoded_or_refused(original):
    random = np.random.default_rng(3)
    refused = 0
    for _ in range(700):
        content = bytearray(original)
        for position in random.integers(0, len(content), random.integers(1, 5)):
            content[position] = random.integers(0, 256)
        cut = random.integers(len(content)) if random.random() < 0.3 else len(content)
        try:
            assert decode_compressed(bytes(content[:cut]), lambda size: 80).pixels.shape[2] == 3
        except FrameError:
            refused += 1
    assert refused > 100
