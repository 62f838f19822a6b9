# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.engine_file import engine_metadata, read_engine_header
from kp_pose_ros.models.layouts import Layout
from kp_pose_ros.models.metadata import Assumed

PLAN = b"ftrt" + bytes(range(256))
HEADER = {
    "task": "pose",
    "names": {"0": "person"},
    "kpt_shape": [17, 3],
    "imgsz": [384, 640],
    "stride": 32,
    "batch": 2,
    "args": {"dynamic": False, "nms": None},
}


@pytest.fixture
def engine(tmp_path):
    def write(header, plan=PLAN, length=None):
        content = header if isinstance(header, bytes) else json.dumps(header).encode()
        size = len(content) if length is None else length
        path = tmp_path / "pose.engine"
        path.write_bytes(size.to_bytes(4, "little", signed=size < 0) + content + plan)
        return path

    return write


def test_header_tells_metadata_and_where_the_plan_starts(engine):
    path = engine(HEADER)
    values, offset = read_engine_header(path)
    assert values == HEADER
    assert path.read_bytes()[offset:] == PLAN
    metadata = engine_metadata(path)
    assert metadata.class_names == ("person",)
    assert metadata.imgsz == (384, 640)
    assert metadata.size_is_static
    assert metadata.batch == 2
    assert metadata.layout is Layout.RAW


def test_dynamic_engine_takes_any_size_and_batch(engine):
    metadata = engine_metadata(engine(HEADER | {"args": {"dynamic": True, "nms": True}}))
    assert not metadata.size_is_static
    assert metadata.batch is None
    assert metadata.layout is Layout.ROWS


@pytest.mark.parametrize(
    ("header", "length"),
    [
        pytest.param(b"", 0, id="length zero"),
        pytest.param(b"{}", -1, id="length negative"),
        pytest.param(b"{}", 10**9, id="length beyond the file"),
        pytest.param(b"not json", None, id="no JSON"),
        pytest.param(b"[1, 2]", None, id="JSON, but a list"),
        pytest.param(b"\xff\xfe\xfd\xfc", None, id="not even text"),
        pytest.param(b"[" * 100_000, None, id="brackets without an end"),
    ],
)
def test_anything_else_is_a_plain_plan_that_needs_its_source(engine, header, length):
    path = engine(header, length=length)
    assert read_engine_header(path) == ({}, 0)
    with pytest.raises(ModelError, match=r"without a metadata header.* give the \.pt or \.onnx"):
        engine_metadata(path)


def test_short_file_is_a_plain_plan(tmp_path):
    path = tmp_path / "short.engine"
    path.write_bytes(b"ab")
    assert read_engine_header(path) == ({}, 0)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"gone\.engine cannot be read: No such file"):
        engine_metadata(tmp_path / "gone.engine")


def test_wrong_value_names_its_key(engine):
    with pytest.raises(ModelError, match="key kpt_shape"):
        engine_metadata(engine(HEADER | {"kpt_shape": [17, 9]}))


def test_a_header_of_megabytes_is_none(tmp_path):
    path = tmp_path / "pose.engine"
    header = b'{"names": ["' + b"a" * (1 << 20) + b'"]}'
    path.write_bytes(len(header).to_bytes(4, "little") + header + b"plan")
    assert read_engine_header(path) == ({}, 0)


def test_an_engine_of_one_channel_does_not_pass_for_three(tmp_path):
    values = {"names": ["person"], "kpt_shape": [17, 3], "imgsz": 640, "batch": 1, "channels": 1}
    header = json.dumps(values).encode()
    path = tmp_path / "pose.engine"
    path.write_bytes(len(header).to_bytes(4, "little") + header + b"plan")
    assert engine_metadata(path).channels == 1


@pytest.mark.parametrize("layout", [Layout.TRANSPOSED, Layout.YOLOV7])
def test_an_engine_whose_output_would_need_a_graph_is_refused(tmp_path, layout):
    header = b'{"names": ["person"], "kpt_shape": [17, 3], "imgsz": 640, "batch": 1}'
    path = tmp_path / "pose.engine"
    path.write_bytes(len(header).to_bytes(4, "little") + header + b"plan")
    with pytest.raises(ModelError, match=f"pose.engine is {layout.value}: expected one of raw"):
        engine_metadata(path, Assumed(layout))
