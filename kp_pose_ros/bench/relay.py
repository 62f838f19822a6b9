# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The floor of `kp_pose bench`: a relay that answers each image with an empty PoseArray.

It is the least that any rclpy node costs that receives images, with the middleware and the memory
settings of the node under test.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from typing import Any

import rclpy
from rclpy.publisher import Publisher
from sensor_msgs.msg import Image

from kp_pose_ros.image.tuning import tune_process
from kp_pose_ros.msg import PoseArray
from kp_pose_ros.ros.process import end_with
from kp_pose_ros.ros.qos import RESULTS

_DEPTH = 2  # images; as many as are in flight, so that none is dropped


def main() -> int:
    """Relay until the process is killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("parent", type=int, help="the process that this one ends with")
    parser.add_argument("namespace")
    parser.add_argument("cameras", nargs="+")
    args = parser.parse_args()
    end_with(args.parent)
    tune_process()
    rclpy.init(args=[])
    node = rclpy.create_node("relay", namespace=args.namespace)
    for camera in args.cameras:
        publisher = node.create_publisher(PoseArray, f"{camera}/poses", RESULTS)
        answer = partial(_answer, publisher)
        node.create_subscription(Image, f"{camera}/image", answer, _DEPTH)
    rclpy.spin(node)
    return 0


def _answer(publisher: Publisher[Any], image: Image) -> None:
    publisher.publish(PoseArray(header=image.header))


if __name__ == "__main__":
    sys.exit(main())
