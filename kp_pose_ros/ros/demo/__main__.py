# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Shows the node at work: a camera in one process, the node in another, a consumer in this one."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from time import monotonic
from typing import TextIO

import rclpy
from rclpy.signals import SignalHandlerOptions

from kp_pose_ros.errors import KpPoseError
from kp_pose_ros.ros.demo import NAMESPACE
from kp_pose_ros.ros.demo.processes import Processes
from kp_pose_ros.ros.demo.receiver import Receiver
from kp_pose_ros.ros.demo.report import Report
from kp_pose_ros.ros.demo.window import Window
from kp_pose_ros.ros.memory import keep_image_memory

_FOLDER = Path("build/demo")
_ANSWERS = 5  # to each picture
_ANSWERS_IN_WINDOW = 30  # so that there is time to look at it
_LAST_MESSAGES = 0.5  # seconds after the camera's end

_NEXT = """\
Try next:
  make demo SOURCE=PATH        with your own picture, video or folder; SOURCE=0 is a webcam
  make demo VIEW=1             in a window
  tools/in_ros_env kp_pose annotate PATH -o build/annotated
                               without ROS: every picture and every video frame"""


def main() -> int:
    """Run the demo; return the exit code."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--source", default=str(_FOLDER / "photos"), help="what the camera sees")
    parser.add_argument("--model", default=str(_FOLDER / "models" / "yolo11n-pose.pt"))
    parser.add_argument("--output", type=Path, default=_FOLDER, metavar="DIR")
    parser.add_argument("--view", action="store_true", help="show the annotated pictures")
    args = parser.parse_args()
    # As Ctrl-C does, so that the node and the camera end, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        window = Window("kp_pose_ros") if args.view else None
        args.output.mkdir(parents=True, exist_ok=True)
        with (args.output / "poses.jsonl").open("w", encoding="utf-8") as lines:
            report = _watch(args, lines, window)
    except KpPoseError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: stopped", file=sys.stderr)
        return 130
    print(report.summary())
    print("Look at", *report.finish(), args.output / "poses.jsonl", sep="\n  ")
    print(_NEXT)
    return 0


def _watch(args: argparse.Namespace, lines: TextIO, window: Window | None) -> Report:
    """Start node and camera, and report what comes until the camera ends.

    Raises:
        KpPoseError: one of them failed.
    """
    keep_image_memory()
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node("planner", namespace=NAMESPACE)
    receiver = Receiver(node, args.output, lines, window)
    try:
        with Processes(args.output) as processes:
            print(f"Starting the node with {args.model} ...", flush=True)
            namespace = ["--ros-args", "-r", f"__ns:={NAMESPACE}"]
            model = ["-p", f"model:={args.model}"]
            processes.start("pose_node", "kp_pose_ros.ros.node", *namespace, *model)
            while receiver.report is None and processes.running("pose_node"):
                receiver.spin_once()
            print(f"... and a camera that shows {args.source}\n", flush=True)
            answers = str(_ANSWERS_IN_WINDOW if window else _ANSWERS)
            camera = "kp_pose_ros.ros.demo.camera"
            processes.start("camera", camera, args.source, "--answers", answers, *namespace)
            while processes.running("camera") and processes.running("pose_node"):
                receiver.spin_once()
                if receiver.closed:
                    break
            end = monotonic() + _LAST_MESSAGES
            while monotonic() < end and not receiver.closed:
                receiver.spin_once()
    finally:
        rclpy.shutdown()
    if receiver.report is None:
        raise KpPoseError("the node ended before it was ready")
    return receiver.report


if __name__ == "__main__":
    sys.exit(main())
