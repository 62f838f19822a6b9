# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import errno
import hashlib
import logging
import multiprocessing
import os
import re
import resource
import tempfile
import time
import weakref
from pathlib import Path
from threading import Thread

import pytest

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models import cache
from kp_pose_ros.models.cache import cache_folder, cached, content_hash, find_cached, locked


@pytest.fixture
def folder(tmp_path, monkeypatch):
    path = tmp_path / "cache"
    monkeypatch.setenv("KP_POSE_CACHE", str(path))
    return path


def never():
    raise AssertionError("made again")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        pytest.param({"KP_POSE_CACHE": "/own", "XDG_CACHE_HOME": "/xdg"}, "/own", id="its own"),
        pytest.param({"KP_POSE_CACHE": "~/own"}, "/home/me/own", id="its own, below home"),
        pytest.param({"XDG_CACHE_HOME": "/xdg"}, "/xdg/kp_pose_ros", id="the desktop's"),
        pytest.param({"XDG_CACHE_HOME": "xdg"}, "/home/me/.cache/kp_pose_ros", id="relative"),
        pytest.param({}, "/home/me/.cache/kp_pose_ros", id="the default"),
        pytest.param({"KP_POSE_CACHE": ""}, "/home/me/.cache/kp_pose_ros", id="empty"),
    ],
)
def test_folder_is_named_by_the_environment(environment, expected, monkeypatch):
    for name in ("KP_POSE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"HOME": "/home/me"} | environment).items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(expected)


def test_file_is_made_once(folder):
    path = cached("a.onnx", lambda: b"content")
    assert path == folder / "a.onnx"
    assert path.read_bytes() == b"content"
    assert cached("a.onnx", never) == path


def test_nothing_but_the_file_and_its_checksum_stays(folder):
    cached("a.onnx", lambda: b"content")
    assert sorted(path.name for path in folder.iterdir()) == ["a.onnx", "a.onnx.sha256"]


def _work(folder, times):
    for _ in range(times):
        with locked(folder / "lock"):
            (folder / "busy").mkdir()  # raises if another process holds it
            (folder / "busy").rmdir()


def test_lock_that_is_removed_after_use_keeps_others_out(tmp_path):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_work, args=(tmp_path, 200)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert list(tmp_path.iterdir()) == []


def test_who_waits_for_a_lock_says_so(tmp_path, caplog):
    caplog.set_level(logging.INFO, "kp_pose_ros")
    waiter = Thread(target=_work, args=(tmp_path, 1))
    with locked(tmp_path / "lock"):
        waiter.start()
        for _ in range(1000):
            if caplog.messages:
                break
            time.sleep(0.01)
    waiter.join()
    assert caplog.messages == [f"waiting for another process that has locked {tmp_path / 'lock'}"]


def test_names_keep_contents_apart(folder):
    assert cached("a", lambda: b"1").read_bytes() != cached("b", lambda: b"2").read_bytes()


def truncated(path):
    path.write_bytes(path.read_bytes()[:3])


def flipped(path):
    path.write_bytes(b"C" + path.read_bytes()[1:])


def emptied(path):
    path.write_bytes(b"")


def without_checksum(path):
    path.with_name(f"{path.name}.sha256").unlink()


def with_strange_checksum(path):
    path.with_name(f"{path.name}.sha256").write_bytes(b"\xff\xfe")


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(truncated, id="cut short"),
        pytest.param(flipped, id="one byte changed"),
        pytest.param(emptied, id="empty after a power cut"),
        pytest.param(without_checksum, id="checksum missing"),
        pytest.param(with_strange_checksum, id="checksum unreadable"),
    ],
)
def test_damaged_file_is_made_again_and_logged(folder, caplog, damage):
    path = cached("a.onnx", lambda: b"content")
    damage(path)
    with caplog.at_level(logging.WARNING):
        assert cached("a.onnx", lambda: b"content").read_bytes() == b"content"
    assert "a.onnx is damaged" in caplog.text
    assert cached("a.onnx", never) == path


def test_failed_making_leaves_nothing_and_is_tried_again(folder):
    def fail():
        raise ModelError("no such model")

    with pytest.raises(ModelError, match="no such model"):
        cached("a.onnx", fail)
    assert not (folder / "a.onnx").exists()
    assert cached("a.onnx", lambda: b"content").read_bytes() == b"content"


def _make_slowly(log, start):
    def make():
        with log.open("a") as stream:
            stream.write("made\n")
        time.sleep(0.3)
        return b"content"

    start.wait()
    assert cached("a.onnx", make).read_bytes() == b"content"


def test_two_processes_that_start_together_make_it_once(folder, tmp_path):
    context = multiprocessing.get_context("fork")
    log, start = tmp_path / "log", context.Barrier(4)
    processes = [context.Process(target=_make_slowly, args=(log, start)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert log.read_text() == "made\n"


def _die_while_making(folder):
    cached("a.onnx", lambda: os._exit(3))


def test_process_that_dies_while_making_blocks_nobody(folder):
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_die_while_making, args=(folder,))
    process.start()
    process.join()
    assert process.exitcode == 3
    assert cached("a.onnx", lambda: b"content").read_bytes() == b"content"


@pytest.fixture
def unwritable(tmp_path, monkeypatch):
    """The cache folder has a file in its place, which refuses root, too."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KP_POSE_CACHE", str(tmp_path / "file" / "cache"))


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder of temporary files."""
    path = tmp_path / "temporary"
    path.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    return path


def test_where_the_folder_cannot_be_written_another_one_serves(unwritable, temporary, caplog):
    path = cached("a.onnx", lambda: b"content")
    assert path == temporary / f"kp_pose_ros-{os.getuid()}" / "a.onnx"
    assert path.parent.stat().st_mode & 0o777 == 0o700
    (line,) = caplog.messages
    assert re.search(
        rf"file/cache cannot be written .* using {path} instead; .*KP_POSE_CACHE", line
    )
    assert cached("a.onnx", never) == path
    assert find_cached("a.onnx") == [path]


def others(folder):
    folder.mkdir()
    folder.chmod(0o777)


def linked(folder):
    folder.symlink_to(folder.parent.parent)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(others, id="others may write there"),
        pytest.param(linked, id="a link to elsewhere"),
    ],
)
def test_files_that_somebody_else_may_have_put_there_are_not_used(unwritable, temporary, make):
    make(temporary / f"kp_pose_ros-{os.getuid()}")
    with pytest.raises(ModelError, match=r"file/cache cannot be written .* KP_POSE_CACHE"):
        cached("a.onnx", never)
    assert find_cached("a.onnx") == []


