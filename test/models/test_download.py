# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import hashlib
import os

import pytest
from file_server import FileServer

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models import download as download_module
from kp_pose_ros.models.download import download

CONTENT = os.urandom(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def _hurry(monkeypatch):
    monkeypatch.setattr(download_module, "_PAUSE", 0.0)


@pytest.fixture
def server():
    with FileServer(CONTENT).running() as running:
        yield running


@pytest.fixture
def target(tmp_path):
    return tmp_path / "pose.pt"


def left_overs(target):
    return sorted(path.name for path in target.parent.iterdir() if path != target)


@pytest.mark.parametrize(
    "sha256",
    [
        pytest.param(SHA256, id="with a checksum"),
        pytest.param(SHA256.upper(), id="with a checksum in capitals"),
        pytest.param(None, id="without a checksum"),
    ],
)
def test_file_arrives_whole_and_nothing_else_stays(server, target, sha256):
    download(server.url(), target, sha256)
    assert target.read_bytes() == CONTENT
    assert left_overs(target) == []


def test_broken_connection_is_taken_up_where_it_broke(server, target):
    server.break_after = 100_000
    download(server.url(), target, SHA256)
    assert target.read_bytes() == CONTENT
    assert server.requested == [None, "bytes=100000-", "bytes=200000-"]


def test_a_later_call_goes_on(server, target):
    server.break_after = 10_000
    with pytest.raises(ModelError, match=r"broke off after 50000 bytes .* run the same command"):
        download(server.url(), target, SHA256)
    assert not target.exists()
    server.break_after = None
    server.requested.clear()
    download(server.url(), target, SHA256)
    assert target.read_bytes() == CONTENT
    assert server.requested == ["bytes=50000-"]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"ranges": False}, id="server cannot send the rest"),
        pytest.param({"etag": '"v2"'}, id="file on the server was replaced"),
        pytest.param({"etag": None}, id="server stopped naming versions"),
    ],
)
def test_start_is_made_anew_where_the_rest_would_not_fit(server, target, change):
    server.content = bytes(100_000)
    server.break_after = 10_000
    with pytest.raises(ModelError, match="broke off"):
        download(server.url(), target, None)
    server.content, server.break_after = CONTENT, None
    for name, value in change.items():
        setattr(server, name, value)
    download(server.url(), target, None)
    assert target.read_bytes() == CONTENT


def test_server_without_versions_is_never_asked_for_the_rest(server, target):
    server.etag, server.break_after = None, 10_000
    with pytest.raises(ModelError, match="broke off"):
        download(server.url(), target, None)
    assert set(server.requested) == {None}


def test_whole_part_of_a_killed_download_is_fetched_again(server, target):
    """The server answers 416: there is nothing after the end."""
    target.with_name("pose.pt.part").write_bytes(CONTENT)
    target.with_name("pose.pt.part.version").write_text('"v1"')
    download(server.url(), target, SHA256)
    assert target.read_bytes() == CONTENT
    assert server.requested == [f"bytes={len(CONTENT)}-", None]


def test_file_of_unknown_length_arrives(server, target):
    server.announces_length = False
    download(server.url(), target, SHA256)
    assert target.read_bytes() == CONTENT


def test_wrong_checksum_is_refused_and_nothing_kept(server, target):
    with pytest.raises(ModelError, match=rf"SHA-256 {SHA256}: expected {'0' * 64}"):
        download(server.url(), target, "0" * 64)
    assert not target.exists()
    assert left_overs(target) == []


def test_missing_file_is_said_at_once(server, target):
    server.errors = [404]
    with pytest.raises(ModelError, match="the server answers HTTP Error 404: Not Found"):
        download(server.url(), target, None)
    assert len(server.requested) == 1


def test_servers_trouble_that_passes_is_waited_for(server, target):
    server.errors = [503, 500]
    download(server.url(), target, SHA256)
    assert target.read_bytes() == CONTENT


def test_no_server_is_said_in_one_sentence(target):
    with FileServer().running() as server:
        url = server.url()
    with pytest.raises(ModelError, match=r"Connection refused.*check the network"):
        download(url, target, None)


