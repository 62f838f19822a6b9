# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from kp_pose_ros.tracking.smoothing import NEVER, smooth

SPAN = 400.0  # pixels: a person on a whole-body picture
NOISE = 0.005 * SPAN  # twice that of yolo11n-pose on a still person of this size


def filtered(points: np.ndarray, hz: float, *, strength=1.0, span=SPAN) -> np.ndarray:
    """Return (n, 2) points after the filter, images coming at a rate."""
    state, stamps = np.zeros((1, 1, 4)), np.full((1, 1), NEVER)
    output = []
    for i, point in enumerate(points):
        state, stamps = smooth(
            state,
            stamps,
            point[None, None],
            np.full((1, 1), 0.9),
            stamp=round(i / hz * 1e9),
            spans=np.array([span]),
            strength=strength,
        )
        output.append(state[0, 0, :2])
    return np.array(output)


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0, NOISE, (count, 2))


def waving(hz: float, reach: float) -> np.ndarray:
    """Return a hand that goes to and fro once a second for 20 s, with the model's noise."""
    seconds = np.arange(20 * hz) / hz
    return np.stack((reach * np.sin(2 * np.pi * seconds), 0 * seconds), axis=1)


def response(output: np.ndarray, truth: np.ndarray, hz: float) -> complex:
    """Return the fundamental, 1 Hz, of output, that of truth being 1."""
    carrier = np.exp(-2j * np.pi * np.arange(len(truth)) / hz)
    return (output[:, 0] @ carrier) / (truth[:, 0] @ carrier)


def delay(output: np.ndarray, truth: np.ndarray, hz: float) -> float:
    """Return by how many seconds the fundamental of output is behind."""
    return -np.angle(response(output, truth, hz)) / (2 * np.pi)


@pytest.mark.parametrize("hz", [10, 15, 30, 60])
def test_a_still_point_trembles_at_most_a_third_as_much(hz):
    points = noise(100 * hz)
    settled = slice(5 * hz, None)
    calm = filtered(points, hz)[settled].std(axis=0)
    assert (calm <= points[settled].std(axis=0) / 3).all()


@pytest.mark.parametrize(
    ("reach", "hz"),
    [  # 5, 20 and 42 cm of a person 1.7 m tall
        *((0.03, hz) for hz in (30, 60)),
        *((reach, hz) for reach in (0.12, 0.25) for hz in (15, 30, 60)),
    ],
)
def test_a_hand_that_waves_once_a_second_is_at_most_40_ms_late(hz, reach):
    truth = waving(hz, reach * SPAN)
    output = filtered(truth + noise(len(truth)), hz)
    assert delay(output, truth, hz) <= 0.040
    assert abs(response(output, truth, hz)) == pytest.approx(1, abs=0.1)


def test_twice_as_strong_is_calmer_and_later():
    truth = waving(30, 0.12 * SPAN)
    noisy, still = truth + noise(len(truth)), noise(3000)
    late = [delay(filtered(noisy, 30, strength=s), truth, 30) for s in (1, 2)]
    calm = [filtered(still, 30, strength=s)[150:].std() for s in (1, 2)]
    assert late[0] < late[1]
    assert calm[0] > calm[1]


def test_the_distance_to_the_camera_does_not_matter():
    near = waving(30, 0.1 * SPAN) + noise(600)
    np.testing.assert_allclose(filtered(near / 4, 30, span=SPAN / 4), filtered(near, 30) / 4)


def test_the_first_value_comes_back_as_it_is():
    assert filtered(np.array([(3.0, 4.0)]), 30).tolist() == [[3, 4]]


def test_an_untrusted_point_passes_and_begins_anew():
    state, stamps = np.zeros((1, 2, 4)), np.full((1, 2), NEVER)

    def update(points, weights, stamp):
        nonlocal state, stamps
        state, stamps = smooth(
            state,
            stamps,
            np.array([points], np.float64),
            np.array([weights], np.float64),
            stamp=stamp,
            spans=np.array([SPAN]),
            strength=1.0,
        )
        return state[0, :, :2].tolist()

    update([(0, 0), (0, 0)], [1, 1], 0)
    calmed, passed = update([(2, 0), (50, 0)], [1, 0], 33_000_000)
    assert 0 < calmed[0] < 2
    assert passed == [50, 0]
    assert stamps[0].tolist() == [33_000_000, NEVER]
    assert update([(2, 0), (9, 0)], [1, 1], 66_000_000)[1] == [9, 0]
