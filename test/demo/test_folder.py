# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from kp_pose_ros.demo.folder import Folder
from kp_pose_ros.errors import SettingsError


def test_what_the_run_before_wrote_goes_and_what_others_wrote_stays(tmp_path):
    before = Folder(tmp_path / "demo")
    before.file("a\nb.png").write_text("ours")
    before.file("never written.png")
    (tmp_path / "demo" / "mine.png").write_text("the user's")
    del before  # as the end of its process does
    now = Folder(tmp_path / "demo")
    now.file("bus.png").write_text("ours")
    names = {path.name for path in (tmp_path / "demo").glob("*.png")}
    assert names == {"mine.png", "bus.png"}


def test_a_second_run_at_the_same_time_is_refused(tmp_path):
    running = Folder(tmp_path)
    path = running.file("bus.png")
    path.write_text("ours")
    with pytest.raises(SettingsError, match="another demo is writing into"):
        Folder(tmp_path)
    assert path.exists()


def test_a_file_in_the_folders_place_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="file cannot be written: File exists"):
        Folder(tmp_path / "file")


@pytest.fixture
def full():
    with Path("/dev/full").open("wb", buffering=0) as stream:
        yield stream


def test_a_full_disk_is_named(tmp_path, full):
    folder = Folder(tmp_path)
    folder._list = full
    with pytest.raises(SettingsError, match=f"{tmp_path} cannot be written: No space left"):
        folder.file("bus.png")


def test_what_no_demo_wrote_is_not_replaced(tmp_path):
    (tmp_path / "bus.png").write_text("the user's")
    with pytest.raises(SettingsError, match=r"bus\.png exists and was not written by the demo"):
        Folder(tmp_path).file("bus.png")
