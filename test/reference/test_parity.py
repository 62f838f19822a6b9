# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Our graph of a checkpoint against ultralytics' own export of it, run on the same input."""

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest

from kp_pose_ros.inference.letterbox import Letterbox
from kp_pose_ros.models.checkpoint.checkpoint import read_checkpoint
from kp_pose_ros.models.checkpoint.writer import write_onnx
from kp_pose_ros.models.precision import to_half

pytestmark = pytest.mark.reference

MAKE_REFERENCE = "make_reference.py"


@dataclass(frozen=True)
class Settings:
    """What make_reference.py is asked for."""

    model: str
    nc: int = 1
    kpt_shape: tuple[int, int] = (17, 3)
    imgsz: tuple[int, int] = (64, 96)
    batch: int = 1
    unfinished: bool = False
    channels: int = 3
    activation: str = "nn.SiLU()"
    upsampling: str = "nearest"
    body: str = ""
    end2end: bool | None = None
    saved: str = "zip"


@dataclass(frozen=True)
class Export:
    """A checkpoint in `folder`, and what ultralytics' export of it makes of `images`."""

    folder: Path
    settings: Settings
    images: np.ndarray
    expected: np.ndarray

    def outputs(self, *, half: bool) -> np.ndarray:
        """Return what our graph makes of them."""
        checkpoint = read_checkpoint(self.folder / "model.pt")
        size, batch = self.settings.imgsz, self.settings.batch
        path = self.folder / "ours.onnx"
        model = write_onnx(checkpoint, imgsz=size, batch=batch)
        if half:
            to_half(model)
        onnx.save(model, path)
        return run(path, self.images)


def run(path: Path, images: np.ndarray) -> np.ndarray:
    return onnxruntime.InferenceSession(path).run(None, {"images": images})[0]


def differences(found: np.ndarray, expected: np.ndarray, settings: Settings):
    """Return how far pixels and scores are apart, (B, n, A) each."""
    assert found.shape == expected.shape
    is_score = np.zeros(expected.shape[1], bool)
    is_score[4 : 4 + settings.nc] = True
    if settings.kpt_shape[1] == 3:
        is_score[4 + settings.nc + 2 :: 3] = True
    apart = np.abs(found - expected)
    return apart[:, ~is_score], apart[:, is_score]


def best_scores(rows: np.ndarray, settings: Settings) -> np.ndarray:
    """Return the best class score of every row, (B, A)."""
    return rows[:, 4 : 4 + settings.nc].max(axis=1)


CASES = [
    *(
        pytest.param(Settings(f"{family}{size}-pose.yaml"), id=f"{family}{size}")
        for family in ("yolov8", "yolo11")
        for size in "nsmlx"
    ),
    pytest.param(Settings("yolov8n-pose.yaml", nc=3, kpt_shape=(5, 3)), id="three classes"),
    pytest.param(Settings("yolo11n-pose.yaml", nc=3, kpt_shape=(4, 2)), id="points without score"),
    pytest.param(Settings("yolov8n-pose.yaml", imgsz=(384, 640)), id="a wide picture"),
    pytest.param(Settings("yolo11n-pose.yaml", imgsz=(384, 640)), id="attention on a wide picture"),
    pytest.param(Settings("yolo11n-pose.yaml", batch=3), id="three pictures at once"),
    pytest.param(Settings("yolo11n-pose.yaml", unfinished=True), id="an unfinished training run"),
    *(
        pytest.param(Settings(f"{family}{size}-pose.yaml"), id=f"{family}{size}")
        for family in ("yolo26", "yolo12")
        for size in "nsmlx"
    ),
    *(
        pytest.param(Settings(f"yolov8{size}-pose-p6.yaml", imgsz=(128, 192)), id=f"p6, {size}")
        for size in "nsm"
    ),
    pytest.param(Settings("yolov8n-pose.yaml", body="C3"), id="YOLOv5's body, n"),
    pytest.param(Settings("yolov8m-pose.yaml", body="C3"), id="YOLOv5's body, m"),
    pytest.param(Settings("yolo26n-pose.yaml", nc=3, kpt_shape=(5, 2)), id="YOLO26, three classes"),
    pytest.param(Settings("yolo26n-pose.yaml", end2end=False), id="YOLO26, one head"),
    pytest.param(Settings("yolo11n-pose.yaml", end2end=True), id="YOLO11, end to end"),
    pytest.param(Settings("yolo12n-pose.yaml", imgsz=(384, 640)), id="YOLO12 on a wide picture"),
    pytest.param(Settings("yolo11n-pose.yaml", channels=1), id="grey pictures"),
    *(
        pytest.param(Settings("yolov8n-pose.yaml", activation=f"nn.{each}"), id=each)
        for each in (
            *("ReLU()", "LeakyReLU(0.1)", "Hardswish()", "ReLU6()", "ELU()", "SELU()", "Mish()"),
            *(
                "GELU()",
                "Softplus()",
                "PReLU()",
                "Tanh()",
                "Hardsigmoid()",
                "Softsign()",
            ),
        )
    ),
    *(
        pytest.param(Settings("yolov8n-pose.yaml", upsampling=each), id=each)
        for each in ("bilinear", "bicubic")
    ),
    *(
        pytest.param(
            Settings("yolo26n-pose.yaml", saved=f"{kind} {protocol}"), id=f"{kind} {protocol}"
        )
        for kind in ("zip", "legacy")
        for protocol in (2, 3, 4, 5)
    ),
]


