# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest

from kp_pose_ros.errors import FrameError
from kp_pose_ros.image.frame import ENCODINGS, BitDepth, Frame

HEIGHT, WIDTH = 8, 12


def two_halves() -> np.ndarray:
    """Left half blue-ish, right half orange-ish: wide areas that survive subsampling."""
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    picture[:, : WIDTH // 2] = (200, 60, 40)
    picture[:, WIDTH // 2 :] = (30, 120, 220)
    return picture


def gray(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)


def packed_yuv(picture: np.ndarray, luma_first: bool) -> np.ndarray:
    yuv = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420)
    luma = yuv[:HEIGHT]
    chroma = yuv[HEIGHT:].reshape(2, HEIGHT // 2, WIDTH // 2).repeat(2, axis=1)
    pairs = np.empty((HEIGHT, WIDTH), np.uint8)
    pairs[:, 0::2], pairs[:, 1::2] = chroma
    return np.dstack((luma, pairs) if luma_first else (pairs, luma))


def semi_planar(picture: np.ndarray, v_first: bool) -> np.ndarray:
    yuv = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420)
    u, v = yuv[HEIGHT:].reshape(2, HEIGHT // 2, WIDTH // 2)
    pairs = np.dstack((v, u) if v_first else (u, v)).reshape(HEIGHT // 2, WIDTH)
    return np.vstack((yuv[:HEIGHT], pairs))


def mosaic(picture: np.ndarray, pattern: str) -> np.ndarray:
    channel = {"b": 0, "g": 1, "r": 2}
    bayer = np.empty((HEIGHT, WIDTH), np.uint8)
    for place, letter in enumerate(pattern):
        row, column = divmod(place, 2)
        bayer[row::2, column::2] = picture[row::2, column::2, channel[letter]]
    return bayer


ENCODE = {
    "bgr8": lambda p: p,
    "8UC3": lambda p: p,
    "rgb8": lambda p: p[..., ::-1],
    "bgra8": lambda p: cv2.cvtColor(p, cv2.COLOR_BGR2BGRA),
    "rgba8": lambda p: cv2.cvtColor(p, cv2.COLOR_BGR2RGBA),
    "mono8": gray,
    "8UC1": gray,
    "yuv422": lambda p: packed_yuv(p, luma_first=False),
    "uyvy": lambda p: packed_yuv(p, luma_first=False),
    "yuv422_yuy2": lambda p: packed_yuv(p, luma_first=True),
    "yuyv": lambda p: packed_yuv(p, luma_first=True),
    "nv12": lambda p: semi_planar(p, v_first=False),
    "nv21": lambda p: semi_planar(p, v_first=True),
    "bayer_rggb8": lambda p: mosaic(p, "rggb"),
    "bayer_bggr8": lambda p: mosaic(p, "bggr"),
    "bayer_gbrg8": lambda p: mosaic(p, "gbrg"),
    "bayer_grbg8": lambda p: mosaic(p, "grbg"),
}
ENCODE |= {
    name.replace("8", "16"): lambda p, encode=encode: encode(p).astype(np.uint16) * 257
    for name, encode in ENCODE.items()
    if "8" in name and name.replace("8", "16") in ENCODINGS
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_shows_the_same_picture(encoding):
    picture = two_halves()
    seen = Frame(np.ascontiguousarray(ENCODE[encoding](picture)), encoding).to_bgr()
    expected = picture if "mono" not in encoding and encoding != "8UC1" else None
    if expected is None:
        expected = cv2.cvtColor(gray(picture), cv2.COLOR_GRAY2BGR)
    # Away from the border between the colours, where subsampled chroma mixes them.
    for columns in (slice(0, 4), slice(8, 12)):
        assert np.abs(seen[:, columns].astype(int) - expected[:, columns]).max() <= 3


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_rows_may_be_padded(encoding):
    pixels = np.ascontiguousarray(ENCODE[encoding](two_halves()))
    wide = np.full((pixels.shape[0], pixels.shape[1] + 5, *pixels.shape[2:]), 77, pixels.dtype)
    wide[:, : pixels.shape[1]] = pixels
    padded = Frame(wide[:, : pixels.shape[1]], encoding)
    assert padded.size == (HEIGHT, WIDTH)
    np.testing.assert_array_equal(padded.to_bgr(), Frame(pixels, encoding).to_bgr())


def test_bgr_is_not_copied():
    pixels = two_halves()
    assert Frame(pixels).to_bgr() is pixels


def test_a_reduced_frame_knows_the_size_of_the_camera_s_picture():
    frame = Frame(two_halves(), reduction=4)
    assert frame.size == (HEIGHT, WIDTH)
    assert frame.source_size == (4 * HEIGHT, 4 * WIDTH)


@pytest.mark.parametrize("encoding", ["mono16", "bayer_rggb16", "rgb16", "bgra16"])
@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_fewer_bits_than_16_are_as_bright(encoding, bits):
    pixels = np.ascontiguousarray(ENCODE[encoding](two_halves()))
    seen = Frame(pixels >> (16 - bits), encoding).to_bgr()
    np.testing.assert_array_equal(seen, Frame(pixels, encoding).to_bgr())


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param((4000, 4000, 1000, 100), (250, 250, 62, 6), id="darker pictures"),
        pytest.param((1000, 4000, 1000, 4000, 1000), (250, 250, 250, 250, 62), id="highlights"),
        pytest.param((65535, 1000, 1000), (255, 250, 250), id="a damaged picture to begin with"),
        pytest.param((1000, 1000, 65535, 1000), (250, 250, 255, 250), id="a damaged picture"),
    ],
)
def test_a_camera_keeps_the_bits_that_it_was_seen_to_use_twice(values, expected):
    camera = BitDepth()
    brightness = [
        camera.of(Frame(np.full((2, 2), value, np.uint16), "mono16")).to_bgr().max()
        for value in values
    ]
    assert tuple(brightness) == expected


def test_a_frame_of_8_bits_has_no_bit_depth():
    frame = Frame(two_halves())
    assert BitDepth().of(frame) is frame


def test_big_endian_mono16_keeps_its_brightness():
    pixels = np.full((2, 2), 0x8000, ">u2")
    assert Frame(pixels, "mono16").to_bgr().max() == 0x80


@pytest.mark.parametrize(
    ("shape", "dtype", "encoding", "phrase"),
    [
        pytest.param((4, 4, 3), "u1", "bgr9", "bgr9", id="an unknown encoding"),
        pytest.param((4, 4), "u1", "bgr8", "shape", id="a channel axis is missing"),
        pytest.param((4, 4, 3), "u1", "mono8", "shape", id="too many channels"),
        pytest.param((4, 4, 4), "u1", "rgb8", "shape", id="the wrong number of channels"),
        pytest.param((0, 4, 3), "u1", "bgr8", "shape", id="no rows"),
        pytest.param((4, 0, 3), "u1", "bgr8", "shape", id="no columns"),
        pytest.param((1, 1, 3), "u1", "bgr8", "there is one pixel", id="one pixel"),
        pytest.param((2, 65501), "u1", "mono8", "2 x 65501 pixels", id="wider than any JPEG"),
        pytest.param((4, 4), "u1", "mono16", "uint16", id="bytes instead of words"),
        pytest.param((4, 3, 2), "u1", "yuyv", "multiples of 1 and 2", id="half a pixel pair"),
        pytest.param((5, 4), "u1", "nv12", "multiples of 2 and 2", id="half a chroma row"),
        pytest.param((3, 4), "u1", "bayer_rggb8", "multiples of 2 and 2", id="half a Bayer cell"),
    ],
)
def test_a_frame_that_contradicts_itself_is_refused(shape, dtype, encoding, phrase):
    with pytest.raises(FrameError, match=phrase):
        Frame(np.zeros(shape, dtype), encoding)
