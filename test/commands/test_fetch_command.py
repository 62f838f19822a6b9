# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import hashlib
import http.server
import logging
import threading

import pytest

from kp_pose_ros.cli import main


@pytest.fixture
def url(demo_weights, tmp_path_factory):
    """Address of a copy of the demo's weights on a server on this machine."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "mine.pt").write_bytes(demo_weights.read_bytes())

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, directory=str(folder), **kwargs)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/mine.pt"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KP_POSE_CACHE", str(tmp_path))
    return tmp_path


def test_fetched_model_is_used_by_its_name(url, cache, demo_weights, capsys):
    sha256 = hashlib.sha256(demo_weights.read_bytes()).hexdigest()
    assert main(["fetch", url]) == 0
    out = capsys.readouterr().out
    assert str(cache / "models" / "mine.pt") in out
    assert sha256 in out
    assert "Licence of the weights: ask their publisher" in out
    assert main(["info", "mine"]) == 0
    assert "coco17" in capsys.readouterr().out


def test_checksum_is_checked(url, cache, capsys):
    assert main(["fetch", url, "--sha256", "0" * 64]) == 1
    assert "expected 0000" in capsys.readouterr().err
    assert not list((cache / "models").glob("*.pt"))


def test_checksum_must_be_one(url, capsys):
    with pytest.raises(SystemExit):
        main(["fetch", url, "--sha256", "abc"])
    assert "'abc' is not 64 hexadecimal digits" in capsys.readouterr().err


def test_what_is_there_already_is_said(url, caplog):
    with caplog.at_level(logging.INFO):
        assert main(["fetch", url]) == main(["fetch", url]) == 0
    assert caplog.text.count("mine.pt exists already; delete it to fetch it again") == 1


def test_unchecked_file_never_gets_a_published_name(url, cache, capsys):
    assert main(["fetch", url.replace("mine", "yolov8l-pose")]) == 1
    assert "run `kp_pose fetch yolov8l-pose`, give the file" in capsys.readouterr().err
    assert not cache.joinpath("models").exists()


def test_licence_of_published_weights_is_said(demo_weights, cache, capsys):
    """The file is there already, so that nothing is downloaded."""
    (cache / "models").mkdir()
    (cache / "models" / "yolo11n-pose.pt").write_bytes(demo_weights.read_bytes())
    assert main(["fetch", "yolo11n-pose"]) == 0
    out = capsys.readouterr().out
    assert "AGPL-3.0, by Ultralytics" in out
    assert "not verified" not in out
