# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files made to run code or exhaust the machine: each is refused in a sentence, at little cost."""

import os
import pickle
import random
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from torch_file import (
    Call,
    Object,
    Raw,
    Tensor,
    checkpoint,
    conv2d,
    module,
    numbered,
    part,
    save,
    save_pickle,
    tiny_pose,
)

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.checkpoint.archive import MAX_PICKLE_BYTES
from kp_pose_ros.models.checkpoint.checkpoint import read_checkpoint
from kp_pose_ros.models.checkpoint.writer import write_onnx
from kp_pose_ros.models.model import PoseModel

# Reading and writing the honest tiny model takes 0.5 MB more than the file itself.
ALLOWED_BYTES = 2_000_000


def convert(path):
    write_onnx(read_checkpoint(path), imgsz=(32, 48), batch=1)


def refusal(path, allowed_bytes=ALLOWED_BYTES) -> str:
    """Return the message for a hostile file, after checking that it cost little."""
    tracemalloc.start()
    try:
        with pytest.raises(ModelError) as caught:
            convert(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < allowed_bytes + 4 * path.stat().st_size
    message = str(caught.value)
    assert message.isprintable()  # one line, and nothing that a terminal would obey
    assert len(message) < 1000
    return message


def test_the_honest_twin_of_all_these_is_taken(tmp_path):
    convert(save(tmp_path / "honest.pt", checkpoint(tiny_pose())))


class Evil:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize(
    ("function", "name"),
    [
        pytest.param(os.system, r"(posix|nt)\.system", id="os.system"),
        pytest.param(eval, r"(__builtin__|builtins)\.eval", id="eval"),
        pytest.param(__import__, r"(__builtin__|builtins)\.__import__", id="import"),
    ],
)
def test_a_call_is_named_and_not_made(tmp_path, function, name, protocol):
    code = f"touch {tmp_path / 'ran'}" if function is os.system else "antigravity"
    data = pickle.dumps({"model": Evil(function, code)}, protocol=protocol)
    with pytest.raises(ModelError, match=f"names '{name}'.*nothing was executed"):
        read_checkpoint(save_pickle(tmp_path / "evil.pt", data))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"cos\nsystem\n(S'touch ran'\ntR.", id="protocol 0"),
        pytest.param(b"\x80\x02cultralytics.x\nos.system\n(X\x01\0\0\0ytRb.", id="in a package"),
        pytest.param(b"\x80\x02(X\x09\0\0\0touch ranios\nsystem\n.", id="INST"),
        pytest.param(b"\x80\x02c__builtin__\ngetattr\n(cos\nsystem\ntR.", id="behind getattr"),
        pytest.param(b"\x80\x02\x82\x01.", id="the extension registry"),
    ],
)
def test_other_ways_to_call_are_refused(tmp_path, data):
    refusal(save_pickle(tmp_path / "evil.pt", data))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "damaged", id="nothing at all"),
        pytest.param(b"\x80\x02.", "damaged", id="no object"),
        pytest.param(b"\x80\x02}", "damaged", id="no end"),
        pytest.param(b"\x80\x02t.", "damaged", id="a tuple without a mark"),
        pytest.param(b"\x80\x02h\x07.", "damaged", id="an object that was never kept"),
        pytest.param(b"\x80\x02]r\xff\xff\xff\xff.", "not a dictionary", id="a huge memo index"),
        pytest.param(b"\x80\x02}NR.", "damaged", id="a call of a dictionary"),
        pytest.param(b"\x80\x02}}Ns.", "damaged", id="a dictionary as a key"),
        pytest.param(b"\x80\x02X\xff\xff\xff\x7fab.", "damaged", id="a text of 2 GB"),
        pytest.param(
            b"\x80\x04\x8d" + b"\xff" * 8 + b".", "BINUNICODE8|damaged", id="of 2^64 bytes"
        ),
        pytest.param(b"\x80\x05\x96" + b"\xff" * 7 + b"\x0f.", "BYTEARRAY8", id="a huge bytearray"),
        pytest.param(b"\x80\x02X\x03\0\0\0\xed\xa0\x80.", "damaged", id="half a character"),
        pytest.param(b"\x80\x02\x8a\x20" + b"\x7f" * 32 + b".", "damaged", id="a huge number"),
        pytest.param(b"\x80\x02" + b")\x85" * 100_000 + b".", "not a dict", id="a deep tuple"),
        pytest.param(
            b"\x80\x02}" + b")" + b"\x85" * 100_000 + b"Ns.", "damaged", id="a deep tuple as a key"
        ),
        pytest.param(b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".", "dict", id="deep lists"),
        pytest.param(
            b"\x80\x02ccollections\nOrderedDict\n}\x85R.", "damaged", id="a dictionary copied"
        ),
    ],
)
def test_pickles_that_make_no_sense(tmp_path, data, message):
    found = refusal(save_pickle(tmp_path / "bad.pt", data), allowed_bytes=20_000_000)
    assert any(words in found for words in message.split("|"))


