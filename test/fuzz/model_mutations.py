# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Structured mutations of model files; see `mutations`."""

import io
import json
import math
import pickletools
import struct
import zipfile

from mutations import HOSTILE_TEXTS, NUMBERS, choose, hostile_text, table


class Graph:
    """An ONNX model, and a part of each kind of it."""

    def __init__(self, content):
        import onnx

        self.model = onnx.ModelProto.FromString(content)
        self.graph = self.model.graph

    def tensor(self, random):
        return choose(random, self.graph.initializer)

    def node(self, random):
        return choose(random, self.graph.node)

    def value(self, random):
        return choose(random, (*self.graph.input, *self.graph.output))

    def sides(self, random):
        return self.value(random).type.tensor_type.shape.dim

    def write(self):
        return self.model.SerializeToString()


def _whole(random):
    """Return a number at the edge of a type, as an int64."""
    return (choose(random, NUMBERS) + 2**63) % 2**64 - 2**63


def _external(random, parts):
    tensor = parts.tensor(random)
    tensor.data_location = tensor.EXTERNAL
    tensor.external_data.add(key="location", value=hostile_text(random))
    tensor.external_data.add(key="offset", value=str(_whole(random)))


def _recursive(random, parts):
    import onnx

    node = parts.node(random)
    names = list(node.input), list(node.output)
    call = onnx.helper.make_node("F", *names, domain="f")
    parts.model.functions.append(onnx.helper.make_function("f", "F", *names, [call], []))
    parts.model.opset_import.add(domain="f", version=1)
    parts.graph.node.append(call)


def _attribute(random, parts, name, value):
    import onnx

    parts.node(random).attribute.append(onnx.helper.make_attribute(name, value))


def _reorder(random, parts):
    nodes = [type(node).FromString(node.SerializeToString()) for node in parts.graph.node]
    del parts.graph.node[:]
    parts.graph.node.extend(choose(random, (nodes[::-1], [*nodes[1:], nodes[0]])))


def _metadata(random, parts):
    keys = ("task", "names", "kpt_shape", "imgsz", "stride", "batch", "channels", "args", "end2end")
    parts.model.metadata_props.add(key=choose(random, keys), value=hostile_text(random))


ONNX = table(
    {
        "ONNX: a dimension": lambda r, g: g.tensor(r).dims.append(_whole(r)),
        "ONNX: many dimensions": lambda r, g: g.tensor(r).dims.extend([1] * r.integers(1, 3000)),
        "ONNX: a weight's type": lambda r, g: setattr(
            g.tensor(r), "data_type", int(r.integers(-1, 40))
        ),
        "ONNX: a weight's numbers": lambda r, g: setattr(
            g.tensor(r), "raw_data", bytes(r.integers(0, 8))
        ),
        "ONNX: a weight's name": lambda r, g: setattr(g.tensor(r), "name", hostile_text(r)),
        "ONNX: a weight elsewhere": _external,
        "ONNX: a recursive function": _recursive,
        "ONNX: a graph in itself": lambda r, g: _attribute(r, g, "body", g.graph),
        "ONNX: a side": lambda r, g: setattr(choose(r, g.sides(r)), "dim_value", _whole(r)),
        "ONNX: a side more": lambda r, g: g.sides(r).add(dim_param=hostile_text(r)) and None,
        "ONNX: a type": lambda r, g: setattr(
            g.value(r).type.tensor_type, "elem_type", int(r.integers(0, 40))
        ),
        "ONNX: no tensor": lambda r, g: g.value(r).type.ClearField("tensor_type"),
        "ONNX: a value's name": lambda r, g: setattr(g.value(r), "name", hostile_text(r)),
        "ONNX: an axis": lambda r, g: _attribute(r, g, "axis", _whole(r)),
        "ONNX: an order of axes": lambda r, g: _attribute(r, g, "perm", [_whole(r)] * 3),
        "ONNX: an input more": lambda r, g: g.node(r).input.append(hostile_text(r)),
        "ONNX: a cycle": lambda r, g: g.node(r).input.append(g.node(r).output[0]),
        "ONNX: an operator": lambda r, g: setattr(
            g.node(r), "op_type", choose(r, ("Loop", "If", "Resize", "Cast", ""))
        ),
        "ONNX: a domain": lambda r, g: setattr(g.node(r), "domain", hostile_text(r)),
        "ONNX: another order": _reorder,
        "ONNX: a node many times": lambda r, g: g.graph.node.extend(
            [g.node(r)] * r.integers(1, 300)
        ),
        "ONNX: an output more": lambda r, g: g.graph.output.extend([g.value(r)]),
        "ONNX: an input twice": lambda r, g: g.graph.input.extend([g.value(r)]),
        "ONNX: an opset": lambda r, g: setattr(g.model.opset_import[0], "version", _whole(r)),
        "ONNX: a version": lambda r, g: setattr(g.model, "ir_version", _whole(r)),
        "ONNX: metadata": _metadata,
        "ONNX: a weight less": lambda r, g: g.graph.initializer.remove(g.tensor(r)),
        "ONNX: a node less": lambda r, g: g.graph.node.remove(g.node(r)),
    },
    Graph,
    Graph.write,
)


