# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Structured mutations: what a hostile or damaged file looks like, kind by kind.

Each takes a random generator and the bytes of a valid file.
"""

import io
import pickletools
import re
import struct
import zipfile
import zlib

from google.protobuf.message import DecodeError

NUMBERS = (0, 1, 2, 7, 8, 127, 128, 255, 256, 32767, 32768, 65535, 2**24, 2**31 - 1, 2**31)
NUMBERS += (2**32 - 1, 2**63 - 1, 2**64 - 1)

HOSTILE_TEXTS = (
    *("", "null", "[]", "{}", "true", "nan", ".inf", "-1", "1e999", "0x7fffffffffffffff"),
    *("2020-01-01", "'2020-01-01 00:00:00'", "9" * 5000, "-" + "9" * 30, "1j", "[1j, 3]", "1:2:3"),
    *("&a [1]", "*a", "!!python/name:os.system x", "!!binary aGk=", "!!set {a}", "!!float x"),
    *('"\\e[31m"', '"\\ud800"', '"\\u202e"', "\x1b[2J", "\x00", "\ud800", "\u202e", "a" * 3000),
    *("[" * 300, "{a: " * 300, "../../../etc/passwd", "/dev/zero", "a\0b", "[[[[1]]]]"),
    *("lambda: 0", "nose.y", "__import__('os')", "(" * 300 + ")" * 300, "9**9**9", "1 if 1 else 2"),
)


def flipped(random, content):
    """Some bytes changed."""
    changed = bytearray(content)
    for position in random.integers(0, len(changed), random.integers(1, 9)):
        changed[position] = random.integers(0, 256)
    return bytes(changed)


def numbered(random, content):
    """A field replaced by a number at the edge of its type, in either byte order."""
    size = int(random.choice((1, 2, 4, 8)))
    order = str(random.choice(("little", "big")))
    value = NUMBERS[random.integers(len(NUMBERS))] % 2 ** (8 * size)
    position = int(random.integers(0, max(1, len(content) - size)))
    return content[:position] + value.to_bytes(size, order) + content[position + size :]


def cut(random, content):
    """The end missing."""
    return content[: random.integers(0, len(content))]


def removed(random, content):
    """A piece missing."""
    first, last = sorted(random.integers(0, len(content) + 1, 2))
    return content[:first] + content[last:]


def repeated(random, content):
    """A piece many times."""
    first, last = sorted(random.integers(0, len(content) + 1, 2))
    piece = content[first : min(last, first + 4096)]
    return content[:last] + piece * int(random.integers(1, 60)) + content[last:]


def filled(random, content):
    """Bytes FF in between, as fill bytes or as the largest number."""
    position = int(random.integers(0, len(content) + 1))
    return content[:position] + b"\xff" * int(random.integers(1, 12)) + content[position:]


BYTES = (flipped, numbered, cut, removed, repeated, filled)


def jpeg(random, content):
    """A segment of a JPEG changed, doubled or hidden."""
    marks = [found.start() for found in re.finditer(rb"\xff[\xc0-\xfe]", content)]
    position = marks[random.integers(len(marks))]
    size = struct.pack(">HH", *(int(random.choice(NUMBERS[:12])) for _ in range(2)))
    changes = (
        content[: position + 5] + size + content[position + 9 :],
        content[:position] + b"\xff" * int(random.integers(1, 9)) + content[position:],
        content[:position] + content[position : position + 40] + content[position:],
        content[: position + 2] + size[:2] + content[position + 4 :],
        content[: position + 1] + bytes([random.integers(0xC0, 0xFF)]) + content[position + 2 :],
    )
    return changes[random.integers(len(changes))]


def png(random, content):
    """A chunk of a PNG changed, with the right checksum."""
    chunks, position = [], 8
    while position < len(content):
        (length,) = struct.unpack_from(">I", content, position)
        chunks.append([content[position + 4 : position + 8], content[position + 8 :][:length]])
        position += 12 + length
    chosen = int(random.integers(len(chunks)))
    kind, data = chunks[chosen]
    change = BYTES[random.integers(len(BYTES))]
    chunks[chosen][1] = change(random, data) if data else data
    if random.random() < 0.2:
        chunks.insert(chosen, [kind, data])
    if random.random() < 0.2:
        chunks[chosen][0] = bytes(random.choice((b"acTL", b"fcTL", b"fdAT", b"zTXt", b"iCCP")))
    lie = NUMBERS[random.integers(len(NUMBERS))] % 2**32 if random.random() < 0.2 else None
    parts = [content[:8]]
    for kind, data in chunks:
        length = len(data) if lie is None else lie
        check = zlib.crc32(kind + data)
        parts += [struct.pack(">I", length), kind, data, struct.pack(">I", check)]
    return b"".join(parts)


def text(random, content):
    """A word of a text file replaced by a hostile one."""
    words = list(re.finditer(rb"[\w.\-+/]+", content))
    word = words[random.integers(len(words))]
    hostile = HOSTILE_TEXTS[random.integers(len(HOSTILE_TEXTS))].encode("utf-8", "surrogatepass")
    return content[: word.start()] + hostile + content[word.end() :]


def archive(random, content):
    """A member of a zip file changed, in an archive that is whole."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(made, "w") as target:
        names = source.namelist()
        chosen = names[random.integers(len(names))]
        for name in names:
            data = source.read(name)
            if name == chosen and data:
                data = BYTES[random.integers(len(BYTES))](random, data)
            target.writestr(name, data)
    return made.getvalue()