def test_a_pickle_of_empty_containers_is_too_large_to_try(tmp_path):
    path = save_pickle(tmp_path / "bad.pt", b"\x80\x02" + b"}" * MAX_PICKLE_BYTES + b".")
    assert "expected at most" in refusal(path)


HUGE = 2**31


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"offset": 1}, "reaches outside", id="an offset past the end"),
        pytest.param({"offset": -1}, "invalid offset", id="a negative offset"),
        pytest.param({"offset": 2**62}, "reaches outside", id="an offset past all memory"),
        pytest.param({"shape": (8, 3, 3, 4)}, "reaches outside", id="sizes that are too large"),
        pytest.param({"shape": (8, 3, -3, 3)}, "invalid offset", id="a negative size"),
        pytest.param({"shape": (-8, 3, -3, 3)}, "invalid offset", id="two negative sizes"),
        pytest.param(
            {"shape": (HUGE,) * 4, "strides": (0,) * 4}, "reaches", id="one number for all"
        ),
        pytest.param(
            {"strides": (27, 9, 3, 2)}, "reaches outside", id="strides that are too large"
        ),
        pytest.param({"strides": (27, 9, 3, -1)}, "invalid offset", id="a negative stride"),
        pytest.param({"strides": (27, 9, 3)}, "invalid offset", id="a stride too few"),
        pytest.param(
            {"shape": (1,) * 40, "strides": (1,) * 40}, "invalid offset", id="40 dimensions"
        ),
        pytest.param({"shape": (8.0, 3, 3, 3)}, "invalid offset", id="a size that is no integer"),
        pytest.param({"shape": [8, 3, 3, 3]}, "invalid offset", id="sizes in a list"),
        pytest.param({"count": HUGE}, "but the file has 432 bytes", id="a storage of 4 GB"),
        pytest.param({"count": 0}, "but the file has 432 bytes", id="a storage of nothing"),
        pytest.param({"count": -216}, "but the file has 432 bytes", id="a negative storage"),
        pytest.param({"count": 216.0}, "not a tensor storage", id="a count that is no integer"),
        pytest.param({"storage": "Size"}, "not a tensor storage", id="a storage of no type"),
    ],
)
def test_tensors_that_reach_outside_their_storage(tmp_path, changes, message):
    model = tiny_pose()
    weight = part(model, "model.0.conv")["_parameters"]["weight"]
    for name, value in changes.items():
        setattr(weight, name, value)
    assert message in refusal(save(tmp_path / "bad.pt", checkpoint(model)))


def test_a_storage_that_the_file_lacks(tmp_path):
    identifier = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x007X\x03\0\0\0cpuK\x01tQ"
    path = save(tmp_path / "bad.pt", {"model": Raw(identifier)})
    assert "storage '7' is missing" in refusal(path)


def test_a_tensor_rebuilt_from_something_else(tmp_path):
    call = Call("torch._utils._rebuild_tensor_v2", ("a text", 0, (1,), (1,), False, {}))
    assert "invalid offset, sizes or strides" in refusal(save(tmp_path / "bad.pt", {"model": call}))


def test_a_module_inside_itself(tmp_path):
    model = tiny_pose()
    part(model, "model")["_modules"]["1"] = model
    assert "inside themselves" in refusal(save(tmp_path / "bad.pt", checkpoint(model)))


def nested(levels: int, children: int) -> Object:
    branch = module("SiLU")
    for _ in range(levels):
        branch = numbered("Sequential", *[branch] * children)
    return branch


SHARED = conv2d(np.zeros((100, 100, 3, 3), np.float32))


@pytest.mark.parametrize(
    ("branch", "message"),
    [
        pytest.param(nested(40, 1), "nested more than 32 deep", id="nested deep"),
        pytest.param(nested(30, 2), "more than 5000 modules", id="shared at every level"),
        pytest.param(
            numbered("Sequential", *[SHARED] * 1000),
            "claim more numbers than the file has",
            id="one storage for a thousand layers",
        ),
    ],
)
def test_trees_of_modules_that_would_never_end(tmp_path, branch, message):
    model = tiny_pose()
    part(model, "model")["_modules"]["1"] = branch
    assert message in refusal(save(tmp_path / "bad.pt", checkpoint(model)), 2e7)


