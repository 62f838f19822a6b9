# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every reader of what comes from outside, with valid inputs to begin from."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import mutations
import numpy as np

from kp_pose_ros.activities.engine import Activities
from kp_pose_ros.activities.rules import load_rules
from kp_pose_ros.commands.activities import parse_record
from kp_pose_ros.image.cdr import (
    Header,
    read_compressed_video,
    read_ffmpeg_packet,
    read_image,
)
from kp_pose_ros.image.files import read_picture
from kp_pose_ros.image.jpeg import decode_compressed
from kp_pose_ros.image.message import image_to_frame, read_compressed
from kp_pose_ros.models.model import PoseModel
from kp_pose_ros.output.cdr import CdrWriter, compressed_image
from kp_pose_ros.resources import config_path
from kp_pose_ros.skeleton import Skeleton
from kp_pose_ros.space.multi_camera.rig_file import RigFile

TESTS = Path(__file__).parents[1]
PICTURE = cv2.GaussianBlur(
    np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8), (0, 0), 3
)


@dataclass(frozen=True)
class Reader:
    """What reads a kind of input.

    Attributes:
        read: called with the input's bytes; raises KpPoseError, or returns.
        seeds: valid inputs.
        mutations: those of the kind, besides those of bytes.
    """

    read: Callable[[bytes], object]
    seeds: list[bytes]
    mutations: tuple[Callable, ...] = ()


def picture(suffix, *flags):
    return cv2.imencode(suffix, PICTURE, flags)[1].tobytes()


JPEGS = [
    picture(".jpg"),
    picture(".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    picture(".jpg", cv2.IMWRITE_JPEG_RST_INTERVAL, 4),
]
PNGS = [picture(".png")]
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


def read_image_message(content):
    image_to_frame(read_image(np.frombuffer(content, np.uint8))).to_bgr()


def read_compressed_message(content):
    read_compressed(np.frombuffer(content, np.uint8), lambda _: 32)


def read_video_message(content):
    buffer = np.frombuffer(content, np.uint8)
    read_ffmpeg_packet(buffer)
    read_compressed_video(buffer)


def of_file(name, read):
    """Make a reader of bytes of one of files."""

    def read_bytes(content):
        with TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_bytes(content)
            return read(path)

    return read_bytes


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


def read_rig(path):
    (path.parent / "front.yaml").write_bytes(CALIBRATION)
    RigFile.load(path)


def read_calibration(path):
    (path.parent / "rig.yaml").write_bytes(RIG)
    RigFile.load(path.parent / "rig.yaml")


def read_model(path):
    model = PoseModel.open(path)
    if path.suffix != ".engine":
        model.make_graph(model.network_size((480, 640), None), precision="fp32")


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


def read_records(content):
    activities = Activities(load_rules(config_path("activities.yaml")))
    for line in content.decode(errors="replace").splitlines():
        activities.update(parse_record(line))


def onnx_model():
    from pose_graphs import constant_model, random_raw

    return constant_model(random_raw(1, (17, 3), 126), input_shape=(1, 3, 64, 96))


def with_metadata(content):
    """Make an ONNX file of metadata that is a text of lines `key: value`."""
    import onnx

    model = onnx_model()
    lines = [line.partition(": ") for line in content.decode(errors="replace").splitlines()]
    del model.metadata_props[:]
    for key, _, value in lines:
        model.metadata_props.add(key=key, value=value)
    return onnx.ModelProto.SerializeToString(model)


def checkpoint_file():
    import torch_file

    with TemporaryDirectory() as folder:
        path = torch_file.save(Path(folder) / "a.pt", torch_file.checkpoint(torch_file.tiny_pose()))
        return path.read_bytes()


def engine_file():
    from pose_graphs import COCO

    head = json.dumps(COCO).encode()
    return len(head).to_bytes(4, "little") + head + bytes(64)


def bag_file():
    from recording import drive, random_pictures, record
    from rosbags.rosbag2 import StoragePlugin

    with TemporaryDirectory() as folder:
        path = record(Path(folder) / "in", drive(random_pictures(2)), StoragePlugin.MCAP)
        return (path / "in.mcap").read_bytes()


def read_bag(path):
    from kp_pose_ros.bags.definitions import make_typestore
    from kp_pose_ros.bags.files import Output, open_bag, read_messages

    with open_bag(path) as bag, Output(path.parent / "out", bag, make_typestore()) as output:
        for message in read_messages(bag):
            output.copy(*message)


def metadata_text():
    from pose_graphs import COCO

    return "\n".join(f"{key}: {value}" for key, value in COCO.items()).encode()


def make_readers():
    """Return the readers by name."""
    sys.path += [str(TESTS / each) for each in ("models", "models/checkpoint", "bags")]
    text = (mutations.text,)
    skeleton = config_path("skeletons", "hand21.yaml").read_bytes()
    rules = config_path("activities.yaml").read_bytes()
    metadata = of_file("model.onnx", read_model)
    graph = onnx_model().SerializeToString()
    of_checkpoints = (mutations.archive, mutations.pickled)
    return {
        "JPEG": Reader(
            lambda each: decode_compressed(each, lambda _: 32), JPEGS, (mutations.jpeg,)
        ),
        "PNG": Reader(decode_compressed, PNGS, (mutations.png,)),
        "picture files": Reader(of_file("a.png", read_picture), FILES),
        "Image": Reader(read_image_message, [image_message(), image_message("bayer_rggb16")]),
        "CompressedImage": Reader(
            read_compressed_message,
            [compressed_image(Header(0, "c"), "jpeg", np.frombuffer(JPEGS[0], np.uint8))],
            (mutations.jpeg,),
        ),
        "video packets": Reader(read_video_message, [video_message()]),
        "skeletons": Reader(of_file("a.yaml", Skeleton.load), [skeleton], text),
        "rigs": Reader(of_file("rig.yaml", read_rig), [RIG], text),
        "calibrations": Reader(of_file("front.yaml", read_calibration), [CALIBRATION], text),
        "rules": Reader(of_file("rules.yaml", load_rules), [rules], text),
        "records": Reader(read_records, [record_lines()], text),
        "bags": Reader(of_file("a.mcap", read_bag), [bag_file()]),
        ".pt": Reader(of_file("a.pt", read_model), [checkpoint_file()], of_checkpoints),
        ".onnx": Reader(of_file("a.onnx", read_model), [graph], (mutations.onnx_model,)),
        ".engine": Reader(of_file("a.engine", read_model), [engine_file()], text),
        "metadata": Reader(lambda each: metadata(with_metadata(each)), [metadata_text()], text),
    }
