# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import errno
import os
from contextlib import contextmanager
from pathlib import Path

import pytest

from kp_pose_ros.errors import SettingsError
from kp_pose_ros.resources import replace_file
from kp_pose_ros.ros.bridges.spool import Position, Spool

LARGE = 10**6


def line(number):
    return f'{{"n":{number:06}}}\n'.encode()


def fill(spool, numbers):
    return [number for number in numbers if spool.append(line(number))]


def read_all(spool, position=None):
    """Return the numbers of all records after a position, and the last position."""
    position, found = position or spool.committed, []
    while records := spool.read(position):
        found += [int(content[5:-1]) for content, _ in records]
        position = records[-1][1]
    return found, position


def crash(spool):
    """Leave a spool as a killed process does: nothing is closed properly."""
    os.close(spool._descriptor)
    os.close(spool._lock)


def test_records_come_back_in_order_over_segments(tmp_path):
    spool = Spool(tmp_path, LARGE)
    fill(spool, range(5000))
    assert len([*tmp_path.glob("*.jsonl")]) > 0
    spool._segment_size = 100
    fill(spool, range(5000, 5100))
    assert read_all(spool)[0] == [*range(5100)]


def test_committed_records_are_not_read_again_after_a_restart(tmp_path):
    spool = Spool(tmp_path, 8000)
    fill(spool, range(200))
    _, after = spool.read(spool.committed)[9]
    spool.commit(after)
    crash(spool)
    again = Spool(tmp_path, 8000)
    assert read_all(again)[0] == [*range(10, 200)]


def test_committed_segments_are_deleted(tmp_path):
    spool = Spool(tmp_path, 8000)
    fill(spool, range(200))
    spool.commit(read_all(spool)[1])
    assert [*tmp_path.glob("[0-9]*.jsonl")] == []
    assert spool.waiting() == 0


def test_an_incomplete_last_record_is_removed_after_a_crash(tmp_path):
    spool = Spool(tmp_path, LARGE)
    fill(spool, range(3))
    os.write(spool._descriptor, b'{"n":00')
    crash(spool)
    again = Spool(tmp_path, LARGE)
    fill(again, [3])
    assert read_all(again)[0] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[1", id="cut off"),
        pytest.param(b'{"a": 1}', id="another shape"),
        pytest.param(b"\0" * 20, id="zeros, as a power cut leaves them"),
        pytest.param(b"[Infinity, 0]", id="endless"),
        pytest.param(b"[-1, -1]", id="negative"),
        pytest.param(b'["1", 0]', id="a text"),
        pytest.param(b"[999999999, 0]", id="beyond all segments"),
        pytest.param(b"[1, 99999]", id="beyond its segment"),
        pytest.param(b"[" * 99999, id="nested"),
    ],
)
def test_after_a_damaged_position_all_records_are_read_again(tmp_path, content):
    spool = Spool(tmp_path, LARGE)
    fill(spool, range(3))
    spool.commit(read_all(spool)[1])
    crash(spool)
    (tmp_path / ".position").write_bytes(content)
    assert read_all(Spool(tmp_path, LARGE))[0] == [0, 1, 2]


def test_foreign_files_in_the_folder_are_ignored_and_kept(tmp_path):
    names = ["1a.jsonl", "9" * 200 + ".jsonl", ".1a.jsonl", "99.jsonl", "notes.txt"]
    for name in names:
        (tmp_path / name).write_bytes(line(7))
    (tmp_path / "000000000005.jsonl").mkdir()
    os.mkfifo(tmp_path / ".000000000006.jsonl")
    spool = Spool(tmp_path, LARGE)
    fill(spool, range(3))
    assert read_all(spool)[0] == [0, 1, 2]
    assert {*names} <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("size", [pytest.param(100, id="closed"), pytest.param(LARGE, id="open")])
def test_segments_deleted_by_another_program_are_skipped(tmp_path, size):
    spool = Spool(tmp_path, LARGE)
    spool._segment_size = size
    fill(spool, range(50))
    for path in [*tmp_path.glob("*.jsonl")][:3]:
        path.unlink()
    found, position = [], spool.committed
    for number in range(50, 80):
        records = spool.read(position)
        found += records
        position = records[-1][1] if records else position
        fill(spool, [number])
    assert int(found[-1][0][5:-1]) > 50
    spool.close()


