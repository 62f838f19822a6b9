# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Valid inputs of every reader."""

import io
import json
import sys
import zipfile
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from kp_pose_ros.image.cdr import Header
from kp_pose_ros.output.cdr import CdrWriter, compressed_image
from kp_pose_ros.output.cdr import pose_array as pose_array_message
from kp_pose_ros.poses import Poses
from kp_pose_ros.skeleton import Skeleton, Vocabulary

TESTS = Path(__file__).parents[1]
sys.path += [str(TESTS / each) for each in ("models", "models/checkpoint", "bags")]
PICTURE = cv2.GaussianBlur(
    np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8), (0, 0), 3
)


def picture(suffix, *flags):
    return cv2.imencode(suffix, PICTURE, flags)[1].tobytes()


JPEGS = [
    picture(".jpg"),
    picture(".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    picture(".jpg", cv2.IMWRITE_JPEG_RST_INTERVAL, 4),
]
PNGS = [picture(".png"), cv2.imencode(".png", PICTURE.astype(np.uint16) << 4)[1].tobytes()]
FILES = [picture(suffix) for suffix in (".bmp", ".webp", ".tiff", ".png", ".jpg")]


def image_message(encoding="bgr8"):
    writer = CdrWriter()
    writer.header(Header(10**18, "camera"))
    writer.fields("II", *PICTURE.shape[:2])
    writer.text(encoding)
    writer.fields("B", 0)
    writer.fields("II", PICTURE.shape[1] * 3, PICTURE.size)
    writer.raw(PICTURE.tobytes(), 1)
    return writer.content()


def compressed_messages():
    return [
        compressed_image(Header(0, "c"), name, np.frombuffer(content, np.uint8))
        for name, content in (("jpeg", JPEGS[0]), ("16UC1; png \x1b[2J", PNGS[0]))
    ]


def pose_array():
    skeleton = Skeleton.builtin("hand21")
    points = np.full((2, len(skeleton), 3), 0.5, np.float32)
    poses = Poses(
        boxes=np.full((2, 4), 9, np.float32),
        scores=np.full(2, 0.9, np.float32),
        keypoints=points,
        class_ids=np.zeros(2, np.int32),
        states=np.ones(points.shape[:2], np.uint8),
    )
    vocabulary = Vocabulary(skeleton, ("hand",))
    return bytes(pose_array_message(Header(7, "camera"), (48, 64), poses, vocabulary, points))


def video_message():
    writer = CdrWriter()
    writer.header(Header(10**18, "camera"))
    writer.fields("ii", 64, 48)
    writer.text("h264;yuv420p;bgr8;bgr8")
    writer.fields("Q", 7)
    writer.fields("BB", 1, 0)
    writer.fields("I", 5)
    writer.raw(b"\0\0\0\1\x65", 1)
    return writer.content()


CALIBRATION = b"""image_width: 640
image_height: 480
camera_matrix: {rows: 3, cols: 3, data: [600, 0, 320, 0, 610, 240, 0, 0, 1]}
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [0.1, -0.2, 0, 0, 0]}
"""
RIG = b"""frame_id: room
cameras:
  front: {translation: [0, 0, 0], rotation: [0, 0, 0, 1], calibration: front.yaml}
  rear: {translation: [1, 2, 3], rotation: [0, -0.7071, 0, 0.7071], calibration: front.yaml}
"""


def record_lines():
    person = {
        **{"track_id": 3, "class": "person", "score": 0.9, "bbox": [1.0, 2.0, 30.0, 40.0]},
        **{"keypoints": {name: [5.0, 6.5, 0.8] for name in ("nose", "left_wrist", "left_hip")}},
        **{"keypoints_3d": {"nose": [0.1, 0.2, 3.0]}},
    }
    record = {
        **{"v": 1, "robot": "r", "camera": "c", "session": "s", "width": 64, "height": 48},
        **{"frame_id": "f", "skeleton": "coco17", "poses": [person], "gone": [{"track_id": 4}]},
    }
    lines = (json.dumps(record | {"seq": seq, "stamp_ms": 40 * seq}) for seq in range(3))
    return "\n".join(lines).encode()


def checkpoint_file():
    import torch_file

    with TemporaryDirectory() as folder:
        path = torch_file.save(Path(folder) / "a.pt", torch_file.checkpoint(torch_file.tiny_pose()))
        return path.read_bytes()


def legacy_checkpoint():
    import torch_file

    with TemporaryDirectory() as folder:
        content = torch_file.checkpoint(torch_file.tiny_pose())
        return torch_file.save_legacy(Path(folder) / "a.pt", content).read_bytes()


@cache
def onnx_models():
    """Return models of several layouts."""
    from pose_graphs import COCO, constant_model, random_raw, rtmo

    raw, size = random_raw(1, (17, 3), 126), {"input_shape": (1, 3, 64, 96)}
    people = np.array([[5, 5, 60, 40, 0.9]]), np.full((1, 17, 3), 0.5)
    models = (
        constant_model(raw, **size),
        constant_model(raw, dtype=np.float16, opset=11),
        constant_model(raw.T, metadata={}, **size),
        constant_model(np.zeros((300, 57), np.float32), metadata=COCO | {"end2end": "True"}),
        rtmo(people),
    )
    return [model.SerializeToString() for model in models]


def engine_file():
    from pose_graphs import COCO

    head = json.dumps(COCO).encode()
    return len(head).to_bytes(4, "little") + head + bytes(64)


def zipped(members):
    """Return a zip file of contents by name."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return made.getvalue()


def bag_files(storage):
    from recording import drive, random_pictures, record

    with TemporaryDirectory() as folder:
        path = record(Path(folder) / "in", drive(random_pictures(2)), storage)
        return {each.name: each.read_bytes() for each in path.iterdir()}


SPOOLED = b'{"robot":"r","camera":"c","seq":1}\n' * 3
SPOOL = {
    **{".position": b"[1, 35]", "000000000001.jsonl": SPOOLED, "000000000002.jsonl": SPOOLED},
    **{".000000000003.jsonl": SPOOLED + b'{"robot":', ".a.part": b"x"},
}


def video(suffix, codec):
    with TemporaryDirectory() as folder:
        path = str(Path(folder) / f"a{suffix}")
        writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*codec), 25, PICTURE.shape[1::-1])
        for _ in range(5):
            writer.write(PICTURE)
        writer.release()
        return Path(path).read_bytes()


EVENT = {
    **{"v": 1, "robot": "r", "camera": "c", "session": "s", "activity": "raised_hand"},
    **{"state": "END", "track_ids": [3, 4], "since_ms": 5, "until_ms": 6, "stamp_ms": 7},
    "images": 2,
}


def metadata_text():
    from pose_graphs import COCO

    return "\n".join(f"{key}: {value}" for key, value in COCO.items()).encode()