class EngineFile:
    """An engine file: a length, JSON of that length, and the plan."""

    def __init__(self, content):
        self.length = int.from_bytes(content[:4], "little")
        self.values = json.loads(content[4 : 4 + self.length])
        self.plan = content[4 + self.length :]
        self.said = None  # JSON that differs from the values
        self.lie = None  # a length that is not that of the JSON

    def key(self, random):
        return choose(random, list(self.values))

    def write(self):
        said = self.said or json.dumps(self.values).encode("utf-8", "surrogatepass")
        length = len(said) if self.lie is None else self.lie
        return (length % 2**32).to_bytes(4, "little") + said + self.plan


def _json_value(random, depth=0):
    kinds = (
        lambda: int(choose(random, NUMBERS)),
        lambda: -int(choose(random, NUMBERS)),
        lambda: choose(random, (0.0, -1.5, 1e308, math.inf, math.nan)),
        lambda: choose(random, HOSTILE_TEXTS),
        lambda: choose(random, (None, True, False, [], {}, "", [[]])),
        lambda: [_json_value(random, depth + 1) for _ in range(random.integers(0, 4))],
        lambda: {str(k): _json_value(random, depth + 1) for k in range(random.integers(0, 4))},
    )
    return choose(random, kinds if depth < 4 else kinds[:5])()


def _set(key, make):
    """Set one of the values to what `make` returns, or one in `args` if the key has a dot."""

    def change(random, parts):
        where = parts.values
        outer, _, inner = key.partition(".")
        if inner:
            where = where.setdefault(outer, {})
        where[inner or outer] = make(random)

    return change


def _side(random):
    return choose(random, (*NUMBERS, -1, 0.5, "640", None, True))


def _nest(random, parts):
    deep = int(choose(random, (10, 900, 10_000, 200_000)))
    opening, closing = choose(random, (("[", "]"), ('{"a":', "}"), ("[", "")))
    value = opening * deep + ("1" if closing == "}" else "") + closing * deep
    parts.said = (
        json.dumps({**parts.values, "deep": 0}).replace('"deep": 0', f'"names": {value}').encode()
    )


def _repeat_key(random, parts):
    key = json.dumps(parts.key(random))
    parts.said = json.dumps(parts.values)[:-1].encode() + f", {key}: null".encode() * 3 + b"}"


def _encode(random, parts):
    encoding = choose(random, ("utf-16", "utf-8-sig", "utf-32", "latin-1"))
    parts.said = json.dumps(parts.values).encode(encoding)


def _pad(random, parts):
    parts.said = json.dumps(parts.values).encode() + b" " * choose(random, (1, 2**16, 2**20, 2**21))


ENGINE = table(
    {
        "engine: a length": lambda r, e: setattr(e, "lie", choose(r, (*NUMBERS, e.length - 1))),
        "engine: any value": lambda r, e: e.values.update({e.key(r): _json_value(r)}),
        "engine: a value less": lambda r, e: e.values.pop(e.key(r)) and None,
        "engine: another key": lambda r, e: e.values.update({hostile_text(r): _json_value(r)}),
        "engine: a size": _set("imgsz", lambda r: [_side(r) for _ in range(r.integers(0, 4))]),
        "engine: a stride": _set("stride", _side),
        "engine: a batch": _set("batch", _side),
        "engine: channels": _set("channels", _side),
        "engine: keypoints": _set("kpt_shape", lambda r: [_side(r) for _ in range(r.integers(4))]),
        "engine: class names": _set(
            "names",
            lambda r: {
                str(choose(r, (*NUMBERS, "x"))): _json_value(r) for _ in range(r.integers(5))
            },
        ),
        "engine: many names": _set(
            "names", lambda r: ["a" * 9] * int(choose(r, (0, 1, 9_999, 10_001, 80_000)))
        ),
        "engine: keypoint names": _set("kpt_names", lambda r: [_json_value(r) for _ in range(17)]),
        "engine: an argument": _set("args.dynamic", _json_value),
        "engine: nms": _set("args.nms", _json_value),
        "engine: end2end": _set("end2end", _json_value),
        "engine: a layout": _set("kp_pose_layout", _json_value),
        "engine: nesting": _nest,
        "engine: no mapping": lambda r, e: setattr(
            e, "said", json.dumps(_json_value(r, 3)).encode("utf-8", "surrogatepass")
        ),
        "engine: a key twice": _repeat_key,
        "engine: an encoding": _encode,
        "engine: a long header": _pad,
        "engine: no plan": lambda r, e: setattr(e, "plan", b""),
    },
    EngineFile,
    EngineFile.write,
)


def pickled(random, content):
    """A checkpoint whose pickle has an opcode changed, with the right checksum."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(made, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith("data.pkl"):
                data = _changed_pickle(random, data)
            target.writestr(name, data)
    return made.getvalue()


def _changed_pickle(random, data):
    places = [(code.name, place) for code, _, place in pickletools.genops(data)]
    which = int(random.integers(len(places)))
    (name, start), end = places[which], places[min(which + 1, len(places) - 1)][1]
    number = NUMBERS[random.integers(len(NUMBERS))]
    text = HOSTILE_TEXTS[random.integers(len(HOSTILE_TEXTS))].encode("utf-8", "surrogatepass")
    others = (
        b"J" + (number % 2**32).to_bytes(4, "little"),
        b"\x8a\x09" + number.to_bytes(9, "little"),
        b"G" + struct.pack(">d", float(random.choice((0.0, -1.0, 1e308, float("nan"))))),
        b"X" + len(text).to_bytes(4, "little") + text,
        b"N",
        b"]",
        b"}",
        b")",
        b"0" if name != "STOP" else b"N.",
        data[start:end] * 2,
        b"",
    )
    return data[:start] + others[random.integers(len(others))] + data[end:]
