# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import numpy as np
import pytest

from kp_pose_ros.errors import EngineError
from kp_pose_ros.image.frame import Frame
from kp_pose_ros.inference.cores import Threads
from kp_pose_ros.inference.host import HostEngine

MODEL = SimpleNamespace(
    network_size=lambda frame, _: frame,
    graph=lambda size: Path("{}x{}.onnx".format(*size)),
    metadata=SimpleNamespace(channels=3),
)
ONE, TWO = Threads(1, spin=False), Threads(2, spin=True)


class MadeUpSession:
    """Finds its own thread count in every picture."""

    fixed_batch = None

    def __init__(self, _, threads):
        self._threads = threads

    def run(self, batch):
        return np.full((len(batch), 1, 6), self._threads.count, np.float32)


@pytest.fixture
def engine():
    engine = HostEngine("made up", MODEL, None, 2, open_session=MadeUpSession, threads=None)
    engine._watch = SimpleNamespace(threads=lambda: TWO)
    yield engine
    engine.close()


def count_in(engine, size=(32, 64)):
    (found,) = engine.infer([Frame(np.zeros((*size, 3), np.uint8))])
    return found.rows[0, 0]


def test_frames_go_on_with_the_old_threads_until_the_new_are_ready(engine):
    assert count_in(engine) == 2
    may_open = Event()

    def open_slowly(*args):
        assert may_open.wait(10)
        return MadeUpSession(*args)

    engine._open_session = engine._networks[32, 64]._open_session = open_slowly
    engine._watch.threads = lambda: ONE
    assert [count_in(engine) for _ in range(3)] == [2, 2, 2]
    may_open.set()
    engine._networks[32, 64]._next.result()
    assert count_in(engine) == 1


def test_a_session_is_opened_once_for_each_change(engine):
    opened = []
    engine._open_session = lambda *args: opened.append(args[1]) or MadeUpSession(*args)
    for threads in (TWO, TWO, ONE, ONE, TWO):
        engine._watch.threads = lambda threads=threads: threads
        count_in(engine)
        engine._opener.submit(int).result()  # what is being opened is open now
        count_in(engine)
    assert opened == [TWO, ONE, TWO]


def test_a_session_that_does_not_open_is_an_error_and_the_old_one_goes_on(engine):
    def refuse(*_):
        raise EngineError("no memory for another one")

    count_in(engine)
    engine._networks[32, 64]._open_session = refuse
    engine._watch.threads = lambda: ONE
    count_in(engine)
    engine._opener.submit(int).result()
    with pytest.raises(EngineError, match="no memory"):
        count_in(engine)
    assert count_in(engine) == 2


def test_two_batches_that_have_begun_end_in_their_order(engine):
    frames = [Frame(np.zeros((32, 64, 3), np.uint8)), Frame(np.zeros((64, 32, 3), np.uint8))]
    pending = [engine.submit(frames), engine.submit(frames[:1])]
    assert [len(each.result()) for each in pending] == [2, 1]
