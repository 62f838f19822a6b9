# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from pose_graphs import run

from kp_pose_ros.errors import ModelError
from kp_pose_ros.inference.decode import Candidates, DecodeSettings, decode
from kp_pose_ros.inference.letterbox import Letterbox
from kp_pose_ros.models.checkpoint.checkpoint import read_checkpoint
from kp_pose_ros.models.checkpoint.writer import write_onnx
from kp_pose_ros.models.precision import to_half
from kp_pose_ros.models.prepare import prepare

DFL = np.arange(16, dtype=np.float32).reshape(1, 16, 1, 1)


def network(nodes, *, weights, opset=17):
    """Return a model of a picture that ends in `out`."""
    graph = helper.make_graph(
        [helper.make_node(*node[:3], **(node[3] if len(node) > 3 else {})) for node in nodes],
        "network",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, (1, 3, 4, 6))],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ("n", "c", "h", "w"))],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def types(model):
    """Return the type of every tensor that a node makes."""
    onnx.checker.check_model(model)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    return {
        value.name: TensorProto.DataType.Name(value.type.tensor_type.elem_type)
        for value in (*inferred.value_info, *inferred.output)
    }


def random_weights(*shape, seed=0):
    return np.random.default_rng(seed).normal(0, 0.3, shape).astype(np.float32)


def conv(name, source, target):
    return ("Conv", [source, name], [target])


PICTURE = np.random.default_rng(1).uniform(0, 1, (1, 3, 4, 6)).astype(np.float32)


def assert_half_runs_alike(model, half):
    np.testing.assert_allclose(run(half, PICTURE), run(model, PICTURE), atol=0.02, rtol=0.01)


def halved(model):
    half = onnx.ModelProto()
    half.CopyFrom(model)
    to_half(half)
    return half


def reverse_nodes(graph):
    nodes = [*graph.node][::-1]
    del graph.node[:]
    graph.node.extend(nodes)


def make_constants(graph):
    tensors = [*graph.initializer]
    del graph.initializer[:]
    for tensor in tensors:
        graph.node.insert(0, helper.make_node("Constant", [], [tensor.name], value=tensor))


@pytest.mark.parametrize(
    ("change", "outside"),
    [
        pytest.param(lambda graph: None, {"stride"}, id="as exporters write it"),
        pytest.param(reverse_nodes, {"stride"}, id="nodes in any order"),
        pytest.param(make_constants, set(), id="weights in nodes"),
    ],
)
def test_all_up_to_the_last_learned_convolution_is_float16_and_decoding_is_not(change, outside):
    model = network(
        [
            conv("w0", "images", "a"),
            ("Relu", ["a"], ["b"]),
            conv("w1", "b", "logits"),
            ("Softmax", ["logits"], ["weights"], {"axis": 1}),
            conv("dfl", "weights", "distance"),
            ("Mul", ["distance", "stride"], ["out"]),
        ],
        weights={
            "w0": random_weights(8, 3, 1, 1),
            "w1": random_weights(16, 8, 1, 1),
            "dfl": DFL,
            "stride": np.float32(32),
        },
    )
    expected = run(model, PICTURE)
    change(model.graph)
    half = halved(model)
    found = types(half)
    assert [found[name] for name in ("a_float16", "b_float16", "logits_float16")] == ["FLOAT16"] * 3
    assert [found[name] for name in ("logits", "weights", "distance", "out")] == ["FLOAT"] * 4
    kept = {tensor.name: tensor.data_type for tensor in half.graph.initializer}
    assert kept == {
        "w0_float16": TensorProto.FLOAT16,
        "w1_float16": TensorProto.FLOAT16,
        **dict.fromkeys({"dfl"} | outside, TensorProto.FLOAT),
    }
    np.testing.assert_allclose(run(half, PICTURE), expected, atol=0.5)


def test_a_tensor_that_both_sides_read_has_both_types():
    model = network(
        [
            conv("w0", "images", "a"),
            conv("w1", "a", "b"),
            ("Sigmoid", ["a"], ["c"]),
            ("Concat", ["b", "c"], ["out"], {"axis": 1}),
        ],
        weights={"w0": random_weights(2, 3, 1, 1), "w1": random_weights(2, 2, 1, 1)},
    )
    half = halved(model)
    found = types(half)
    assert (found["a_float16"], found["a"], found["c"]) == ("FLOAT16", "FLOAT", "FLOAT")
    assert_half_runs_alike(model, half)


def test_a_weight_that_both_sides_read_is_there_in_both_types():
    model = network(
        [
            ("Mul", ["images", "scale"], ["a"]),
            conv("w", "a", "b"),
            ("Mul", ["b", "scale"], ["out"]),
        ],
        weights={"scale": np.float32(0.3), "w": random_weights(2, 3, 1, 1)},
    )
    half = halved(model)
    assert {"scale", "scale_float16", "w_float16"} == {t.name for t in half.graph.initializer}
    assert_half_runs_alike(model, half)


