#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measures the share of people that a model finds, by their height in the network's input.

    tools/in_ros_env tools/measure_recall.py vtest.avi build/demo/photos --model yolo11n-pose

The reference is the people whom the model finds at twice the size and who are wholly in the
picture: head and both ankles visible, away from the edges. The picture is then scaled down step by
step and pasted onto a grey one of the network's size. A person is found again if a pose overlaps
theirs by half (intersection over union). vtest.avi is in Debian's opencv-doc.
"""

from __future__ import annotations

import argparse
import sys
from itertools import islice, pairwise
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from kp_pose_ros.errors import KpPoseError
from kp_pose_ros.image.files import find_sources
from kp_pose_ros.image.frame import Frame, Pixels
from kp_pose_ros.inference.estimator import PoseEstimator
from kp_pose_ros.inference.factory import EstimatorSettings, make_estimator
from kp_pose_ros.poses import OBSERVED, Floats, Poses

BOUNDS = (12, 16, 20, 24, 28, 32, 40, 48, 64, 96, 128, 256)  # pixels
STEP = 0.87  # from one size to the next
GREY = 114  # of a letterbox
OVERLAP = 0.5
EDGE = 2  # pixels; a person nearer to an edge of the picture may be cut off
HEAD = (("left_eye", "right_eye"), ("left_ear", "right_ear"))
ANKLES = ("left_ankle", "right_ankle")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("inputs", type=Path, nargs="+", help="pictures, videos, folders of them")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--side", type=int, default=640, help="side of the network's input, pixels")
    parser.add_argument("--every", type=int, default=30, help="use every n-th image of a video")
    args = parser.parse_args()
    try:
        table = measure(args)
    except (KpPoseError, ValueError) as error:
        sys.exit(f"measure_recall: {error}")
    print("| pixels | samples | found |\n|---|---|---|")
    for low, high in pairwise(BOUNDS):
        found = [each for height, each in table if low <= height < high]
        if found:
            print(f"| {low} to {high} | {len(found)} | {np.mean(found):.0%} |")


def measure(args: argparse.Namespace) -> list[tuple[float, bool]]:
    """Return the height of each person in the network's input, and whether they were found."""
    reference, estimator = (
        make_estimator(EstimatorSettings(args.model, imgsz=(side, side)))
        for side in (2 * args.side, args.side)
    )
    pictures = [
        picture
        for source in find_sources(args.inputs)
        for picture in islice(source, 0, None, args.every)
    ]
    random = np.random.default_rng(1)
    table = []
    for picture in tqdm(pictures, unit="picture"):
        boxes = whole(picture, reference[1], reference[0].skeleton.keypoint_names)
        scale = args.side / max(picture.shape[:2])
        while len(boxes) and (heights := (boxes[:, 3] - boxes[:, 1]) * scale).max() >= BOUNDS[0]:
            canvas, corner = pasted(picture, scale, args.side, random)
            [poses] = estimator[1].estimate([Frame(canvas)])
            places = boxes * np.float32(scale) + np.tile(corner, 2)
            table += [
                (float(height), bool((overlaps(poses, place) >= OVERLAP).any()))
                for height, place in zip(heights, places, strict=True)
            ]
            scale *= STEP
    return table


def whole(picture: Pixels, estimator: PoseEstimator, names: tuple[str, ...]) -> Floats:
    """Return the boxes of the people who are wholly in a picture."""
    [poses] = estimator.estimate([Frame(picture)])
    seen = poses.states == OBSERVED
    ankles = seen[:, [names.index(name) for name in ANKLES]].all(axis=1)
    head = [seen[:, [names.index(name) for name in pair]].any(axis=1) for pair in HEAD]
    far = np.array((*picture.shape[1::-1],)) - EDGE
    inside = (poses.boxes[:, :2] >= EDGE).all(axis=1) & (poses.boxes[:, 2:] <= far).all(axis=1)
    boxes: Floats = poses.boxes[ankles & np.any(head, axis=0) & inside]
    return boxes


def pasted(
    picture: Pixels, scale: float, side: int, random: np.random.Generator
) -> tuple[Pixels, Floats]:
    """Return a grey picture with a smaller one somewhere on it, and the corner (x, y) of that."""
    height, width = (max(1, round(each * scale)) for each in picture.shape[:2])
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    x, y = (int(random.integers(0, side - each + 1)) for each in (width, height))
    canvas = np.full((side, side, 3), GREY, np.uint8)
    canvas[y : y + height, x : x + width] = small
    return canvas, np.array((x, y), np.float32)


def overlaps(poses: Poses, box: Floats) -> npt.NDArray[np.floating]:
    """Return (n,), intersection over union of each pose's box with another one."""
    corner = np.minimum(poses.boxes[:, 2:], box[2:]) - np.maximum(poses.boxes[:, :2], box[:2])
    common = corner.clip(0).prod(axis=1)
    areas = (poses.boxes[:, 2:] - poses.boxes[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
    shares: npt.NDArray[np.floating] = common / np.maximum(areas - common, 1e-9)
    return shares


if __name__ == "__main__":
    main()
