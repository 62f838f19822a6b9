# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from kp_pose_ros.errors import FrameError, SettingsError, printable
from kp_pose_ros.image.files import VideoFile, find_sources, read_picture, write_picture

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path):
    """A picture, a video of three frames, and a file that is neither."""
    cv2.imwrite(str(tmp_path / "b.png"), np.full((6, 8, 3), 40, np.uint8))
    codec = cv2.VideoWriter.fourcc(*"MJPG")
    video = cv2.VideoWriter(str(tmp_path / "a.avi"), codec, 10, (64, 48))
    for value in (0, 100, 200):
        video.write(np.full((48, 64, 3), value, np.uint8))
    video.release()
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def test_a_folder_gives_its_pictures_and_videos_in_order(folder):
    sources = find_sources([folder])
    assert [source.path.name for source in sources] == ["a.avi", "b.png"]
    assert [source.frame_count for source in sources] == [3, 1]
    assert [source.is_video for source in sources] == [True, False]


def test_a_folders_broken_link_is_told_when_it_is_read(folder):
    (folder / "c.png").symlink_to(folder / "nowhere.png")
    *others, broken = find_sources([folder])
    assert len(others) == 2
    with pytest.raises(FrameError, match=r"c\.png cannot be read: No such file"):
        next(iter(broken))


def test_a_video_gives_its_frames_at_its_rate(folder):
    (video,) = find_sources([folder / "a.avi"])
    assert video.frame_rate == 10
    assert [round(frame.mean() / 100) for frame in video] == [0, 1, 2]
    assert len(list(video)) == 3  # a second time, too


def test_a_picture_is_bgr(folder):
    (picture,) = find_sources([folder / "b.png"])
    (frame,) = picture
    assert frame.shape == (6, 8, 3)
    assert (frame == 40).all()


@pytest.mark.parametrize(
    ("name", "content", "phrase"),
    [
        pytest.param("missing.png", None, "does not exist", id="a file that is not there"),
        pytest.param("a.txt", b"text", "neither a picture", id="a file of another kind"),
        pytest.param("cut.png", b"\x89PNG\r\n", "cannot be decoded", id="a picture cut short"),
        pytest.param("empty.jpg", b"", "cannot be decoded", id="an empty picture"),
        pytest.param("bad.mp4", b"no video", "cannot be opened", id="a video that is none"),
        pytest.param(
            "a.exr.png",
            b"v/1\x01",
            "not a JPEG or PNG or BMP",
            id="a picture of a kind that nobody sends",
        ),
        pytest.param("fifo.png", "FIFO", "not a regular file", id="a FIFO as picture"),
        pytest.param("fifo.avi", "FIFO", "not a regular file", id="a FIFO as video"),
        pytest.param("caf\udce9.avi", b"", "not UTF-8: rename", id="a video not named in UTF-8"),
        pytest.param("caf\udce9.png", b"", "cannot be decoded", id="a picture not named in UTF-8"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, content, phrase):
    if content == "FIFO":
        os.mkfifo(tmp_path / name)
    elif content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(FrameError, match=phrase) as caught:
        _read_all(tmp_path / name)
    assert printable(name) in str(caught.value)


def test_a_video_that_breaks_off_gives_its_frames_and_says_so(tmp_path):
    codec = cv2.VideoWriter.fourcc(*"MJPG")
    video = cv2.VideoWriter(str(tmp_path / "a.avi"), codec, 10, (64, 48))
    for _ in range(20):
        video.write(np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8))
    video.release()
    content = (tmp_path / "a.avi").read_bytes()
    (tmp_path / "a.avi").write_bytes(content[: len(content) // 2])
    (source,) = find_sources([tmp_path / "a.avi"])
    frames = iter(source)
    assert next(frames).shape == (48, 64, 3)
    with pytest.raises(FrameError, match=r"a\.avi breaks off after (9|10) of 20 frames"):
        list(frames)


def test_a_picture_may_have_any_name(folder):
    named = folder / "caf\udce9.png"  # "café" in Latin-1
    (folder / "b.png").rename(named)
    assert [next(iter(source)).shape for source in find_sources([named])] == [(6, 8, 3)]


def test_a_folder_without_pictures_is_an_error(tmp_path):
    with pytest.raises(FrameError, match="neither pictures nor videos"):
        find_sources([tmp_path])


def _read_all(path):
    for source in find_sources([path]):
        list(source)


def moving(count):
    """Pictures that no codec makes small."""
    random = np.random.default_rng(0)
    return [random.integers(0, 255, (48, 64, 3), np.uint8) for _ in range(count)]


def test_a_video_appears_when_it_is_complete(tmp_path):
    video = VideoFile(tmp_path / "a.mp4", 10)
    for picture in moving(5):
        video.write(picture)
    assert not (tmp_path / "a.mp4").exists()
    video.close()
    (source,) = find_sources([tmp_path])
    assert (source.frame_rate, len(list(source))) == (10, 5)
    assert list(tmp_path.iterdir()) == [tmp_path / "a.mp4"]


def test_a_video_without_pictures_leaves_no_file(tmp_path):
    VideoFile(tmp_path / "a.mp4", 10).close()
    assert list(tmp_path.iterdir()) == []


def test_a_video_whose_last_frame_was_not_counted_is_complete(tmp_path):
    video = VideoFile(tmp_path / "a.mp4", 10)
    first, last = moving(2)
    video.write(first)
    video._writer.write(last)  # as where Ctrl-C raises KeyboardInterrupt within `write`
    video.close()
    (source,) = find_sources([tmp_path])
    assert len(list(source)) == 2


WRITE_WITH_A_LIMIT = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from kp_pose_ros.image.files import VideoFile
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
video, random = VideoFile(Path(sys.argv[1]), 10), np.random.default_rng(0)
for _ in range(40):
    video.write(random.integers(0, 255, (48, 64, 3), np.uint8))
video.close()
"""


def test_a_video_that_the_disk_did_not_take_is_an_error(tmp_path):
    command = [sys.executable, "-c", WRITE_WITH_A_LIMIT, str(tmp_path / "a.mp4")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert "SettingsError" in done.stderr
    assert "a.mp4 cannot be written: is the disk full" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("a.png", id="PNG"),
        pytest.param("caf\udce9.jpg", id="JPEG with a name that is not UTF-8"),
    ],
)
def test_a_picture_is_written_in_place_of_a_planted_link(tmp_path, name):
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / name).symlink_to(tmp_path / "victim")
    write_picture(tmp_path / name, np.full((6, 8, 3), 40, np.uint8))
    assert (tmp_path / "victim").read_bytes() == b"precious"
    assert abs(read_picture(tmp_path / name).astype(int) - 40).max() <= 1


@pytest.mark.parametrize("write", [write_picture, VideoFile])
def test_a_folder_that_is_not_there_is_named(tmp_path, write):
    with pytest.raises(SettingsError, match=r"gone/a\.png cannot be written"):
        write(tmp_path / "gone" / "a.png", np.zeros((6, 8, 3), np.uint8))
