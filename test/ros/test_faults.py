# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every fault in one run, with counts, which are printed at its end.

Of each fault: the node goes on; every image sent is processed or counted with a reason why not; the
newest good one is answered; diagnostics say what happens. KP_POSE_SOAK=1 makes it ten minutes long,
and adds the walks that test_parameter_clients.py and test_lifecycle.py always make.
"""

import os
import random
import resource
import signal
import subprocess
import sys
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from time import sleep

import numpy as np
import pytest
from echo_model import write_echo_model
from fault_run import PICTURE, FaultRun, table
from kp_pose_ros.msg import PoseArray
from manager import ACTIVATE, CLEANUP, CONFIGURE, DEACTIVATE, Manager
from peer import Peer, image_of
from test_images import mutated
from test_parameter_clients import TRIED, Client, allowed

SOAK = bool(int(os.environ.get("KP_POSE_SOAK", "0")))
CAMERA = Path(__file__).parent / "camera_process.py"
TO_INACTIVE = {"unconfigured": [CONFIGURE], "inactive": [], "active": [DEACTIVATE]}
EVERY = [CONFIGURE, ACTIVATE, DEACTIVATE, CLEANUP]


only_in_soak = pytest.mark.skipif(not SOAK, reason="another test does it: see above")


def times(in_ci, in_soak):
    return in_soak if SOAK else in_ci


@pytest.fixture(scope="module")
def rows(request):
    """Rows of the table, which is printed when all is over."""
    collected = []
    yield collected
    with request.config.pluginmanager.get_plugin("capturemanager").global_and_fixture_disabled():
        print(f"\n{table(collected)}")


@pytest.fixture(scope="module")
def run(ros_node, start_node, tiny, rows):
    """A node that answers at once, and finds nobody."""
    # Of one reliability from the beginning, so that no image meets a subscription on its way out.
    parameters = {"model": tiny, "image_qos": "reliable", "diagnostics.warn_age": 0.4}
    process = start_node("-r", "__ns:=/faults", **parameters).wait_until_ready()
    made = FaultRun(ros_node, process, "faults")
    made.connect()
    yield made
    rows += made.rows
    made.close()


@contextmanager
def other_camera(topic, picture, name):
    """A camera in a process of its own, which is killed in the end."""
    process = subprocess.Popen([sys.executable, CAMERA, topic, picture, name])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def test_camera_killed_and_started_again(run, tmp_path):
    np.save(tmp_path / "picture.npy", PICTURE)
    with run.fault("camera killed", least=times(2, 50), says="no image for", exact=False) as fault:
        while fault.goes_on():
            life = f"life {fault.times}"
            with other_camera("/faults/image", tmp_path / "picture.npy", life):
                run.peer.spin_until(lambda life=life: run.peer.received[-1].header.frame_id == life)
            run.listen_anew()
            run.wait_until_said("no image for")
        run.ask(run.image())


def test_camera_frozen(run):
    with run.fault("camera frozen", least=times(30, 3000), says="is the camera frozen") as fault:
        frozen = run.image()
        while fault.goes_on():
            run.send(frozen)
            sleep(0.01)
        run.ask(run.image())


def test_clock_jumping_back(run):
    with run.fault("clock set back", least=times(20, 2000), says="jumped back") as fault:
        while fault.goes_on():
            image = run.image()
            image.header.stamp.sec -= 100_000 * fault.times
            run.ask(image)
        run.ask(run.image())


def test_resolution_and_encoding_changing(run):
    pictures = {
        "bgr8": PICTURE,
        "mono8": np.zeros((128, 64), np.uint8),
        "rgba8": np.zeros((48, 200, 4), np.uint8),
        "nv12": np.zeros((96, 64), np.uint8),
        "bayer_rggb8": np.zeros((100, 50), np.uint8),
    }
    with run.fault("another picture", least=times(20, 2000)) as fault:
        for encoding, picture in cycle(pictures.items()):
            if not fault.goes_on():
                break
            answer = run.ask(run.image(picture, encoding))
            assert answer.image_width == picture.shape[1]
        last = f"{answer.image_height} x {answer.image_width} "
        run.peer.spin_until(lambda: run.values()["image (height x width)"].startswith(last))


def test_mutated_frames(run):
    generator = np.random.default_rng(7)
    with run.fault("frame mutated", least=times(300, 10_000), says="cannot be read") as fault:
        while fault.goes_on():
            run.send(mutated(run.image(), generator))
            sleep(0.003)  # for the node to look at most of them
            if fault.times % 20 == 0:
                run.ask(run.image())
        run.ask(run.image())
    assert "Traceback" not in run.process.log


def test_subscriber_appearing_and_vanishing(run):
    node = run.peer.node
    node.destroy_subscription(run.peer.subscription)
    with run.fault("subscriber gone", least=times(200, 2000), says="no subscriber") as fault:
        while fault.goes_on():
            subscription = node.create_subscription(PoseArray, "/faults/poses", lambda _: None, 10)
            run.send(run.image())
            sleep(0.003)
            node.destroy_subscription(subscription)
            sleep(0.005)  # until the node knows
            run.send(run.image())
            if fault.times == 50:
                threads, files = usage(run.process)  # by now, libraries have what they keep
        while not run.has_said("no subscriber"):
            run.send(run.image())
            run.peer.spin_for(0.05)
    more_threads, more_files = np.subtract(usage(run.process), (threads, files))
    run.peer.subscription = node.create_subscription(
        PoseArray, "/faults/poses", run.peer.received.append, 10
    )
    run.connect()
    assert more_threads < 5
    assert more_files < 5


def usage(process):
    """How many threads and open files a process has."""
    folder = Path(f"/proc/{process.process.pid}")
    return len(list((folder / "task").iterdir())), len(list((folder / "fd").iterdir()))


@only_in_soak
def test_parameters_set_at_random_by_four_clients(run, ros_node):
    clients = [Client(ros_node, "/faults/kp_pose") for _ in range(4)]
    generator = random.Random(11)
    with run.fault("four parameters set", least=1000) as fault:
        while fault.goes_on():
            names = generator.sample(sorted(TRIED), len(clients))
            wanted = [{name: generator.choice(TRIED[name])} for name in names]
            answers = [client.set(each) for client, each in zip(clients, wanted, strict=True)]
            run.ask(run.image())
            run.peer.spin_until(lambda answers=answers: all(each.done() for each in answers))
            for values, answer in zip(wanted, answers, strict=True):
                assert answer.result().result.successful == allowed(values)
    for client in clients:
        client.close()


@only_in_soak
def test_lifecycle_walked_at_random(run, ros_node):
    manager = Manager(ros_node, "/faults/kp_pose")
    generator = random.Random(13)
    with run.fault("transition asked for", least=3000, exact=False) as fault:
        while fault.goes_on():
            manager.change(generator.choice(EVERY))
            run.send(run.image())
        for transition in TO_INACTIVE[manager.state()]:
            manager.go(transition)
        run.wait_until_said("inactive", part="node")
        manager.go(ACTIVATE)
        run.peer.connect().ask(run.image())
    manager.close()


@pytest.fixture(scope="module")
def survivor(ros_node, start_node, demo_weights, tmp_path_factory, rows):
    """A node whose predecessor was killed while it put its network into the cache of both."""
    folder = tmp_path_factory.mktemp("faults") / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KP_POSE_CACHE", str(folder))
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("temporary")))
        victim = start_node("-r", "__ns:=/victim", model=demo_weights).wait_until_ready()
        camera = Peer(ros_node, "victim").connect()
        camera.send_until(lambda: "preparing the network" in victim.log, lambda: image_of(PICTURE))
        camera.close()
        victim.kill()
        node = start_node(
            "-r", "__ns:=/survivor", model=demo_weights, image_qos="reliable"
        ).wait_until_ready()
    made = FaultRun(ros_node, node, "survivor")
    made.cache = folder
    made.connect()
    yield made
    rows += made.rows
    made.close()


def test_killed_while_it_prepares_a_network(survivor):
    with survivor.fault("predecessor killed", least=1) as fault:
        fault.goes_on()
        survivor.ask(survivor.image())


def test_disk_full(survivor):
    process, picture = survivor.process.process.pid, np.zeros((96, 96, 3), np.uint8)
    before = resource.prlimit(process, resource.RLIMIT_FSIZE)
    with survivor.fault("disk full", least=times(1, 20), says="the engine or publishing") as fault:
        # No file may become larger, as if the disk were full: the network's has ten times that.
        resource.prlimit(process, resource.RLIMIT_FSIZE, (2**20, before[1]))
        while fault.goes_on():
            survivor.send(survivor.image(picture))
            sleep(0.1)
        resource.prlimit(process, resource.RLIMIT_FSIZE, before)
        survivor.ask(survivor.image(picture))
    (line, *_) = survivor.process.log_lines("[ERROR]")
    assert f"{survivor.cache} cannot be written (File too large)" in line


def test_cache_read_only(survivor):
    picture, away = np.zeros((96, 32, 3), np.uint8), survivor.cache.with_name("away")
    with survivor.fault("cache not writable", least=times(1, 20)) as fault:
        survivor.cache.rename(away)
        survivor.cache.touch()  # a file in its place: root may write into any folder
        while fault.goes_on():
            survivor.ask(survivor.image(picture))
        survivor.cache.unlink()
        away.rename(survivor.cache)
        survivor.ask(survivor.image(picture))
    (line,) = survivor.process.log_lines("cannot be written (File exists)")
    assert "using " in line


def test_killed_while_it_builds_an_engine(rows, tmp_path, monkeypatch):
    pytest.importorskip("tensorrt_rtx_bindings")
    monkeypatch.setenv("KP_POSE_CACHE", str(tmp_path / "cache"))
    model = write_echo_model(tmp_path / "echo.onnx")
    build = [sys.executable, Path(__file__).parent / "plan_process.py", model]
    assert subprocess.run([*build, "killed"], check=False).returncode == -signal.SIGKILL
    done = subprocess.run(build, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).stat().st_size > 1000
    rows.append(["engine build killed", 1, *[""] * 6, ""])
