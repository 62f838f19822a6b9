# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A prepared graph in ONNX Runtime, and the memory that its input lives in."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from functools import partial

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from kp_pose_ros.errors import EngineError
from kp_pose_ros.image.frame import Frame, Pixels, Size
from kp_pose_ros.inference.decode import Candidates
from kp_pose_ros.inference.letterbox import Letterbox
from kp_pose_ros.models.model import PoseModel
from kp_pose_ros.poses import Floats
from kp_pose_ros.timing import StageTimes

_KEPT_CANVASES = 4  # shapes of frames that share a network
_TO_UNIT = np.float32(1 / 255)


class OnnxNetwork:
    """One graph at one size; any thread may run it, also beside others.

    Attributes:
        graph: its file.
        batch: how many frames it takes at once.
    """

    def __init__(self, model: PoseModel, size: Size, max_batch: int, threads: int) -> None:
        """Open it.

        Raises:
            EngineError: ONNX Runtime refuses the graph.
            ModelError: the model cannot be prepared for that size.
        """
        self.graph = graph = model.graph(size)
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        # Measured with yolo11n-pose on two cores: all optimisations (the default) are 1.4 times as
        # fast as the extended ones. Threads that spin while the network runs are worth 1.2; after
        # it they would keep the cores from the camera's driver.
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
        self._size = size
        self._free: deque[_Input] = deque()

    def run(self, frames: Sequence[Frame], times: StageTimes) -> list[Candidates]:
        """Return the candidates of at most `batch` frames.

        Raises:
            EngineError: ONNX Runtime failed.
        """
        try:
            taken = self._free.pop()
        except IndexError:  # every other is in use
            taken = _Input(self.batch, self._size)
        try:
            letterboxes = [taken.fill(slot, frame, times) for slot, frame in enumerate(frames)]
            with times.measure("infer"):
                rows = self._infer(taken, len(frames))
        finally:
            self._free.append(taken)
        return [Candidates(*pair) for pair in zip(rows, letterboxes, strict=False)]

    def call(self, frames: Sequence[Frame]) -> Callable[[], object]:
        """Return what runs the network alone on frames that are on its input."""
        filled = _Input(self.batch, self._size)
        for slot, frame in enumerate(frames):
            filled.fill(slot, frame, StageTimes())
        return partial(self._infer, filled, len(frames))

    def _infer(self, filled: _Input, count: int) -> Floats:
        """Run the network on the first `count` slots, or on all if it takes no other number."""
        batch = filled.batch[: self.batch if self._has_fixed_batch else count]
        try:
            (rows,) = self._session.run(None, {self._input.name: batch})
        except Exception as error:  # as above
            raise EngineError(
                f"ONNX Runtime failed on a batch of shape {batch.shape}: {error}"
            ) from error
        output: npt.NDArray[np.float32] = rows
        return output


class _Input:
    """The memory of one batch."""

    def __init__(self, batch: int, size: Size) -> None:
        self.batch = np.zeros((batch, 3, *size), np.float32)
        self._size = size
        self._planes: Pixels = np.empty((3, *size), np.uint8)
        self._canvases: OrderedDict[Size, tuple[Letterbox, Pixels]] = OrderedDict()

    def fill(self, slot: int, frame: Frame, times: StageTimes) -> Letterbox:
        """Write one frame into its place in the batch: RGB planes in [0, 1]."""
        with times.measure("convert"):
            picture = frame.to_bgr()
        with times.measure("letterbox"):
            letterbox, canvas = self._canvas(frame.size)
            letterbox.apply(picture, canvas)
            # A split and one multiplication: an eighth of the time of cv2.dnn.blobFromImage.
            red, green, blue = self._planes
            cv2.split(canvas, [blue, green, red])
            np.multiply(self._planes, _TO_UNIT, out=self.batch[slot])
        return letterbox

    def _canvas(self, source: Size) -> tuple[Letterbox, Pixels]:
        """Return the geometry for a camera's frames and a canvas whose padding is in place."""
        if source not in self._canvases:
            if len(self._canvases) == _KEPT_CANVASES:
                self._canvases.popitem(last=False)
            letterbox = Letterbox.fit(source, self._size)
            self._canvases[source] = letterbox, letterbox.canvas()
        self._canvases.move_to_end(source)
        return self._canvases[source]
