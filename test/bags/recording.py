# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags to test with, as a robot would have recorded them."""

from collections import defaultdict
from fractions import Fraction

import cv2
import numpy as np
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore

START = 1_700_000_000 * 10**9
SENSOR_QOS = Qos(
    QosHistory.KEEP_LAST,
    5,
    QosReliability.BEST_EFFORT,
    QosDurability.VOLATILE,
    QosTime(0, 0),
    QosTime(0, 0),
    QosLiveliness.AUTOMATIC,
    QosTime(0, 0),
    False,
)
IDL = (
    "=" * 80
    + "\nIDL: my_msgs/msg/Level\n"
    + "module my_msgs { module msg { struct Level { long value; }; }; };\n"
)

STORE = get_typestore(Stores.ROS2_JAZZY)
STORE.register(get_types_from_msg("float32 volts\nstring cell", "my_msgs/msg/Battery"))
STORE.register(get_types_from_idl(IDL.partition("Level\n")[2]))
# As the packages ffmpeg_image_transport_msgs and foxglove_msgs define them.
VIDEO_TYPES = {
    "ffmpeg": "ffmpeg_image_transport_msgs/msg/FFMPEGPacket",
    "foxglove": "foxglove_msgs/msg/CompressedVideo",
}
for _name, _text in zip(
    VIDEO_TYPES.values(),
    (
        "std_msgs/Header header\nint32 width\nint32 height\nstring encoding\nuint64 pts\n"
        "uint8 flags\nbool is_bigendian\nuint8[] data",
        "builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format",
    ),
    strict=True,
):
    STORE.register(get_types_from_msg(_text, _name))
_types = STORE.types


def header(stamp, frame_id="camera_optical_frame"):
    time = _types["builtin_interfaces/msg/Time"](sec=stamp // 10**9, nanosec=stamp % 10**9)
    return _types["std_msgs/msg/Header"](stamp=time, frame_id=frame_id)


def image(picture, stamp, **changes):
    height, width = picture.shape[:2]
    fields = {
        "header": header(stamp),
        "height": height,
        "width": width,
        "encoding": "bgr8",
        "is_bigendian": 0,
        "step": width * 3,
        "data": picture.reshape(-1),
    }
    message = _types["sensor_msgs/msg/Image"](**{**fields, **changes})
    return bytes(STORE.serialize_cdr(message, "sensor_msgs/msg/Image"))


def jpeg(picture, stamp):
    data = cv2.imencode(".jpg", picture)[1]
    message = _types["sensor_msgs/msg/CompressedImage"](
        header=header(stamp), format="jpeg", data=data
    )
    return bytes(STORE.serialize_cdr(message, "sensor_msgs/msg/CompressedImage"))


def video(type_name, packet, stamp):
    data = np.frombuffer(packet, np.uint8)
    top = header(stamp)
    fields = (
        {"timestamp": top.stamp, "frame_id": "camera", "format": "h264"}
        if type_name == VIDEO_TYPES["foxglove"]
        else {
            **{"header": top, "width": 640, "height": 352, "encoding": "libx264;yuv420p;bgr8;bgr8"},
            **{"pts": stamp, "flags": 0, "is_bigendian": False},
        }
    )
    message = _types[type_name](**fields, data=data)
    return bytes(STORE.serialize_cdr(message, type_name))


GRAYS = [20, 60, 100, 140, 180, 220]


def video_packets(encoder="libx264", **options):
    """Packets of pictures of these grays, each in a brighter one than the last."""
    import av

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


def record(path, topics, storage=StoragePlugin.SQLITE3):
    """Write a bag. topics: name -> (type, [(log stamp, bytes), ...])."""
    with Writer(path, version=9, storage_plugin=storage) as writer:
        messages = []
        for topic, (type_name, contents) in topics.items():
            definition = (
                {"msgdef": IDL, "rihs01": STORE.hash_rihs01(type_name)}
                if type_name == "my_msgs/msg/Level"
                else {"typestore": STORE}
            )
            connection = writer.add_connection(
                topic, type_name, offered_qos_profiles=[SENSOR_QOS], **definition
            )
            messages += [(stamp, connection, content) for stamp, content in contents]
        for stamp, connection, content in sorted(messages, key=lambda each: each[0]):
            writer.write(connection, stamp, content)
    return path


def drive(pictures):
    """Topics of a short drive: a camera, other sensors, and a topic on which nothing came.

    Images arrive 5 ms after they were taken; the log has the time of arrival.
    """
    taken = [START + index * 33_000_000 for index in range(len(pictures))]
    images = [
        (stamp + 5_000_000, image(picture, stamp))
        for stamp, picture in zip(taken, pictures, strict=True)
    ]
    battery = _types["my_msgs/msg/Battery"](volts=24.5, cell="left")
    level = _types["my_msgs/msg/Level"](value=7)
    packed = bytes(STORE.serialize_cdr(battery, "my_msgs/msg/Battery"))
    return {
        "/front/image_raw": ("sensor_msgs/msg/Image", images),
        "/battery": ("my_msgs/msg/Battery", [(stamp, packed) for stamp in taken]),
        "/level": (
            "my_msgs/msg/Level",
            [(START + 1, bytes(STORE.serialize_cdr(level, "my_msgs/msg/Level")))],
        ),
        "/silence": ("std_msgs/msg/String", []),
    }


def contents(path):
    """What is in a bag: topic -> [(log stamp, bytes), ...]."""
    found = defaultdict(list)
    with Reader(path) as reader:
        for connection in reader.connections:
            found[connection.topic] = []
        for connection, stamp, content in reader.messages():
            found[connection.topic].append((stamp, content))
    return found


def random_pictures(count, size=(48, 64)):
    random = np.random.default_rng(count)
    return [random.integers(0, 256, (*size, 3), np.uint8) for _ in range(count)]
