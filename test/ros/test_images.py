# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import array

import cv2
import numpy as np
import pytest
from peer import image_of
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage

from kp_pose_ros.errors import FrameError
from kp_pose_ros.image.frame import ENCODINGS, Frame
from kp_pose_ros.image.message import ImageError, image_to_frame, read_compressed

PICTURE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


def elements(encoding):
    """An array of camera elements for a 64 x 48 picture in an encoding."""
    layout = ENCODINGS[encoding]
    shape = (48 * layout.half_rows // 2, 64, layout.channels)
    top = np.iinfo(layout.dtype).max
    values = np.random.default_rng(1).integers(0, top, shape, layout.dtype, endpoint=True)
    return values[..., 0] if layout.channels == 1 else values


@pytest.mark.parametrize("padding", [0, 2, 96], ids="{} bytes of padding a row".format)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_frame_has_the_camera_s_elements(encoding, padding):
    sent = elements(encoding)
    message = image_of(sent, encoding, step=sent.strides[0] + padding)
    frame = image_to_frame(message)
    assert frame.encoding == encoding
    assert frame.size == (48, 64)
    np.testing.assert_array_equal(frame.pixels, sent)


def test_the_frame_is_a_view_of_the_message():
    message = image_of(PICTURE, step=64 * 3 + 5)
    frame = image_to_frame(message)
    message.data[3 * (64 * 3 + 5) + 4 * 3 + 2] ^= 255
    assert frame.pixels[3, 4, 2] == PICTURE[3, 4, 2] ^ 255


def test_big_endian_mono16_is_read_as_such():
    sent = elements("mono16")
    message = image_of(sent.astype(">u2"), "mono16")
    message.is_bigendian = 1
    assert (image_to_frame(message).to_bgr()[..., 0] == sent >> 8).all()


@pytest.mark.parametrize("padding", [0, 2, 6, 96])
@pytest.mark.parametrize(
    ("encoding", "order"),
    [
        pytest.param("rgb16", [2, 1, 0], id="RGB"),
        pytest.param("bgr16", [0, 1, 2], id="BGR"),
        pytest.param("rgba16", [2, 1, 0, 0], id="RGB and alpha"),
        pytest.param("bgra16", [0, 1, 2, 0], id="BGR and alpha"),
    ],
)
def test_sixteen_bits_a_channel_are_reduced_to_eight(encoding, order, padding):
    sent = np.ascontiguousarray(PICTURE[..., order].astype(np.uint16) * 257)
    frame = image_to_frame(image_of(sent, encoding, step=sent.strides[0] + padding))
    np.testing.assert_array_equal(frame.to_bgr(), PICTURE)


@pytest.mark.parametrize(
    ("change", "field", "found"),
    [
        pytest.param({"height": 0}, "height", "height is 0", id="no height"),
        pytest.param({"width": 0}, "width", "width is 0", id="no width"),
        pytest.param({"height": 1, "width": 1}, "width", "there is one pixel", id="one pixel"),
        pytest.param({"step": 64}, "step", "at least 192", id="step of one byte a pixel"),
        pytest.param({"step": 0}, "step", "step is 0", id="no step"),
        pytest.param({"step": 4000}, "data", "48 rows of step 4000", id="step larger than sent"),
        pytest.param({"height": 49}, "data", "expected 9408", id="one row more than sent"),
        pytest.param({"data": array.array("B")}, "data", "has 0 bytes", id="no data"),
        pytest.param(
            {"width": 10000, "height": 10000, "step": 30000, "data": array.array("B")},
            "data",
            "expected 300000000",
            id="100 megapixels and no data",
        ),
        pytest.param({"encoding": "bgra8"}, "step", "at least 256", id="more channels than sent"),
        pytest.param({"encoding": ""}, "encoding", "encoding is ''", id="no encoding"),
        pytest.param({"encoding": "h264"}, "encoding", "is 'h264'", id="an encoding of no image"),
        pytest.param({"encoding": "32FC1"}, "encoding", "is '32FC1'", id="a depth image"),
        pytest.param(
            {"encoding": "nv12", "height": 47}, "height", "multiples of 2 and 2", id="odd height"
        ),
        pytest.param(
            {"encoding": "yuv422", "width": 63}, "width", "multiples of 2 and 1", id="odd width"
        ),
        pytest.param(
            {"encoding": "nv12", "step": 192}, "data", "72 rows", id="chroma rows missing"
        ),
    ],
)
def test_a_message_that_contradicts_itself_is_refused_by_field(change, field, found):
    message = image_of(PICTURE)
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(ImageError, match=r"\A.*\Z") as refused:
        image_to_frame(message)
    assert refused.value.field == field
    assert found in str(refused.value)


def mutated(message, random):
    """Change some fields of a valid message in the ways that broken drivers and memory do."""
    numbers = [0, 1, 2, 3, 47, 63, 65, 191, 193, 2**16, 2**31, 2**32 - 1]
    encodings = [*ENCODINGS, "", "rgb16", "16UC1", "32FC3", "mono8 ", "BGR8", "\x00", "bayer"]
    for field in random.choice(
        ["height", "width", "step", "encoding", "is_bigendian", "data"], random.integers(1, 4)
    ):
        if field == "encoding":
            message.encoding = encodings[random.integers(len(encodings))]
        elif field == "data":
            cut = int(random.integers(0, len(message.data) + 1))
            message.data = array.array(
                "B", bytes(message.data[:cut]) + bytes(random.integers(0, 64))
            )
        elif field == "is_bigendian":
            message.is_bigendian = int(random.integers(0, 256))
        else:
            nearby = getattr(message, field) + int(random.integers(-4, 5))
            value = random.choice([*numbers, nearby, int(random.integers(0, 2**32))])
            setattr(message, field, int(np.clip(value, 0, 2**32 - 1)))
    return message


def test_thousands_of_mutated_messages_are_read_or_refused_by_field():
    random = np.random.default_rng(2)
    refused, read = set(), 0
    for _ in range(5000):
        encoding = random.choice(list(ENCODINGS))
        message = mutated(image_of(elements(encoding), encoding), random)
        try:
            frame = image_to_frame(message)
        except ImageError as error:
            refused.add(error.field)
        else:
            read += 1
            assert frame.to_bgr().shape == (*frame.size, 3)
    assert refused == {"height", "width", "encoding", "step", "data"}
    assert read > 500


def compressed(form, data):
    """A serialized CompressedImage."""
    return np.frombuffer(serialize_message(CompressedImage(format=form, data=data)), np.uint8)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_compressed_picture_is_decoded(suffix):
    smooth = cv2.GaussianBlur(PICTURE, (0, 0), 8)
    data = cv2.imencode(suffix, smooth, [cv2.IMWRITE_JPEG_QUALITY, 100])[1]
    image = read_compressed(compressed("any", data.tobytes()))
    assert np.abs(image.frame.pixels.astype(int) - smooth).max() <= 4


@pytest.mark.parametrize(
    ("form", "dtype", "encoding"),
    [
        pytest.param("bayer_grbg8; png compressed ", np.uint8, "bayer_grbg8", id="PNG"),
        pytest.param("bayer_rggb16; tiff compressed ", np.uint16, "bayer_rggb16", id="16 bits"),
        pytest.param("bayer_rggb8; png compressed mono8", np.uint8, "bgr8", id="already grey"),
        pytest.param("mono8; png compressed ", np.uint8, "bgr8", id="a grey camera"),
    ],
)
def test_a_bayer_picture_that_was_compressed_as_it_is_has_its_colours(form, dtype, encoding):
    pixels = PICTURE[..., 1].astype(dtype) * (np.iinfo(dtype).max // 255)
    image = read_compressed(compressed(form, cv2.imencode(".png", pixels)[1].tobytes()))
    expected = Frame(pixels if encoding != "bgr8" else np.dstack([pixels] * 3), encoding)
    assert image.frame.encoding == encoding
    np.testing.assert_array_equal(image.frame.to_bgr(), expected.to_bgr())


def test_a_colour_picture_has_its_colours_whatever_its_format_says():
    content = cv2.imencode(".png", PICTURE)[1].tobytes()
    image = read_compressed(compressed("bayer_rggb8; png compressed ", content))
    np.testing.assert_array_equal(image.frame.to_bgr(), PICTURE)


def test_a_damaged_compressed_picture_is_refused_by_field():
    with pytest.raises(ImageError, match=r"3 bytes of data \(format 'jpeg'\)") as refused:
        read_compressed(compressed("jpeg", b"abc"))
    assert refused.value.field == "data"


def test_image_errors_are_frame_errors():
    assert issubclass(ImageError, FrameError)
