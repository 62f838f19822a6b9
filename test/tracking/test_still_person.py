# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Real people who stand still, with a camera's noise and compression in every image."""

import cv2
import numpy as np
import pytest

from kp_pose_ros.image.frame import Frame
from kp_pose_ros.inference.factory import EstimatorSettings, make_estimator
from kp_pose_ros.poses import OBSERVED
from kp_pose_ros.tracking.association import COCO_SIGMAS
from kp_pose_ros.tracking.tracker import Tracker, TrackingSettings

HZ, IMAGES, SETTLED = 30, 45, 15


@pytest.mark.parametrize("name", ["bus.jpg", "zidane.jpg"])
def test_keypoints_tremble_at_most_a_third_as_much(demo_weights, demo_photo, name):
    _, estimator = make_estimator(EstimatorSettings(demo_weights, engine="onnx", imgsz=(384, 384)))
    tracker = Tracker(TrackingSettings(smoothing=1.0, predict_ms=200.0), COCO_SIGMAS)
    raw: dict[int, list[np.ndarray]] = {}
    steady: dict[int, list[np.ndarray]] = {}
    for index, picture in enumerate(camera(demo_photo(name))):
        [poses] = estimator.estimate([Frame(picture)])
        tracked = tracker.update(poses, round(index / HZ * 1e9))
        for place in np.flatnonzero((poses.scores > 0.5) & (tracked.track_ids >= 0)):
            unseen = (poses.states[place] != OBSERVED)[:, None]
            track_id = int(tracked.track_ids[place])
            for lists, source in ((raw, poses), (steady, tracked)):
                xy = np.where(unseen, np.nan, source.keypoints[place, :, :2])
                lists.setdefault(track_id, []).append(xy)
    ratios = np.concatenate([jitter(steady[i]) / jitter(raw[i]) for i in raw if len(raw[i]) > 30])
    ratios = ratios[np.isfinite(ratios)]
    print(f"\n{name}: {np.median(ratios):.2f} of the jitter is left, of {len(ratios)} keypoints")
    assert np.median(ratios) <= 1 / 3


def camera(photo: np.ndarray):
    random = np.random.default_rng(0)
    for _ in range(IMAGES):
        noisy = np.clip(photo + random.normal(0, 4, photo.shape), 0, 255).astype(np.uint8)
        yield cv2.imdecode(cv2.imencode(".jpg", noisy, (cv2.IMWRITE_JPEG_QUALITY, 80))[1], 1)


def jitter(points: list[np.ndarray]) -> np.ndarray:
    """Return the standard deviation over images of each keypoint, NaN if it was not always seen."""
    return np.array(points[SETTLED:]).std(axis=0).mean(axis=-1)
