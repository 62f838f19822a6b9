# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Decodes the packets of video streams that cameras and recorders publish, with PyAV."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from kp_pose_ros.errors import FrameError, printable
from kp_pose_ros.image.cdr import Header, VideoPacket
from kp_pose_ros.image.claims import MAX_PIXELS
from kp_pose_ros.image.frame import Frame, Pixels
from kp_pose_ros.image.jpeg import MinWidth
from kp_pose_ros.image.message import CameraImage

# Part of a message's codec, or of the encoder that it names instead (libx264, hevc_nvenc; libvpx is
# VP8's, libvpx-vp9 VP9's) -> libavcodec's decoder; the first one counts.
_DECODERS = {
    "264": "h264",
    "265": "hevc",
    "hevc": "hevc",
    "av1": "libdav1d",
    "vp9": "vp9",
    "vp8": "vp8",
    "vpx": "vp8",
    "mjpeg": "mjpeg",
    "mpeg4": "mpeg4",
    "xvid": "mpeg4",
}

# Packets without a key frame before an error: a stream begins in the middle for who subscribes
# later, and x264 encodes at most 250 (keyint) from one key frame to the next by default.
_PATIENCE = 300
_HELD_BACK = 32  # packets; no decoder delays a picture by more: H.265 allows 16

# Converts a decoded picture, which may be costly; raises FrameError.
Decoded = Callable[[], CameraImage]


class VideoStream:
    """Decodes the video of one topic, whose messages `read` parses.

    A picture may come some packets after its own.

    Most packets encode only changes. So decoding begins with a key frame and, after a missing or
    damaged packet, begins again with the next one: the pictures in between would be wrong, and are
    dropped. That is an error only if no key frame comes.
    """

    def __init__(self, read: Callable[[Pixels], VideoPacket]) -> None:
        self._read = read
        self._codec = ""
        self._context: Any = None
        self._headers: dict[int, Header] = {}
        self._packets = 0
        self._is_whole = False  # no packet has been missing since the last key frame
        self._waiting = 0  # how many packets have come since then, if one is missing

    def interrupt(self) -> None:
        """Drop the pictures held back and wait for a key frame, because packets are missing."""
        self._is_whole = False
        self._headers.clear()
        if self._context is not None:
            self._context.flush_buffers()

    def decode(self, message: Pixels, _: MinWidth | None = None) -> list[Decoded]:
        """Return the pictures that are complete with this message, each with its own header.

        Raises:
            FrameError: PyAV or its decoder is missing, or the codec is unknown, or the packet is
                damaged, or no key frame has come for too long.
        """
        packet = self._read(message)
        if not len(packet.data):  # to the decoder, that means the end of the stream
            raise FrameError("the video packet is empty")
        if self._context is None or packet.codec != self._codec:
            self._context, self._codec = _open(packet.codec), packet.codec
            self._headers.clear()
            self._is_whole = False
        self._packets += 1
        self._headers[self._packets] = packet.header
        self._headers.pop(self._packets - _HELD_BACK, None)
        found = self._take(packet.data.tobytes())
        self._waiting = 0 if self._is_whole else self._waiting + 1
        if self._waiting > _PATIENCE:
            raise self._no_key_frame()
        return found

    def finish(self) -> list[Decoded]:
        """Return the pictures that the decoder still holds back at the end of the stream.

        Raises:
            FrameError: the stream had no key frame.
        """
        found = [] if self._context is None else self._take(None)
        if self._packets and self._waiting == self._packets and not found:
            raise self._no_key_frame()
        return found

    def _no_key_frame(self) -> FrameError:
        return FrameError(
            f"the last {self._waiting} video packets had no key frame that can be decoded as "
            f"'{printable(self._codec, 100)}': expected one every few seconds; set the encoder's "
            "key frame interval (GOP size, keyint), and check that this is its codec"
        )

    def _take(self, data: bytes | None) -> list[Decoded]:
        import av

        packet = None
        if data is not None:
            packet = av.Packet(data)
            packet.pts = packet.dts = self._packets
        try:
            return [each for each in map(self._picture, self._context.decode(packet)) if each]
        except (av.FFmpegError, ValueError) as error:
            was_whole = self._is_whole
            self.interrupt()
            if was_whole:
                raise FrameError(f"the video packet cannot be decoded: {error}") from error
            return []  # it encodes changes to pictures that did not come

    def _picture(self, picture: Any) -> Decoded | None:
        """Return a decoded picture with its header; None if packets are missing before it."""
        header = self._headers.pop(picture.pts, None)
        self._is_whole = (self._is_whole or picture.key_frame) and not picture.is_corrupt
        if header is None or not self._is_whole:
            return None
        return partial(_image, header, picture)


def _image(header: Header, picture: Any) -> CameraImage:
    try:
        return CameraImage(header, Frame(picture.to_ndarray(format="bgr24")))
    except ValueError as error:
        raise FrameError(f"the video picture cannot be converted: {error}") from error


def _open(codec: str) -> Any:
    try:
        import av
    except ImportError as error:
        raise FrameError("a video stream needs PyAV: install it with `pip install av`") from error
    name = codec.partition(";")[0].lower()
    decoder = next((each for part, each in _DECODERS.items() if part in name), None)
    if decoder is None:
        raise FrameError(
            f"the video codec '{printable(codec, 100)}' is unknown: expected one that contains "
            f"{', '.join(_DECODERS)}"
        )
    try:
        context = av.CodecContext.create(decoder, "r")
    except ValueError as error:  # FFmpeg may be built without it
        raise FrameError(
            f"the video codec '{printable(codec, 100)}' needs FFmpeg's decoder {decoder}, which "
            "this PyAV lacks: install PyAV's own build with `pip install av`, or choose another "
            "codec for the camera"
        ) from error
    context.thread_count = 1  # more threads hold pictures back
    context.options = {"flags": "low_delay", "max_pixels": str(MAX_PIXELS)}
    return context
