# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Skeletons: the names of a model's keypoints, the edges between them, and their colours."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kp_pose_ros.errors import ModelError, brief
from kp_pose_ros.resources import config_path, load_yaml

Rgb = tuple[int, int, int]  # red, green, blue, 0 to 255
Edge = tuple[int, int]

# The shipped skeletons and the class that a model without keypoint names must detect to get one:
# the number of keypoints alone does not tell a person from a horse (AP-10K has 17 keypoints, too).
BUILTIN = {"coco17": "person", "face5": "face", "hand21": "hand"}

_NO_PART: Rgb = (160, 160, 160)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Skeleton:
    """Names, edges and colours of K keypoints, in the order of the model's output.

    Attributes:
        name: its name in messages and logs.
        keypoint_names: the K names, all different.
        edges: pairs of 0-based keypoint indices to connect with a line.
        keypoint_colors: a colour for each keypoint.
        edge_colors: a colour for each edge.
    """

    name: str
    keypoint_names: tuple[str, ...]
    edges: tuple[Edge, ...]
    keypoint_colors: tuple[Rgb, ...]
    edge_colors: tuple[Rgb, ...]

    def __len__(self) -> int:
        return len(self.keypoint_names)

    @classmethod
    def find(cls, name_or_path: str | Path) -> Skeleton:
        """Return the shipped skeleton with a name, or the one in a file.

        Raises:
            ModelError: there is neither, or the file is inconsistent.
        """
        name = str(name_or_path)
        is_a_name = Path(name).stem == name and not os.path.lexists(name)
        return cls.builtin(name) if is_a_name or name in BUILTIN else cls.load(name_or_path)

    @classmethod
    def load(cls, path: str | Path) -> Skeleton:
        """Read a skeleton file; `config/skeletons/coco17.yaml` explains the format.

        Raises:
            ModelError: the file cannot be read or is inconsistent.
        """
        try:
            content = load_yaml(path, ModelError)
        except ModelError as error:
            names = ", ".join(BUILTIN)
            raise ModelError(
                f"the skeleton file {error}: expected a YAML file, or the name of a shipped "
                f"skeleton, {names}"
            ) from error
        try:
            return _parse(content)
        except _InvalidError as error:
            raise ModelError(f"the skeleton file {path} is wrong: {error}") from error

    @classmethod
    def builtin(cls, name: str) -> Skeleton:
        """Return a shipped skeleton: coco17, face5 or hand21.

        Raises:
            ModelError: there is none of that name.
        """
        if name not in BUILTIN:
            raise ModelError(
                f"there is no skeleton named {brief(name)}: "
                f"expected {', '.join(BUILTIN)} or the path of a YAML file"
            )
        return cls.load(config_path("skeletons", f"{name}.yaml"))

    @classmethod
    def generic(cls, count: int) -> Skeleton:
        """Return a skeleton of `count` keypoints named kp_0, kp_1, ... without edges."""
        return cls.from_names(f"generic{count}", tuple(f"kp_{i}" for i in range(count)))

    @classmethod
    def from_names(cls, name: str, keypoint_names: Sequence[str]) -> Skeleton:
        """Return a skeleton without edges, all grey."""
        return cls(name, tuple(keypoint_names), (), (_NO_PART,) * len(keypoint_names), ())


def find_skeleton(keypoint_names: Sequence[str], count: int, classes: Sequence[str]) -> Skeleton:
    """Return the skeleton of a model from the metadata in its file.

    Args:
        keypoint_names: the model's own names, or none.
        count: the model's number of keypoints.
        classes: the names of the classes that the model detects.

    Returns:
        A shipped skeleton if the keypoints' names are the same, or, for a model that does not name
        them, if their number and the class agree. Otherwise one without edges.
    """
    for name, class_name in BUILTIN.items():
        shipped = Skeleton.builtin(name)
        same_names = tuple(keypoint_names) == shipped.keypoint_names
        same_class = len(shipped) == count and [c.lower() for c in classes] == [class_name]
        if same_names or (same_class and not keypoint_names):
            return shipped
    if keypoint_names:
        _log.info("the model names its %d keypoints, but has no edges to draw", count)
        return Skeleton.from_names(f"custom{count}", keypoint_names)
    named = "1 keypoint, which is" if count == 1 else f"{count} keypoints, which are"
    names = "kp_0" if count == 1 else f"kp_0 to kp_{count - 1}"
    _log.warning(
        "the model has no names for its %s named %s, without edges: set a skeleton file to name "
        "and connect them",
        named,
        names,
    )
    return Skeleton.generic(count)


