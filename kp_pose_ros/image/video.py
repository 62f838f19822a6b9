# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Packets of a video stream, as cameras and recorders publish them -> frames, through PyAV."""

from __future__ import annotations

from typing import Any

from kp_pose_ros.errors import FrameError, printable
from kp_pose_ros.image.cdr import Header
from kp_pose_ros.image.claims import MAX_PIXELS
from kp_pose_ros.image.frame import Frame, Pixels

# What a message's codec, or the encoder that it names instead (libx264, hevc_nvenc), contains ->
# the decoder of libavcodec.
_DECODERS = {
    "264": "h264",
    "265": "hevc",
    "hevc": "hevc",
    "av1": "libdav1d",
    "vp9": "vp9",
    "vp8": "vp8",
    "mjpeg": "mjpeg",
    "mpeg4": "mpeg4",
}


class VideoStream:
    """Decodes the packets of one topic. A picture may come some packets later than its own."""

    def __init__(self) -> None:
        self._codec = ""
        self._context: Any = None
        self._headers: dict[int, Header] = {}
        self._packets = 0

    def decode(self, codec: str, header: Header, data: Pixels) -> list[tuple[Header, Frame]]:
        """Return the pictures that are complete with this packet, each with its own header.

        Args:
            codec: what the message says, such as h264 or libx264;yuv420p;bgr8;bgr8.
            header: of the packet's picture.
            data: the packet; parameter sets come with key frames (H.264 and H.265: Annex B).

        Raises:
            FrameError: PyAV is missing, or the codec is unknown, or the packet is damaged.
        """
        if self._context is None or codec != self._codec:
            self._context, self._codec = _open(codec), codec
            self._headers.clear()
        self._packets += 1
        self._headers[self._packets] = header
        return self._take(data.tobytes())

    def finish(self) -> list[tuple[Header, Frame]]:
        """Return the pictures that were held back, at the end of the stream."""
        return [] if self._context is None else self._take(None)

    def _take(self, data: bytes | None) -> list[tuple[Header, Frame]]:
        import av

        packet = None
        if data is not None:
            packet = av.Packet(data)
            packet.pts = packet.dts = self._packets
        try:
            pictures = self._context.decode(packet)
            return [
                (self._headers.pop(each.pts), Frame(each.to_ndarray(format="bgr24")))
                for each in pictures
                if each.pts in self._headers
            ]
        except (av.FFmpegError, ValueError) as error:
            self._headers.pop(self._packets, None)
            raise FrameError(f"the video packet cannot be decoded: {error}") from error


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
    context = av.CodecContext.create(decoder, "r")
    context.thread_count = 1  # more threads hold pictures back
    context.options = {"flags": "low_delay", "max_pixels": str(MAX_PIXELS)}
    return context
