# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PoseModel: a validated model file, and the graph that engines run for it."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import onnx

from kp_pose_ros.errors import KpPoseError, ModelError, SettingsError, printable
from kp_pose_ros.models.cache import cached, content_hash
from kp_pose_ros.models.fetch import PUBLISHED, find_fetched
from kp_pose_ros.models.formats import EXPECTED, Size, find_format
from kp_pose_ros.models.layouts import NAMED_LAYOUTS, Layout
from kp_pose_ros.models.metadata import Assumed, ModelMetadata
from kp_pose_ros.models.precision import Precision, to_half
from kp_pose_ros.models.prepare import prepare
from kp_pose_ros.skeleton import Skeleton, Vocabulary, find_skeleton

__all__ = ["PoseModel", "Precision", "Size"]

_LARGEST_SIDE = 8192  # even the smallest network needs gigabytes for it
# Increment it when the same model file yields a different graph than before, so that graphs cached
# by earlier code are not used. test_graph_version.py detects such a change.
GRAPH_VERSION = 3
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PoseModel:
    """A pose model on disk."""

    path: Path  # a .pt, .onnx, .zip or .engine file
    sha256: str  # of the content that `metadata` describes
    metadata: ModelMetadata
    skeleton: Skeleton

    @property
    def vocabulary(self) -> Vocabulary:
        """The meaning of the indices in the model's Poses."""
        return Vocabulary(self.skeleton, self.metadata.class_names)

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        skeleton: str | Path | None = None,
        layout: Layout | None = None,
    ) -> PoseModel:
        """Open a model file and validate it.

        A model that opens can also be prepared.

        Args:
            path: a .pt, .onnx, .zip or .engine file, or the name of a model that `kp_pose fetch`
                downloaded.
            skeleton: a skeleton file, or the name of a shipped one; None: the model's own.
            layout: the layout of the model's output; None: the one that the file states.

        Raises:
            ModelError: the file cannot be read, is not a pose model, or does not match `skeleton`.
        """
        try:
            path = _find(path)
        except OSError as error:  # a name that is too long, a folder that may not be entered
            raise ModelError(f"the model {path} cannot be read: {error.strerror}") from error
        chosen = None if skeleton is None else Skeleton.find(skeleton)
        assumed = Assumed(layout, None if chosen is None else len(chosen))
        with _as_model_errors(path):
            sha256 = _content_hash(path)
            metadata = find_format(path).metadata(path, assumed)
        return cls(path, sha256, metadata, _skeleton(metadata, chosen, path))

    def network_size(self, frame: Size, imgsz: Size | None) -> Size:
        """Return the (height, width) of the network's input for frames of a size.

        Args:
            frame: (height, width) of the camera's frames in pixels.
            imgsz: (height, width) that the user set, or None to follow the frame: the model's long
                side, and as short side the smallest multiple of the stride that fits the frame's
                aspect ratio.

        Raises:
            SettingsError: the model cannot run at `imgsz`.
        """
        metadata = self.metadata
        if imgsz is not None:
            self._check_size(imgsz)
            return imgsz
        if metadata.size_is_static:
            return metadata.imgsz
        long_side = _round_up(max(metadata.imgsz), metadata.stride)
        gain = long_side / max(frame)
        height, width = (max(1, round(side * gain)) for side in frame)
        return _round_up(height, metadata.stride), _round_up(width, metadata.stride)

    def graph(self, network: Size, *, precision: Precision = "fp32") -> Path:
        """Return the ONNX file that engines run; it is made once and then cached.

        Args:
            network: (height, width) of the input, from `network_size`.
            precision: "fp16" gives float16 weights and activations; input and output stay float32.

        Raises:
            ModelError: the graph cannot be made, the cache cannot be written, or the model's file
                has changed since it was opened.
        """
        read_as = f"{self.metadata.layout.value} {self.metadata.kpt_shape}"
        facts = f"{self.sha256} {read_as} {GRAPH_VERSION}"
        key = hashlib.sha256(facts.encode()).hexdigest()[:16]
        stem = re.sub(r"[^\w.-]", "_", self.path.stem)[:40]
        name = f"{stem}-{network[0]}x{network[1]}-{precision}-{key}.onnx"

        def make() -> bytes:
            _log.info("preparing %s for %d x %d, %s", self.path, *network, precision)
            content = bytes(self.make_graph(network, precision).SerializeToString())
            if _content_hash(self.path) != self.sha256:
                raise ModelError(
                    f"{self.path} has changed since it was opened: restart the program to use the "
                    "new model"
                )
            return content

        return cached(name, make)

    def make_graph(
        self, network: Size, precision: Precision, *, batch: int | None = None
    ) -> onnx.ModelProto:
        """Return the graph that engines run; `batch` fixes its number of pictures.

        Raises:
            ModelError: the graph cannot be made.
        """
        with _as_model_errors(self.path):
            graph = find_format(self.path).graph(self.path, network)
            if precision == "fp16":
                to_half(graph, self.path)
            prepare(graph, network, metadata=self.metadata, batch=batch, source=self.path)
        return graph

    def _check_size(self, imgsz: Size) -> None:
        metadata = self.metadata
        if metadata.size_is_static and imgsz != metadata.imgsz:
            raise SettingsError(
                f"imgsz is {imgsz[0]} x {imgsz[1]}, but {self.path} has the fixed size "
                f"{metadata.imgsz[0]} x {metadata.imgsz[1]}: set imgsz to auto, or export the "
                "model again"
            )
        if max(imgsz) > _LARGEST_SIDE:
            raise SettingsError(
                f"imgsz is {imgsz[0]} x {imgsz[1]}: expected at most {_LARGEST_SIDE} pixels a side"
            )
        stride = metadata.stride
        if any(side < stride or side % stride for side in imgsz):
            mended = [_round_up(max(side, 1), stride) for side in imgsz]
            raise SettingsError(
                f"imgsz is {imgsz[0]} x {imgsz[1]}: expected multiples of {stride}, the stride of "
                f"{self.path}, such as {mended[0]} x {mended[1]}"
            )


