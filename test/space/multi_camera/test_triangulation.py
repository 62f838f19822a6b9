# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from room import CAMERA, FOCAL, ROOM, WIDE, people, seen_by

from kp_pose_ros.errors import CalibrationError
from kp_pose_ros.poses import ABSENT, Poses
from kp_pose_ros.space.camera import CameraModel
from kp_pose_ros.space.multi_camera.rig import Viewpoint
from kp_pose_ros.space.multi_camera.triangulation import MISSING, Triangulator


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


def test_a_common_frame_in_which_a_camera_is_the_origin_is_as_good_as_any():
    """There, what is tried with that camera alone, to find a wrong view, has no depth."""
    first = np.linalg.inv(ROOM[0].pose)
    views = [Viewpoint(view.camera, first @ view.pose) for view in ROOM]
    joints = people(3, 2)
    poses = [seen_by(view, joints, 1.0, i) for i, view in enumerate(ROOM)]
    poses[2].states[:, 10:] = ABSENT
    poses[2].keypoints[0, 9, :2] += (70, -50)
    joined = Triangulator(views).join(poses)
    truth = joints[joined.members[:, 0]] @ first[:3, :3].T + first[:3, 3]
    assert np.linalg.norm(joined.points - truth, axis=-1).max() < 0.1


def test_absent_keypoints_do_not_take_part():
    joints = people(1, 1)
    poses = [seen_by(view, joints) for view in ROOM]
    for view in poses[:2]:
        view.states[0, 9] = 0
        view.keypoints[0, 9, :2] = 0
    [valid] = np.isfinite(Triangulator(ROOM).join(poses).points).all(axis=-1)
    assert np.flatnonzero(~valid).tolist() == [9]


@pytest.mark.parametrize("nonsense", [np.nan, np.inf, -1e6])
def test_where_a_lens_model_knows_nothing_the_view_does_not_take_part(nonsense, monkeypatch):
    inside = CameraModel.at_depth_one

    def at_depth_one(camera, pixels):
        return np.where(pixels < -5000, nonsense, inside(camera, pixels))

    monkeypatch.setattr(CameraModel, "at_depth_one", at_depth_one)
    joints = people(1, 1)
    poses = [seen_by(view, joints) for view in ROOM]
    poses[0].keypoints[0, 9, 0] = -6000
    joined = Triangulator(ROOM).join(poses)
    np.testing.assert_allclose(error(joined, joints), 0, atol=1e-4)


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
