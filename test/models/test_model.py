# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from pose_graphs import COCO, constant_model, random_raw, run
from torch_file import NETWORK_HW, checkpoint, tiny_pose
from torch_file import save as save_checkpoint

from kp_pose_ros.errors import ModelError, SettingsError
from kp_pose_ros.models.checkpoint.checkpoint import read_checkpoint
from kp_pose_ros.models.checkpoint.writer import write_onnx
from kp_pose_ros.models.layouts import Layout
from kp_pose_ros.models.model import PoseModel

RAW = random_raw(1, (17, 3), 126)
PEN = """
name: pen
keypoints: [tip, cap]
"""


@pytest.fixture(autouse=True)
def _fresh_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KP_POSE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def save(tmp_path):
    def write(*, name="pose.onnx", output=RAW, metadata=COCO, **shape):
        path = tmp_path / name
        onnx.save(constant_model(output, metadata=metadata, **shape), path)
        return path

    return write


FREE = {
    "input_shape": ("batch", 3, "height", "width"),
    "output_shape": ("batch", 56, "anchors"),
}


def test_model_is_opened_with_its_skeleton(save):
    model = PoseModel.open(save())
    assert model.metadata.layout is Layout.RAW
    assert model.skeleton.name == "coco17"


def test_checkpoint_is_opened_and_prepared_at_any_size(demo_weights):
    model = PoseModel.open(demo_weights)
    assert model.metadata.class_names == ("person",)
    assert model.metadata.kpt_shape == (17, 3)
    assert not model.metadata.size_is_static
    assert model.skeleton.name == "coco17"
    picture = np.zeros((2, 3, 96, 64), np.float32)
    for precision in ("fp32", "fp16"):
        rows = run(str(model.graph((96, 64), precision=precision)), picture)
        assert rows.shape == (2, 126, 57)


@pytest.mark.parametrize(
    ("skeleton", "expected"),
    [
        pytest.param("face5", "face5", id="a shipped name"),
        pytest.param(None, "generic5", id="found"),
    ],
)
def test_skeleton_is_chosen_or_found(save, skeleton, expected):
    metadata = COCO | {"kpt_shape": "[5, 3]"}
    path = save(output=random_raw(1, (5, 3), 126), metadata=metadata)
    assert PoseModel.open(path, skeleton=skeleton).skeleton.name == expected


def test_skeleton_file_is_taken(save, tmp_path):
    (tmp_path / "pen.yaml").write_text(PEN)
    path = save(output=random_raw(1, (2, 2), 126), metadata=COCO | {"kpt_shape": "[2, 2]"})
    skeleton = PoseModel.open(path, skeleton=tmp_path / "pen.yaml").skeleton
    assert skeleton.keypoint_names == ("tip", "cap")


def test_skeleton_of_another_number_names_both_numbers(save):
    with pytest.raises(ModelError, match=r"hand21 has 21 keypoints, .*pose\.onnx has 17"):
        PoseModel.open(save(), skeleton="hand21")


@pytest.mark.parametrize(
    ("name", "phrase"),
    [
        pytest.param("gone.onnx", r"gone\.onnx does not exist: expected a \.pt", id="missing"),
        pytest.param("folder.onnx", r"folder\.onnx is a folder: expected", id="a folder"),
        pytest.param("pose.trt", r"pose\.trt has an unknown suffix: expected a \.pt", id="ending"),
        pytest.param("folder/pose", "folder/pose was not found: expected", id="no ending"),
    ],
)
def test_what_cannot_be_opened_is_named(tmp_path, name, phrase):
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "pose.trt").write_bytes(b"plan")
    with pytest.raises(ModelError, match=phrase):
        PoseModel.open(tmp_path / name)


def test_name_that_was_not_fetched_tells_the_command():
    with pytest.raises(ModelError, match="run `kp_pose fetch yolov8x-pose`"):
        PoseModel.open("yolov8x-pose")


def test_file_name_of_a_fetched_one_tells_its_name(save, tmp_path):
    (tmp_path / "cache" / "models").mkdir(parents=True)
    save().rename(tmp_path / "cache" / "models" / "pose.onnx")
    with pytest.raises(ModelError, match=r"pose\.pt does not exist.* or pose, which was fetched"):
        PoseModel.open("pose.pt")


def test_home_of_nobody_is_no_home():
    with pytest.raises(ModelError, match=r"~nobody-here/pose\.pt does not exist"):
        PoseModel.open("~nobody-here/pose.pt")