def open_model(path: Path | str, skeleton: str | None, layout: str) -> PoseModel:
    """Open a model as a user describes it.

    Raises:
        SettingsError: no layout has that name.
        ModelError: the model or skeleton file cannot be used.
    """
    if layout not in NAMED_LAYOUTS:
        raise SettingsError(
            f"layout '{layout}' is unknown: expected one of {', '.join(NAMED_LAYOUTS)}"
        )
    return PoseModel.open(
        path, skeleton=skeleton, layout=None if layout == "auto" else Layout(layout)
    )


def _find(path_or_name: str | Path) -> Path:
    path = Path(path_or_name)
    with suppress(RuntimeError):  # raised for a user who does not exist
        path = path.expanduser()
    if path.is_file():
        return path
    is_plain = path.name == str(path_or_name)
    if path.suffix:
        found = "is a folder" if path.is_dir() else "does not exist"
        name = f" or {path.stem}, which was fetched" if is_plain and find_fetched(path.stem) else ""
        raise ModelError(f"the model file {path} {found}: expected {EXPECTED}{name}")
    fetched = find_fetched(path.name) if is_plain else None
    if fetched is None:
        is_published = str(path_or_name) in PUBLISHED
        mend = f"run `kp_pose fetch {path_or_name}`, or give" if is_published else "expected"
        raise ModelError(
            f"the model {path_or_name} was not found: {mend} {EXPECTED} or the name of a "
            "fetched model"
        )
    return fetched


def _skeleton(metadata: ModelMetadata, chosen: Skeleton | None, path: Path) -> Skeleton:
    count = metadata.kpt_shape[0]
    if chosen is None:
        return find_skeleton(metadata.keypoint_names, count, metadata.class_names)
    if len(chosen) != count:
        raise ModelError(
            f"the skeleton {chosen.name} has {len(chosen)} keypoints, but the model {path} has "
            f"{count}: set the skeleton that the model was trained with"
        )
    return chosen


def _content_hash(path: Path) -> str:
    """Return the SHA-256 of a model file, together with the other files of its weights."""
    return content_hash(path, *find_format(path).more_files(path))


@contextmanager
def _as_model_errors(path: Path) -> Iterator[None]:
    """Convert any exception of a reader to a ModelError that names the file."""
    try:
        yield
    except KpPoseError:
        raise
    except Exception as error:  # a malformed file can raise anything in onnx and numpy
        reason = printable(f"{type(error).__name__}: {error}", 200)
        raise ModelError(
            f"the model in {path} is inconsistent ({reason}): download or export it again"
        ) from error


def _round_up(side: int, stride: int) -> int:
    return -(-side // stride) * stride
