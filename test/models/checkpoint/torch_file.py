# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes files as `torch.save` would, honest or not, without torch; and a tiny pose model."""

import pickle
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

NETWORK_HW = (32, 48)
CLASSES = 2
KPT_SHAPE = (3, 3)
BINS = 4

STORAGES = {"f2": "HalfStorage", "f4": "FloatStorage", "f8": "DoubleStorage", "i8": "LongStorage"}


@dataclass
class Object:
    """An object of a class, made without arguments and then given its state."""

    name: str
    state: Any = None


@dataclass
class Call:
    """What a function returns."""

    name: str
    arguments: tuple


@dataclass
class Raw:
    """Opcodes as they are."""

    opcodes: bytes


@dataclass
class Tensor:
    """A tensor over its own storage, consistent unless an argument says otherwise."""

    data: np.ndarray
    storage: str = ""
    count: int | None = None
    offset: int = 0
    shape: Any = None
    strides: Any = None


class Pickler:
    """Encodes values with protocol 2, and remembers the storages that they need."""

    def __init__(self, part=()):
        self.storages = {}
        self.counts = {}
        self._part = part
        self._memo = {}

    def dump(self, value) -> bytes:
        return b"\x80\x02" + self._encode(value) + b"."

    def _encode(self, value) -> bytes:
        if not isinstance(value, list | dict | Object | Tensor):
            return ENCODERS[type(value)](self, value)
        if id(value) in self._memo:
            return pickle.LONG_BINGET + struct.pack("<I", self._memo[id(value)])
        index = self._memo[id(value)] = len(self._memo)
        put = pickle.LONG_BINPUT + struct.pack("<I", index)
        start, fill = ENCODERS[type(value)](self, value)
        return start + put + fill()

    def _list(self, values):
        return b"]", lambda: b"(" + b"".join(map(self._encode, values)) + b"e"

    def _dict(self, values):
        flat = [part for item in values.items() for part in item]
        return b"}", lambda: b"(" + b"".join(map(self._encode, flat)) + b"u"

    def _object(self, value):
        start = _global(value.name) + b")\x81"
        return start, lambda: self._encode(value.state) + b"b"

    def _call(self, value):
        return _global(value.name) + self._encode(value.arguments) + b"R"

    def _tuple(self, values):
        return b"(" + b"".join(map(self._encode, values)) + b"t"

    def _tensor(self, tensor):
        data = np.ascontiguousarray(tensor.data)
        key = str(len(self.storages))
        self.storages[key] = data.tobytes()
        kind = "torch." + (tensor.storage or STORAGES[data.dtype.str[1:]])
        count = self.counts[key] = data.size if tensor.count is None else tensor.count
        strides = tuple(stride // data.itemsize for stride in data.strides)
        identifier = (
            self._encode(("storage", Raw(_global(kind)), key, "cpu", count, *self._part)) + b"Q"
        )
        arguments = (
            Raw(identifier),
            tensor.offset,
            data.shape if tensor.shape is None else tensor.shape,
            strides if tensor.strides is None else tensor.strides,
            False,
            {},
        )
        return self._call(Call("torch._utils._rebuild_tensor_v2", arguments)), bytes


def _global(name: str) -> bytes:
    return b"c" + "\n".join(name.rsplit(".", 1)).encode() + b"\n"


def _text(_pickler, value: str) -> bytes:
    data = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(data)) + data


def _integer(_pickler, value: int) -> bytes:
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


ENCODERS = {
    type(None): lambda _, value: b"N",
    bool: lambda _, value: b"\x88" if value else b"\x89",
    int: _integer,
    float: lambda _, value: b"G" + struct.pack(">d", value),
    str: _text,
    Raw: lambda _, value: value.opcodes,
    tuple: Pickler._tuple,
    list: Pickler._list,
    dict: Pickler._dict,
    Object: Pickler._object,
    Call: Pickler._call,
    Tensor: Pickler._tensor,
}


def save(path: Path, content, compression=zipfile.ZIP_STORED) -> Path:
    """Write `content` as a checkpoint."""
    pickler = Pickler()
    return save_pickle(path, pickler.dump(content), pickler.storages, compression)


