# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import json
import re

import cv2
import numpy as np
import pytest
import yaml
from room import ROOM, looking_at_the_middle
from walkers import RATE, recording, walks

from kp_pose_ros.cli import main
from kp_pose_ros.output.json_records import Recorder
from kp_pose_ros.skeleton import Skeleton, Vocabulary
from kp_pose_ros.space.multi_camera.rig_file import RigFile

VOCABULARY = Vocabulary(Skeleton.builtin("coco17"), ())
RIG = dict(zip(("left", "right"), ROOM[:2], strict=True))


def lines(moments, **fields):
    """Return the records of almost simultaneous images, camera by camera."""
    recorders = {
        name: Recorder(VOCABULARY, camera=f"/{name}/image_raw", session=name) for name in RIG
    }
    records = [
        recorders[name].record(
            moment[name],
            stamp=round(index / RATE * 1e9) + offset,
            frame_id=f"{name}_optical_frame",
            size=(720, 1280),
        )
        for name, offset in (("left", 0), ("right", 7_000_000))
        for index, moment in enumerate(moments)
    ]
    return [json.dumps(each | fields) for each in records]


WALK = lines(recording(RIG, walks(1, 15, 6), seed=5, noise=1.0))


@pytest.fixture
def rig(tmp_path, capsys):
    """Runner of `kp_pose rig`; returns the status and what was printed.

    `records`: lines of records; None: the options name the recording.
    """

    def run(records, *options, names=tuple(RIG)):
        for name in names:
            (tmp_path / f"{name}.yaml").write_text(
                yaml.safe_dump(
                    {
                        "image_width": 1280,
                        "image_height": 720,
                        "camera_matrix": {"data": ROOM[0].camera.matrix.ravel().tolist()},
                        "distortion_model": "plumb_bob",
                        "distortion_coefficients": {"data": [0.0] * 5},
                    }
                )
            )
        if records is not None:
            path = tmp_path / "poses.jsonl"
            path.write_text("".join(f"{line}\n" for line in records))
            options = ("--records", path, *options)
        files = [tmp_path / f"{name}.yaml" for name in names]
        try:
            status = main(["rig", *map(str, (*files, "-o", tmp_path / "rig.yaml", *options))])
        except SystemExit as error:  # of argparse
            status = error.code
        told = capsys.readouterr()
        return status, told.out + told.err

    return run


def test_the_node_can_read_what_is_written(rig, tmp_path):
    apart = float(np.linalg.norm(ROOM[0].pose[:3, 3] - ROOM[1].pose[:3, 3]))
    status, told = rig(WALK, "--baseline", str(apart))
    print(f"\n{told}")
    assert status == 0
    found = RigFile.load(tmp_path / "rig.yaml")
    assert found.frame_id == "left_optical_frame"
    truth = np.linalg.inv(ROOM[0].pose) @ ROOM[1].pose
    np.testing.assert_allclose(found.viewpoints["right"].pose, truth, atol=0.02)
    assert f"right: {apart:.3f} m from left" in told
    median = float(told.partition("reprojection error: ")[2].split()[0])
    assert median < 2


# Two cameras that look at people in front of them, who are cutouts of a photograph.
FRONT = {
    "left": looking_at_the_middle(-1.8, -4.0, 2.2),
    "right": looking_at_the_middle(1.8, -4.2, 1.5),
}
VIDEO_RATE, IMAGES, LATER = 5, 45, 0.4  # LATER: seconds by which the right video begins later
CUTOUTS = ((385, 915, 40, 250), (395, 870, 212, 352))  # of bus.jpg: top, bottom, left, right
TALL = 1.9  # metres, of a cutout


def corners_of(cutout, walker, seconds):
    """Return where a cutout is that walks about, facing the cameras: (4, 3) metres."""
    x, y, turn = np.sin(
        (1, 0.7, 0.8) * np.array(seconds) + np.array((0.0, 1.3, 2.0)) * (walker + 1)
    )
    turn *= 0.35
    across = (
        TALL / 2 * np.array((np.cos(turn), np.sin(turn), 0)) * cutout.shape[1] / cutout.shape[0]
    )
    foot, top = np.array((1.8 * walker - 0.9 + 0.7 * x, 1.9 * y, 0.0)), np.array((0, 0, TALL))
    return np.array((foot - across + top, foot + across + top, foot + across, foot - across))


