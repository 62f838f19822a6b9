# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What can go wrong, by side. Every message is one sentence a user can act on."""


class KpPoseError(Exception):
    """Base of every error that is meant for the user's eyes, not for a traceback."""


class SettingsError(KpPoseError):
    """A parameter or an argument has a value that cannot be used."""


class ModelError(KpPoseError):
    """A model file cannot be read, is not a pose model, or does not fit its skeleton."""


class EngineError(KpPoseError):
    """An engine cannot be opened or built, or failed while it ran."""


class FrameError(KpPoseError):
    """A camera frame contradicts itself or has an encoding that cannot be read."""


class BagError(KpPoseError):
    """A bag cannot be read or written."""


class CalibrationError(KpPoseError):
    """A camera's calibration, or where it stands, is missing or cannot be true."""
