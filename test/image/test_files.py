# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest

from kp_pose_ros.errors import FrameError
from kp_pose_ros.image.files import find_sources


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
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, content, phrase):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(FrameError, match=phrase) as caught:
        _read_all(tmp_path / name)
    assert name in str(caught.value)


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


def test_a_folder_without_pictures_is_an_error(tmp_path):
    with pytest.raises(FrameError, match="neither pictures nor videos"):
        find_sources([tmp_path])


def _read_all(path):
    for source in find_sources([path]):
        list(source)