def test_file_in_this_folder_comes_before_a_fetched_one(save, tmp_path, monkeypatch):
    fetched = tmp_path / "cache" / "models" / "pose.onnx"
    fetched.parent.mkdir(parents=True)
    fetched.write_bytes(save().read_bytes())
    monkeypatch.chdir(tmp_path)
    assert PoseModel.open("pose").path == fetched
    assert PoseModel.open("pose.onnx").path == Path("pose.onnx")


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        pytest.param((720, 1280), (384, 640), id="16:9"),
        pytest.param((1080, 1920), (384, 640), id="16:9, larger"),
        pytest.param((480, 640), (480, 640), id="4:3"),
        pytest.param((1280, 720), (640, 384), id="portrait"),
        pytest.param((500, 500), (640, 640), id="square"),
        pytest.param((200, 2000), (64, 640), id="panorama"),
        pytest.param((1, 10_000), (32, 640), id="a line"),
        pytest.param((361, 640), (384, 640), id="just above a multiple"),
        pytest.param((352, 640), (352, 640), id="exactly a multiple"),
    ],
)
def test_auto_holds_the_aspect_ratio_of_the_camera(save, frame, expected):
    model = PoseModel.open(save(metadata=COCO | {"imgsz": "[640, 640]"}, **FREE))
    assert model.network_size(frame, None) == expected


def test_auto_follows_the_models_long_side_and_stride(save):
    metadata = COCO | {"imgsz": "[960, 1280]", "stride": "64"}
    model = PoseModel.open(save(metadata=metadata, **FREE))
    assert model.network_size((720, 1280), None) == (768, 1280)


def test_two_numbers_fix_the_size(save):
    assert PoseModel.open(save(**FREE)).network_size((720, 1280), (640, 640)) == (640, 640)


def test_static_graph_decides_by_itself(save):
    assert PoseModel.open(save()).network_size((720, 1280), None) == (64, 96)


@pytest.mark.parametrize(
    ("shape", "imgsz", "phrase"),
    [
        pytest.param(FREE, (400, 640), "multiples of 32, .* such as 416 x 640", id="no multiple"),
        pytest.param(FREE, (0, 640), "such as 32 x 640", id="zero"),
        pytest.param(FREE, (-32, 640), "such as 32 x 640", id="negative"),
        pytest.param(
            FREE, (64, 9600), "64 x 9600: expected at most 8192 pixels a side", id="enormous"
        ),
        pytest.param({}, (640, 640), "has the fixed size 64 x 96: set imgsz to auto", id="static"),
    ],
)
def test_impossible_sizes_are_refused(save, shape, imgsz, phrase):
    with pytest.raises(SettingsError, match=phrase):
        PoseModel.open(save(**shape)).network_size((720, 1280), imgsz)


def test_graph_is_made_once_and_then_taken_from_the_cache(save, monkeypatch):
    path = save()
    made = PoseModel.open(path).graph((64, 96))
    assert run(str(made), np.zeros((1, 3, 64, 96), np.float32)).shape == (1, 126, 57)

    def fail(*_arguments, **_options):
        raise AssertionError("made again")

    monkeypatch.setattr(PoseModel, "make_graph", fail)
    assert PoseModel.open(path).graph((64, 96)) == made


def test_every_content_size_and_precision_has_a_graph_of_its_own(save, tmp_path):
    model = PoseModel.open(save(name="a model (1).onnx"))
    paths = {model.graph((64, 96)), model.graph((64, 96), precision="fp16")}
    other = PoseModel.open(save(name="a model (1).onnx", output=RAW + 1))
    paths.add(other.graph((64, 96)))
    free = PoseModel.open(save(name="free.onnx", **FREE))
    paths |= {free.graph((64, 96)), free.graph((96, 64))}
    assert len(paths) == 5
    assert all(path.is_relative_to(tmp_path / "cache") for path in paths)


def test_a_file_that_changed_after_it_was_opened_makes_no_graph(save):
    two = random_raw(2, (17, 3), 126)
    model = PoseModel.open(save())
    path = save(output=two, metadata=COCO | {"names": "['person', 'dog']"})
    with pytest.raises(ModelError, match=r"pose\.onnx has changed since it was opened: restart"):
        model.graph((64, 96))
    rows = run(str(PoseModel.open(path).graph((64, 96))), np.zeros((1, 3, 64, 96), np.float32))
    np.testing.assert_allclose(rows[0, :, 4], -np.sort(-two[4:6].max(axis=0)))


def test_weights_beside_the_model_are_part_of_its_content(save):
    path = save()
    onnx.save(
        onnx.load(path), path, save_as_external_data=True, location="w.bin", size_threshold=1000
    )
    first = PoseModel.open(path).graph((64, 96))
    weights = bytearray((path.parent / "w.bin").read_bytes())
    weights[5] ^= 1
    (path.parent / "w.bin").write_bytes(weights)
    assert PoseModel.open(path).graph((64, 96)) != first
    assert run(str(first), np.zeros((1, 3, 64, 96), np.float32)).shape == (1, 126, 57)


