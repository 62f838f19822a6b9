# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags on disk: message types, reading a bag, and writing a copy with added messages."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from rosbags.interfaces import (
    MessageDefinitionFormat,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import Reader, StoragePlugin, Writer, WriterError
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore

from kp_pose_ros.bags.decompression import limit_decompression
from kp_pose_ros.errors import BagError
from kp_pose_ros.resources import interfaces_path, open_regular

limit_decompression()
# What SQLite has not moved into its database, as when a recorder was killed; rosbags ignores it.
_JOURNALS = ("-wal", "-journal")
# What mends a bag, by what rosbags says of it and how its files' names end; the first one counts.
_MENDS = {
    r"metadata file|bag metadata": "`ros2 bag reindex` makes a new metadata.yaml",
    r"files are missing": "put them back, or have `ros2 bag reindex` leave them out",
    r"\.mcap": "after a recorder was killed, `mcap recover` restores its file",
    r"\.db3": '`sqlite3 FILE ".recover" | sqlite3 NEW.db3` restores what is left in a damaged file',
    r"\.bag": "if it is of ROS 1, convert it with `rosbags-convert --src FILE --dst NEW`",
    "": "expected a rosbag2 folder, an .mcap or a .db3 file",
}
_FOREVER = QosTime(sec=9223372036, nsec=854775807)
# Humble and later read metadata of this version; Humble does not read later versions.
_VERSION: Final = 8
# From vision_msgs 4, which rosbags does not include.
_VISION = {
    "Point2D": "float64 x\nfloat64 y",
    "Pose2D": "Point2D position\nfloat64 theta",
    "BoundingBox2D": "Pose2D center\nfloat64 size_x\nfloat64 size_y",
    "ObjectHypothesis": "string class_id\nfloat64 score",
    "ObjectHypothesisWithPose": (
        "ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose"
    ),
    "Detection2D": (
        "std_msgs/Header header\nObjectHypothesisWithPose[] results\nBoundingBox2D bbox\nstring id"
    ),
    "Detection2DArray": "std_msgs/Header header\nDetection2D[] detections",
}


def make_typestore() -> Any:
    """Return a rosbags typestore with ROS's own types, vision_msgs and this package's.

    ROS's own are those of Humble: bags of later distributions contain their definitions.
    """
    store = get_typestore(Stores.ROS2_HUMBLE)
    texts = {f"vision_msgs/msg/{name}": text for name, text in _VISION.items()}
    for path in sorted(interfaces_path().glob("*.msg")):
        texts[f"kp_pose_ros/msg/{path.stem}"] = path.read_text(encoding="utf-8")
    for name, text in texts.items():
        store.register(get_types_from_msg(text, name))
    return store


@contextmanager
def open_bag(path: Path) -> Iterator[Reader]:
    """Open a rosbag2 folder, an .mcap or a .db3 file.

    Raises:
        BagError: it cannot be opened.
    """
    with _reading(path):
        files = list(path.iterdir()) if path.is_dir() else [path]
        for file in files:
            if not file.is_dir():
                with open_regular(file):  # a FIFO would hang
                    pass
    for file in files:
        for journal in (Path(f"{file}{suffix}") for suffix in _JOURNALS):
            if journal.is_file() and journal.stat().st_size:
                raise BagError(
                    f"the bag's recorder was killed, and left messages in {journal}: put "
                    f"them into the bag with `sqlite3 {file} 'PRAGMA journal_mode=DELETE'` first"
                )
    with _reading(path):
        reader = Reader(path)
        reader.open()
    try:
        yield reader
    finally:
        reader.close()


def read_messages(bag: Reader) -> Iterator[tuple[Any, int, bytes]]:
    """Yield connection, time of arrival in nanoseconds and content of each message.

    Raises:
        BagError: the bag is damaged.
    """
    with _reading(bag.path):
        yield from bag.messages()


@contextmanager
def _reading(path: object) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # rosbags passes on errors of sqlite, decompressors and struct
        reason = getattr(error, "strerror", None) or error
        told = f"{reason} {path} {[each.name for each in Path(str(path)).glob('*')]}"
        mend = next(mend for sign, mend in _MENDS.items() if re.search(sign, told))
        raise BagError(f"the bag {path} cannot be read ({reason}): {mend}") from error


