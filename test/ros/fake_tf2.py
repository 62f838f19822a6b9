# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The part of tf2_ros that kp_pose_ros uses, as documented, if it is not installed.

Transforms are interpolated between stamps, never extrapolated; time 0 is the newest; what is more
than 10 s older than the newest of its frame is refused.
"""

from bisect import bisect_left, insort

import numpy as np
from geometry_msgs.msg import TransformStamped
from scipy.spatial.transform import Rotation, Slerp

_CACHE = 10 * 10**9  # nanoseconds


class TransformException(Exception):
    pass


class LookupException(TransformException):
    pass


class ConnectivityException(TransformException):
    pass


class ExtrapolationException(TransformException):
    pass


class InvalidArgumentException(TransformException):
    pass


class Buffer:
    def __init__(self):
        self._moving, self._static = {}, {}  # by child: (stamp, parent, quaternion, translation)

    def clear(self):
        self._moving.clear()

    def set_transform(self, transform, authority):
        entry = _entry(transform)
        entries = self._moving.setdefault(transform.child_frame_id, [])
        if not entries or entry[0] >= entries[-1][0] - _CACHE:
            insort(entries, entry)

    def set_transform_static(self, transform, authority):
        self._static[transform.child_frame_id] = _entry(transform)

    def lookup_transform(self, target_frame, source_frame, time):
        for name in (target_frame, source_frame):
            if "\0" in name:
                raise ValueError("embedded null character")
            if not name or name.startswith("/"):
                raise InvalidArgumentException(f'Invalid argument "{name}" passed')
        target, source = (
            self._to_root(name, time.nanoseconds) for name in (target_frame, source_frame)
        )
        if target[0] != source[0]:
            raise ConnectivityException(
                f"Could not find a connection between '{target_frame}' and '{source_frame}'"
            )
        pose = np.linalg.inv(target[1]) @ source[1]
        found = TransformStamped()
        shift, turn = found.transform.translation, found.transform.rotation
        shift.x, shift.y, shift.z = pose[:3, 3].tolist()
        turn.x, turn.y, turn.z, turn.w = Rotation.from_matrix(pose[:3, :3]).as_quat().tolist()
        return found

    def _to_root(self, name, stamp):
        known = {*self._moving, *self._static}
        parents = {entry[1] for entries in self._moving.values() for entry in entries}
        if name not in known | parents | {entry[1] for entry in self._static.values()}:
            raise LookupException(f'"{name}" passed to lookupTransform does not exist.')
        pose = np.eye(4)
        while name in known:
            if name in self._static:
                _, name, turn, shift = self._static[name]
            else:
                name, turn, shift = _between(name, self._moving[name], stamp)
            step = np.eye(4)
            step[:3, :3], step[:3, 3] = Rotation.from_quat(turn).as_matrix(), shift
            pose = step @ pose
        return name, pose


def _entry(transform):
    stamp = transform.header.stamp.sec * 10**9 + transform.header.stamp.nanosec
    shift, turn = transform.transform.translation, transform.transform.rotation
    turn, shift = (turn.x, turn.y, turn.z, turn.w), (shift.x, shift.y, shift.z)
    return stamp, transform.header.frame_id, turn, shift


def _between(name, entries, stamp):
    stamps = [entry[0] for entry in entries]
    stamp = stamp or stamps[-1]
    if not stamps[0] <= stamp <= stamps[-1]:
        where = "past" if stamp < stamps[0] else "future"
        raise ExtrapolationException(
            f"Lookup would require extrapolation into the {where}.  Requested time {stamp * 1e-9} "
            f"when looking up transform from frame [{name}]"
        )
    index = max(bisect_left(stamps, stamp), 1)
    if len(entries) == 1:
        return entries[0][1:]
    (begin, parent, turn, shift), (end, _, next_turn, next_shift) = entries[index - 1 : index + 1]
    share = (stamp - begin) / (end - begin)
    turn = Slerp((0, 1), Rotation.from_quat((turn, next_turn)))(share).as_quat()
    return parent, turn, (1 - share) * np.array(shift) + share * np.array(next_shift)
