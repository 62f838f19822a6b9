# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings -> model -> engine -> PoseEstimator: the one place that chooses an engine."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from kp_pose_ros.errors import EngineError, SettingsError
from kp_pose_ros.image.frame import Size
from kp_pose_ros.inference.decode import DecodeSettings
from kp_pose_ros.inference.estimator import Engine, PoseEstimator
from kp_pose_ros.inference.letterbox import Letterbox
from kp_pose_ros.inference.progress import Progress, ProgressLog
from kp_pose_ros.inference.tensorrt.gpu import UnavailableError, has_gpu, why_unavailable
from kp_pose_ros.models.model import PoseModel, open_model
from kp_pose_ros.settings import ENGINES

_log = logging.getLogger(__name__)
_WIDESCREEN = (1080, 1920)  # (height, width) of most cameras' images, for an example


@dataclass(frozen=True, slots=True)
class EstimatorSettings:
    """What an estimator is made of."""

    model: Path
    # path of a skeleton file or name of a shipped one; None takes what the model says
    skeleton: str | None = None
    engine: str = "auto"  # one of `ENGINES` in settings
    # what the model's output looks like, one of `NAMED_LAYOUTS` in models.layouts
    layout: str = "auto"
    # (height, width) of the network's input in pixels, or None to follow each camera
    imgsz: Size | None = None
    precision: str = "fp16"  # fp32, fp16 or int8, for the engine 'tensorrt'
    device: str = "CPU"  # CPU, GPU or NPU, for the engine 'openvino'
    # names of ONNX Runtime's execution providers, for the engine 'onnx'; none: the CPU
    providers: tuple[str, ...] = ()
    # how many the network has on the CPU; None: one for each core that is left
    threads: int | None = None
    max_batch: int = 1  # how many frames the engine takes at once
    # thresholds and limits
    decode: DecodeSettings = field(default_factory=DecodeSettings)


Maker = Callable[[PoseModel, EstimatorSettings, Progress], Engine]


def make_estimator(
    settings: EstimatorSettings, progress: Progress | None = None
) -> tuple[PoseModel, PoseEstimator]:
    """Open the model and an engine for it; without `progress`, builds report theirs to the log.

    Raises:
        SettingsError: no engine has that name, or the model cannot run at `imgsz`.
        ModelError: the model or skeleton file cannot be used.
        EngineError: the engine cannot run here.
    """
    if settings.engine not in _MAKERS:
        raise SettingsError(
            f"engine '{settings.engine}' is unknown: expected one of {', '.join(ENGINES)}"
        )
    model = open_model(settings.model, settings.skeleton, settings.layout)
    if settings.imgsz is not None:
        model.network_size(settings.imgsz, settings.imgsz)  # refuses what the model cannot take
    engine = _MAKERS[settings.engine](model, settings, progress or ProgressLog())
    return model, PoseEstimator(engine, model, settings.decode)


def network_columns(model: PoseModel, imgsz: Size | None, picture: Size) -> int:
    """Return how many columns a picture of (height, width) has in the network's input."""
    return Letterbox.fit(picture, model.network_size(picture, imgsz)).resized[1]


def build_engine(model: PoseModel, estimator: PoseEstimator, settings: EstimatorSettings) -> Path:
    """Build what the estimator needs before its first frame; return the file that it runs.

    Raises:
        SettingsError: the size of the network's input is not known without a frame.
        EngineError: the engine cannot be built.
        ModelError: the model cannot be prepared.
    """
    size = settings.imgsz
    if size is None and model.metadata.size_is_static:
        size = model.metadata.imgsz
    if size is None:
        height, width = model.network_size(_WIDESCREEN, None)
        raise SettingsError(
            "build_only has no image to take the network's size from, and imgsz is auto: set imgsz "
            f"to the size that the camera's images need, such as '{height}, {width}' for 16:9"
        )
    return estimator.engine.prepare(size)


@contextmanager
def _needs(engine: str, library: str, package: str) -> Iterator[None]:
    """Say what to install if the body of the `with` statement cannot import an engine's library."""
    try:
        yield
    except ImportError as error:
        raise EngineError(
            f"engine '{engine}' needs {library}, which cannot be imported ({error}): "
            f"install it with `pip install {package}`"
        ) from error


def _onnx(model: PoseModel, settings: EstimatorSettings, _: Progress) -> Engine:
    with _needs("onnx", "ONNX Runtime", "onnxruntime"):
        from kp_pose_ros.inference.onnx.engine import OnnxEngine
    return OnnxEngine(
        model, settings.imgsz, settings.max_batch, settings.providers, settings.threads
    )


def _openvino(model: PoseModel, settings: EstimatorSettings, _: Progress) -> Engine:
    with _needs("openvino", "OpenVINO", "openvino"):
        from kp_pose_ros.inference.openvino.engine import OpenVinoEngine
    return OpenVinoEngine(
        model, settings.imgsz, settings.max_batch, settings.device, settings.threads
    )


def _tensorrt(model: PoseModel, settings: EstimatorSettings, progress: Progress) -> Engine:
    if reason := why_unavailable():
        raise UnavailableError(reason)
    from kp_pose_ros.inference.tensorrt.engine import TensorRTEngine

    return TensorRTEngine(
        model,
        settings.imgsz,
        settings.max_batch,
        precision=settings.precision,
        progress=progress,
    )


@cache
def _has_bfloat16() -> bool:
    """Return whether OpenVINO is installed and the CPU computes in bfloat16, where it is faster."""
    if importlib.util.find_spec("openvino") is None:
        return False
    try:
        from kp_pose_ros.inference.openvino.engine import cpu_precision
    except ImportError:
        return False
    return cpu_precision() == "bf16"


def _auto(model: PoseModel, settings: EstimatorSettings, progress: Progress) -> Engine:
    engine: Engine | None = None
    level, why = logging.INFO, "since no NVIDIA GPU was found"
    if has_gpu():  # else TensorRT is not imported, whose libraries take 80 MB of memory
        try:
            engine, why = _tensorrt(model, settings, progress), "since there is an NVIDIA GPU"
        except UnavailableError as error:
            level, why = logging.WARNING, f"although there is an NVIDIA GPU, because {error.reason}"
    engine = engine or _on_cpu(model, settings, progress)
    _say_once(level, f"engine auto: {engine.name}, {why}")
    return engine


def _on_cpu(model: PoseModel, settings: EstimatorSettings, progress: Progress) -> Engine:
    make = _openvino if _has_bfloat16() and not settings.providers else _onnx
    return make(model, settings, progress)


@cache  # a program may open many estimators
def _say_once(level: int, line: str) -> None:
    _log.log(level, line)


_MAKERS: dict[str, Maker] = {  # by the names in ENGINES
    "auto": _auto,
    "tensorrt": _tensorrt,
    "openvino": _openvino,
    "onnx": _onnx,
}