def lying_weight(model):
    model.graph.initializer[0].dims[1] = 1_000_000_000


def letters_that_are_none(model):
    model.metadata_props.add(key="author", value="me?")


def operator_without_output(model):
    del model.graph.node[0].output[:]


def short_weight(model):
    model.graph.initializer[0].raw_data = model.graph.initializer[0].raw_data[:-4]


def operator_that_nobody_knows(model):
    model.graph.node[1].op_type = "Mystery"


def attribute_that_is_none(model):
    model.graph.node[0].attribute.add(name="kernel_shape", type=onnx.AttributeProto.FLOAT, f=1)


def input_that_nothing_makes(model):
    model.graph.node[1].input[0] = "nothing"


@pytest.mark.parametrize(
    ("change", "old", "new"),
    [
        pytest.param(lying_weight, b"", b"", id="a weight claims gigabytes that are not there"),
        pytest.param(letters_that_are_none, b"me?", b"me\xff", id="a text that is no UTF-8"),
        pytest.param(operator_without_output, b"", b"", id="an operator gives nothing"),
        pytest.param(short_weight, b"", b"", id="a weight that is cut short"),
        pytest.param(operator_that_nobody_knows, b"", b"", id="an unknown operator"),
        pytest.param(attribute_that_is_none, b"", b"", id="an attribute of another type"),
        pytest.param(input_that_nothing_makes, b"", b"", id="an input that nothing makes"),
    ],
)
def test_graph_that_contradicts_itself_is_refused_when_it_is_opened(save, change, old, new):
    path = save()
    model = onnx.load(path)
    change(model)
    path.write_bytes(model.SerializeToString().replace(old, new))
    with pytest.raises(ModelError, match=r"pose\.onnx") as caught:
        PoseModel.open(path)
    assert "\n" not in str(caught.value)


def test_no_graph_comes_of_an_engine(tmp_path):
    header = b'{"names": ["person"], "kpt_shape": [17, 3], "imgsz": 640, "batch": 1}'
    path = tmp_path / "pose.engine"
    path.write_bytes(len(header).to_bytes(4, "little") + header + b"plan")
    model = PoseModel.open(path)
    assert model.metadata.size_is_static
    with pytest.raises(ModelError, match=r"is a TensorRT engine.* give the \.pt or \.onnx"):
        model.graph((640, 640))


@pytest.fixture
def exported(tmp_path):
    """A checkpoint as an ONNX file of a fixed size."""
    read = read_checkpoint(save_checkpoint(tmp_path / "pose.pt", checkpoint(tiny_pose())))
    onnx.save(write_onnx(read, imgsz=NETWORK_HW, batch=None), tmp_path / "pose.onnx")
    return tmp_path / "pose.onnx"


class Noise(CalibrationDataReader):
    def __init__(self):
        generator = np.random.default_rng(0)
        self._pictures = [generator.random((1, 3, *NETWORK_HW), np.float32) for _ in range(2)]

    def get_next(self):
        return {"images": self._pictures.pop()} if self._pictures else None


def optimised(level):
    def make(source, target):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = level
        options.optimized_model_filepath = str(target)
        onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])

    return make


def quantized(**options):
    return lambda source, target: quantize_static(source, target, Noise(), **options)


LEVELS = onnxruntime.GraphOptimizationLevel
SIXTEEN_BITS = {
    "activation_type": QuantType.QUInt16,
    "extra_options": {"UseQDQContribOps": True},
}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(optimised(LEVELS.ORT_ENABLE_BASIC), id="optimised a little"),
        pytest.param(optimised(LEVELS.ORT_ENABLE_EXTENDED), id="optimised"),
        pytest.param(optimised(LEVELS.ORT_ENABLE_ALL), id="optimised for this CPU"),
        pytest.param(quantized(quant_format=QuantFormat.QDQ), id="8 bits"),
        pytest.param(quantized(quant_format=QuantFormat.QOperator), id="8 bits, QOperator"),
        pytest.param(quantized(quant_format=QuantFormat.QDQ, **SIXTEEN_BITS), id="16 bits"),
    ],
)
def test_what_onnx_runtime_makes_of_a_model_is_prepared(exported, tmp_path, change):
    change(exported, tmp_path / "changed.onnx")
    picture = np.random.default_rng(1).random((2, 3, *NETWORK_HW)).astype(np.float32)
    plain, changed = (PoseModel.open(path) for path in (exported, tmp_path / "changed.onnx"))
    assert changed.metadata.layout is Layout.RAW
    expected, found = (run(str(model.graph(NETWORK_HW)), picture) for model in (plain, changed))
    assert found.shape == expected.shape == (2, 24, 15)
    np.testing.assert_allclose(found, expected, atol=1)  # pixels
