# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from rendered import JOINTS

from kp_pose_ros.errors import CalibrationError
from kp_pose_ros.poses import Poses, observed
from kp_pose_ros.spatial.camera import CameraModel
from kp_pose_ros.spatial.rig import Viewpoint
from kp_pose_ros.triangulation import MISSING, Triangulator

FOCAL = 800.0
CAMERA = CameraModel((720, 1280), np.array((FOCAL, 0, 640, 0, FOCAL, 360, 0, 0, 1)))
WIDE = CameraModel(
    (720, 1280),
    np.array((600.0, 0, 640, 0, 600, 360, 0, 0, 1)),
    "equidistant",
    np.array((-0.01, 0.05, -0.045, 0.008)),
)


def looking_at_the_middle(x: float, y: float, z: float, camera=CAMERA) -> Viewpoint:
    """Return a camera at a place of a room (z up, metres) that looks at 1 m above its middle."""
    forward = np.array((0, 0, 1.0)) - (x, y, z)
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, (0, 0, 1.0))
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack((right, np.cross(forward, right), forward), axis=1)
    pose[:3, 3] = (x, y, z)
    return Viewpoint(camera, pose)


ROOM = (
    looking_at_the_middle(-4, -3, 2.2),
    looking_at_the_middle(4, -3.5, 2.8),
    looking_at_the_middle(0.5, 5, 1.6),
)
# Joints of somebody who stands in the middle of the room.
STANDING = np.stack((JOINTS[:, 0], JOINTS[:, 2], 0.85 - JOINTS[:, 1]), axis=1)


def people(count: int, seed: int) -> np.ndarray:
    """Return the (count, 17, 3) joints of people at different places who look about."""
    random = np.random.default_rng(seed)
    places: list[np.ndarray] = []
    while len(places) < count:
        place = random.uniform(-1.5, 1.5, 2)
        if all(np.linalg.norm(place - other) > 0.6 for other in places):
            places.append(place)
    turns = random.uniform(0, 2 * np.pi, count)
    spins = np.array([((np.cos(t), -np.sin(t)), (np.sin(t), np.cos(t))) for t in turns])
    joints = np.repeat(STANDING[None], count, axis=0) * random.uniform(0.9, 1.1, (count, 1, 1))
    joints[..., :2] = np.einsum("nij,nkj->nki", spins, joints[..., :2]) + np.array(places)[:, None]
    return joints


def seen_by(viewpoint: Viewpoint, joints: np.ndarray, noise=0.0, seed=0) -> Poses:
    """Return what a camera's model makes of (n, 17, 3) joints; noise in pixels."""
    pose = np.linalg.inv(viewpoint.pose)
    keypoints = np.full((*joints.shape[:2], 3), 0.9, np.float32)
    keypoints[..., :2] = viewpoint.camera.project(joints @ pose[:3, :3].T + pose[:3, 3])
    random = np.random.default_rng(seed)
    keypoints[..., :2] += random.normal(size=(*joints.shape[:2], 2)) * noise
    boxes = np.concatenate((keypoints[..., :2].min(axis=1), keypoints[..., :2].max(axis=1)), axis=1)
    return Poses(
        boxes, np.ones(len(joints), np.float32), keypoints, states=observed(keypoints, 0.5)
    )


def predicted_errors(views, joints: np.ndarray, noise: float, seed: int) -> np.ndarray:
    """Return errors, (n, 17, 200) metres, drawn from what linear theory says.

    The covariance of a point is the inverse of the sum over views of J' J / noise^2, J being the
    derivative of its pixel by its place (Hartley and Zisserman, section 5.2).
    """
    information = np.zeros((*joints.shape[:2], 3, 3))
    for view in views:
        turn = np.linalg.inv(view.pose)[:3]
        x, y, z = np.moveaxis(joints @ turn[:, :3].T + turn[:, 3], -1, 0)
        zero = np.zeros_like(z)
        slope = np.stack(
            (np.stack((1 / z, zero, -x / z**2), -1), np.stack((zero, 1 / z, -y / z**2), -1)), -2
        )
        jacobian = FOCAL * slope @ turn[:, :3]
        information += np.swapaxes(jacobian, -1, -2) @ jacobian / noise**2
    spread = np.linalg.cholesky(np.linalg.inv(information))
    draws = spread @ np.random.default_rng(seed).normal(size=(3, 200))
    return np.linalg.norm(draws, axis=-2)


def error(joined, joints: np.ndarray) -> np.ndarray:
    """Return the (m, 17) errors, metres, of people who come in the order of the first view."""
    return np.linalg.norm(joined.points - joints[joined.members[:, 0]], axis=-1)


