# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import onnx
import pytest
from onnx import TensorProto, helper
from pose_graphs import constant_model, random_raw

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.onnx_file import external_files, load_external_data

RAW = random_raw(1, (17, 3), 126)


@pytest.fixture
def model_path(tmp_path):
    """A model that keeps its weights in weights.bin beside it, with a secret next to its folder."""
    (tmp_path / "secret.bin").write_bytes(bytes(RAW.nbytes))
    folder = tmp_path / "models"
    folder.mkdir()
    path = folder / "pose.onnx"
    onnx.save(
        constant_model(RAW),
        path,
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=1000,
    )
    return path


def read(path, **entries):
    """Return the model with some of its external data's entries replaced."""
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL:
            found = {entry.key: entry.value for entry in tensor.external_data}
            del tensor.external_data[:]
            for key, value in (found | entries).items():
                tensor.external_data.add(key=key, value=value)
    return model


def test_weights_beside_the_model_are_read(model_path):
    model = read(model_path)
    assert external_files(model, model_path) == [model_path.parent / "weights.bin"]
    load_external_data(model, model_path)
    values = {tensor.name: tensor for tensor in model.graph.initializer}["values"]
    assert (onnx.numpy_helper.to_array(values)[0] == RAW).all()


def test_model_without_other_files_stays_as_it_is(tmp_path):
    model = constant_model(RAW)
    before = model.SerializeToString()
    assert external_files(model, tmp_path / "pose.onnx") == []
    load_external_data(model, tmp_path / "pose.onnx")
    assert model.SerializeToString() == before


@pytest.mark.parametrize(
    "location",
    [
        pytest.param("../secret.bin", id="parent folder"),
        pytest.param("{root}/secret.bin", id="absolute path"),
        pytest.param("link.bin", id="link to a file outside"),
        pytest.param("folder/secret.bin", id="link to a folder outside"),
        pytest.param("sub/../../secret.bin", id="up through a sub-folder"),
        pytest.param(".", id="the folder itself"),
    ],
)
def test_weights_outside_the_folder_are_refused(model_path, location):
    root = model_path.parent.parent
    (model_path.parent / "link.bin").symlink_to(root / "secret.bin")
    (model_path.parent / "folder").symlink_to(root)
    model = read(model_path, location=location.format(root=root), offset="0")
    for use in (external_files, load_external_data):
        with pytest.raises(ModelError, match=r"values in .*: expected a file in its own folder"):
            use(model, model_path)


@pytest.mark.parametrize(
    ("entries", "phrase"),
    [
        pytest.param({"location": "gone.bin"}, "gone.bin', which is missing", id="file missing"),
        pytest.param({"offset": "-4"}, "offset '-4'", id="negative offset"),
        pytest.param({"length": "-4"}, "length '-4'", id="negative length"),
        pytest.param({"length": "2000000000"}, "length '2000000000'", id="a claim of 2 GB"),
        pytest.param({"offset": "99999999"}, "offset '99999999'", id="offset beyond the end"),
        pytest.param({"offset": "four"}, "offset 'four'", id="offset a word"),
    ],
)
def test_wrong_places_are_refused(model_path, entries, phrase):
    with pytest.raises(ModelError, match=phrase):
        load_external_data(read(model_path, **entries), model_path)


def test_reading_the_same_bytes_again_and_again_is_refused(model_path):
    model = read(model_path)
    weight = next(t for t in model.graph.initializer if t.name == "values")
    for place in range(3):
        copy = model.graph.initializer.add()
        copy.CopyFrom(weight)
        copy.name = f"copy {place}"
    with pytest.raises(ModelError, match="reads the files of its weights more than 2 times"):
        load_external_data(model, model_path)


def hidden_tensor():
    tensor = TensorProto(name="hidden", data_type=TensorProto.FLOAT, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret.bin")
    return tensor


def in_attribute(model):
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=hidden_tensor()))


def in_subgraph(model):
    branch = helper.make_graph([], "branch", [], [], [hidden_tensor()])
    model.graph.node.append(helper.make_node("If", ["x"], ["y"], then_branch=branch))


def in_function(model):
    node = helper.make_node("Constant", [], ["c"], value=hidden_tensor())
    model.functions.append(
        helper.make_function("local", "f", [], ["c"], [node], [helper.make_opsetid("", 17)])
    )


def in_sparse_weight(model):
    sparse = model.graph.sparse_initializer.add()
    sparse.values.CopyFrom(hidden_tensor())


@pytest.mark.parametrize(
    "hide",
    [
        pytest.param(in_attribute, id="in a node's attribute"),
        pytest.param(in_subgraph, id="in a subgraph"),
        pytest.param(in_function, id="in a function"),
        pytest.param(in_sparse_weight, id="in a sparse weight"),
    ],
)
def test_no_corner_hides_a_weight(model_path, hide):
    model = constant_model(RAW)
    hide(model)
    with pytest.raises(ModelError, match="weight hidden in"):
        external_files(model, model_path)
