# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import os

import numpy as np
import pytest

from kp_pose_ros.errors import CalibrationError, ModelError
from kp_pose_ros.resources import load_yaml, replace_file, versions


def test_what_is_known_is_named(monkeypatch):
    monkeypatch.setenv("ROS_DISTRO", "kilted")
    assert versions()["ROS 2"] == "kilted"
    assert versions()["numpy"] == np.__version__


def test_what_is_not_known_is_left_out(monkeypatch):
    monkeypatch.delenv("ROS_DISTRO", raising=False)
    assert "ROS 2" not in versions()


@pytest.fixture
def yaml_file(tmp_path):
    def write(text):
        path = tmp_path / "some.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_yaml_gives_mappings_lists_texts_and_numbers(yaml_file):
    path = yaml_file("a: [1, 0x10, 2.5, true, ~, text]\nb: {c: 2020-01-01}\n")
    assert load_yaml(path, ModelError) == {
        "a": [1, 16, 2.5, True, None, "text"],
        "b": {"c": "2020-01-01"},
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("a: [", "did not find expected", id="broken"),
        pytest.param(b"a: \xff", "codec can't decode", id="not UTF-8"),
        pytest.param("a: &x [1]\nb: *x", r"alias \*x", id="an alias"),
        pytest.param("[" * 200_000, "more than 20 levels", id="200,000 levels of lists"),
        pytest.param("{a: " * 100_000, "more than 20 levels", id="levels of mappings"),
        pytest.param("- " * 300_000, "more than 20 levels", id="levels of indents"),
        pytest.param("a: " + "9" * 4500, "integer '999.* is too large", id="4,500 digits"),
        pytest.param("a: 9223372036854775808", "is too large", id="an integer of 65 bits"),
        pytest.param("!!python/name:os.system x", "tag", id="a tag that makes an object"),
        pytest.param("!!binary aGk=", "tag", id="a tag of no basic type"),
        pytest.param('!!int ""', "index", id="an integer without digits"),
        pytest.param("!!bool maybe", "maybe", id="neither true nor false"),
        pytest.param("a: 1\na: 2", "is repeated", id="a key twice"),
        pytest.param("? [a]\n: b", "unhashable", id="a list as key"),
        pytest.param('a: "\\e[31m"', "control characters", id="an escape sequence"),
        pytest.param('a: "\\ud800"', "Unicode", id="half a surrogate pair"),
        pytest.param("--- 1\n--- 2", "single document", id="two documents"),
        pytest.param("#" * (2**20 + 1), "more than the 1048576 bytes", id="more than 1 MB"),
    ],
)
def test_yaml_that_no_settings_need_is_refused_with_the_files_name(yaml_file, text, says):
    path = yaml_file(text)
    with pytest.raises(ModelError, match=says) as refused:
        load_yaml(path, ModelError)
    assert str(refused.value).startswith(f"{path} cannot be read")
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        pytest.param("nowhere", "No such file", id="nothing"),
        pytest.param("fifo", "not a regular file", id="a FIFO that nobody writes to"),
        pytest.param(".", "not a regular file|Is a directory", id="a folder"),
        pytest.param("/dev/zero", "not a regular file", id="a device without an end"),
        pytest.param("holes", "more than the 1048576 bytes", id="a file of terabytes"),
        pytest.param("a\0b", "embedded null", id="a NUL character"),
        pytest.param("x" * 300, "too long", id="a name that is too long"),
        pytest.param("\udcff", "No such file", id="a name that is not UTF-8"),
    ],
)
def test_only_regular_files_are_read(tmp_path, name, says):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "holes").touch()
    os.truncate(tmp_path / "holes", 2**42)
    with pytest.raises(CalibrationError, match=says):
        load_yaml(tmp_path / name, CalibrationError)


def test_a_file_is_replaced_as_a_whole(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    with replace_file(tmp_path / "a") as stream:
        stream.write(b"new")
        assert (tmp_path / "a").read_bytes() == b"old"
    assert (tmp_path / "a").read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_a_file_that_was_not_finished_leaves_nothing(tmp_path):
    with pytest.raises(OSError, match="full"), replace_file(tmp_path / "a"):
        raise OSError(0, "the disk is full")
    assert list(tmp_path.iterdir()) == []


def test_a_planted_link_is_replaced_and_not_followed(tmp_path):
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "a").symlink_to(tmp_path / "victim")
    with replace_file(tmp_path / "a") as stream:
        stream.write(b"new")
    assert (tmp_path / "victim").read_bytes() == b"precious"
    assert not (tmp_path / "a").is_symlink()
