# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The rig file with the poses of cameras; docs/space.md explains it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from kp_pose_ros.errors import CalibrationError, brief
from kp_pose_ros.poses import Array
from kp_pose_ros.resources import load_yaml
from kp_pose_ros.space.camera import CameraModel
from kp_pose_ros.space.multi_camera.rig import Rig, Viewpoint

_UNIT = 0.01  # by how much the length of a quaternion, rounded by hand, may differ from 1


@dataclass(frozen=True, slots=True, eq=False)
class RigFile:
    """Calibrated cameras that do not move relative to each other.

    Attributes:
        frame_id: the common frame.
        viewpoints: by the cameras' names, two or more at different places.
    """

    frame_id: str
    viewpoints: dict[str, Viewpoint]

    @classmethod
    def load(cls, path: str | Path) -> RigFile:
        """Read a rig and the calibrations of its cameras.

        Raises:
            CalibrationError: a file cannot be read, or its values are impossible for cameras.
        """
        content = _read(Path(path))
        try:
            frame_id = content.get("frame_id")
            if not isinstance(frame_id, str) or not frame_id:
                raise CalibrationError(
                    f"frame_id is {brief(frame_id)}: expected the common frame's name"
                )
            cameras = _mapping(content, "cameras")
            viewpoints = {
                str(name): _viewpoint(
                    f"camera '{name}'", _mapping(cameras, name), Path(path).parent
                )
                for name in cameras
            }
            Rig(list(viewpoints.values()))
        except CalibrationError as error:
            raise CalibrationError(f"rig {path}: {error}") from error
        return cls(frame_id, viewpoints)


def write_rig(
    path: Path, frame_id: str, poses: Mapping[str, Array], calibrations: Mapping[str, Path]
) -> None:
    """Write a new rig file.

    Args:
        path: the file, which must not exist.
        frame_id: the common frame.
        poses: each camera's (4, 4) pose by name, as in a `Viewpoint`.
        calibrations: paths of the cameras' calibrations.

    Raises:
        CalibrationError: the file exists, or cannot be written.
    """
    from scipy.spatial.transform import Rotation  # not above: it takes 0.3 s and 30 MB

    cameras = {
        name: {
            "translation": pose[:3, 3].round(5).tolist(),
            "rotation": Rotation.from_matrix(pose[:3, :3]).as_quat().round(7).tolist(),
            "calibration": os.path.relpath(calibrations[name], path.parent),
        }
        for name, pose in poses.items()
    }
    content = yaml.safe_dump({"frame_id": frame_id, "cameras": cameras}, sort_keys=False)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(content)
    except OSError as error:
        raise CalibrationError(f"the rig {path} cannot be written: {error.strerror}") from error


def _viewpoint(label: str, camera: Mapping[str, Any], folder: Path) -> Viewpoint:
    from scipy.spatial.transform import Rotation

    try:
        pose = np.eye(4)
        pose[:3, 3] = _numbers(camera, "translation", 3, "x, y, z in metres")
        rotation = _numbers(camera, "rotation", 4, "a unit quaternion x, y, z, w")
        if abs(np.linalg.norm(rotation) - 1) > _UNIT:
            raise CalibrationError(
                f"rotation {rotation.tolist()} has the length {np.linalg.norm(rotation):.3g}: "
                "expected a unit quaternion x, y, z, w"
            )
        pose[:3, :3] = Rotation.from_quat(rotation).as_matrix()
        calibration = camera.get("calibration")
        if not isinstance(calibration, str) or not calibration:
            raise CalibrationError(
                f"calibration is {brief(calibration)}: expected the path of the file that "
                "camera_calibration wrote"
            )
        return Viewpoint(read_calibration(folder / calibration), pose)
    except CalibrationError as error:
        raise CalibrationError(f"{label}: {error}") from error


def read_calibration(path: Path) -> CameraModel:
    """Read a camera from a calibration file, in the format of camera_info_manager.

    Raises:
        CalibrationError: the file cannot be read, or its values are impossible for a camera.
    """
    content = _read(path)
    height, width = content.get("image_height"), content.get("image_width")
    if not isinstance(height, int) or not isinstance(width, int):
        raise CalibrationError(
            f"{path} has image_height {brief(height)} and image_width {brief(width)}: "
            "expected pixels"
        )
    matrix = _numbers(_mapping(content, "camera_matrix"), "data", 9, "the matrix K, row by row")
    distortion = _mapping(content, "distortion_coefficients")
    return CameraModel(
        (height, width),
        matrix,
        str(content.get("distortion_model", "")),
        _numbers(distortion, "data", None, "the lens's coefficients"),
    )


def _read(path: Path) -> Mapping[str, Any]:
    content = load_yaml(path, CalibrationError)
    if not isinstance(content, Mapping):
        raise CalibrationError(f"{path} is wrong: expected a YAML mapping, found {brief(content)}")
    return content


def _mapping(content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = content.get(key)
    if not isinstance(value, Mapping):
        raise CalibrationError(f"{key} is {brief(value)}: expected a mapping")
    return value


def _numbers(content: Mapping[str, Any], key: str, count: int | None, what: str) -> Array:
    value = content.get(key)
    try:
        numbers = np.array(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        numbers = np.full(1, np.nan)
    right = numbers.ndim == 1 and count in (None, len(numbers)) and np.isfinite(numbers).all()
    if not right:
        raise CalibrationError(f"{key} is {brief(value)}: expected {what}")
    return numbers