class Output:
    """A new bag, which is complete however its `with` block ends, even by an error."""

    def __init__(self, path: Path, source: Reader, store: Any) -> None:
        """Create the bag, with every topic of `source`.

        Args:
            path: the folder to make.
            source: the bag that will be copied; the new one gets the same kind of storage.
            store: a typestore with the types for bags that lack definitions.

        Raises:
            BagError: the folder exists or cannot be made.
        """
        self._path = path
        self._source = source.path
        self._store = store
        with self._errors():
            self._writer = Writer(path, version=_VERSION, storage_plugin=_storage(source))
            self._writer.open()
            self._copies = {each.id: self._copy_of(each) for each in source.connections}
        self._results: dict[str, Any] = {}

    def __enter__(self) -> Output:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        try:
            with self._errors():
                self._writer.close()
        except BagError:
            with suppress(Exception):
                self._writer.abort()
            if error is None:
                raise

    def copy(self, connection: Any, stamp: int, content: bytes) -> None:
        """Write a message of the source unchanged."""
        with self._errors():
            self._writer.write(self._copies[connection.id], stamp, content)

    def write(
        self, topic: str, type_name: str, stamp: int, content: bytes, *, latched: bool = False
    ) -> None:
        """Write a new serialized message; the first one on a topic creates it.

        `stamp` is when it was received, in nanoseconds; `latched` is whether a player must keep it
        for late subscribers.
        """
        with self._errors():
            if topic not in self._results:
                self._results[topic] = self._writer.add_connection(
                    topic, type_name, typestore=self._store, offered_qos_profiles=[_qos(latched)]
                )
            self._writer.write(self._results[topic], stamp, content)

    def _copy_of(self, connection: Any) -> Any:
        definition, digest = connection.msgdef.data, connection.digest
        with _reading(self._source):
            if connection.msgdef.format == MessageDefinitionFormat.NONE:
                definition, digest = self._definition(connection.msgtype)
            digest = digest or _digest(connection)
        return self._writer.add_connection(
            connection.topic,
            connection.msgtype,
            msgdef=definition,
            rihs01=digest,
            serialization_format=connection.ext.serialization_format,
            offered_qos_profiles=connection.ext.offered_qos_profiles,
        )

    def _definition(self, type_name: str) -> tuple[str, str]:
        """Return the definition and hash that a bag lacks; empty for types that are not ROS's."""
        if type_name not in self._store.fielddefs:
            self._store.register(get_types_from_msg("", type_name))
        return (
            self._store.generate_msgdef(type_name, ros_version=2)[0],
            self._store.hash_rihs01(type_name),
        )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (WriterError, OSError, sqlite3.Error) as error:
            raise BagError(
                f"the bag {self._path} cannot be written ({error}): give a folder that does not "
                "exist yet, on a disk with room for it"
            ) from error


def _digest(connection: Any) -> str:
    """Return the hash of a type that the bag has no hash of, as in bags of Humble."""
    store = get_typestore(Stores.EMPTY)
    text = connection.msgdef.data
    if connection.msgdef.format == MessageDefinitionFormat.MSG:
        store.register(get_types_from_msg(text, connection.msgtype))
    else:
        for part in re.split(r"={80}\nIDL: .*\n", text)[1:]:
            store.register(get_types_from_idl(part))
    digest: str = store.hash_rihs01(connection.msgtype)
    return digest


def _storage(source: Reader) -> StoragePlugin:
    """Return a bag's kind of storage."""
    path = Path(str(source.path))
    files = [path, *path.glob("*")]
    is_mcap = any(".mcap" in file.suffixes for file in files)
    return StoragePlugin.MCAP if is_mcap else StoragePlugin.SQLITE3


def _qos(latched: bool) -> Qos:
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=1 if latched else 10,
        reliability=QosReliability.RELIABLE,
        durability=QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        deadline=_FOREVER,
        lifespan=_FOREVER,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=_FOREVER,
        avoid_ros_namespace_conventions=False,
    )
