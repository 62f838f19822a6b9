# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import ast

import numpy as np
import onnx
import pytest
from onnx import helper
from pose_graphs import COCO, constant_model, random_raw, rtmo, run

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.graph import rename_value
from kp_pose_ros.models.layouts import Layout
from kp_pose_ros.models.onnx_file import graph_metadata, modernise
from kp_pose_ros.models.prepare import prepare

RAW = random_raw(1, (17, 3), 126)
ROWS = np.random.default_rng(0).uniform(0, 90, (300, 57)).astype(np.float32)
BLACK = np.zeros((2, 3, 64, 96), np.float32)


def shape_of(value):
    return [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("output", [pytest.param(RAW, id="raw"), pytest.param(ROWS, id="rows")])
def test_input_and_output_are_float32_whatever_the_model_is(output, dtype):
    model = constant_model(output, dtype=dtype)
    prepare(model, (64, 96))
    onnx.checker.check_model(model, full_check=True)
    rows = run(model, BLACK)
    assert rows.dtype == np.float32
    assert shape_of(model.graph.input[0]) == ["batch", 3, 64, 96]
    assert [value.name for value in model.graph.output] == ["rows"]
    assert shape_of(model.graph.output[0]) == ["batch", *rows.shape[1:]]


def test_models_that_give_rows_keep_them_as_they_are():
    model = constant_model(ROWS)
    prepare(model, (64, 96))
    np.testing.assert_array_equal(run(model, BLACK)[1], ROWS)
    assert graph_metadata(model, "model").layout is Layout.ROWS


def test_prepared_model_can_be_prepared_again():
    model = constant_model(RAW)
    prepare(model, (64, 96))
    once = run(model, BLACK)
    assert graph_metadata(model, "model").layout is Layout.CANDIDATES
    prepare(model, (64, 96))
    np.testing.assert_array_equal(run(model, BLACK), once)
    assert [value.name for value in model.graph.output] == ["rows"]


def test_metadata_is_kept_and_the_size_noted():
    model = constant_model(RAW, metadata=COCO | {"author": "me", "imgsz": "[640, 640]"})
    prepare(model, (64, 96))
    values = {entry.key: entry.value for entry in model.metadata_props}
    assert values["author"] == "me"
    assert values["names"] == COCO["names"]
    assert ast.literal_eval(values["imgsz"]) == [64, 96]


def free_size_model():
    """A model whose number of anchors follows from its input: one for each 32 x 32 pixels."""
    constants = {
        "weight": np.full((56, 3, 32, 32), 1 / 3072, np.float32),
        "shape": np.array([0, 56, -1], np.int64),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["images", "weight"], ["grid"], strides=[32, 32]),
            helper.make_node("Reshape", ["grid", "shape"], ["output0"]),
        ],
        "free",
        [helper.make_tensor_value_info("images", 1, ("batch", 3, "height", "width"))],
        [helper.make_tensor_value_info("output0", 1, ("batch", 56, "anchors"))],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, COCO)
    return model


@pytest.mark.parametrize(
    ("network", "count"),
    [
        pytest.param((64, 96), 6, id="six anchors"),
        pytest.param((1280, 1280), 1024, id="more anchors than candidates"),
    ],
)
def test_free_size_is_fixed_and_the_anchors_counted(network, count):
    model = free_size_model()
    prepare(model, network)
    assert shape_of(model.graph.input[0]) == ["batch", 3, *network]
    assert run(model, np.ones((1, 3, *network), np.float32)).shape == (1, count, 57)


def test_batch_is_fixed_on_demand():
    model = constant_model(RAW)
    prepare(model, (64, 96), batch=2)
    assert shape_of(model.graph.input[0])[0] == 2
    assert shape_of(model.graph.output[0])[0] == 2
    assert run(model, BLACK).shape == (2, 126, 57)


def test_batch_that_is_fixed_already_stays():
    model = constant_model(RAW, input_shape=(2, 3, 64, 96))
    prepare(model, (64, 96))
    assert shape_of(model.graph.output[0]) == [2, 126, 57]


@pytest.mark.parametrize(
    ("model", "arguments", "phrase"),
    [
        pytest.param(constant_model(RAW), {"network": (64, 64)}, "cannot take 64 x 64", id="size"),
        pytest.param(
            constant_model(RAW, input_shape=(2, 3, 64, 96)),
            {"network": (64, 96), "batch": 1},
            "batches of 2: expected 1",
            id="batch",
        ),
        pytest.param(
            constant_model(RAW, metadata=COCO | {"task": "segment"}),
            {"network": (64, 96)},
            "'segment'",
            id="task",
        ),
    ],
)
def test_what_cannot_be_prepared_is_refused(model, arguments, phrase):
    with pytest.raises(ModelError, match=phrase):
        prepare(model, source="pose.onnx", **arguments)