def cyclic_list() -> list:
    values: list = []
    values.append(values)
    return values


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(cyclic_list(), id="in themselves"),
        pytest.param(["a"] * 5000, id="without end"),
        pytest.param(["a" * 1000] * 2000, id="of 2 MB"),
        pytest.param({0: ["a"], 1: None}, id="no names"),
        pytest.param(["only one"], id="too few"),
        pytest.param(None, id="none"),
    ],
)
def test_names_of_no_use_are_left_out(tmp_path, names):
    model = tiny_pose()
    part_of = model.state
    part_of["names"] = names
    part_of["kpt_names"] = {0: names, 1: names}
    found = PoseModel.open(save(tmp_path / "a.pt", checkpoint(model))).metadata
    assert found.class_names == ("class 0", "class 1")
    assert found.keypoint_names == ()


@pytest.mark.parametrize(
    ("path", "change", "message"),
    [
        pytest.param("", {"stride": Tensor(np.array([np.inf]))}, "stride is inf", id="stride inf"),
        pytest.param("", {"stride": Tensor(np.zeros(0))}, "stride is 0", id="no stride"),
        pytest.param("", {"yaml": {"channels": -1}}, "channels", id="less than no colours"),
        pytest.param("", {"_modules": 5}, "not a dictionary", id="children that are a number"),
        pytest.param("", {"_modules": {"../x": module("SiLU")}}, "'../x'", id="a strange name"),
        pytest.param("model", {"_modules": {}}, "no layers", id="no layers"),
        pytest.param("model.3", {"kpt_shape": [HUGE, 3]}, "kpt_shape", id="a billion keypoints"),
        pytest.param("model.3", {"kpt_shape": cyclic_list()}, "kpt_shape", id="a shape in itself"),
        pytest.param("model.3", {"reg_max": HUGE}, "expected", id="a billion bins"),
        pytest.param("model.3", {"f": [2] * 1000}, "not before it", id="a thousand scales"),
        pytest.param("model.3", {"stride": Tensor(np.array([1e-3]))}, "strides", id="tiny cells"),
        pytest.param("model.0.conv", {"padding": (HUGE, 1)}, "does not fit", id="endless padding"),
        pytest.param("model.0.conv", {"groups": 0}, "0 groups", id="no groups"),
    ],
)
def test_descriptions_that_lie(tmp_path, path, change, message):
    model = tiny_pose()
    (part(model, path) if path else model.state).update(change)
    assert message in refusal(save(tmp_path / "bad.pt", checkpoint(model)))


ENLARGE = module("Upsample", scale_factor=8.0, mode="nearest", size=None, f=-1)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        pytest.param([ENLARGE] * 50, "larger than any", id="enlarged fifty times"),
        pytest.param(
            [module("Concat", d=1, f=[-1] * 16)] * 50, "larger than any", id="joined fifty times"
        ),
        pytest.param(
            [module("SPPF", {"cv1": module("Identity"), "m": module("MaxPool2d")}, n=HUGE, f=-1)],
            "pools 2147483648 times",
            id="pooled without end",
        ),
        pytest.param(
            [module("Upsample", scale_factor=float("inf"), mode="nearest", f=-1)],
            "a finite number",
            id="enlarged to infinity",
        ),
        pytest.param(
            [
                module(
                    "Attention",
                    {"qkv": module("Identity")},
                    num_heads=0,
                    key_dim=0,
                    head_dim=0,
                    f=-1,
                )
            ],
            "into 0 heads",
            id="attention without heads",
        ),
        pytest.param(
            [module("Conv2d", tensors={"weight": np.zeros((0, 3, 1, 1), np.float32)}, f=-1)],
            "Conv2d",
            id="a convolution of nothing",
        ),
    ],
)
def test_layers_that_ask_for_more_than_the_file_has(tmp_path, layers, message):
    model = tiny_pose()
    layers = [*layers, part(model, "model")["_modules"]["3"]]
    part(model, "model")["_modules"] = {str(index): layer for index, layer in enumerate(layers)}
    assert message in refusal(save(tmp_path / "bad.pt", checkpoint(model)))


def test_names_of_layers_that_add_up(tmp_path):
    # A text is in the file once, however many names are made of it.
    model = tiny_pose()
    name = "a" * 100_000
    for _ in range(20):
        model = module("PoseModel", {name: model})
    assert "impossible name" in refusal(save(tmp_path / "bad.pt", checkpoint(model)))


