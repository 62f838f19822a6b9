# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import json
import re

import numpy as np
import pytest
import yaml
from room import ROOM
from walkers import RATE, recording, walks

from kp_pose_ros.cli import main
from kp_pose_ros.output.json_records import Recorder
from kp_pose_ros.skeleton import Skeleton
from kp_pose_ros.space.multi_camera.rig_file import RigFile

RIG = dict(zip(("left", "right"), ROOM[:2], strict=True))


def lines(moments, **fields):
    """Return the records of images that are not quite of the same time, camera by camera."""
    recorders = {
        name: Recorder(Skeleton.builtin("coco17"), camera=f"/{name}/image_raw", session=name)
        for name in RIG
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
    """Runner of `kp_pose rig` on lines of records: returns the status and what was printed."""

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
        path = tmp_path / "poses.jsonl"
        path.write_text("".join(f"{line}\n" for line in records))
        files = [str(tmp_path / f"{name}.yaml") for name in names]
        status = main(
            ["rig", *files, "--records", str(path), "-o", str(tmp_path / "rig.yaml"), *options]
        )
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


def changed(**fields):
    return [json.dumps(json.loads(WALK[0]) | fields), *WALK[1:]]


def test_a_single_calibration_or_two_of_a_name_are_refused(rig):
    for names in (("left",), ("left", "left")):
        status, told = rig(WALK, "--height", "1.7", names=names)
        assert (status, "expected two or more files" in told) == (1, True)


def test_a_rig_that_exists_is_kept(rig, tmp_path):
    (tmp_path / "rig.yaml").write_text("precious")
    status, told = rig(WALK, "--height", "1.7")
    assert status == 1
    assert "rig.yaml cannot be written: File exists" in told
    assert (tmp_path / "rig.yaml").read_text() == "precious"


@pytest.mark.parametrize(
    ("records", "options", "words"),
    [
        pytest.param([], (), "camera 'left' has no records: found those of none", id="none"),
        pytest.param(WALK, ("--height", "nan"), "--height is nan: expected a number", id="height"),
        pytest.param(["{", *WALK], (), "line 1 of .*found no JSON", id="no JSON"),
        pytest.param(["{}", *WALK], (), "line 1 of .*is no record of poses .*camera", id="empty"),
        pytest.param(changed(poses=[{}]), (), "is no record of poses", id="no person"),
        pytest.param(changed(poses=3), (), "is no record of poses", id="no list"),
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
