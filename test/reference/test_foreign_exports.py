# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What ultralytics exports, in the ways its users do, against what we prepare from it."""

import numpy as np
import onnx
import onnxruntime
import pytest

from kp_pose_ros.errors import ModelError
from kp_pose_ros.inference.decode import Candidates, DecodeSettings, decode
from kp_pose_ros.inference.letterbox import Letterbox
from kp_pose_ros.models.graph import GraphBuilder
from kp_pose_ros.models.layouts import Layout
from kp_pose_ros.models.model import PoseModel

pytestmark = pytest.mark.reference

SIZE = (320, 256)
WEIGHTS = "trained weights"
POSE = {
    "raw": {"model": WEIGHTS},
    "opset 13": {"model": WEIGHTS, "opset": 13},
    "batch of two": {"model": WEIGHTS, "batch": 2},
    "dynamic": {"model": WEIGHTS, "dynamic": True},
    **{
        f"opset {opset}, {size}": {"model": WEIGHTS, "opset": opset, "dynamic": size == "any size"}
        for opset in (9, 10, 11, 12, 14, 20)
        for size in ("fixed", "any size")
    },
    "YOLO12": {"model": "yolo12n-pose.yaml"},
    "p6": {"model": "yolov8n-pose-p6.yaml"},
    "half": {"model": WEIGHTS, "half": True},
    "nms": {"model": WEIGHTS, "nms": True},
    "nms, dynamic": {"model": WEIGHTS, "nms": True, "dynamic": True},
    "nms, half": {"model": WEIGHTS, "nms": True, "half": True},
    "YOLO26": {"model": "yolo26n-pose.yaml"},
    "YOLO26, end-to-end": {"model": "yolo26n-pose.yaml", "nms": False},
    "YOLO26, end-to-end, dynamic": {"model": "yolo26n-pose.yaml", "nms": False, "dynamic": True},
}
OTHERS = {
    "detect": {"model": "yolo11n.yaml"},
    "segment": {"model": "yolo11n-seg.yaml"},
    "classify": {"model": "yolo11n-cls.yaml"},
    "obb": {"model": "yolo11n-obb.yaml"},
}


@pytest.fixture(scope="module")
def exports(tmp_path_factory, demo_weights, run_reference):
    """Folder with every export, made by one process because importing torch takes longest."""
    folder = tmp_path_factory.mktemp("exports")
    settings = {
        name: options
        | {"imgsz": SIZE}
        | ({"model": str(demo_weights)} if options["model"] == WEIGHTS else {})
        for name, options in (POSE | OTHERS).items()
    }
    run_reference("export_foreign.py", folder, settings)
    return folder


@pytest.fixture(scope="module")
def letterbox(demo_photo):
    return Letterbox.fit(demo_photo("bus.jpg").shape[:2], SIZE)


@pytest.fixture(scope="module")
def picture(demo_photo, letterbox):
    canvas = letterbox.canvas()
    letterbox.apply(demo_photo("bus.jpg"), canvas)
    return canvas[..., ::-1].transpose(2, 0, 1)[None].astype(np.float32) / 255


