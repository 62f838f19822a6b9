# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
from contextlib import suppress
from fractions import Fraction

import numpy as np
import pytest

from kp_pose_ros.errors import FrameError
from kp_pose_ros.image.cdr import Header
from kp_pose_ros.image.video import VideoStream

av = pytest.importorskip("av")

GRAYS = [20, 60, 100, 140, 180, 220]


def packets(encoder="libx264", **options):
    """Packets of pictures of these grays, each in a brighter one than the last."""
    context = av.CodecContext.create(encoder, "w")
    context.width, context.height, context.pix_fmt = 64, 48, "yuv420p"
    context.time_base = Fraction(1, 10)
    context.options = {"tune": "zerolatency", **options}
    found = []
    for count, gray in enumerate(GRAYS):
        frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), gray, np.uint8), format="bgr24")
        frame.pts = count
        found += context.encode(frame)
    return [(each.pts, np.frombuffer(bytes(each), np.uint8)) for each in found + context.encode()]


def decoded(codec, sent):
    stream = VideoStream()
    found = []
    for pts, data in sent:
        with suppress(FrameError):
            found += stream.decode(codec, Header(pts, "c"), data)
    return found + stream.finish()


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        pytest.param("h264", {}, id="as Foxglove names it"),
        pytest.param("libx264;yuv420p;bgr8;bgr8", {}, id="as ffmpeg_image_transport names it"),
        pytest.param("h264_nvenc", {"tune": "film", "bf": "2"}, id="pictures that refer to later"),
    ],
)
def test_every_packet_becomes_the_picture_of_its_header(codec, options):
    found = decoded(codec, packets(**options))
    assert sorted(header.stamp for header, _ in found) == [0, 1, 2, 3, 4, 5]
    for header, frame in found:
        assert frame.size == (48, 64)
        assert abs(int(frame.pixels.mean()) - GRAYS[header.stamp]) < 10


def test_a_stream_that_begins_in_the_middle_starts_with_the_next_key_frame():
    sent = packets(g="3")
    found = decoded("h264", sent[1:])
    assert [header.stamp for header, _ in found][-3:] == [3, 4, 5]


@pytest.mark.parametrize(
    ("codec", "says"),
    [
        pytest.param("theora", "codec 'theora' is unknown: expected one that", id="unknown"),
        pytest.param("", "codec '' is unknown", id="none"),
        pytest.param("\x1b[31m", r"codec '\\x1b", id="a terminal colour"),
        pytest.param("h264", "cannot be decoded", id="no packet"),
    ],
)
def test_what_is_no_stream_is_refused(codec, says):
    with pytest.raises(FrameError, match=says):
        VideoStream().decode(codec, Header(0, "c"), np.full(999, 7, np.uint8))


def test_damaged_packets_cost_their_pictures_only():
    random = np.random.default_rng(0)
    stream, found = VideoStream(), 0
    for pts, data in packets(g="1") * 50:
        damaged = data.copy()
        damaged[random.integers(len(data), size=3)] = random.integers(0, 256, 3)
        for each in (damaged, data):
            try:
                found += len(stream.decode("h264", Header(pts, "c"), each))
            except FrameError:
                continue
    assert found > 200
