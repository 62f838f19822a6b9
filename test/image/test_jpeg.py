# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import re
import struct
import zlib

import cv2
import numpy as np
import pytest

from kp_pose_ros.errors import FrameError
from kp_pose_ros.image.claims import KINDS, claimed_size
from kp_pose_ros.image.jpeg import decode_compressed, decode_picture, encode_jpeg

PICTURE = cv2.GaussianBlur(
    np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8), (0, 0), 4
)
JPEG = cv2.imencode(".jpg", PICTURE)[1].tobytes()
RESTARTING = cv2.imencode(".jpg", PICTURE, [cv2.IMWRITE_JPEG_RST_INTERVAL, 2])[1].tobytes()
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


def png_chunk(kind, content):
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def png_claiming(width, height, bits=8):
    return (
        PNG[:8]
        + png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0))
        + PNG[33:]
    )


def jpeg_claiming(width, height, original=JPEG):
    position = re.search(rb"\xff[\xc0\xc2]", original).start() + 5
    return original[:position] + struct.pack(">HH", height, width) + original[position + 4 :]


def filled(jpeg, fill):
    """Return a JPEG with bytes FF before each of its first markers."""
    head, scan = jpeg[: jpeg.index(b"\xff\xda")], jpeg[jpeg.index(b"\xff\xda") :]
    position, parts = 2, [head[:2]]
    while position < len(head):
        end = position + 2 + int.from_bytes(head[position + 2 : position + 4], "big")
        parts.append(fill + head[position:end])
        position = end
    return b"".join(parts) + fill + scan


# libjpeg finds the second header; a walk that takes the fill bytes for a segment finds the first.
HIDDEN = jpeg_claiming(32000, 32000)
HIDDEN = HIDDEN[:2] + b"\xff\xff" + segment(0xE0, segment(0xC0, bytes(15))) + HIDDEN[2:]
SCAN = PROGRESSIVE[PROGRESSIVE.rindex(b"\xff\xda") : -2]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(JPEG, id="JPEG"),
        pytest.param(PROGRESSIVE, id="progressive JPEG"),
        pytest.param(GRAY, id="grey JPEG"),
        pytest.param(PNG, id="PNG"),
        pytest.param(WITH_EXIF, id="turned by EXIF: the sensor's own pixels count"),
        pytest.param(JPEG + bytes(100), id="padded with zeros, as USB cameras do"),
        pytest.param(filled(JPEG, b"\xff"), id="a fill byte before each marker"),
        pytest.param(filled(JPEG, b"\xff" * 9), id="nine fill bytes before each marker"),
        pytest.param(JPEG[:-2] + b"\xff\xff\xff\xd9", id="fill bytes before the end"),
        pytest.param(JPEG + JPEG[len(JPEG) // 2 :], id="an older picture's rest behind the end"),
        pytest.param(RESTARTING, id="restart markers"),
    ],
)
def test_a_whole_picture_is_decoded(content):
    assert decode_compressed(content).source_size == (120, 160)


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("channels", [1, 3, 4], ids=["grey", "colour", "with alpha"])
def test_a_png_of_16_bits_is_as_bright_whatever_bits_the_camera_uses(bits, channels):
    picture = PICTURE.astype(np.uint16) << (bits - 8)
    picture = {1: picture[..., 0], 3: picture, 4: np.dstack((picture, picture[..., 0]))}[channels]
    content = cv2.imencode(".png", picture)[1].tobytes()
    expected = PICTURE if channels > 1 else PICTURE[..., :1].repeat(3, axis=2)
    np.testing.assert_array_equal(decode_compressed(content).to_bgr(), expected)
    np.testing.assert_array_equal(decode_picture(content), expected)


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
def test_a_jpeg_is_reduced_as_far_as_the_width_allows(content, columns, reduction):
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


