# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Structured mutations: what a hostile or damaged file looks like, kind by kind.

Each takes a random generator and the bytes of a valid file.
"""

import io
import json
import re
import struct
import zipfile
import zlib
from pathlib import Path

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


def table(changes, parse=lambda content: content, write=lambda parts: parts):
    """Make mutations of changes by name: each gets a random generator and what `parse` returns.

    What it returns, or else what it was given, is written again.
    """

    def mutation(name, change):
        def mutated(random, content):
            parts = parse(content)
            changed = change(random, parts)
            return write(parts if changed is None else changed)

        mutated.__name__ = name
        return mutated

    return tuple(mutation(name, change) for name, change in changes.items())


def choose(random, values):
    return values[random.integers(len(values))]


def hostile_text(random):
    return choose(random, HOSTILE_TEXTS).encode(errors="replace").decode()


def _marked(random, content):
    """Split a JPEG before one of its markers."""
    position = choose(
        random, [found.start() for found in re.finditer(rb"\xff[\xc0-\xfe]", content)]
    )
    return content[:position], content[position:]


def _of_marker(change):
    def changed(random, content):
        before, after = _marked(random, content)
        return before + change(random, after)

    return changed


def _size(random):
    return struct.pack(">HH", *(int(random.choice(NUMBERS[:12])) for _ in range(2)))


def _new_scans(random, content):
    """A JPEG with up to 65,535 scans more; each has nothing but its header."""
    scan = bytes.fromhex(choose(random, ("ffda0008010100003f00", "ffda0008010100013f00")))
    return content[:-2] + scan * choose(random, (1, 10, 1000, 65535)) + content[-2:]


JPEG = table(
    {
        "JPEG: a size": _of_marker(lambda random, after: after[:5] + _size(random) + after[9:]),
        "JPEG: fill bytes": _of_marker(
            lambda random, after: b"\xff" * int(random.integers(1, 9)) + after
        ),
        "JPEG: a segment twice": _of_marker(lambda random, after: after[:40] + after),
        "JPEG: a length": _of_marker(
            lambda random, after: after[:2] + _size(random)[:2] + after[4:]
        ),
        "JPEG: a marker": _of_marker(
            lambda random, after: after[:1] + bytes([random.integers(0xC0, 0xFF)]) + after[2:]
        ),
        "JPEG: more scans": _new_scans,
    }
)


def _chunks(content):
    chunks, position = [], 8
    while position < len(content):
        (length,) = struct.unpack_from(">I", content, position)
        chunks.append([content[position + 4 : position + 8], content[position + 8 :][:length]])
        position += 12 + length
    return chunks


def _png(chunks, lie=None):
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, data in chunks:
        length = struct.pack(">I", len(data) if lie is None else lie)
        parts += [length, kind, data, struct.pack(">I", zlib.crc32(kind + data))]
    return b"".join(parts)


def _of_chunk(change):
    """Change a chunk of a PNG, which gets the right checksum."""

    def changed(random, content):
        chunks = _chunks(content)
        change(random, chunks, int(random.integers(len(chunks))))
        return _png(chunks)

    return changed


def _damage_chunk(random, chunks, chosen):
    kind, data = choose(random, [each for each in chunks if each[1]])
    chunks[chosen] = [kind, choose(random, BYTES)(random, data)]


def _bomb(random, chunks, _):
    """A profile or a text that is small, and large when it is inflated."""
    kind, head = choose(
        random, ((b"iCCP", b"a\0\0"), (b"zTXt", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0"))
    )
    size = choose(random, (10**4, 10**6, 3 * 10**7))
    chunks.insert(1, [kind, head + zlib.compress(bytes(size), 9)])


def _animate(random, chunks, _):
    """Frames of an animation (APNG), of any size, at any place."""
    frames, loops = (int(random.choice(NUMBERS[:-2])) for _ in range(2))
    control = struct.pack(">II", frames % 2**32, loops % 2**32)
    sides = (int(random.choice(NUMBERS[:-2])) % 2**32 for _ in range(4))
    frame = struct.pack(">IIIIIHHBB", 0, *sides, 1, 25, 0, 0)
    chunks[1:1] = [[b"acTL", control], [b"fcTL", frame]]
    data = next(data for kind, data in chunks if kind == b"IDAT")
    chunks[-1:-1] = [[b"fcTL", frame], [b"fdAT", struct.pack(">I", 2) + data]]


PNG = table(
    {
        "PNG: a chunk's bytes": _of_chunk(_damage_chunk),
        "PNG: a chunk twice": _of_chunk(
            lambda random, chunks, chosen: chunks.insert(chosen, chunks[chosen])
        ),
        "PNG: a chunk's kind": _of_chunk(
            lambda random, chunks, chosen: chunks[chosen].__setitem__(
                0, choose(random, (b"acTL", b"fcTL", b"fdAT", b"zTXt", b"iCCP", b"IEND", b"PLTE"))
            )
        ),
        "PNG: lying lengths": lambda random, content: _png(
            _chunks(content), choose(random, NUMBERS) % 2**32
        ),
        "PNG: a bomb": _of_chunk(_bomb),
        "PNG: an animation": _of_chunk(_animate),
    }
)


def text(random, content):
    """A word of a text file replaced by a hostile one."""
    words = list(re.finditer(rb"[\w.\-+/]+", content))
    word = words[random.integers(len(words))]
    hostile = HOSTILE_TEXTS[random.integers(len(HOSTILE_TEXTS))].encode("utf-8", "surrogatepass")
    return content[: word.start()] + hostile + content[word.end() :]


def crowded(random, content):
    """A record of a crowd."""
    record = json.loads(content.splitlines()[0])
    (person, *_) = record["poses"]
    count = choose(random, (10, 200, 201, 20_000))
    record["poses"] = [{**person, "track_id": number} for number in range(count)]
    return json.dumps(record).encode() + b"\n" + content


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


def renamed(random, content):
    """A member of a zip file with another name, or twice."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(made, "w") as target:
        names = source.namelist()
        chosen = choose(random, names)
        for name in names:
            target.writestr(name, source.read(name))
        digits = str(choose(random, NUMBERS)), "1a", "9" * int(random.integers(1, 250))
        stem = choose(random, (*digits, hostile_text(random)))
        target.writestr(f"{stem}{Path(chosen).suffix}", source.read(chosen))
    return made.getvalue()


# Raised if the mutation before has removed everything of this kind.
_UNFIT = (struct.error, ValueError, zipfile.BadZipFile, EOFError, NotImplementedError, OSError)
_UNFIT += (zlib.error, DecodeError, TypeError, AttributeError, LookupError, StopIteration)
_UNFIT += (RecursionError,)


def mutate(random, content, first, own):
    """Return a file with one to three mutations, and the names of those that changed it.

    Args:
        random: a generator.
        content: of a valid file.
        first: the first mutation.
        own: those of the file's kind; half of the others are.
    """
    fired = []
    for number in range(random.integers(1, 4)):
        kinds = own if own and random.random() < 0.5 else BYTES
        mutation = first if number == 0 else choose(random, kinds)
        try:
            changed = mutation(random, content) or b"\0"
        except _UNFIT:
            continue
        fired += [mutation.__name__] * (changed != content)
        content = changed
    return content, fired