def test_anchors_that_cannot_be_told_are_counted_when_the_graph_runs():
    model = constant_model(random_raw(1, (17, 3), 2000), output_shape=("batch", 56, "anchors"))
    foreign_operator(model)
    prepare(model, (64, 96))
    assert shape_of(model.graph.output[0]) == ["batch", "count", 57]
    model.graph.node[3].domain = ""  # ONNX Runtime has no such operator
    assert run(model, BLACK).shape == (2, 1024, 57)


def test_declared_number_of_anchors_serves_where_it_cannot_be_derived():
    model = constant_model(RAW)
    foreign_operator(model)
    prepare(model, (64, 96))
    assert shape_of(model.graph.output[0]) == ["batch", 126, 57]


def foreign_operator(model):
    """As in a graph that ONNX Runtime optimised: onnx cannot infer its output."""
    model.graph.node[-1].domain = "com.microsoft"
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


@pytest.mark.parametrize("opset", [pytest.param(n, id=f"opset {n}") for n in range(9, 23)])
def test_every_opset_is_taken(opset):
    model = constant_model(RAW, opset=opset)
    prepare(model, (64, 96))
    onnx.checker.check_model(model, full_check=True)
    assert run(model, BLACK).shape == (2, 126, 57)


def test_operators_too_old_to_be_rewritten_are_refused():
    model = constant_model(RAW, opset=10)
    model.graph.node[0].op_type = "Mystery"
    with pytest.raises(ModelError, match=r"pose\.onnx uses version 10 of the ONNX operators"):
        prepare(model, (64, 96), source="pose.onnx")


def our_name(model):
    rename_value(model.graph, "output0", "rows")


def our_name_inside(model):
    rename_value(model.graph, "features", "rows")


def our_name_as_input(model):
    rename_value(model.graph, "images", "rows")


def our_prefix(model):
    model.graph.node[0].name = "kp_pose/Slice"
    rename_value(model.graph, "features", "kp_pose/TopK:0")


@pytest.mark.parametrize("change", [our_name, our_name_inside, our_name_as_input, our_prefix])
def test_names_that_we_add_collide_with_nothing(change):
    model, expected = constant_model(RAW), constant_model(RAW)
    change(model)
    for each in (model, expected):
        prepare(each, (64, 96))
    onnx.checker.check_model(model, full_check=True)
    np.testing.assert_array_equal(run(model, BLACK), run(expected, BLACK))


def some_people(count, points):
    generator = np.random.default_rng(0)
    dets = generator.uniform(0, 60, (count, 5))
    dets[:, 4] = generator.uniform(0, 1, count)
    return dets, generator.uniform(0, 1, (count, points, 3))


@pytest.mark.parametrize(
    ("options", "points", "rows"),
    [
        pytest.param({}, 17, 1024, id="as many rows as people"),
        pytest.param({"swap": True}, 17, 1024, id="keypoints first"),
        pytest.param({"count": 4}, 17, 4, id="a fixed number"),
        pytest.param({"dtype": np.float16}, 17, 1024, id="half precision"),
        pytest.param({}, 26, 1024, id="26 keypoints"),
    ],
)
def test_the_two_outputs_of_rtmo_become_rows(options, points, rows):
    people = some_people(4, points)
    model = rtmo(people, **options)
    modernise(model, "rtmo.onnx")
    metadata = graph_metadata(model, "rtmo.onnx")
    assert (metadata.layout, metadata.kpt_shape) == (Layout.RTMO, (points, 3))
    assert not metadata.layout.needs_suppression
    prepare(model, (64, 96))
    onnx.checker.check_model(model, full_check=True)
    pictures = np.zeros((2, 3, 64, 96), np.float32)
    pictures[1, 2] = 1 / 255  # the last plane of RGB is blue, which the model reads as 1
    found = run(model, pictures)
    assert found.shape == (2, rows, 6 + 3 * points)
    expected = np.hstack((people[0], np.zeros((4, 1)), people[1].reshape(4, -1)))
    atol = 0.05 if "dtype" in options else 1e-5
    np.testing.assert_allclose(found[0, :4], expected, atol=atol)
    expected[:, 4] += 1
    np.testing.assert_allclose(found[1, :4], expected, atol=atol)
    assert not found[:, 4:].any()
    assert graph_metadata(model, "model").layout is Layout.ROWS
