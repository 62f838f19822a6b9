# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo: a camera in one process, the node in another, a subscriber in this one."""

from __future__ import annotations

if __name__ == "__main__":  # the other imports take a second, in which a signal may come
    from kp_pose_ros.errors import INTERRUPTED
    from kp_pose_ros.ros.process import exit_on_signals

    exit_on_signals(INTERRUPTED)

import argparse
import os
import sys
from pathlib import Path

import rclpy

from kp_pose_ros.demo.camera import WEBCAM
from kp_pose_ros.demo.folder import Folder
from kp_pose_ros.demo.processes import Processes
from kp_pose_ros.demo.receiver import DemoReceiver
from kp_pose_ros.demo.window import Window
from kp_pose_ros.errors import INTERRUPTED, KpPoseError, SettingsError, run_program, show
from kp_pose_ros.image.files import find_sources
from kp_pose_ros.image.tuning import tune_process
from kp_pose_ros.ros.process import Ending, start_rclpy

_FOLDER = Path("build/demo")
_ANSWERS = 5  # to each picture
_ANSWERS_IN_WINDOW = 30  # so that there is time to look at it
_LAST_SPINS = 25  # after the camera's end, without a message: 0.5 s on an idle machine

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
    return run_program("demo", lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    ending = Ending()
    _check_source(args)
    window = Window("kp_pose_ros") if args.view else None
    folder = Folder(args.output)
    with folder.file("poses.jsonl").open("w", encoding="utf-8") as lines:
        _show(args, DemoReceiver(folder, lines, window, ending))
    if ending.has_come():
        show("demo: stopped", file=sys.stderr)
        return INTERRUPTED
    return 0


def _check_source(args: argparse.Namespace) -> None:
    """Check the source before the results of an earlier run are deleted."""
    if WEBCAM.fullmatch(args.source):
        return
    output = args.output.resolve()
    if any(each.path.resolve().parent == output for each in find_sources([Path(args.source)])):
        raise SettingsError(
            f"{args.source} is in {args.output}, where the results would replace its pictures: "
            "choose another folder with OUTPUT=DIR"
        )


def _show(args: argparse.Namespace, receiver: DemoReceiver) -> None:
    """Run the node and the camera, and print what was received, even if one of them failed."""
    tune_process()
    start_rclpy([])
    try:
        # A unique one, in case another demo runs on this machine.
        _watch(args, receiver, namespace=f"/demo_{os.getpid()}")
    finally:
        rclpy.shutdown()
        if receiver.report is not None and receiver.report.latencies:
            pictures = receiver.report.finish()
            show(*receiver.report.summary().splitlines())
            show("Look at", *(f"  {each}" for each in (*pictures, receiver.lines.name)))
            show(*_NEXT.splitlines())


def _watch(args: argparse.Namespace, receiver: DemoReceiver, namespace: str) -> None:
    """Start the node and the camera, and receive messages until the camera ends."""
    receiver.subscribe(namespace)
    with Processes(args.output) as processes:
        show(f"Starting the node with {args.model} ...")
        ros_arguments = ["--ros-args", "-r", f"__ns:={namespace}"]
        model = ["-p", f"model:={args.model}"]
        processes.start("pose_node", "kp_pose_ros.ros.pose_node", *ros_arguments, *model)
        while receiver.report is None and receiver.spin_once():
            if not processes.is_running("pose_node"):
                raise KpPoseError("the node ended before it was ready")
        if receiver.report is None:  # stopped before
            return
        show(f"... and a camera that shows {args.source}, both in {namespace}", "")
        answers = str(_ANSWERS_IN_WINDOW if args.view else _ANSWERS)
        camera = ["kp_pose_ros.demo.camera", args.source, "--answers", answers]
        processes.start("camera", *camera, *ros_arguments)
        try:
            while all(map(processes.is_running, ("camera", "pose_node"))) and receiver.spin_once():
                pass
        finally:  # a camera that failed has shown something, too
            _receive_the_last(receiver)


def _receive_the_last(receiver: DemoReceiver) -> None:
    """Receive what is in transit. Spins are counted, not seconds, since a machine may be busy."""
    spins = 0
    while spins < _LAST_SPINS:
        received = receiver.received
        if not receiver.spin_once():
            return
        spins = spins + 1 if receiver.received == received else 0


if __name__ == "__main__":
    sys.exit(main())