def test_a_full_spool_drops_and_counts_the_oldest_records(tmp_path):
    spool = Spool(tmp_path, 1000)
    assert fill(spool, range(500)) == [*range(500)]
    found = read_all(spool)[0]
    assert found == [*range(500 - len(found), 500)]
    assert len(found) * len(line(0)) > 800
    assert spool.dropped == 500 - len(found)
    assert sum(path.stat().st_size for path in tmp_path.glob("*.jsonl")) <= 1000


def test_a_reader_whose_segment_was_dropped_continues_with_the_oldest(tmp_path):
    spool = Spool(tmp_path, 1000)
    fill(spool, range(60))
    _, after = spool.read(spool.committed)[2]
    fill(spool, range(60, 500))
    found, _ = read_all(spool, after)
    assert found == [*range(500 - len(found), 500)]


class FullDisk:
    """A disk with `room` bytes left; the last write is partial, as POSIX allows."""

    def __init__(self, patch, room):
        self.room = room
        self._write, self._unlink = os.write, os.unlink
        patch.setattr(os, "write", self.write)

    def unlink(self, path, **options):
        self.room += Path(path).stat().st_size if str(path).endswith(".jsonl") else 0
        self._unlink(path, **options)

    def write(self, descriptor, data):
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        part = data[: self.room]
        self.room -= len(part)
        return self._write(descriptor, part)

    @contextmanager
    def replace_file(self, path):
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        with replace_file(path) as stream:
            yield stream


def test_a_full_disk_loses_only_new_records_and_damages_none(tmp_path, monkeypatch):
    spool = Spool(tmp_path, LARGE)
    disk = FullDisk(monkeypatch, 10 * len(line(0)) + 5)
    assert fill(spool, range(20)) == [*range(10)]
    assert spool.dropped == 10
    disk.room = LARGE
    fill(spool, range(20, 25))
    assert read_all(spool)[0] == [*range(10), *range(20, 25)]


def test_on_a_full_disk_the_oldest_segment_is_dropped_for_new_records(tmp_path, monkeypatch):
    spool = Spool(tmp_path, 1000)
    fill(spool, range(60))
    first = read_all(spool)[0][0]
    disk = FullDisk(monkeypatch, 3)
    monkeypatch.setattr(os, "unlink", disk.unlink)
    assert fill(spool, [60]) == [60]
    found = read_all(spool)[0]
    assert found[-1] == 60
    assert found[0] > first


def test_on_a_full_disk_the_open_segment_is_deleted_once_committed(tmp_path, monkeypatch):
    spool = Spool(tmp_path, LARGE)
    disk = FullDisk(monkeypatch, 10 * len(line(0)))
    assert fill(spool, range(20)) == [*range(10)]
    monkeypatch.setattr(os, "unlink", disk.unlink)
    spool.commit(read_all(spool)[1])
    assert fill(spool, range(20, 25)) == [*range(20, 25)]
    assert read_all(spool)[0] == [*range(20, 25)]
    spool.close()


def test_a_position_is_saved_though_the_last_record_filled_the_disk(tmp_path, monkeypatch):
    spool = Spool(tmp_path, LARGE)
    disk = FullDisk(monkeypatch, 10 * len(line(0)))
    assert fill(spool, range(10)) == [*range(10)]
    monkeypatch.setattr(os, "unlink", disk.unlink)
    monkeypatch.setattr("kp_pose_ros.ros.bridges.spool.replace_file", disk.replace_file)
    end = read_all(spool)[1]
    spool.commit(end)
    crash(spool)
    assert Spool(tmp_path, LARGE).committed == end
    assert spool.dropped == 0


def test_complete_segments_have_names_without_a_dot(tmp_path):
    spool = Spool(tmp_path, LARGE)
    fill(spool, range(3))
    assert [*tmp_path.glob("[0-9]*.jsonl")] == []
    spool.close()
    (path,) = tmp_path.glob("[0-9]*.jsonl")
    assert path.read_bytes() == b"".join(map(line, range(3)))


def test_a_spool_used_by_another_process_is_refused(tmp_path):
    spool = Spool(tmp_path, LARGE)
    with pytest.raises(SettingsError, match="used by another process"):
        Spool(tmp_path, LARGE)
    spool.close()
    Spool(tmp_path, LARGE).close()


def test_an_error_names_the_folder_that_cannot_be_created(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="file/spool cannot be used"):
        Spool(tmp_path / "file" / "spool", LARGE)


def test_positions_are_compared_by_segment_first():
    assert Position(2, 0) > Position(1, 500)
