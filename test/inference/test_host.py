# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import numpy as np
import pytest

from kp_pose_ros.errors import EngineError
from kp_pose_ros.image.frame import Frame
from kp_pose_ros.inference.cores import ONE, CoreWatch, Threads
from kp_pose_ros.inference.host import HostEngine

MODEL = SimpleNamespace(
    network_size=lambda frame, _: frame,
    graph=lambda size: Path("{}x{}.onnx".format(*size)),
    metadata=SimpleNamespace(channels=3),
)
TWO = Threads(2, spin=True)


class MadeUpSession:
    """Finds its own thread count in every picture."""

    fixed_batch = None

    def __init__(self, _, threads):
        self._threads = threads

    def run(self, batch):
        return np.full((len(batch), 1, 6), self._threads.count, np.float32)


@pytest.fixture
def engine():
    engine = HostEngine(
        "made up", MODEL, None, 2, open_session=MadeUpSession, watch=CoreWatch(None)
    )
    engine._watch = SimpleNamespace(threads=lambda: TWO)
    yield engine
    engine.close()


def count_in(engine, size=(32, 64)):
    (found,) = engine.submit([Frame(np.zeros((*size, 3), np.uint8))]).result()
    return found.rows[0, 0]


def opened(engine):
    """Wait for the sessions that are being opened."""
    engine._opener.submit(int).result()


@pytest.fixture
def network(engine):
    """The engine's network; its frames have had two threads, and a session of one is open."""
    assert count_in(engine) == 2
    opened(engine)
    return engine._networks[32, 64]


def test_the_spare_session_takes_over_at_once(engine, network):
    engine._watch.threads = lambda: ONE
    assert count_in(engine) == 1


@pytest.mark.parametrize(
    ("wanted", "meanwhile"),
    [
        pytest.param(Threads(4, spin=True), 2, id="more threads: as before"),
        pytest.param(Threads(2, spin=False), 2, id="as many that sleep: as before"),
    ],
)
def test_frames_go_on_until_the_new_session_is_open(engine, network, wanted, meanwhile):
    may_open = Event()

    def open_slowly(*args):
        assert may_open.wait(10)
        return MadeUpSession(*args)

    network._open_session = open_slowly
    engine._watch.threads = lambda: wanted
    assert [count_in(engine) for _ in range(3)] == [meanwhile] * 3
    may_open.set()
    opened(engine)
    count_in(engine)
    assert network._threads == wanted


def test_fewer_threads_that_are_not_open_yet_are_one_meanwhile(engine, network):
    engine._watch.threads = lambda: Threads(8, spin=True)
    count_in(engine)
    opened(engine)
    assert count_in(engine) == 8
    may_open = Event()
    network._open_session = lambda *args: may_open.wait(10) and MadeUpSession(*args)
    engine._watch.threads = lambda: Threads(5, spin=True)
    assert [count_in(engine) for _ in range(2)] == [1, 1]
    may_open.set()
    opened(engine)
    assert count_in(engine) == 5


def test_a_session_is_opened_once_for_each_change_and_the_spare_one_once(engine, network):
    asked = []
    network._open_session = lambda *args: asked.append(args[1]) or MadeUpSession(*args)
    three = Threads(3, spin=True)
    for threads in (TWO, three, three, ONE, TWO, ONE, TWO):
        engine._watch.threads = lambda threads=threads: threads
        count_in(engine)
        opened(engine)
        count_in(engine)
    assert asked == [three, TWO, TWO]


def test_a_session_that_does_not_open_is_logged_and_the_old_one_goes_on(engine, network, caplog):
    def refuse(*_):
        raise EngineError("ONNX Runtime refuses the graph")

    network._open_session = refuse
    engine._watch.threads = lambda: Threads(4, spin=True)
    count_in(engine)
    opened(engine)
    assert count_in(engine) == 2
    assert "refuses the graph" in caplog.text


def test_two_batches_that_have_begun_end_in_their_order(engine):
    frames = [Frame(np.zeros((32, 64, 3), np.uint8)), Frame(np.zeros((64, 32, 3), np.uint8))]
    pending = [engine.submit(frames), engine.submit(frames[:1])]
    assert [len(each.result()) for each in pending] == [2, 1]