def run(path, picture):
    """Return the first picture's output of a model that takes any batch, or two."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    value = session.get_inputs()[0]
    batch = value.shape[0] if isinstance(value.shape[0], int) else 1
    (output,) = session.run(None, {value.name: np.repeat(picture, batch, axis=0)})
    return output[0]


def select(raw, classes):
    """Return the rows that the selection shall make of a raw output."""
    scores = raw[4 : 4 + classes]
    order = np.argsort(-scores.max(axis=0), kind="stable")[:1024]
    centre, half, scores = raw[:2, order], raw[2:4, order] / 2, scores[:, order]
    best = scores.max(axis=0), scores.argmax(axis=0)
    return np.vstack((centre - half, centre + half, *best, raw[4 + classes :, order])).T


@pytest.mark.parametrize("name", [pytest.param(name, id=name) for name in POSE])
def test_prepared_rows_are_the_exports_own(exports, picture, name):
    path = exports / f"{name}.onnx"
    model = PoseModel.open(path)
    raw = run(path, picture)
    is_rows = POSE[name].get("nms") is not None
    assert model.metadata.layout is (Layout.ROWS if is_rows else Layout.RAW)
    assert model.metadata.kpt_shape == (17, 3)
    assert model.network_size((1080, 810), None) == SIZE
    expected = raw if is_rows else select(raw, len(model.metadata.class_names))
    found = run(model.graph(SIZE), picture)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-3)


def transpose(graph, raw="output0"):
    """What DeepStream-Yolo-Pose added to a network until October 2025."""
    return [graph.add("Transpose", [raw], "to", perm=(0, 2, 1))]


def transpose_with_corners(graph):
    """Make the output that of DeepStream-Yolo-Pose since October 2025."""
    centre, size, rest = graph.split("output0", "to", [2, 2, 52], axis=1)
    half = graph.add("Mul", [size, graph.number(0.5)], "to")
    box = [graph.add(each, [centre, half], "to") for each in ("Sub", "Add")]
    return transpose(graph, graph.add("Concat", [*box, rest], "to", axis=1))


def add_objectness(graph):
    """Make the output that of YOLOv7, with an object at each anchor."""
    box, rest = graph.split("output0", "to", [4, 52], axis=1)
    nothing = graph.add("Mul", [graph.split(box, "to", [1, 3], axis=1)[0], graph.number(0)], "to")
    ones = graph.add("Add", [nothing, graph.number(1)], "to")
    return transpose(graph, graph.add("Concat", [box, ones, rest], "to", axis=1))


def split_as_rtmo(graph):
    """Make the outputs those of RTMO: boxes with scores, and keypoints."""
    dets, _, points = graph.split("output0", "to", [5, 1, 51], axis=2)
    return [dets, graph.reshape(points, "to", 0, 0, 17, 3)]


def take_bgr(model):
    """Make the input that of RTMO, BGR from 0 to 255."""
    model.graph.input[0].name = "input"
    first = len(model.graph.node)
    graph = GraphBuilder(model.graph)
    unit = graph.add("Div", ["input", graph.number(255)], "from")
    graph.add("Gather", [unit, graph.integers(2, 1, 0)], "from", output="images", axis=1)
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend((*nodes[first:], *nodes[:first]))


FAMILIES = {
    "DeepStream": ("raw", transpose_with_corners, Layout.DEEPSTREAM, Layout.DEEPSTREAM),
    "DeepStream of 2023": ("raw", transpose, Layout.TRANSPOSED, Layout.TRANSPOSED),
    "YOLOv7": ("raw", add_objectness, Layout.YOLOV7, Layout.YOLOV7),
    "RTMO": ("nms", split_as_rtmo, Layout.RTMO, None),
}


@pytest.mark.parametrize("family", [pytest.param(family, id=family) for family in FAMILIES])
def test_a_layout_that_ultralytics_does_not_export_gives_the_same_rows(
    exports, picture, tmp_path, family
):
    """Other tools write no metadata: their widths and numbers of anchors may mean two layouts."""
    name, change, layout, stated = FAMILIES[family]
    model = onnx.load(exports / f"{name}.onnx")
    outputs = change(GraphBuilder(model.graph))
    if layout is Layout.RTMO:
        take_bgr(model)
    del model.metadata_props[:], model.graph.output[:]
    shapes = ((1, None, 5), (1, None, 17, 3)) if len(outputs) == 2 else ((1, None, None),)
    model.graph.output.extend(map(tensor, outputs, shapes))
    onnx.save(model, tmp_path / "model.onnx")
    opened = PoseModel.open(tmp_path / "model.onnx", layout=stated)
    assert opened.metadata.layout is layout
    expected = run(PoseModel.open(exports / f"{name}.onnx").graph(SIZE), picture)
    np.testing.assert_allclose(run(opened.graph(SIZE), picture), expected, atol=1e-3)


def tensor(name, shape):
    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)


@pytest.mark.parametrize(
    "name", [pytest.param(name, id=name) for name in POSE if POSE[name]["model"] == WEIGHTS]
)
def test_people_stay_the_same_in_float16(exports, picture, letterbox, name):
    model = PoseModel.open(exports / f"{name}.onnx")
    full, half = (
        decode(
            Candidates(run(model.graph(SIZE, precision=precision), picture), letterbox),
            (17, 3),
            DecodeSettings(),
            suppress=model.metadata.layout.needs_suppression,
        )
        for precision in ("fp32", "fp16")
    )
    assert len(full) == len(half) >= 3
    pixel = 1080 / SIZE[0]  # one of the network's, in the photograph
    np.testing.assert_allclose(half.boxes, full.boxes, atol=0.5 * pixel)
    np.testing.assert_allclose(half.scores, full.scores, atol=0.01)
    np.testing.assert_allclose(half.keypoints[..., :2], full.keypoints[..., :2], atol=0.5 * pixel)


@pytest.mark.parametrize("task", [pytest.param(task, id=task) for task in OTHERS])
def test_other_models_are_refused_by_their_task(exports, task):
    with pytest.raises(ModelError, match=f"task '{task}': expected one for 'pose'"):
        PoseModel.open(exports / f"{task}.onnx")