def onnx_model(random, content):
    """A part of an ONNX model changed, doubled, taken away or put elsewhere."""
    import onnx

    model = onnx.ModelProto.FromString(content)
    graph = model.graph
    number = (NUMBERS[random.integers(len(NUMBERS))] + 2**63) % 2**64 - 2**63
    tensor = graph.initializer[random.integers(len(graph.initializer))]
    node = graph.node[random.integers(len(graph.node))]
    value = (*graph.input, *graph.output)[random.integers(len(graph.input) + len(graph.output))]
    sides = value.type.tensor_type.shape.dim
    text = HOSTILE_TEXTS[random.integers(len(HOSTILE_TEXTS))].encode(errors="replace").decode()

    def external():
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=text)
        tensor.external_data.add(key="offset", value=str(number))

    def recursive():
        call = onnx.helper.make_node("F", list(node.input), list(node.output), domain="f")
        model.functions.append(
            onnx.helper.make_function("f", "F", list(node.input), list(node.output), [call], [])
        )
        model.opset_import.add(domain="f", version=1)
        graph.node.append(call)

    def nested():
        inner = onnx.helper.make_attribute("body", graph)
        node.attribute.append(inner)

    changes = (
        lambda: tensor.dims.append(number),
        lambda: tensor.dims.extend([1] * int(random.integers(1, 3000))),
        lambda: setattr(tensor, "data_type", int(random.integers(-1, 40))),
        lambda: setattr(tensor, "raw_data", tensor.raw_data[: random.integers(0, 8)]),
        lambda: setattr(tensor, "name", text),
        external,
        recursive,
        nested,
        lambda: sides[random.integers(len(sides))].__setattr__("dim_value", number),
        lambda: sides.add(dim_param=text),
        lambda: setattr(value.type.tensor_type, "elem_type", int(random.integers(0, 40))),
        lambda: value.type.ClearField("tensor_type"),
        lambda: setattr(value, "name", text),
        lambda: node.attribute.append(onnx.helper.make_attribute("axis", number)),
        lambda: node.attribute.append(onnx.helper.make_attribute("perm", [number] * 3)),
        lambda: node.input.append(text),
        lambda: node.input.append(node.output[0]),
        lambda: setattr(node, "op_type", str(random.choice(("Loop", "If", "Resize", "Cast", "")))),
        lambda: setattr(node, "domain", text),
        lambda: graph.node.reverse() if hasattr(graph.node, "reverse") else None,
        lambda: graph.node.extend([node] * int(random.integers(1, 300))),
        lambda: graph.output.extend([value] * int(random.integers(1, 4))),
        lambda: graph.input.extend([value]),
        lambda: setattr(model.opset_import[0], "version", number),
        lambda: setattr(model, "ir_version", number),
        lambda: model.metadata_props.add(key="kpt_shape", value=text),
        lambda: graph.initializer.remove(tensor),
        lambda: graph.node.remove(node),
    )
    changes[random.integers(len(changes))]()
    return model.SerializeToString()


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


def mutate(random, content, own):
    """Return a file with one to three mutations, half of them of its own kind."""
    for _ in range(random.integers(1, 4)):
        kinds = own if own and random.random() < 0.5 else BYTES
        try:
            content = kinds[random.integers(len(kinds))](random, content) or b"\0"
        except (struct.error, ValueError, zipfile.BadZipFile, EOFError, NotImplementedError):
            continue  # the last mutation left nothing of this kind
        except (OSError, zlib.error, DecodeError, TypeError, AttributeError):
            continue
    return content
