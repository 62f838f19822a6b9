# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Shows the node at work: a camera in one process, the node in another, a consumer in this one."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from time import monotonic
from typing import TextIO

import rclpy
from rclpy.signals import SignalHandlerOptions

from kp_pose_ros.demo.folder import Folder
from kp_pose_ros.demo.processes import Processes
from kp_pose_ros.demo.receiver import Receiver
from kp_pose_ros.demo.window import Window
from kp_pose_ros.errors import KpPoseError, SettingsError
from kp_pose_ros.image.files import find_sources
from kp_pose_ros.image.memory import keep_image_memory

_FOLDER = Path("build/demo")
_ANSWERS = 5  # to each picture
_ANSWERS_IN_WINDOW = 30  # so that there is time to look at it
_LAST_MESSAGES = 0.5  # seconds after the camera's end
_STOPPED = 130  # what a shell reports for Ctrl-C

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
        _check_source(args)
        window = Window("kp_pose_ros") if args.view else None
        folder = Folder(args.output)
        with folder.file("poses.jsonl").open("w", encoding="utf-8") as lines:
            return _show(args, window, folder, lines)
    except KpPoseError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: stopped", file=sys.stderr)
        return _STOPPED


def _check_source(args: argparse.Namespace) -> None:
    """Find what is to be shown, before anything of an earlier run is deleted.

    Raises:
        KpPoseError: there is no such thing, or results would lie among it.
    """
    if args.source.isdecimal():
        return  # a webcam
    output = args.output.resolve()
    if any(each.path.resolve().parent == output for each in find_sources([Path(args.source)])):
        raise SettingsError(
            f"{args.output} is where {args.source} lies, whose pictures the results would replace: "
            "choose another folder with OUTPUT=DIR"
        )


def _show(args: argparse.Namespace, window: Window | None, folder: Folder, lines: TextIO) -> int:
    """Run node and camera, and print what came of it, whatever ended them.

    Raises:
        KpPoseError: one of them failed before there was anything to show.
    """
    keep_image_memory()
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    namespace = f"/demo_{os.getpid()}"  # another demo on this machine has another one
    node = rclpy.create_node("planner", namespace=namespace)
    receiver = Receiver(node, folder, lines, window)
    end: BaseException | None = None
    try:
        _watch(args, receiver, namespace)
    except (KpPoseError, KeyboardInterrupt) as error:
        end = error
    finally:
        rclpy.shutdown()
    report = receiver.report
    if end is not None and (report is None or not report.latencies):
        raise end
    if report is None:
        raise KpPoseError("the node ended before it was ready")
    pictures = report.finish()
    print(report.summary())
    print("Look at", *pictures, lines.name, sep="\n  ")
    print(_NEXT, flush=True)
    if end is not None:
        raise end
    return 0


def _watch(args: argparse.Namespace, receiver: Receiver, namespace: str) -> None:
    """Start node and camera, and receive what comes until the camera ends.

    Raises:
        KpPoseError: one of them failed.
    """
    with Processes(args.output) as processes:
        print(f"Starting the node with {args.model} ...", flush=True)
        ros_arguments = ["--ros-args", "-r", f"__ns:={namespace}"]
        model = ["-p", f"model:={args.model}"]
        processes.start("pose_node", "kp_pose_ros.ros.process", *ros_arguments, *model)
        while receiver.report is None and processes.running("pose_node"):
            receiver.spin_once()
        print(f"... and a camera that shows {args.source}, both in {namespace}\n", flush=True)
        answers = str(_ANSWERS_IN_WINDOW if args.view else _ANSWERS)
        camera = ["kp_pose_ros.demo.camera", args.source, "--answers", answers]
        processes.start("camera", *camera, *ros_arguments)
        while processes.running("camera") and processes.running("pose_node"):
            receiver.spin_once()
            if receiver.closed:
                break
        end = monotonic() + _LAST_MESSAGES
        while monotonic() < end and not receiver.closed:
            receiver.spin_once()


if __name__ == "__main__":
    sys.exit(main())
