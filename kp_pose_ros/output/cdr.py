# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Serializes poses directly to messages, for topics and bags, without Python message objects.

rclpy takes 5 ms to turn 100 people into message objects and these into bytes; this takes a tenth of
that. See image/cdr.py for the format.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from kp_pose_ros.image.cdr import Header, layout
from kp_pose_ros.image.frame import Pixels
from kp_pose_ros.poses import UNTRACKED, Array, Floats, Motion, Poses
from kp_pose_ros.skeleton import Vocabulary

# Elements with the padding that aligns the next one; what follows the last needs the same.
KEYPOINT_3D = np.dtype(
    {
        "names": ["position", "valid"],
        "formats": [("<f8", 3), "u1"],
        "offsets": [0, 24],
        "itemsize": 32,
    }
)
MOTION = np.dtype(
    {
        "names": ["position", "covariance", "valid", "velocity", "v_covariance", "v_valid"],
        "formats": [("<f8", 3), ("<f8", (3, 3)), "u1", ("<f8", 3), ("<f8", (3, 3)), "u1"],
        "offsets": [0, 24, 96, 104, 128, 200],
        "itemsize": 204,  # up to the frame_id, which is aligned to 4
    }
)
_NO_MOTION = bytes(MOTION.itemsize) + b"\1\0\0\0\0"  # and an empty frame_id
# ROS's default for unknown values: no rotation and no covariance.
_NO_POSE = struct.pack("<43d", 0, 0, 0, 0, 0, 0, 1, *[0] * 36)


def pose_array(
    header: Header,
    size: tuple[int, int],
    poses: Poses,
    vocabulary: Vocabulary,
    keypoints_3d: Array | None = None,
    *,
    motion: Motion | None = None,
    joined: Sequence[Mapping[str, int]] | None = None,
) -> bytes:
    """Return a serialized PoseArray.

    Args:
        header: the image's.
        size: (height, width) of the image in pixels.
        poses: those found in it.
        vocabulary: the meaning of the indices in `poses`.
        keypoints_3d: (n, k, 3) metres, NaN where a keypoint's position is unknown; None if there is
            no depth.
        motion: of the people; None if unknown.
        joined: for each person, the joined tracks by camera; None if none were joined.
    """
    writer = CdrWriter()
    writer.header(header)
    writer.fields("II", size[1], size[0])
    writer.text(vocabulary.skeleton.name)
    writer.fields("I", len(poses))
    if len(poses):
        _write_people(writer, poses, vocabulary, keypoints_3d, motion=motion, joined=joined)
    return writer.content()


def detections(header: Header, poses: Poses, vocabulary: Vocabulary) -> bytes:
    """Return the boxes as a serialized vision_msgs/Detection2DArray.

    The `id` is the track's id, or empty.
    """
    writer = CdrWriter()
    writer.header(header)
    writer.fields("I", len(poses))
    rows = zip(
        _boxes(poses.boxes),
        poses.class_ids.tolist(),
        poses.scores.tolist(),
        poses.track_ids.tolist(),
        strict=True,
    )
    for box, class_id, score, track_id in rows:
        writer.header(header)
        writer.fields("I", 1)  # results
        writer.text(vocabulary.class_name(class_id) or str(class_id))
        writer.fields("d", score)
        writer.raw(_NO_POSE, 8)
        writer.fields("5d", *box)
        writer.text("" if track_id == UNTRACKED else str(track_id))
    return writer.content()


def skeleton(vocabulary: Vocabulary) -> bytes:
    """Return a serialized Skeleton."""
    writer = CdrWriter()
    writer.text(vocabulary.skeleton.name)
    writer.texts(vocabulary.skeleton.keypoint_names)
    edges = np.array(vocabulary.skeleton.edges, "<u2").reshape(-1)
    writer.fields("I", len(edges))
    writer.raw(edges.tobytes(), 2)
    writer.texts(vocabulary.class_names)
    return writer.content()


def compressed_image(header: Header, format_: str, content: Pixels) -> bytes:
    """Return a serialized sensor_msgs/CompressedImage of encoded bytes."""
    writer = CdrWriter()
    writer.header(header)
    writer.text(format_)
    writer.fields("I", content.size)
    writer.raw(content.tobytes(), 1)
    return writer.content()


class ImageWriter:
    """A serialized bgr8 sensor_msgs/Image that reuses its memory for pictures of one size.

    Attributes:
        content: its CDR bytes.
    """

    def __init__(self) -> None:
        self.content: Pixels = np.empty(0, np.uint8)

    def fill(self, header: Header, picture: Pixels) -> Pixels:
        """Copy `picture`, (height, width, 3) BGR, into the message; return the copy, to draw on."""
        height, width, _ = picture.shape
        writer = CdrWriter()
        writer.header(header)
        writer.fields("II", height, width)
        writer.text("bgr8")
        writer.fields("B", 0)  # little endian
        writer.fields("II", width * 3, picture.size)
        head = np.frombuffer(writer.content(), np.uint8)
        if len(self.content) != len(head) + picture.size:
            self.content = np.empty(len(head) + picture.size, np.uint8)
        self.content[: len(head)] = head
        canvas = self.content[len(head) :].reshape(picture.shape)
        np.copyto(canvas, picture)
        return canvas