def test_names_of_classes_that_add_up(tmp_path):
    text = b"X" + struct.pack("<I", 100_000) + b"ultralytics." + b"a" * (100_000 - 12)
    data = b"\x80\x02" + text + b"q\x00" + b"h\x00h\x00\x93" * 1000 + b"."
    assert "which does not belong" in refusal(save_pickle(tmp_path / "bad.pt", data))


def test_a_class_whose_name_a_terminal_would_obey(tmp_path):
    data = b"\x80\x02cultralytics.x\n\x1b[2JPose\n)\x81}b."
    assert r"'ultralytics.x.\x1b[2JPose'" in refusal(save_pickle(tmp_path / "bad.pt", data))


def test_a_zip_bomb(tmp_path):
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/data.pkl", bytes(50_000_000))
    assert "is compressed" in refusal(path)


def test_entries_that_share_their_bytes(tmp_path):
    path = save(tmp_path / "bad.pt", checkpoint(tiny_pose()))
    data = bytearray(path.read_bytes())
    # Both sizes in the folder of the zip claim 2 GB.
    place = data.index(b"PK\x01\x02") + 20
    data[place : place + 8] = struct.pack("<II", HUGE - 1, HUGE - 1)
    path.write_bytes(data)
    assert "entries claim 2147" in refusal(path)


PICKLE = b"\x80\x02}."


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        pytest.param(
            {"model/data.pkl": PICKLE, "model/byteorder": b"big"}, "big-endian", id="big-endian"
        ),
        pytest.param(
            {"model/data.pkl": PICKLE, "model/constants.pkl": PICKLE}, "TorchScript", id="a script"
        ),
        pytest.param({"readme.txt": b"hello"}, "holds 0 files data.pkl", id="no pickle"),
    ],
)
def test_zips_that_are_no_checkpoints(tmp_path, entries, message):
    with zipfile.ZipFile(tmp_path / "other.pt", "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    assert message in refusal(tmp_path / "other.pt")


def test_a_folder_and_a_text_are_no_checkpoints(tmp_path):
    (tmp_path / "text.pt").write_text("hello")
    assert "not a complete zip archive" in refusal(tmp_path / "text.pt")
    assert "no such file" in refusal(tmp_path)


def test_a_download_that_stopped_anywhere(tmp_path):
    whole = save(tmp_path / "whole.pt", checkpoint(tiny_pose())).read_bytes()
    cut = tmp_path / "cut.pt"
    for length in range(0, len(whole), len(whole) // 100):
        cut.write_bytes(whole[:length])
        refusal(cut)


def test_a_damaged_weight_is_noticed(tmp_path):
    path = save(tmp_path / "bad.pt", checkpoint(tiny_pose()))
    data = bytearray(path.read_bytes())
    data[data.index(b"model/data/0") + len(b"model/data/0") + 5] ^= 1
    path.write_bytes(data)
    assert "'model/data/0' is damaged" in refusal(path)


def zip_content(path):
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        return archive.read("model/data.pkl"), {
            name.rpartition("/")[2]: archive.read(name) for name in names if "/data/" in name
        }


@pytest.mark.parametrize("seed", range(20))
def test_damage_anywhere_in_the_pickle_is_taken_or_refused(tmp_path, seed):
    path = save(tmp_path / "honest.pt", checkpoint(tiny_pose()))
    data, storages = zip_content(path)
    generator = random.Random(seed)
    for _ in range(10):
        damaged = bytearray(data)
        for _ in range(generator.randint(1, 4)):
            damaged[generator.randrange(len(data))] = generator.randrange(256)
        try:
            convert(save_pickle(path, bytes(damaged), storages))
        except ModelError:
            continue


@pytest.mark.parametrize(
    "tensor",
    [
        pytest.param(Tensor(np.zeros(8, "f4"), shape=(0,), strides=(1 << 62,)), id="none, far"),
        pytest.param(
            Tensor(np.zeros(8, "f4"), shape=(0, 9), strides=(1, 1), offset=1 << 62), id="none, late"
        ),
        pytest.param(Tensor(np.zeros(8, "f4"), shape=(1,), strides=(1 << 62,)), id="one, far"),
        pytest.param(
            Tensor(np.zeros(8, "f4"), shape=(1, 1, 1), strides=(1 << 62, 1 << 61, 0)), id="one, 3D"
        ),
    ],
)
def test_tensors_of_no_or_one_number_with_huge_strides_cost_nothing(tmp_path, tensor):
    model = tiny_pose()
    part(model, "model.0.bn")["_parameters"]["bias"] = tensor
    assert "model.0" in refusal(save(tmp_path / "bad.pt", checkpoint(model)))