def film(path, viewpoint, cutouts, began):
    """Write the video of a camera that sees cutouts walk about."""
    (height, width), inverse = viewpoint.camera.size, np.linalg.inv(viewpoint.pose)
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), VIDEO_RATE, (width, height))
    for seconds in began + np.arange(IMAGES) / VIDEO_RATE:
        picture = np.full((height, width, 3), 120, np.uint8)
        seen = [
            (corners_of(each, index, seconds) @ inverse[:3, :3].T + inverse[:3, 3], each)
            for index, each in enumerate(cutouts)
        ]
        for corners, cutout in sorted(seen, key=lambda each: -each[0][:, 2].mean()):
            rows, columns = cutout.shape[:2]
            flat = np.array(((0, 0), (columns, 0), (columns, rows), (0, rows)), np.float32)
            pixels = viewpoint.camera.project(corners).astype(np.float32)
            warp = cv2.getPerspectiveTransform(flat - 0.5, pixels - 0.5)
            cv2.warpPerspective(
                cutout, warp, (width, height), picture, cv2.INTER_LINEAR, cv2.BORDER_TRANSPARENT
            )
        video.write(picture)
    video.release()


def test_videos_of_people_who_walk_are_enough(rig, tmp_path, demo_photo, demo_weights):
    photo = demo_photo("bus.jpg")
    cutouts = [photo[top:bottom, left:right] for top, bottom, left, right in CUTOUTS]
    for (name, viewpoint), began in zip(FRONT.items(), (0, LATER), strict=True):
        film(tmp_path / f"{name}.avi", viewpoint, cutouts, began)
    apart = np.linalg.norm(FRONT["left"].pose[:3, 3] - FRONT["right"].pose[:3, 3])
    videos = ("--videos", tmp_path / "left.avi", tmp_path / "right.avi", "--delays", 0, LATER)
    status, told = rig(None, *videos, "--model", demo_weights, "--baseline", apart)
    print(f"\n{told}")
    assert status == 0
    found = RigFile.load(tmp_path / "rig.yaml").viewpoints["right"].pose
    truth = np.linalg.inv(FRONT["left"].pose) @ FRONT["right"].pose
    np.testing.assert_allclose(found, truth, atol=0.1)
    assert float(told.partition("reprojection error: ")[2].split()[0]) < 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param(("--videos", "a.avi"), "--videos has 1 values: expected 2", id="one video"),
        pytest.param(("--videos", "a.png", "a.png"), "a.png is a picture", id="pictures"),
    ],
)
def test_videos_that_do_not_fit_the_cameras_are_refused(rig, tmp_path, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").touch()
    status, told = rig(None, *options, "--height", "1.7")
    assert (status, len(told.splitlines())) == (1, 1)
    assert words in told


@pytest.mark.parametrize(
    "options",
    [("--height", "nan"), ("--baseline", "0"), ("--slop", "1e300"), ("--delays", "-1", "0")],
    ids=lambda options: options[0],
)
def test_numbers_out_of_range_are_refused(rig, options):
    status, told = rig(WALK, "--height", "1.7", *options)
    assert status == 2
    assert f"argument {options[0]}: {options[1]} is not from" in told


def changed(**fields):
    return [json.dumps(json.loads(WALK[0]) | fields), *WALK[1:]]


def test_a_single_calibration_or_two_of_a_name_are_refused(rig):
    for names in (("left",), ("left", "left")):
        status, told = rig(WALK, "--height", "1.7", names=names)
        assert (status, "expected two or more files" in told) == (1, True)


def test_a_rig_that_exists_is_kept(rig, tmp_path):
    (tmp_path / "rig.yaml").write_text("precious")
    status, told = rig(["not read"], "--height", "1.7")
    assert status == 1
    assert "rig.yaml exists: choose a new file" in told
    assert (tmp_path / "rig.yaml").read_text() == "precious"


@pytest.mark.parametrize(
    ("records", "options", "words"),
    [
        pytest.param([], (), "camera 'left' has no records: found those of none", id="none"),
        pytest.param(
            WALK, ("--height", "1.7", "--delays", "0", "1"), "without --videos", id="delays"
        ),
        pytest.param(["{", *WALK], (), "line 1 of .*found no JSON", id="no JSON"),
        pytest.param(["{}", *WALK], (), "line 1 of .*not a record of poses .*camera", id="empty"),
        pytest.param(changed(poses=[{}]), (), "is not a record of poses", id="no person"),
        pytest.param(changed(poses=3), (), "is not a record of poses", id="no list"),
        pytest.param(changed(width=640), (), "have 640 x 720 pixels, and", id="another size"),
        pytest.param(changed(stamp_ms=None), (), "has no stamp", id="pictures"),
        pytest.param(
            changed(camera="/left/infra"), (), "records of /left/image_raw and of /left/infra",
            id="two cameras of a name",
        ),
        pytest.param(
            [line for line in WALK if "/right/" not in line], (), "camera 'right' has no records",
            id="one camera",
        ),
        pytest.param(
            [json.dumps(json.loads(line) | {"poses": []}) for line in WALK], (), "show nobody",
            id="nobody",
        ),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence(rig, tmp_path, records, options, words):
    status, told = rig(records, *(options or ("--height", "1.7")))
    assert status == 1
    assert re.search(words, told)
    assert len(told.splitlines()) == 1
    assert not (tmp_path / "rig.yaml").exists()