class CdrWriter:
    """Writes fields one after another."""

    def __init__(self) -> None:
        self._parts = [b"\x00\x01\x00\x00"]  # little endian
        self._at = 0

    def content(self) -> bytes:
        """Return the serialized message."""
        return b"".join(self._parts)

    def raw(self, content: bytes, alignment: int) -> None:
        """Write bytes unchanged, aligned to `alignment`."""
        if padding := -self._at % alignment:
            self._parts.append(bytes(padding))
        self._parts.append(content)
        self._at += padding + len(content)

    def fields(self, codes: str, *values: float | bytes) -> None:
        """Write fields given as `struct` format characters, each aligned to its own size.

        Bytes (`5s`) are not aligned, unless preceded by `0d` or the like.
        """
        fields = layout(codes, self._at % 8)
        self._parts.append(fields.pack(*values))
        self._at += fields.size

    def text(self, text: str) -> None:
        """Write a string."""
        content = text.encode() + b"\0"
        self.fields(f"I{len(content)}s", len(content), content)

    def texts(self, texts: tuple[str, ...]) -> None:
        """Write a sequence of strings."""
        self.fields("I", len(texts))
        for text in texts:
            self.text(text)

    def header(self, header: Header) -> None:
        """Write a std_msgs/Header."""
        self.fields("iI", *divmod(header.stamp, 10**9))
        self.text(header.frame_id)


def _write_people(
    writer: CdrWriter,
    poses: Poses,
    vocabulary: Vocabulary,
    keypoints_3d: Array | None,
    *,
    motion: Motion | None,
    joined: Sequence[Mapping[str, int]] | None,
) -> None:
    keypoint_count = poses.states.shape[1]
    keypoints = np.empty((*poses.states.shape, 4), "<f4")  # padding makes a state as wide as x
    keypoints[..., :3] = poses.keypoints
    keypoints.view("<u4")[..., 3] = poses.states
    points = None if keypoints_3d is None else _points(keypoints_3d)
    motions = [_NO_MOTION] * len(poses) if motion is None else _motions(motion)
    rows = zip(
        poses.track_ids.tolist(),
        poses.track_ages.tolist(),
        poses.class_ids.tolist(),
        poses.scores.tolist(),
        _boxes(poses.boxes),
        strict=True,
    )
    for index, (track_id, age, class_id, score, box) in enumerate(rows):
        name = vocabulary.class_name(class_id).encode() + b"\0"
        seen = keypoints[index].tobytes()
        writer.fields(
            f"iiIiI{len(name)}sf5dI{len(seen)}sI",
            *(track_id, *divmod(round(age * 1e9), 10**9), class_id, len(name), name, score, *box),
            *(keypoint_count, seen, 0 if points is None else keypoint_count),
        )
        if points is not None:
            writer.raw(points[index].tobytes(), 8)
        tracks = {} if joined is None else joined[index]
        writer.fields(f"0d{len(motions[index])}sI", motions[index], len(tracks))
        for camera in tracks:
            writer.text(camera)
        writer.fields("I" + "i" * len(tracks), len(tracks), *tracks.values())


def _points(keypoints_3d: Array) -> npt.NDArray[np.void]:
    """Return Keypoint3D elements, at the origin where a position is unknown."""
    points = np.zeros(keypoints_3d.shape[:2], KEYPOINT_3D)
    points["valid"] = np.isfinite(keypoints_3d).all(axis=2)
    points["position"] = np.where(points["valid"][..., None], keypoints_3d, 0)
    return points


def _motions(motion: Motion) -> list[bytes]:
    """Return Motion messages, zero where nothing is known."""
    messages = np.zeros(len(motion.position), MOTION)
    for name, prefix in (("position", ""), ("velocity", "v_")):
        values, variance = getattr(motion, name), getattr(motion, f"{name}_variance")
        messages[f"{prefix}valid"] = np.isfinite(variance)
        messages[name] = np.nan_to_num(values)
        messages[f"{prefix}covariance"] = np.nan_to_num(variance)[:, None, None] * np.eye(3)
    frame_id = motion.frame_id.encode() + b"\0"
    end = struct.pack("<I", len(frame_id)) + frame_id
    return [message.tobytes() + end for message in messages]


def _boxes(boxes: Floats) -> list[tuple[float, ...]]:
    """Return vision_msgs/BoundingBox2D: centre x and y, angle, width and height."""
    return [
        ((x1 + x2) / 2, (y1 + y2) / 2, 0.0, x2 - x1, y2 - y1) for x1, y1, x2, y2 in boxes.tolist()
    ]
