# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import hashlib

import pytest
from file_server import FileServer

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.fetch import PUBLISHED, Source, fetch, find_fetched, find_source

CONTENT = b"weights"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("KP_POSE_CACHE", str(tmp_path))
    return tmp_path / "models"


@pytest.fixture
def server():
    with FileServer(CONTENT).running() as running:
        yield running


def test_every_size_of_every_family_is_published():
    families = ("yolov8", "yolo11", "yolo26")
    yolo = {f"{family}{size}-pose" for family in families for size in "nsmlx"}
    assert yolo | {f"rtmo-{size}" for size in "tsml"} == set(PUBLISHED)


@pytest.mark.parametrize("name", [pytest.param(name, id=name) for name in PUBLISHED])
def test_published_checkpoint_has_an_address_and_a_licence(name):
    source = find_source(name)
    is_rtmo = name.startswith("rtmo")
    owner = "download.openmmlab.com" if is_rtmo else "github.com/ultralytics/assets"
    assert source.url.startswith(f"https://{owner}/")
    assert f"/{name}" in source.url
    assert source.file_name == (f"{name}.zip" if is_rtmo else f"{name}.pt")
    assert ("Apache-2.0" if is_rtmo else "AGPL-3.0") in (source.licence or "")
    assert source.sha256 is None or len(bytes.fromhex(source.sha256)) == 32


def test_demo_weights_have_the_checksum_that_is_pinned(demo_weights):
    found = hashlib.sha256(demo_weights.read_bytes()).hexdigest()
    assert find_source("yolo11n-pose").sha256 == found


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("yolo12n-pose", id="unknown name"),
        pytest.param("file:///etc/passwd.pt", id="a file"),
        pytest.param("ftp://host/pose.pt", id="another protocol"),
        pytest.param("http:///pose.pt", id="no host"),
        pytest.param("http://host:x/pose.pt", id="no port number"),
        pytest.param("http://host:99999/pose.pt", id="no such port"),
        pytest.param("http://[::1/pose.pt", id="half a bracket"),
        pytest.param("", id="nothing"),
    ],
)
def test_anything_else_is_no_source(name):
    with pytest.raises(ModelError, match="expected an http or https address, or one of yolov8n"):
        find_source(name)


@pytest.mark.parametrize("name", [pytest.param("a b", id="blank"), pytest.param("ü", id="umlaut")])
def test_address_of_other_characters_is_refused_before_a_server_is_asked(server, name):
    with pytest.raises(ModelError, match="expected a percent-encoded address"):
        find_source(server.url(f"{name}.pt"))


PUBLISHED_SHA256 = find_source("yolo11n-pose").sha256


@pytest.mark.parametrize(
    ("name", "sha256", "wanted"),
    [
        pytest.param("yolo11n-pose.pt", None, PUBLISHED_SHA256, id="checked by ours"),
        pytest.param("yolo11n-pose.pt", PUBLISHED_SHA256.upper(), PUBLISHED_SHA256, id="the same"),
        pytest.param("yolov8l-pose.pt", SHA256, SHA256, id="we know none, the user does"),
        pytest.param("yolo11n-pose.onnx", SHA256, SHA256, id="another format, the user knows"),
    ],
)
def test_copy_of_a_published_checkpoint_is_checked(name, sha256, wanted):
    assert find_source(f"https://example.org/{name}", sha256).sha256 == wanted


@pytest.mark.parametrize(
    ("name", "sha256"),
    [
        pytest.param("yolov8l-pose.pt", None, id="nobody knows a checksum"),
        pytest.param("yolo11n-pose.onnx", None, id="another format"),
        pytest.param("yolo11n-pose.pt", SHA256, id="another checksum than the published one"),
    ],
)
def test_file_that_may_be_another_gets_no_published_name(name, sha256):
    with pytest.raises(ModelError, match=r"name of the published checkpoint yolo\w+-pose, but"):
        find_source(f"https://example.org/{name}", sha256)


def test_fetched_model_is_found_by_its_name(server, folder):
    path = fetch(find_source(server.url("a%20face.onnx?download=true")))
    assert path == folder / "a face.onnx"
    assert path.read_bytes() == CONTENT
    assert list(folder.iterdir()) == [path]
    assert find_fetched("a face") == path
    assert find_fetched("a hand") is None


def test_what_is_there_is_not_fetched_again(server):
    source = Source(server.url(), SHA256, None)
    assert fetch(source) == fetch(source)
    assert len(server.requested) == 1


def test_what_has_another_checksum_is_fetched_again(server, folder):
    folder.mkdir()
    (folder / "pose.pt").write_bytes(b"damaged")
    assert fetch(Source(server.url(), SHA256, None)).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("pose", id="no ending"),
        pytest.param("pose.exe", id="another ending"),
        pytest.param("", id="no name"),
        pytest.param("%00.pt", id="zero byte"),
        pytest.param(".pt", id="an ending alone"),
        pytest.param("%1b[31m.pt", id="a terminal colour"),
    ],
)
def test_address_must_end_in_a_model_file(server, name):
    with pytest.raises(ModelError, match=r"expected the address of a \.pt, .*, \.zip file"):
        fetch(find_source(server.url(name)))


def test_folder_in_the_files_place_is_named(server, folder):
    (folder / "pose.pt").mkdir(parents=True)
    with pytest.raises(ModelError, match=r"pose\.pt cannot be written \(Is a directory\)"):
        fetch(find_source(server.url()))


def test_address_cannot_leave_the_folder(server, folder):
    assert fetch(find_source(server.url("x%2F..%2F..%2Fpose.pt"))).parent == folder