def test_the_width_needed_is_asked_for_the_picture_s_own_size():
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
        pytest.param(b"", "not a JPEG or PNG", id="nothing"),
        pytest.param(b"GIF89a" + bytes(100), "not a JPEG or PNG", id="another kind"),
        pytest.param(JPEG[:2], "cut short", id="JPEG without content"),
        pytest.param(JPEG[: len(JPEG) // 2], "cut short", id="half a JPEG"),
        pytest.param(JPEG[:-2], "cut short", id="JPEG without its end"),
        pytest.param(
            JPEG[: len(JPEG) // 2] + JPEG, "cut short", id="half a JPEG before an older picture"
        ),
        pytest.param(WITH_EXIF[:-2], "cut short", id="JPEG whose thumbnail alone has an end"),
        pytest.param(PNG[: len(PNG) // 2], "cut short", id="half a PNG"),
        pytest.param(PNG[:8] + PNG[-12:], "one header", id="PNG without a header"),
        pytest.param(PNG[:33] + b"\x7f" + PNG[34:], "cut short", id="chunk that is too long"),
        pytest.param(PNG[:33] + PNG[8:], "one header", id="PNG with two headers"),
        pytest.param(HIDDEN, "claims 32000 x 32000", id="the real header behind fill bytes"),
        pytest.param(
            JPEG[:2] + JPEG[JPEG.index(b"\xff\xda") :], "cut short", id="JPEG without a header"
        ),
        pytest.param(
            JPEG[:2] + JPEG[20 : JPEG.index(b"\xff\xda")] + JPEG[20:], "two headers", id="two"
        ),
        pytest.param(
            jpeg_claiming(8000, 8000, PROGRESSIVE) + bytes(2**18),
            "claims 8000 x 8000",
            id="64 megapixels",
        ),
        pytest.param(
            jpeg_claiming(2500, 2500, PROGRESSIVE[:-2] + SCAN * 500 + JPEG[-2:]),
            "scans",
            id="hundreds of scans",
        ),
        pytest.param(png_claiming(20000, 20000), "claims 20000 x 20000", id="400 megapixel PNG"),
        pytest.param(
            png_claiming(5000, 4000, bits=16), "claims 5000 x 4000 pixels of 16", id="deep PNG"
        ),
        pytest.param(jpeg_claiming(60000, 60000), "claims 60000 x 60000", id="3.6 gigapixel JPEG"),
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


@pytest.mark.parametrize(
    ("suffix", "flags"),
    [
        pytest.param(".jpg", [], id="JPEG"),
        pytest.param(".png", [], id="PNG"),
        pytest.param(".bmp", [], id="BMP"),
        pytest.param(".webp", [cv2.IMWRITE_WEBP_QUALITY, 80], id="WebP with losses"),
        pytest.param(".webp", [cv2.IMWRITE_WEBP_QUALITY, 101], id="WebP without losses"),
        pytest.param(".tiff", [], id="TIFF"),
    ],
)
def test_picture_files_of_every_kind_are_decoded_and_bounded(suffix, flags):
    content = cv2.imencode(suffix, PICTURE, flags)[1].tobytes()
    assert claimed_size(content, KINDS) == (120, 160)
    assert np.abs(decode_picture(content).astype(int) - PICTURE).mean() < 3
    for cut in (0, 1, 13, 20, 25):
        with pytest.raises(FrameError):
            decode_picture(content[:cut])


def test_a_picture_file_is_turned_upright():
    assert decode_picture(WITH_EXIF).shape == (160, 120, 3)


def tiff(**tags):
    """Return a TIFF header with one directory of long values."""
    names = {"width": 256, "height": 257, "bits": 258, "tile_width": 322, "tile_height": 323}
    entries = b"".join(struct.pack("<HHII", names[k], 4, 1, v) for k, v in tags.items())
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4)


@pytest.mark.parametrize(
    ("suffix", "kind", "shape", "shift"),
    [
        pytest.param(".tiff", np.uint8, (60, 80, 3), 0, id="TIFF"),
        pytest.param(".tiff", np.uint8, (60, 80), 0, id="gray TIFF"),
        pytest.param(".tiff", np.uint16, (60, 80), 4, id="gray TIFF of 12 bits"),
        pytest.param(".tiff", np.uint16, (60, 80, 3), 2, id="TIFF of 10 bits"),
        pytest.param(".png", np.uint16, (60, 80), 4, id="gray PNG of 12 bits"),
        pytest.param(".webp", np.uint8, (60, 80, 3), 0, id="WebP"),
    ],
)
def test_what_image_transport_and_web_clients_publish_is_decoded(suffix, kind, shape, shift):
    picture = np.random.default_rng(0).integers(0, 256, shape).astype(kind)
    flags = [cv2.IMWRITE_WEBP_QUALITY, 101] if suffix == ".webp" else []
    content = cv2.imencode(suffix, picture << shift, flags)[1].tobytes()
    frame = decode_compressed(content, lambda size: 10)
    assert frame.encoding == ("bgr16" if kind is np.uint16 else "bgr8")
    expected = picture if len(shape) == 3 else np.dstack([picture] * 3)
    np.testing.assert_array_equal(frame.to_bgr(), expected)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(b"BM" + bytes(12) + struct.pack("<Iii", 40, 99999, -99999), "99999", id="BMP"),
        pytest.param(b"BM" + bytes(12) + struct.pack("<Iii", 40, -5, 5), "damaged", id="width -5"),
        pytest.param(
            b"RIFF    WEBPVP8X" + bytes(8) + b"\xff\xff\x00\xff\xff\x00", "65536 x 65536", id="WebP"
        ),
        pytest.param(tiff(width=2**31, height=2**31), "claims 2147483648 x", id="TIFF"),
        pytest.param(
            tiff(width=8, height=8, tile_width=2**15, tile_height=2**15), "tiles", id="TIFF tiles"
        ),
        pytest.param(tiff(width=8), "damaged", id="TIFF without height"),
        pytest.param(
            tiff(width=5000, height=4000, bits=16), "5000 x 4000 pixels of 16", id="deep TIFF"
        ),
        pytest.param(b"MM\0*\xff\xff\xff\xff", "cut short", id="TIFF directory outside"),
        pytest.param(b"v/1\x01\x02" + bytes(300), "not a JPEG or PNG or BMP", id="EXR"),
        pytest.param(b"P6 60000 60000 255 ", "not a JPEG or PNG or BMP", id="PNM"),
    ],
)
def test_a_picture_file_that_claims_too_much_is_refused(content, problem):
    with pytest.raises(FrameError, match=problem):
        decode_picture(content)