def test_sizes_that_the_graph_computes_stay_float32():
    """Resize's scales are float32 by definition, and 3,001 is no float16."""
    model = network(
        [
            conv("w0", "images", "a"),
            ("Shape", ["a"], ["shape"]),
            ("Cast", ["shape"], ["size"], {"to": TensorProto.FLOAT}),
            ("Div", ["size", "size"], ["ones"]),
            ("Mul", ["ones", "twice"], ["scales"]),
            ("Resize", ["a", "", "scales"], ["big"]),
            conv("w1", "big", "out"),
        ],
        weights={
            "w0": random_weights(2, 3, 1, 1),
            "w1": random_weights(2, 2, 1, 1),
            "twice": np.array([1, 1, 2, 2], np.float32),
        },
    )
    half = halved(model)
    found = types(half)
    assert [found[name] for name in ("size", "ones", "scales")] == ["FLOAT"] * 3
    assert found["big_float16"] == "FLOAT16"
    assert_half_runs_alike(model, half)


def test_casts_inside_the_network_become_casts_to_float16():
    model = network(
        [
            ("Cast", ["images"], ["a"], {"to": TensorProto.FLOAT}),
            conv("w", "a", "out"),
        ],
        weights={"w": random_weights(2, 3, 1, 1)},
    )
    half = halved(model)
    assert types(half)["a_float16"] == "FLOAT16"
    assert_half_runs_alike(model, half)


def test_subgraphs_after_the_network_read_float32():
    def branch(name, operator):
        node = helper.make_node(operator, ["a"], [name])
        value = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        return helper.make_graph([node], name, [], [value])

    model = network(
        [
            conv("w", "images", "a"),
            (
                "If",
                ["yes"],
                ["out"],
                {"then_branch": branch("x", "Relu"), "else_branch": branch("y", "Neg")},
            ),
        ],
        weights={"w": random_weights(2, 3, 1, 1), "yes": np.array(True)},
    )
    assert_half_runs_alike(model, halved(model))


def test_half_model_stays_as_it_is():
    model = network(
        [
            ("Cast", ["images"], ["a"], {"to": TensorProto.FLOAT16}),
            conv("w", "a", "b"),
            ("Cast", ["b"], ["out"], {"to": TensorProto.FLOAT}),
        ],
        weights={"w": random_weights(2, 3, 1, 1).astype(np.float16)},
    )
    np.testing.assert_array_equal(run(halved(model), PICTURE), run(model, PICTURE))


def test_quantized_model_is_refused():
    model = network(
        [
            ("QuantizeLinear", ["images", "scale"], ["q"]),
            ("DequantizeLinear", ["q", "scale"], ["out"]),
        ],
        weights={"scale": np.float32(0.1)},
    )
    with pytest.raises(ModelError, match=r"pose\.onnx is already quantized: .* precision to fp32"):
        to_half(model, "pose.onnx")


def test_operators_of_one_runtime_inside_the_network_are_refused():
    model = network(
        [conv("w", "images", "a"), ("FusedConv", ["a", "v"], ["out"], {"domain": "com.microsoft"})],
        weights={"w": random_weights(2, 3, 1, 1), "v": random_weights(2, 2, 1, 1)},
    )
    model.graph.node.append(helper.make_node("Conv", ["out", "v"], ["last"]))
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    with pytest.raises(ModelError, match=r"operator FusedConv of com\.microsoft inside"):
        to_half(model)


def test_control_flow_inside_the_network_is_refused():
    inner = helper.make_graph(
        [helper.make_node("Relu", ["images"], ["x"])],
        "inner",
        [],
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)],
    )
    model = network(
        [
            ("ReduceMax", ["images"], ["m"], {"keepdims": 0}),
            ("Cast", ["m"], ["yes"], {"to": TensorProto.BOOL}),
            ("If", ["yes"], ["a"], {"then_branch": inner, "else_branch": inner}),
            conv("w", "a", "out"),
        ],
        weights={"w": random_weights(2, 3, 1, 1)},
    )
    with pytest.raises(ModelError, match="operator If inside its network"):
        to_half(model)


def test_weight_beyond_float16_is_refused():
    model = network([conv("w", "images", "out")], weights={"w": np.full((1, 3, 1, 1), 1e6, "f4")})
    with pytest.raises(ModelError, match=r"weight w .* 1000000\.0: expected at most 65504"):
        to_half(model)


@pytest.fixture(scope="module")
def models(demo_weights):
    """yolo11n-pose at 640 x 640, float32 and converted; both prepared."""
    model = write_onnx(read_checkpoint(demo_weights), imgsz=(640, 640), batch=None)
    half = halved(model)
    for each in (model, half):
        prepare(each, (640, 640))
    return model, half


@pytest.mark.parametrize("name", [pytest.param(n, id=n) for n in ("bus.jpg", "zidane.jpg")])
def test_people_stay_within_half_a_pixel_and_a_hundredth_of_score(models, demo_photo, name):
    picture = demo_photo(name)
    letterbox = Letterbox.fit(picture.shape[:2], (640, 640))
    canvas = letterbox.canvas()
    letterbox.apply(picture, canvas)
    pixels = canvas[..., ::-1].transpose(2, 0, 1)[None].astype(np.float32) / 255
    full, half = (
        decode(Candidates(run(model, pixels)[0], letterbox), (17, 3), DecodeSettings())
        for model in models
    )
    assert len(full) == len(half) >= 2
    gain = letterbox.resized[0] / picture.shape[0]
    np.testing.assert_allclose(half.boxes * gain, full.boxes * gain, atol=0.5)
    np.testing.assert_allclose(half.scores, full.scores, atol=0.01)
    np.testing.assert_allclose(
        half.keypoints[..., :2] * gain, full.keypoints[..., :2] * gain, atol=0.5
    )
    np.testing.assert_allclose(half.keypoints[..., 2], full.keypoints[..., 2], atol=0.01)