@pytest.mark.parametrize("count", [2, 3])
def test_errors_are_what_linear_theory_predicts(count):
    views, errors, predicted = ROOM[:count], [], []
    for seed in range(200):
        joints = people(1, seed)
        poses = [seen_by(view, joints, 1.0, 10 * seed + i) for i, view in enumerate(views)]
        errors.append(error(Triangulator(views).join(poses), joints))
        predicted.append(predicted_errors(views, joints, 1.0, seed))
    found, theory = np.median(errors), np.median(predicted)
    print(f"\n{count} views: median {found * 1e3:.2f} mm, theory {theory * 1e3:.2f} mm")
    # The median of 3400 draws is right to within 2 %.
    assert found <= 1.04 * theory


@pytest.mark.parametrize("camera", [CAMERA, WIDE], ids=["pinhole", "fisheye"])
def test_without_noise_the_truth_comes_back(camera):
    views = [Viewpoint(camera, view.pose) for view in ROOM]
    joints = people(3, 0)
    joined = Triangulator(views).join([seen_by(view, joints) for view in views])
    assert len(joined.points) == 3
    np.testing.assert_allclose(error(joined, joints), 0, atol=1e-4)


@pytest.mark.parametrize("view", [0, 1, 2])
def test_a_view_that_contradicts_the_others_is_left_out(view):
    joints = people(1, 3)
    poses = [seen_by(viewpoint, joints, 0.5, i) for i, viewpoint in enumerate(ROOM)]
    poses[view].keypoints[0, 9, :2] += (70, -50)
    errors = error(Triangulator(ROOM).join(poses), joints)
    assert np.isfinite(errors).all()
    assert errors.max() < 0.03


def test_two_views_that_contradict_each_other_give_no_point():
    joints = people(1, 3)
    poses = [seen_by(viewpoint, joints) for viewpoint in ROOM[:2]]
    poses[1].keypoints[0, 9, 1] += 80
    [valid] = np.isfinite(Triangulator(ROOM[:2]).join(poses).points).all(axis=-1)
    assert np.flatnonzero(~valid).tolist() == [9]


@pytest.mark.parametrize("views", [2, 3])
@pytest.mark.parametrize("seed", range(20))
def test_people_are_never_swapped(views, seed):
    random = np.random.default_rng(seed)
    joints = people(5, seed)
    orders = [random.permutation(5) for _ in range(views)]
    poses = [
        seen_by(view, joints[order], 2.0, 10 * seed + i)
        for i, (view, order) in enumerate(zip(ROOM, orders, strict=False))
    ]
    joined = Triangulator(ROOM[:views]).join(poses)
    who = np.stack([order[joined.members[:, v]] for v, order in enumerate(orders)], axis=1)
    assert (who == who[:, :1]).all()
    assert sorted(who[:, 0].tolist()) == [0, 1, 2, 3, 4]


def test_somebody_whom_one_camera_misses_is_joined_from_the_others():
    joints = people(2, 1)
    poses = [seen_by(view, joints) for view in ROOM]
    poses[1] = poses[1][:1]
    joined = Triangulator(ROOM).join(poses)
    assert sorted(joined.members.tolist()) == [[0, 0, 0], [1, MISSING, 1]]
    assert np.isfinite(joined.points).all()


def test_somebody_whom_only_one_camera_sees_is_nowhere():
    joints = people(1, 1)
    nobody = Poses.empty(17)
    joined = Triangulator(ROOM).join([seen_by(ROOM[0], joints), nobody, nobody])
    assert joined.points.shape == (0, 17, 3)
    assert joined.members.shape == (0, 3)


def test_absent_keypoints_do_not_take_part():
    joints = people(1, 1)
    poses = [seen_by(view, joints) for view in ROOM]
    for view in poses[:2]:
        view.states[0, 9] = 0
        view.keypoints[0, 9, :2] = 0
    [valid] = np.isfinite(Triangulator(ROOM).join(poses).points).all(axis=-1)
    assert np.flatnonzero(~valid).tolist() == [9]


@pytest.mark.parametrize(
    "pose",
    [
        pytest.param(np.zeros((4, 4)), id="zeros"),
        pytest.param(np.diag((1.0, 1, 0, 1)), id="singular"),
        pytest.param(np.diag((1.0, 1, -1, 1)), id="a mirror"),
        pytest.param(np.full((4, 4), np.nan), id="not a number"),
        pytest.param(np.eye(3), id="three by three"),
    ],
)
def test_what_is_no_pose_is_refused(pose):
    with pytest.raises(CalibrationError, match="extrinsics"):
        Viewpoint(CAMERA, pose)


def test_cameras_have_to_be_several_at_different_places():
    with pytest.raises(CalibrationError, match="two or more"):
        Triangulator(ROOM[:1])
    with pytest.raises(CalibrationError, match="different places"):
        Triangulator((ROOM[0], ROOM[1], ROOM[0]))
