# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime on the CPU: the engine of the demo, the tests and the laptop."""

from __future__ import annotations

import logging
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from kp_pose_ros.decode import Candidates
from kp_pose_ros.errors import EngineError
from kp_pose_ros.frame import Frame, Pixels
from kp_pose_ros.letterbox import Letterbox
from kp_pose_ros.models.model import PoseModel
from kp_pose_ros.poses import Floats
from kp_pose_ros.timing import StageTimes

Size = tuple[int, int]

_log = logging.getLogger(__name__)
_KEPT_SESSIONS = 4  # a camera of a new shape costs a session; a robot has few shapes at a time
_TO_UNIT = np.float32(1 / 255)


class OnnxEngine:
    """Runs a model's prepared graph, one session for each network size that the frames need."""

    name = f"ONNX Runtime {ort.__version__} on the CPU"
    overlaps = False  # one batch keeps every core busy

    def __init__(self, model: PoseModel, imgsz: Size | None = None, max_batch: int = 1) -> None:
        """Open the engine; sessions are made when the first frame of a shape arrives.

        Args:
            model: what to run.
            imgsz: (height, width) of the network's input, or None to follow each camera's shape.
            max_batch: how many frames a batch has at most.
        """
        self.max_batch = max_batch
        self.times = StageTimes()
        self._model = model
        self._imgsz = imgsz
        self._sessions: OrderedDict[Size, _Session] = OrderedDict()

    def prepare(self, frame: Size) -> Path:
        """Open the network for frames of (height, width); return its graph. Raises as `infer`."""
        return self._session(self._model.network_size(frame, self._imgsz)).graph

    def submit(self, frames: Sequence[Frame]) -> Callable[[], list[Candidates]]:
        """Return the call that does all the work: `infer`."""
        return partial(self.infer, frames)

    def infer(self, frames: Sequence[Frame]) -> list[Candidates]:
        """Return the candidates of each frame.

        Raises:
            EngineError: ONNX Runtime refused the graph or failed while it ran.
            ModelError: the model cannot be prepared for the size that a frame needs.
        """
        by_size: defaultdict[Size, list[int]] = defaultdict(list)
        for index, frame in enumerate(frames):
            by_size[self._model.network_size(frame.size, self._imgsz)].append(index)
        found: dict[int, Candidates] = {}
        for size, indices in by_size.items():
            session = self._session(size)
            for start in range(0, len(indices), session.batch):
                chunk = indices[start : start + session.batch]
                candidates = session.run([frames[index] for index in chunk], self.times)
                found.update(zip(chunk, candidates, strict=True))
        return [found[index] for index in range(len(frames))]

    def network_call(self, frames: Sequence[Frame]) -> Callable[[], object]:
        """Return what runs the network alone on frames of one size: for benchmarks."""
        return self._session(self._model.network_size(frames[0].size, self._imgsz)).call(frames)

    def close(self) -> None:
        """Free the sessions."""
        self._sessions.clear()

    def _session(self, size: Size) -> _Session:
        if size not in self._sessions:
            if len(self._sessions) == _KEPT_SESSIONS:
                self._sessions.popitem(last=False)
            _log.info("preparing the network for %d x %d (height x width)", *size)
            self._sessions[size] = _Session(self._model, size, self.max_batch)
        self._sessions.move_to_end(size)
        return self._sessions[size]


class _Session:
    """One graph at one network size, with the memory that its input lives in."""

    def __init__(self, model: PoseModel, size: Size, max_batch: int) -> None:
        self.graph = graph = model.graph(size)
        options = ort.SessionOptions()
        # Measured with yolo11n-pose on two cores: a thread for each core (the default) is 1.6 times
        # as fast as one thread, all optimisations (the default) 1.4 times as fast as the extended
        # ones. Threads that spin while the network runs are worth 1.2; after it they would keep the
        # cores from the camera's driver.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        # Smaller shares of work: if a core is busy with something else, the other takes over.
        options.add_session_config_entry("session.dynamic_block_base", "4")
        try:
            self._session = ort.InferenceSession(
                str(graph), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime has no base class for its errors
            raise EngineError(
                f"ONNX Runtime {ort.__version__} refuses the graph {graph} of {model.path}: "
                f"{error}; expected a graph that it can run: delete the file, or export the model "
                "again with a lower opset"
            ) from error
        self._input = self._session.get_inputs()[0]
        fixed_batch = self._input.shape[0]
        self._has_fixed_batch = isinstance(fixed_batch, int)
        self.batch: int = fixed_batch if self._has_fixed_batch else max_batch
        self._size = size
        self._network = np.zeros((self.batch, 3, *size), np.float32)
        self._planes: Pixels = np.empty((3, *size), np.uint8)
        self._canvases: OrderedDict[Size, tuple[Letterbox, Pixels]] = OrderedDict()

    def run(self, frames: Sequence[Frame], times: StageTimes) -> list[Candidates]:
        """Return the candidates of at most `batch` frames."""
        letterboxes = [self._fill(slot, frame, times) for slot, frame in enumerate(frames)]
        with times.measure("infer"):
            rows = self._infer(len(frames))
        return [Candidates(*pair) for pair in zip(rows, letterboxes, strict=False)]

    def call(self, frames: Sequence[Frame]) -> Callable[[], object]:
        """Return what runs the network alone on frames that are on its input."""
        for slot, frame in enumerate(frames):
            self._fill(slot, frame, StageTimes())
        return partial(self._infer, len(frames))

    def _infer(self, count: int) -> Floats:
        """Run the network on the first `count` slots, or on all if it takes no other number."""
        network = self._network[: self.batch if self._has_fixed_batch else count]
        try:
            (rows,) = self._session.run(None, {self._input.name: network})
        except Exception as error:  # as above
            raise EngineError(
                f"ONNX Runtime failed on a batch of shape {network.shape}: {error}"
            ) from error
        output: npt.NDArray[np.float32] = rows
        return output

    def _fill(self, slot: int, frame: Frame, times: StageTimes) -> Letterbox:
        """Write one frame into its place in the batch: RGB planes in [0, 1]."""
        with times.measure("convert"):
            picture = frame.to_bgr()
        with times.measure("letterbox"):
            letterbox, canvas = self._canvas(frame.size)
            letterbox.apply(picture, canvas)
            # A split and one multiplication: an eighth of the time of cv2.dnn.blobFromImage.
            red, green, blue = self._planes
            cv2.split(canvas, [blue, green, red])
            np.multiply(self._planes, _TO_UNIT, out=self._network[slot])
        return letterbox

    def _canvas(self, source: Size) -> tuple[Letterbox, Pixels]:
        """Return the geometry for a camera's frames and a canvas whose padding is in place."""
        if source not in self._canvases:
            if len(self._canvases) == _KEPT_SESSIONS:
                self._canvases.popitem(last=False)
            letterbox = Letterbox.fit(source, self._size)
            self._canvases[source] = letterbox, letterbox.canvas()
        self._canvases.move_to_end(source)
        return self._canvases[source]
