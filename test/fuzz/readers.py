# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every reader of what comes from outside, with valid inputs to begin from."""

import io
import json
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import model_mutations
import mutations
import numpy as np
import seeds
from rosbags.rosbag2 import StoragePlugin

from kp_pose_ros.activities.engine import Activities, Event
from kp_pose_ros.activities.rules import load_rules
from kp_pose_ros.commands.activities import parse_record
from kp_pose_ros.errors import KpPoseError
from kp_pose_ros.image.cdr import (
    read_compressed_video,
    read_ffmpeg_packet,
    read_image,
)
from kp_pose_ros.image.files import find_sources, read_picture
from kp_pose_ros.image.jpeg import decode_compressed
from kp_pose_ros.image.message import image_to_frame, read_compressed
from kp_pose_ros.models.model import PoseModel
from kp_pose_ros.output.pose_reader import read_pose_array
from kp_pose_ros.resources import config_path
from kp_pose_ros.skeleton import Skeleton
from kp_pose_ros.space.multi_camera.rig_file import RigFile


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


def read_image_message(content):
    image_to_frame(read_image(np.frombuffer(content, np.uint8))).to_bgr()


def read_compressed_message(content):
    read_compressed(np.frombuffer(content, np.uint8), lambda _: 32)


def read_video_message(content):
    buffer = np.frombuffer(content, np.uint8)
    read_ffmpeg_packet(buffer)
    read_compressed_video(buffer)


def read_poses(content):
    try:
        read_pose_array(np.frombuffer(content, np.uint8))
    except ValueError as error:  # a message that is inconsistent; the callers show it
        raise KpPoseError(str(error)) from error


def of_file(name, read):
    """Make a reader of bytes of one of files."""

    def read_bytes(content):
        with TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_bytes(content)
            return read(path)

    return read_bytes


def read_rig(path):
    (path.parent / "front.yaml").write_bytes(seeds.CALIBRATION)
    RigFile.load(path)


def read_calibration(path):
    (path.parent / "rig.yaml").write_bytes(seeds.RIG)
    RigFile.load(path.parent / "rig.yaml")


def read_model(path):
    model = PoseModel.open(path)
    if path.suffix != ".engine":
        model.make_graph(model.network_size((480, 640), None), precision="fp32")


def read_records(content):
    activities = Activities(load_rules(config_path("activities.yaml")))
    for line in content.decode(errors="replace").splitlines():
        activities.update(parse_record(line))


def with_metadata(content):
    """Make an ONNX file of metadata that is a text of lines `key: value`."""
    import onnx

    model = onnx.ModelProto.FromString(seeds.onnx_models()[0])
    lines = [line.partition(": ") for line in content.decode(errors="replace").splitlines()]
    del model.metadata_props[:]
    for key, _, value in lines:
        model.metadata_props.add(key=key, value=value)
    return onnx.ModelProto.SerializeToString(model)


def of_folder(read):
    """Make a reader of a zip file, whose members become files of a folder that `read` gets."""

    def read_bytes(content):
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                members = {name: archive.read(name) for name in archive.namelist()}
        except Exception as error:  # of the zip, which nobody will read but this
            raise KpPoseError(f"no zip: {error}") from error
        with TemporaryDirectory() as name:
            folder = Path(name) / "in"
            folder.mkdir()
            for member, data in members.items():
                with suppress(OSError, ValueError):
                    (folder / member.replace("/", "_")).write_bytes(data)
            read(folder)

    return read_bytes


def read_spool(folder):
    from kp_pose_ros.ros.bridges.sender import _key
    from kp_pose_ros.ros.bridges.spool import Spool

    spool = Spool(folder, 10**6)
    try:
        assert spool.append(seeds.SPOOLED[:35])
        position = spool.committed
        while found := spool.read(position):
            for line, after in found:
                _key(line)
                position = after
        spool.commit(position)
        assert not spool.waiting()
    finally:
        spool.close()


def read_video(path):
    (source,) = find_sources([path])
    for _ in islice(source, 20):
        pass


def read_event(content):
    from std_msgs.msg import Header

    from kp_pose_ros.ros.bridges.activities import _to_msg

    _to_msg(Event.from_record(parse_record(content.decode(errors="replace"))), Header())