def save_pickle(path: Path, data: bytes, storages=None, compression=zipfile.ZIP_STORED) -> Path:
    """Write a pickle and its storages as the zip that torch would write."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("model/data.pkl", data)
        archive.writestr("model/byteorder", "little")
        for key, storage in (storages or {}).items():
            archive.writestr(f"model/data/{key}", storage)
    return path


def save_legacy(
    path: Path, content, *, keys=None, count=None, cut=None, little_endian=True
) -> Path:
    """Write `content` as torch did before 1.6, consistent unless an argument says otherwise."""
    pickler = Pickler(part=(None,))
    data = pickler.dump(content)
    parts = [
        b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.",
        Pickler().dump(1001),
        Pickler().dump({"little_endian": little_endian}),
        data,
        Pickler().dump(list(pickler.storages) if keys is None else keys),
    ]
    for key, storage in pickler.storages.items():
        parts += [(pickler.counts[key] if count is None else count).to_bytes(8, "little"), storage]
    path.write_bytes(b"".join(parts)[: None if cut is None else -cut])
    return path


def module(kind: str, children=None, tensors=None, **attributes) -> Object:
    state = {
        "training": False,
        "_parameters": {name: Tensor(np.asarray(data)) for name, data in (tensors or {}).items()},
        "_buffers": {},
        "_modules": children or {},
        **attributes,
    }
    return Object(f"ultralytics.nn.modules.{kind}", state)


def part(root: Object, path: str) -> dict:
    """Return the state of a module, to change it."""
    for name in path.split("."):
        root = root.state["_modules"][name]
    return root.state


def numbered(kind: str, *children: Object, **attributes) -> Object:
    return module(kind, {str(index): child for index, child in enumerate(children)}, **attributes)


def conv2d(weight, bias=None, stride: int = 1) -> Object:
    size = weight.shape[2]
    return module(
        "Conv2d",
        tensors={"weight": weight} | ({} if bias is None else {"bias": bias}),
        stride=(stride, stride),
        padding=(size // 2, size // 2),
        dilation=(1, 1),
        groups=1,
        padding_mode="zeros",
    )


def conv(generator, inputs: int, outputs: int, **attributes) -> Object:
    """Return a Conv of ultralytics with stride 2, whose normalisation does something."""
    statistics = {
        name: generator.uniform(low, high, outputs).astype(np.float16)
        for name, low, high in [
            ("weight", 0.5, 1.5),
            ("bias", -0.5, 0.5),
            ("running_mean", -0.5, 0.5),
            ("running_var", 0.5, 2.0),
        ]
    }
    weight = generator.normal(0, 0.2, (outputs, inputs, 3, 3)).astype(np.float16)
    children = {
        "conv": conv2d(weight, stride=2),
        "bn": module("BatchNorm2d", tensors=statistics, eps=1e-3),
        "act": module("SiLU"),
    }
    return module("Conv", children, **attributes)


def head_branch(bias) -> Object:
    """Return a branch with the same output everywhere: its bias."""
    bias = np.asarray(bias, np.float32)
    weight = np.zeros((len(bias), 8, 1, 1), np.float32)
    return numbered("ModuleList", numbered("Sequential", conv2d(weight, bias)))


def tiny_pose(box=None, scores=(0.0, 0.0), keypoints=None) -> Object:
    """Return a pose model of one scale (stride 8), whose head has the same output in every cell."""
    generator = np.random.default_rng(0)
    bins = np.arange(BINS, dtype=np.float32).reshape(1, BINS, 1, 1)
    head = module(
        "Pose",
        {
            "cv2": head_branch(np.zeros(4 * BINS) if box is None else box),
            "cv3": head_branch(scores),
            "dfl": module("DFL", {"conv": conv2d(bins)}),
            "cv4": head_branch(np.zeros(9) if keypoints is None else keypoints),
        },
        nc=CLASSES,
        reg_max=BINS,
        kpt_shape=list(KPT_SHAPE),
        stride=Tensor(np.array([8], np.float32)),
        f=[2],
    )
    layers = [conv(generator, inputs, 8, f=-1) for inputs in (3, 8, 8)]
    return module(
        "PoseModel",
        {"model": numbered("Sequential", *layers, head)},
        stride=Tensor(np.array([8], np.float32)),
        task="pose",
        names={0: "cat", 1: "dog"},
        args={"imgsz": list(NETWORK_HW), "data": "/home/someone/pets.yaml"},
        yaml={"yaml_file": "yolo11n-pose.yaml"},
    )


def checkpoint(model: Object) -> dict:
    return {
        "model": model,
        "ema": None,
        "train_args": {"imgsz": 640, "task": "pose"},
        "date": "2026-01-02T03:04:05",
        "version": "8.3.0",
        "license": "AGPL-3.0",
        "docs": "https://docs.example",
    }
