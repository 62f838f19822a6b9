# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from kp_pose_ros.errors import (
    KpPoseError,
    ModelError,
    brief,
    printable,
    printable_lines,
    show,
    show_exception,
)
from kp_pose_ros.image.message import ImageError


class Unprintable:
    def __repr__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("Größe 日本 🙂", "Größe 日本 🙂", id="letters of any script"),
        pytest.param("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m", id="terminal colours"),
        pytest.param("one\nERROR: two\r", "one\\nERROR: two\\r", id="a second log line"),
        pytest.param("a\u202etxt.exe", "a\\u202etxt.exe", id="writing direction"),
        pytest.param("caf\udce9", "caf\\udce9", id="a file name that is not UTF-8"),
        pytest.param("\x9b31m\x00\x7f", "\\x9b31m\\x00\\x7f", id="controls of one byte"),
        pytest.param(b"\xff".decode("latin-1"), "ÿ", id="a Latin letter"),
    ],
)
def test_text_from_outside_becomes_one_printable_line(text, shown):
    assert printable(text) == shown
    assert str(ModelError(f"model {text}")) == f"model {shown}"
    assert str(ImageError("encoding", text)) == shown
    printable(text).encode()


def test_only_the_first_of_several_lines_begins_at_the_left():
    assert printable_lines("one\n\ttwo\x1b") == "one\n  \ttwo\\x1b"


def test_what_is_printed_is_one_printable_line_for_each_text(capsys):
    show("a\nb\x1b[2J", "", "x" * 3000)
    assert capsys.readouterr().out == "a\\nb\\x1b[2J\n\n" + "x" * 3000 + "\n"


def test_an_exception_that_nobody_expected_is_printable_too(capsys):
    show_exception(ValueError, ValueError("a\x1b[2J"), None)
    assert capsys.readouterr().err == "ValueError: a\\x1b[2J\n"


def test_messages_are_bounded():
    message = str(KpPoseError("x" * 10**6))
    assert len(message) == 2000
    assert message.endswith("...")


def nested(depth):
    bomb = ["lol"] * 9
    for _ in range(depth):
        bomb = [bomb] * 9
    return bomb


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param("x", "'x'", id="a text"),
        pytest.param([1, None, 2.5], "[1, None, 2.5]", id="a list"),
        pytest.param({"a": "\x1b"}, r"{'a': '\x1b'}", id="a control character"),
        pytest.param(10**5000, "an integer of 16610 bits", id="too many digits for Python"),
        pytest.param([10**5000], "[an integer of 16610 bits]", id="the same in a list"),
        pytest.param(b"ab", "b'ab'", id="bytes"),
    ],
)
def test_a_value_is_shown_briefly(value, shown):
    assert brief(value) == shown


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("x" * 10**7, id="a long text"),
        pytest.param(b"\xff" * 10**7, id="many bytes"),
        pytest.param(list(range(10**5)), id="a long list"),
        pytest.param({f"{i}" * 50: i for i in range(1000)}, id="many long keys"),
        pytest.param(nested(20), id="9 to the power of 20 texts"),
        pytest.param(Unprintable(), id="a repr that raises"),
    ],
)
def test_no_value_is_too_large_to_be_shown(value):
    assert len(brief(value)) <= 200
    assert brief(value).isprintable()