class _InvalidError(Exception):
    """What is wrong in a skeleton file; `Skeleton.load` adds the name of the file."""


def _parse(content: object) -> Skeleton:
    fields = _mapping(content, "the file", {"name", "keypoints", "parts"})
    name = fields.get("name")
    if not isinstance(name, str) or not name:
        raise _InvalidError(f"name must be a string, found {brief(name)}")
    names = _keypoint_names(fields.get("keypoints"))
    indices = {name: index for index, name in enumerate(names)}
    parts = fields.get("parts") or {}
    if not isinstance(parts, Mapping):
        raise _InvalidError(f"parts must be a mapping of part names, found {brief(parts)}")
    colors: dict[int, Rgb] = {}
    edges: dict[Edge, Rgb] = {}
    for part_name, content_of_part in parts.items():
        where = f"part {part_name}"
        part = _mapping(content_of_part, where, {"color", "keypoints", "edges"})
        color = _color(part.get("color"), where)
        for point in _list(part.get("keypoints"), f"keypoints of {where}"):
            index = _index(point, indices, where)
            if index in colors:
                raise _InvalidError(f"keypoint {names[index]} belongs to two parts")
            colors[index] = color
        for pair in _list(part.get("edges"), f"edges of {where}"):
            edges[_edge(pair, names, indices, where, edges)] = color
    point_colors = tuple(colors.get(i, _NO_PART) for i in range(len(names)))
    return Skeleton(name, names, tuple(edges), point_colors, tuple(edges.values()))


def _mapping(value: object, where: str, keys: set[str]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _InvalidError(
            f"{where} must be a mapping with {', '.join(sorted(keys))}, found {brief(value)}"
        )
    if unknown := sorted(str(key) for key in value if key not in keys):
        raise _InvalidError(
            f"{where} has the unknown key {unknown[0]}, expected {', '.join(sorted(keys))}"
        )
    return value


def _list(value: object, where: str) -> list[object]:
    if not isinstance(value, list):
        raise _InvalidError(f"{where} must be a list, found {brief(value)}")
    return value


def _keypoint_names(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise _InvalidError(f"keypoints must be a list of names, found {brief(value)}")
    known: set[str] = set()
    for place, name in enumerate(value):
        if not isinstance(name, str) or not name:
            raise _InvalidError(f"keypoint {place} must be a quoted string, found {brief(name)}")
        if name in known:
            raise _InvalidError(f"two keypoints are named {name}")
        known.add(name)
    return tuple(value)


def _color(value: object, where: str) -> Rgb:
    if (
        isinstance(value, list)
        and len(value) == 3
        and all(type(channel) is int and 0 <= channel <= 255 for channel in value)
    ):
        return (value[0], value[1], value[2])
    raise _InvalidError(
        f"the color of {where} must be three numbers from 0 to 255, found {brief(value)}"
    )


def _index(point: object, indices: Mapping[str, int], where: str) -> int:
    if type(point) is int and 0 <= point < len(indices):
        return point
    if isinstance(point, str) and point in indices:
        return indices[point]
    raise _InvalidError(
        f"{where} has the keypoint {brief(point)}, "
        f"expected a name from keypoints or 0 to {len(indices) - 1}"
    )


def _edge(
    pair: object,
    names: Sequence[str],
    indices: Mapping[str, int],
    where: str,
    known: Mapping[Edge, Rgb],
) -> Edge:
    if not isinstance(pair, list) or len(pair) != 2:
        raise _InvalidError(f"an edge of {where} must be a pair of keypoints, found {brief(pair)}")
    start, end = (_index(point, indices, where) for point in pair)
    if start == end:
        raise _InvalidError(f"{where} has an edge from {names[start]} to itself")
    if (start, end) in known or (end, start) in known:
        raise _InvalidError(f"the edge from {names[start]} to {names[end]} is listed twice")
    return (start, end)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The meaning of the indices in Poses.

    Attributes:
        skeleton: names and order of the keypoints.
        class_names: by class id.
    """

    skeleton: Skeleton
    class_names: tuple[str, ...]

    def class_name(self, class_id: int) -> str:
        """Return the name of a class, empty if it has none."""
        return self.class_names[class_id] if 0 <= class_id < len(self.class_names) else ""
