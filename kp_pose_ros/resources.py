# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files of the installed package, and safe reading and writing of other files."""

from __future__ import annotations

import os
import platform
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from kp_pose_ros.errors import KpPoseError, brief

_HERE = Path(__file__).parent

_LARGEST_YAML = 2**20  # bytes
_DEEPEST_YAML = 20  # levels; ours have five
_LONGEST_INTEGER = 80  # characters; 64 bits need as many in binary


def config_path(*parts: str) -> Path:
    """Return the path of a file of `config/`, such as `config_path("skeletons", "coco17.yaml")`.

    It is inside the installed Python package, and beside it in the source tree.
    """
    installed = _HERE / "config"
    return (installed if installed.is_dir() else _HERE.parent / "config").joinpath(*parts)


def interfaces_path() -> Path:
    """Return the folder of our message definitions: `msg/` in the source tree."""
    installed = _HERE / "interfaces"
    return installed if installed.is_dir() else _HERE.parent / "msg"


def own_version() -> str | None:
    """Return this package's version; None where it runs without having been installed."""
    from importlib.metadata import PackageNotFoundError, version  # not above: it takes 30 ms

    try:
        return version("kp_pose_ros")
    except PackageNotFoundError:
        return None


def versions() -> dict[str, str]:
    """Return versions by name: of this package, the ROS 2 distribution, Python and libraries."""
    import cv2  # not above: Spark's workers read rules, and have no OpenCV
    import numpy as np

    found = {
        "kp_pose_ros": own_version(),
        "ROS 2": os.environ.get("ROS_DISTRO"),
        "Python": platform.python_version(),
        "numpy": np.__version__,
        "OpenCV": cv2.__version__,
    }
    return {name: each for name, each in found.items() if each}


@contextmanager
def open_regular(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file to read; anything but a regular file is refused, since it may never end.

    Raises:
        OSError: the file cannot be opened, or is a folder, a FIFO, a device or a socket.
    """
    try:  # O_NONBLOCK: opening a FIFO would wait for a writer
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # a NUL character, or one that the file system cannot encode
        raise OSError(0, f"{error}") from error
    with os.fdopen(descriptor, "rb", closefd=True) as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "it is not a regular file")
        yield stream


def read_file(path: str | Path, largest: int) -> bytes:
    """Return the content of a regular file of at most `largest` bytes.

    Raises:
        OSError: the file cannot be read, is not a regular file or is larger.
    """
    with open_regular(path) as stream:
        is_larger = os.fstat(stream.fileno()).st_size > largest  # it may have holes for terabytes
        content = b"" if is_larger else stream.read(largest + 1)
    if is_larger or len(content) > largest:
        raise OSError(0, f"it has more than the {largest} bytes that are expected at most")
    return content


@contextmanager
def replace_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file that appears under its name when it is whole, or not at all.

    It is written under a new random name in the same folder, so that no link that someone planted
    under a name known beforehand is followed. A link at `path` itself is replaced.

    Raises:
        OSError: the file cannot be written.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as stream:
            yield stream
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def load_yaml(path: str | Path, error: type[KpPoseError]) -> Any:
    """Return the content of a YAML file: mappings, lists, strings, numbers, booleans and None.

    Dates are strings. What a hand-written file does not need is refused: more than 1 MB or 20
    levels, aliases, tags other than those of the types above, a key twice in a mapping, integers
    beyond 64 bits and strings with control characters.

    Args:
        path: a regular file.
        error: the class of what is raised.

    Raises:
        KpPoseError: of the class `error`; the file cannot be read or is refused.
    """
    try:
        text = read_file(path, _LARGEST_YAML).decode("utf-8-sig")
        _check_events(text)
        return yaml.load(text, _Loader)  # noqa: S506  it makes no objects
    except OSError as cause:
        raise error(f"{path} cannot be read: {cause.strerror}") from cause
    except Exception as cause:  # PyYAML lets KeyError, IndexError and ValueError through
        reason = " ".join(str(cause).split()) or type(cause).__name__
        raise error(f"{path} cannot be read: {reason}") from cause


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Knows only the tags of YAML's basic types, and does not parse dates."""


def _check_events(text: str) -> None:
    """Refuse what would take far more time or memory than the size of the text suggests."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        match event:
            case yaml.CollectionStartEvent():
                depth += 1
            case yaml.CollectionEndEvent():
                depth -= 1
            case yaml.AliasEvent():
                raise yaml.YAMLError(f"it has the alias *{event.anchor}: repeat the value instead")
            case yaml.ScalarEvent() if not _is_plain(event.value):
                raise yaml.YAMLError(f"the text {brief(event.value)} has control characters")
        if depth > _DEEPEST_YAML:
            raise yaml.YAMLError(f"it has more than {_DEEPEST_YAML} levels")


def _is_plain(text: str) -> bool:
    return text.isprintable() or text.replace("\n", "").replace("\t", "").isprintable()


def _integer(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    number = loader.construct_yaml_int(node) if len(node.value) <= _LONGEST_INTEGER else 2**63
    if not -(2**63) <= number < 2**63:
        raise yaml.YAMLError(f"the integer {brief(node.value)} is too large")
    return number


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    content = loader.construct_mapping(node, deep=True)
    if len(content) < len(node.value):
        raise yaml.YAMLError(f"a key is repeated in the mapping of line {node.start_mark.line + 1}")
    return content


_BASIC = ("null", "bool", "float", "str", "seq")
_TAG = "tag:yaml.org,2002:"
_Loader.yaml_constructors = {
    **{_TAG + name: yaml.SafeLoader.yaml_constructors[_TAG + name] for name in _BASIC},
    _TAG + "int": _integer,
    _TAG + "map": _mapping,
    None: yaml.SafeLoader.yaml_constructors[None],
}
_Loader.yaml_implicit_resolvers = {
    first: [each for each in resolvers if each[0] != _TAG + "timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
