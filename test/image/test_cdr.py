# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import struct

import numpy as np
import pytest

from kp_pose_ros.errors import FrameError
from kp_pose_ros.image.cdr import Header, read_compressed_image, read_image
from kp_pose_ros.output import cdr

PICTURE = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)
HEADER = Header(12 * 10**9 + 34, "camera")


def image(header=HEADER, picture=PICTURE):
    message = cdr.ImageWriter()
    message.fill(header, picture)
    return message.content


def big_endian_image():
    """An Image of 2 x 1 mono8 as a big-endian machine writes it."""
    fields = struct.pack(">iI", 12, 34) + struct.pack(">I", 4) + b"cam\0"
    fields += struct.pack(">II", 1, 2) + struct.pack(">I", 6) + b"mono8\0"
    fields += b"\x01" + b"\0" + struct.pack(">I", 2) + struct.pack(">I", 2) + b"\x07\x08"
    return np.frombuffer(b"\0\0\0\0" + fields, np.uint8)


@pytest.mark.parametrize("frame_id", ["", "a", "ab", "abc", "camera_optical_frame", "ö"])
@pytest.mark.parametrize("stamp", [0, 34, 12 * 10**9 + 34, -1])
def test_an_image_is_read_as_it_was_written(frame_id, stamp):
    header = Header(stamp, frame_id)
    read = read_image(image(header))
    assert read.header == header
    assert (read.height, read.width, read.step, read.encoding) == (6, 5, 15, "bgr8")
    np.testing.assert_array_equal(read.data.reshape(PICTURE.shape), PICTURE)


def test_the_data_is_a_view_of_the_message():
    content = image()
    assert np.shares_memory(read_image(content).data, content)


def test_a_big_endian_message_is_read():
    read = read_image(big_endian_image())
    assert read.header == Header(12 * 10**9 + 34, "cam")
    assert (read.height, read.width, read.encoding, read.is_bigendian) == (1, 2, "mono8", 1)
    assert read.data.tolist() == [7, 8]


def test_a_compressed_image_is_read_as_it_was_written():
    data = np.arange(7, dtype=np.uint8)
    content = cdr.compressed_image(HEADER, "jpeg", data)
    read = read_compressed_image(np.frombuffer(content, np.uint8))
    assert (read.header, read.format) == (HEADER, "jpeg")
    assert read.data.tolist() == data.tolist()


@pytest.mark.parametrize("read", [read_image, read_compressed_image])
def test_a_message_that_is_cut_short_is_refused_at_any_length(read):
    content = image()
    for length in range(len(content)):
        with pytest.raises(FrameError):
            read(content[:length])


def test_random_bytes_are_read_or_refused():
    random = np.random.default_rng(1)
    for _ in range(3000):
        content = image().copy()
        places = random.integers(0, len(content), 3)
        content[places] = random.integers(0, 256, 3)
        for read in (read_image, read_compressed_image):
            try:
                assert np.shares_memory(read(content).data, content) or not len(read(content).data)
            except FrameError:
                continue


def test_a_text_of_megabytes_is_refused():
    content = struct.pack("<4BiII", 0, 1, 0, 0, 0, 0, 2**20) + bytes(2**20)
    with pytest.raises(FrameError, match="1048576 bytes: the message is damaged"):
        read_image(np.frombuffer(content, np.uint8))


def test_a_stamp_that_no_message_can_carry_on_is_refused():
    fields = struct.pack("<4BiI", 0, 1, 0, 0, 2**31 - 1, 10**9)
    content = np.concatenate((np.frombuffer(fields, np.uint8), image()[12:]))
    with pytest.raises(FrameError, match="the stamp is 2147483647 s and 1000000000 ns"):
        read_image(content)
