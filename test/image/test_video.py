# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
from contextlib import suppress

import numpy as np
import pytest
from recording import GRAYS, video_packets

from kp_pose_ros.errors import FrameError
from kp_pose_ros.image import video
from kp_pose_ros.image.cdr import Header, VideoPacket
from kp_pose_ros.image.video import VideoStream

av = pytest.importorskip("av")


def make_stream():
    """A stream whose messages are packets that have been read."""
    return VideoStream(lambda packet: packet)


def decoded(codec, sent):
    stream, found = make_stream(), []
    for pts, data in sent:
        with suppress(FrameError):
            found += stream.decode(VideoPacket(Header(pts, "c"), codec, data))
    return [picture() for picture in found + stream.finish()]


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        pytest.param("h264", {}, id="as Foxglove names it"),
        pytest.param("libx264;yuv420p;bgr8;bgr8", {}, id="as ffmpeg_image_transport names it"),
        pytest.param("h264_nvenc", {"tune": "film", "bf": "2"}, id="pictures that refer to later"),
        pytest.param(
            "libvpx", {"encoder": "libvpx", "tune": "psnr", "deadline": "realtime"}, id="VP8"
        ),
    ],
)
def test_every_packet_becomes_the_picture_of_its_header(codec, options):
    found = decoded(codec, video_packets(**options))
    assert sorted(each.header.stamp for each in found) == [0, 1, 2, 3, 4, 5]
    for each in found:
        assert each.frame.size == (48, 64)
        assert abs(int(each.frame.pixels.mean()) - GRAYS[each.header.stamp]) < 10


@pytest.mark.parametrize("encoder", ["libx264", "libx265"])
def test_a_stream_that_begins_in_the_middle_starts_with_the_next_key_frame(encoder):
    stream, found = make_stream(), []
    for pts, data in video_packets(encoder, g="3")[1:]:
        found += stream.decode(VideoPacket(Header(pts, "c"), encoder, data))  # raises nothing
    assert [each().header.stamp for each in found + stream.finish()] == [3, 4, 5]


@pytest.mark.parametrize("encoder", ["libx264", "libx265"])
def test_a_stream_without_a_key_frame_is_an_error_in_the_end(encoder):
    stream = make_stream()
    _, (_, change), *_ = video_packets(encoder)
    packet = VideoPacket(Header(0, "c"), encoder, change)
    for _ in range(300):
        assert stream.decode(packet) == []
    with pytest.raises(FrameError, match="the last 301 video packets had no key frame"):
        stream.decode(packet)


def test_a_short_stream_without_a_key_frame_is_an_error_at_its_end():
    stream = make_stream()
    for pts, data in video_packets()[1:]:
        stream.decode(VideoPacket(Header(pts, "c"), "h264", data))
    with pytest.raises(FrameError, match="the last 5 video packets had no key frame"):
        stream.finish()


@pytest.mark.parametrize(
    ("encoder", "options"),
    [
        pytest.param("libx264", {}, id="H.264"),
        pytest.param("libx265", {}, id="H.265"),
        pytest.param("mpeg4", {"sc_threshold": "1000000000"}, id="MPEG-4"),
    ],
)
@pytest.mark.parametrize("is_told", [True, False], ids=["and told", "in silence"])
def test_after_a_gap_only_pictures_since_the_next_key_frame_are_given(encoder, options, is_told):
    sent = video_packets(encoder, g="4", **options)
    stream, found = make_stream(), []
    for pts, data in sent:
        if pts == 1:
            if is_told:
                stream.interrupt()
            continue
        found += stream.decode(VideoPacket(Header(pts, "c"), encoder, data))
    images = [picture() for picture in found + stream.finish()]
    stamps = [each.header.stamp for each in images]
    assert stamps[0] == 0
    assert stamps[-2:] == [4, 5]
    if is_told:
        assert stamps == [0, 4, 5]
    for each in images:
        if each.header.stamp in (0, 4, 5):
            assert abs(int(each.frame.pixels.mean()) - GRAYS[each.header.stamp]) < 12


def test_headers_of_packets_without_a_picture_are_not_kept_for_ever():
    stream = make_stream()
    (_, key), *_ = video_packets()
    stream.decode(VideoPacket(Header(0, "c"), "h264", key))
    delimiter = np.array([0, 0, 0, 1, 9, 0xF0], np.uint8)  # of H.264; no picture
    for stamp in range(1000):
        with suppress(FrameError):
            stream.decode(VideoPacket(Header(stamp, "c"), "h264", delimiter))
    assert len(stream._headers) <= 32


def test_an_empty_packet_costs_no_other():
    first, *others = video_packets()
    sent = [(9, np.zeros(0, np.uint8)), first, (9, np.zeros(0, np.uint8)), *others]
    assert [each.header.stamp for each in decoded("h264", sent)] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("codec", "says"),
    [
        pytest.param("theora", "codec 'theora' is unknown: expected one that", id="unknown"),
        pytest.param("", "codec '' is unknown", id="none"),
        pytest.param("\x1b[31m", r"codec '\\x1b", id="a terminal colour"),
        pytest.param("h264", "no key frame that can be decoded as 'h264'", id="no packet"),
    ],
)
def test_what_is_no_stream_is_refused(codec, says):
    stream, packet = make_stream(), VideoPacket(Header(0, "c"), codec, np.full(999, 7, np.uint8))
    with pytest.raises(FrameError, match=says):
        _ = stream.decode(packet) + stream.finish()


def test_a_decoder_that_this_pyav_lacks_is_named(monkeypatch):
    monkeypatch.setitem(video._DECODERS, "theora", "no_such_decoder")
    packet = VideoPacket(Header(0, "c"), "theora", np.full(9, 7, np.uint8))
    with pytest.raises(FrameError, match="'theora' needs FFmpeg's decoder no_such_decoder"):
        make_stream().decode(packet)


def test_damaged_packets_cost_their_pictures_only():
    random = np.random.default_rng(0)
    stream, found = make_stream(), 0
    for pts, data in video_packets(g="1") * 50:
        damaged = data.copy()
        damaged[random.integers(len(data), size=3)] = random.integers(0, 256, 3)
        for each in (damaged, data):
            try:
                found += len(stream.decode(VideoPacket(Header(pts, "c"), "h264", each)))
            except FrameError:
                continue
    assert found > 200