def test_folder_that_cannot_be_written_is_named(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match=r"file/pose\.pt cannot be written .* KP_POSE_CACHE"):
        download(server.url(), tmp_path / "file" / "pose.pt", None)


def answer(status, *headers, body=b""):
    return "\r\n".join((f"HTTP/1.1 {status}", *headers, "", "")).encode("latin-1") + body


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        pytest.param(answer("204 No Content"), "status 204 No Content", id="no content"),
        pytest.param(answer("203 Changed", body=b"x"), "status 203", id="changed on the way"),
        pytest.param(answer("200 OK", "Content-Length: 0"), "an empty file", id="nothing"),
        pytest.param(
            answer("206 Partial", "Content-Range: bytes 9-", body=b"x"),
            "status 206",
            id="not asked",
        ),
        pytest.param(
            answer("200 OK", "Content-Length: 9999999999999"), "more than 4294967296", id="10 TB"
        ),
        pytest.param(
            answer("200 OK", "Transfer-Encoding: chunked", body=b"-5\r\nabcdefgh"),
            "broke off",
            id="a chunk of negative length",
        ),
        pytest.param(
            answer("200 OK", "Transfer-Encoding: chunked", body=b"zz\r\nabc"),
            "pose",
            id="no number",
        ),
        pytest.param(answer("302 Found", "Location: http://[bad"), "cannot be", id="no address"),
        pytest.param(answer("302 Found", "Location: http://a..b/"), "cannot be", id="no host name"),
        pytest.param(answer("302 Found", "Location: ftp://127.0.0.1/a.pt"), "ftp", id="ftp"),
        pytest.param(answer("302 Found", "Location: file:///etc/passwd"), "file", id="a file"),
        pytest.param(answer("403 \x1b[31mNo"), r"HTTP Error 403: \\x1b\[31mNo", id="a coloured no"),
        pytest.param(b"\x00" * 99, "cannot be fetched|broke off", id="no HTTP"),
    ],
)
def test_an_answer_that_is_no_model_is_refused_and_nothing_kept(server, target, raw, says):
    server.raw = raw
    with pytest.raises(ModelError, match=says) as refused:
        download(server.url(), target, None)
    assert str(refused.value).isprintable()
    assert not target.exists()


def test_a_rest_that_begins_elsewhere_is_refused(server, target):
    server.break_after = 10_000
    with pytest.raises(ModelError, match="broke off after 50000 bytes"):
        download(server.url(), target, None)
    server.raw = answer("206 Partial Content", "Content-Range: bytes 7-300000/300000", body=CONTENT)
    with pytest.raises(ModelError, match="range bytes 7-300000/300000"):
        download(server.url(), target, None)
    server.raw = server.break_after = None
    download(server.url(), target, None)
    assert target.read_bytes() == CONTENT


def test_a_server_that_never_ends_is_left(server, target, monkeypatch):
    monkeypatch.setattr(download_module, "_DEADLINE", 0.0)
    with pytest.raises(ModelError, match=r"broke off after \d+ bytes \(it took longer"):
        download(server.url(), target, None)
    assert len(server.requested) == 1


def test_more_than_the_largest_model_is_refused_while_it_comes(server, target, monkeypatch):
    monkeypatch.setattr(download_module, "_LARGEST", 100_000)
    server.announces_length = False
    with pytest.raises(ModelError, match="more than 100000 bytes"):
        download(server.url(), target, None)
    assert left_overs(target) == []


@pytest.mark.parametrize("name", ["pose.pt.part", "pose.pt.part.version", "pose.pt"])
def test_a_planted_link_is_not_followed(server, target, tmp_path, name):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / name).symlink_to(victim)
    download(server.url(), target, SHA256)
    assert victim.read_bytes() == b"precious"
    assert target.read_bytes() == CONTENT
    assert not target.is_symlink()


@pytest.mark.parametrize("version", [b'"v1\r\nX: y"', b"\xff", b'"' + b"x" * 5000])
def test_a_damaged_note_of_the_version_starts_anew(server, target, version):
    target.with_name("pose.pt.part").write_bytes(CONTENT[:1000])
    target.with_name("pose.pt.part.version").write_bytes(version)
    download(server.url(), target, SHA256)
    assert target.read_bytes() == CONTENT
    assert server.requested == [None]