def read_parameters(path):
    """Start a node with a file of parameters, as `ros2 run` does."""
    import rclpy
    from rclpy.exceptions import ParameterException
    from rclpy.node import Node

    from kp_pose_ros.ros.parameters import declare_parameters

    context = rclpy.Context()
    try:
        rclpy.init(args=["--ros-args", "--params-file", str(path)], context=context)
        node = Node("kp_pose", context=context, start_parameter_services=False)
        try:
            declare_parameters(node)
        finally:
            node.destroy_node()
    except (RuntimeError, ParameterException) as error:  # as in run_node
        raise KpPoseError(str(error)) from error
    finally:
        rclpy.try_shutdown(context=context)


def read_bag(path):
    from kp_pose_ros.bags.files import Output, make_typestore, open_bag, read_messages

    with open_bag(path) as bag, Output(path.parent / "out", bag, make_typestore()) as output:
        for message in read_messages(bag):
            output.copy(*message)


def make_readers():
    """Return the readers by name."""
    text = (mutations.text,)
    skeleton = config_path("skeletons", "hand21.yaml").read_bytes()
    rules = config_path("activities.yaml").read_bytes()
    metadata = of_file("model.onnx", read_model)
    mcap, sqlite = (seeds.bag_files(each) for each in (StoragePlugin.MCAP, StoragePlugin.SQLITE3))
    graphs = seeds.onnx_models()
    parameters = config_path("pose.yaml").read_bytes() + b"    use_sim_time: false\n"
    of_archives = (mutations.archive, mutations.renamed)
    of_checkpoints = (mutations.archive, model_mutations.pickled)
    return {
        "JPEG": Reader(
            lambda each: decode_compressed(each, lambda _: 32), seeds.JPEGS, mutations.JPEG
        ),
        "PNG": Reader(decode_compressed, seeds.PNGS, mutations.PNG),
        "picture files": Reader(of_file("a.png", read_picture), seeds.FILES),
        "Image": Reader(
            read_image_message, [seeds.image_message(), seeds.image_message("bayer_rggb16")]
        ),
        "CompressedImage": Reader(
            read_compressed_message,
            seeds.compressed_messages(),
            mutations.JPEG,
        ),
        "PoseArray": Reader(read_poses, [seeds.pose_array()]),
        "video packets": Reader(read_video_message, [seeds.video_message()]),
        "skeletons": Reader(of_file("a.yaml", Skeleton.load), [skeleton], text),
        "rigs": Reader(of_file("rig.yaml", read_rig), [seeds.RIG], text),
        "calibrations": Reader(of_file("front.yaml", read_calibration), [seeds.CALIBRATION], text),
        "rules": Reader(of_file("rules.yaml", load_rules), [rules], text),
        "records": Reader(read_records, [seeds.record_lines()], (*text, mutations.crowded)),
        "bags": Reader(of_file("a.mcap", read_bag), [mcap["in.mcap"]]),
        "bag folders": Reader(
            of_folder(read_bag), [seeds.zipped(mcap), seeds.zipped(sqlite)], of_archives
        ),
        "spools": Reader(of_folder(read_spool), [seeds.zipped(seeds.SPOOL)], of_archives),
        "videos": Reader(
            of_file("a.mp4", read_video), [seeds.video(".mp4", "mp4v"), seeds.video(".avi", "MJPG")]
        ),
        "events": Reader(read_event, [json.dumps(seeds.EVENT).encode()], text),
        "parameters": Reader(of_file("pose.yaml", read_parameters), [parameters], text),
        ".pt": Reader(
            of_file("a.pt", read_model),
            [seeds.checkpoint_file(), seeds.legacy_checkpoint()],
            of_checkpoints,
        ),
        ".onnx": Reader(of_file("a.onnx", read_model), graphs, model_mutations.ONNX),
        ".zip": Reader(
            of_file("a.zip", read_model),
            [seeds.zipped({"a/end2end.onnx": graphs[-1]})],
            of_archives,
        ),
        ".engine": Reader(
            of_file("a.engine", read_model), [seeds.engine_file()], model_mutations.ENGINE
        ),
        "metadata": Reader(
            lambda each: metadata(with_metadata(each)), [seeds.metadata_text()], text
        ),
    }