def test_a_look_in_vain_keeps_nothing_of_its_callers_alive(folder):
    """The networks of a closed engine were freed by the garbage collector only, some time."""

    def look():
        held = type("Held", (), {})()
        assert find_cached("a.onnx") == []
        return weakref.ref(held)

    assert look()() is None


def test_a_disk_that_fills_up_costs_no_second_build(folder, temporary, monkeypatch):
    builds = []
    real = cache.replace_file

    def replace_file(path):
        if folder in path.parents:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path)

    monkeypatch.setattr(cache, "replace_file", replace_file)
    for _ in range(2):  # in this process, and in the next one
        path = cached("a.onnx", lambda: builds.append(None) or b"content")
        assert len(builds) == 1
        assert path.read_bytes() == b"content"


def test_a_disk_that_is_full_is_named_and_not_filled_further(folder, temporary):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(ModelError, match=r"cannot be written .*File too large"):
            cached("a.onnx", lambda: b"content" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(folder.iterdir()) == []


def test_whole_file_in_a_read_only_folder_is_used(folder):
    path = cached("a.onnx", lambda: b"content")
    folder.chmod(0o500)
    try:
        assert cached("a.onnx", never) == path
    finally:
        folder.chmod(0o700)


def test_a_file_is_made_anew_on_request(folder):
    cached("a.onnx", lambda: b"content")
    assert cached("a.onnx", lambda: b"other", accept=lambda _: False).read_bytes() == b"other"


@pytest.mark.parametrize(("content", "made"), [(b"content", []), (b"other", [1])])
def test_a_file_is_made_anew_if_its_content_was_refused(folder, caplog, content, made):
    cached("a.onnx", lambda: content)
    refused, makes = [hashlib.sha256(b"other").hexdigest()], []
    path = cached(
        "a.onnx", lambda: makes.append(1) or b"content", accept=lambda found: found not in refused
    )
    assert (path.read_bytes(), makes) == (b"content", made)
    assert caplog.messages == []


def test_hash_is_of_the_contents_one_after_the_other(tmp_path):
    first, second = tmp_path / "1", tmp_path / "2"
    first.write_bytes(b"a" * 3_000_000)
    second.write_bytes(b"b")
    expected = hashlib.sha256(b"a" * 3_000_000 + b"b").hexdigest()
    assert content_hash(first, second) == expected


def test_hash_of_a_missing_file_names_it(tmp_path):
    with pytest.raises(ModelError, match="gone cannot be read"):
        content_hash(tmp_path / "gone")


def open_to_all(folder):
    folder.chmod(0o777)


def open_above(folder):
    folder.parent.chmod(0o777)


def of_another_group(folder):
    os.chown(folder, os.getuid(), 12345)
    folder.chmod(0o770)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("change", [open_to_all, open_above, of_another_group])
def test_a_cache_that_others_can_write_to_is_not_used(folder, temporary, caplog, change):
    cached("a.onnx", lambda: b"planted")
    change(folder)
    path = cached("a.onnx", lambda: b"content")
    folder.parent.chmod(0o700)
    assert path.parent == temporary / f"kp_pose_ros-{os.getuid()}"
    assert path.read_bytes() == b"content"
    (line,) = caplog.messages
    assert re.search(rf"{folder} is not used, because other users can .* using {path.parent}", line)


@pytest.mark.parametrize("above", [0o755, 0o1777], ids=["only ours", "sticky, as /tmp"])
def test_a_cache_that_only_we_can_write_to_is_used(folder, above):
    folder.parent.chmod(above)
    assert cached("a.onnx", lambda: b"content").parent == folder
    folder.parent.chmod(0o700)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_a_cache_of_another_user_is_used_where_the_variable_names_it(folder):
    path = cached("a.onnx", lambda: b"content")
    os.chown(folder, 12345, 12345)
    os.chown(path, 12345, 12345)
    assert cached("a.onnx", never) == path


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_a_default_cache_of_another_user_is_not_used(tmp_path, temporary, monkeypatch):
    monkeypatch.delenv("KP_POSE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    folder = cached("a.onnx", lambda: b"planted").parent
    os.chown(folder, 12345, 12345)
    assert cached("a.onnx", lambda: b"content").read_bytes() == b"content"


def test_others_can_read_a_new_cache_but_not_write_to_it(folder):
    before = os.umask(0)
    try:
        cached("a.onnx", lambda: b"content")
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o755


def test_too_many_open_files_are_no_damage(folder, monkeypatch):
    cached("a.onnx", lambda: b"content")

    def read_file(path, largest):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(cache, "read_file", read_file)
    with pytest.raises(ModelError, match=r"a\.onnx cannot be read: Too many open files"):
        cached("a.onnx", never)


def test_a_fifo_has_no_hash(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ModelError, match="fifo cannot be read: it is not a regular file"):
        content_hash(tmp_path / "fifo")