@pytest.fixture(scope="module", params=CASES)
def made_up(request, run_reference):
    """An untrained model, whose weights keep the signal alive."""
    settings = request.param
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run_reference(MAKE_REFERENCE, folder, asdict(settings))
        shape = (settings.batch, settings.channels, *settings.imgsz)
        images = np.random.default_rng(0).random(shape, np.float32)
        yield Export(folder, settings, images, run(folder / "model.onnx", images))


@pytest.fixture(scope="module")
def trained(demo_weights, run_reference):
    """The demo's model on two photographs, upright and mirrored."""
    settings = Settings(str(demo_weights.absolute()), imgsz=(640, 640), batch=4)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run_reference(MAKE_REFERENCE, folder, asdict(settings))
        photos = [cv2.imread(str(folder / name)) for name in ("bus.jpg", "zidane.jpg")]
        images = np.stack(
            [to_input(photo, settings.imgsz) for photo in (*photos, *(p[:, ::-1] for p in photos))]
        )
        yield Export(folder, settings, images, run(folder / "model.onnx", images))


def to_input(photo: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    letterbox = Letterbox.fit(photo.shape[:2], size)
    canvas = letterbox.canvas()
    letterbox.apply(photo, canvas)
    return canvas[..., ::-1].transpose(2, 0, 1).astype(np.float32) / 255


def check_float32(export: Export) -> None:
    pixels, scores = differences(export.outputs(half=False), export.expected, export.settings)
    assert pixels.max() < 1e-3
    assert scores.max() < 1e-4


def check_float16(export: Export) -> None:
    pixels, scores = differences(export.outputs(half=True), export.expected, export.settings)
    counts = best_scores(export.expected, export.settings) > 0.25
    assert counts.any(axis=1).all()
    # The cells of the fourth scale are twice as large, and so are the steps of float16 there.
    limit = 1.0 if "p6" in export.settings.model else 0.5
    assert np.moveaxis(pixels, 1, 2)[counts].max() < limit
    assert np.moveaxis(scores, 1, 2)[counts].max() < 0.01


def test_made_up_weights_say_something(made_up):
    rows = made_up.expected
    assert rows[:, 2:4].std() > 5
    assert best_scores(rows, made_up.settings).std() > 0.05
    assert np.abs(rows[:, 4 + made_up.settings.nc :]).max() < 2 * max(made_up.settings.imgsz)


def test_float32_is_that_of_ultralytics(made_up):
    check_float32(made_up)


def test_float16_is_near_that_of_ultralytics(made_up):
    check_float16(made_up)


def test_trained_float32_is_that_of_ultralytics(trained):
    check_float32(trained)


def test_trained_float16_is_near_that_of_ultralytics(trained):
    check_float16(trained)


def test_metadata_is_that_of_ultralytics(trained):
    checkpoint = read_checkpoint(trained.folder / "model.pt")
    ours = write_onnx(checkpoint, imgsz=(640, 640), batch=4)
    theirs = onnx.load(trained.folder / "model.onnx")
    found, expected = (
        {prop.key: prop.value for prop in model.metadata_props} for model in (ours, theirs)
    )
    assert found.keys() == expected.keys()
    telling = {"stride", "task", "head", "batch", "imgsz", "names", "channels", "kpt_shape"}
    assert {key: found[key] for key in telling} == {key: expected[key] for key in telling}
    assert found["end2end"] == expected["end2end"]
