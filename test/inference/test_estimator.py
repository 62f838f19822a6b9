# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
from concurrent.futures import Future
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from kp_pose_ros.errors import FrameError
from kp_pose_ros.image.frame import Frame
from kp_pose_ros.image.jpeg import decode_compressed, encode_jpeg
from kp_pose_ros.inference.decode import Candidates, DecodeSettings
from kp_pose_ros.inference.estimator import PoseEstimator, overlapping
from kp_pose_ros.inference.factory import EstimatorSettings, make_estimator
from kp_pose_ros.inference.letterbox import Letterbox
from kp_pose_ros.models.layouts import Layout
from kp_pose_ros.poses import OBSERVED
from kp_pose_ros.timing import StageTimes

MODEL = SimpleNamespace(
    path="pose.onnx",
    metadata=SimpleNamespace(class_names=("person",), kpt_shape=(1, 3), layout=Layout.RAW),
)


class OnePersonEach:
    """An engine that finds one person in the middle of every frame, with a score of 0.5."""

    name = "a stand-in"
    max_batch = 4
    overlaps = True

    def __init__(self):
        self.times = StageTimes()

    def submit(self, frames):
        row = np.array([[24, 24, 40, 40, 0.5, 0, 32, 32, 0.9]], np.float32)
        found = [Candidates(row, Letterbox.fit(frame.size, (64, 64))) for frame in frames]
        pending = Future()
        pending.set_result(found)
        return pending

    def close(self):
        pass


def frame(height: int, width: int) -> Frame:
    return Frame(np.zeros((height, width, 3), np.uint8))


def test_each_frame_gets_poses_in_its_own_pixels():
    estimator = PoseEstimator(OnePersonEach(), MODEL, DecodeSettings())
    small, large = estimator.estimate([frame(64, 64), frame(640, 640)])
    assert small.keypoints[0, 0].tolist() == pytest.approx([32, 32, 0.9])
    assert large.keypoints[0, 0].tolist() == pytest.approx([320, 320, 0.9])


def test_a_reduced_frame_gets_poses_in_the_camera_s_pixels():
    reduced = Frame(np.zeros((64, 64, 3), np.uint8), reduction=4)
    (poses,) = PoseEstimator(OnePersonEach(), MODEL, DecodeSettings()).estimate([reduced])
    assert poses.keypoints[0, 0].tolist() == pytest.approx([128, 128, 0.9])
    assert poses.boxes[0].tolist() == [96, 96, 160, 160]


def test_no_frames_give_no_poses():
    assert PoseEstimator(OnePersonEach(), MODEL, DecodeSettings()).estimate([]) == []


def test_new_settings_count_from_the_next_frame():
    estimator = PoseEstimator(OnePersonEach(), MODEL, DecodeSettings(score_threshold=0.4))
    assert len(estimator.estimate([frame(64, 64)])[0]) == 1
    estimator.settings = DecodeSettings(score_threshold=0.6)
    assert len(estimator.estimate([frame(64, 64)])[0]) == 0


def test_decoding_is_timed():
    estimator = PoseEstimator(OnePersonEach(), MODEL, DecodeSettings())
    estimator.estimate([frame(64, 64)])
    assert len(estimator.engine.times.seconds()["decode"]) == 1


@pytest.mark.parametrize(
    ("photo", "size"), [("bus.jpg", (1920, 1440)), ("zidane.jpg", (1080, 1920))]
)
def test_a_jpeg_decoded_at_half_its_size_shows_the_same_people(
    demo_weights, demo_photo, photo, size
):
    _, estimator = make_estimator(EstimatorSettings(demo_weights))
    large = cv2.resize(demo_photo(photo), size[::-1], interpolation=cv2.INTER_CUBIC)
    jpeg = encode_jpeg(large, 90).tobytes()
    reduced = decode_compressed(jpeg, lambda size: 640 * size[1] // max(size))
    assert reduced.reduction == 2
    (found,) = estimator.estimate([reduced])
    (expected,) = estimator.estimate([decode_compressed(jpeg)])
    network_pixel = max(size) / 640
    assert len(found) == len(expected) >= 2
    np.testing.assert_allclose(found.scores, expected.scores, atol=0.03)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=5 * network_pixel)
    distances = np.linalg.norm((found.keypoints - expected.keypoints)[..., :2], axis=2)
    assert np.median(distances[expected.states == OBSERVED]) < network_pixel


class Countdown:
    """A pending result that can be asked for once."""

    def __init__(self, script, frames):
        self._script, self._frames = script, frames

    def result(self):
        self._script.append(f"end {len(self._frames[0].pixels)}")
        return OnePersonEach().submit(self._frames).result()


def test_a_stream_begins_the_next_frame_before_it_gives_the_one_before():
    script, engine = [], OnePersonEach()

    def submit(frames):
        script.append(f"begin {len(frames[0].pixels)}")
        return Countdown(script, frames)

    engine.submit = submit
    estimator = PoseEstimator(engine, MODEL, DecodeSettings())
    frames = [frame(height, 64) for height in (1, 2, 3)]
    assert [each for each, _ in estimator.stream(frames)] == frames
    assert script == ["begin 1", "begin 2", "end 1", "begin 3", "end 2", "end 3"]


def test_a_stream_that_is_abandoned_asks_for_every_result():
    script, engine = [], OnePersonEach()
    engine.submit = lambda frames: Countdown(script, frames)
    frames = [frame(height, 64) for height in (1, 2, 3)]
    stream = PoseEstimator(engine, MODEL, DecodeSettings()).stream(frames)
    next(stream)
    stream.close()
    assert script == ["end 1", "end 2"]


def test_a_stream_that_breaks_off_gives_what_came_before():
    def frames():
        yield frame(64, 64)
        raise FrameError("broken off")

    found = PoseEstimator(OnePersonEach(), MODEL, DecodeSettings()).stream(frames())
    assert len(next(found)[1]) == 1
    with pytest.raises(FrameError, match="broken off"):
        next(found)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_next_batch_begins_before_this_one_is_asked_for(count):
    begun = []

    def begin():
        for number in range(count):
            begun.append(number)
            yield number

    yielded = [(batch, len(begun)) for batch in overlapping(begin())]
    assert yielded == [(number, min(number + 2, count)) for number in range(count)]
