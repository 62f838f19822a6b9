# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node inside another program: its executor, its callback, its errors."""

import re
import threading
from concurrent.futures import Future
from functools import partial
from itertools import count
from time import monotonic, sleep
from types import SimpleNamespace

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from manager import ACTIVATE, CONFIGURE, DEACTIVATE, Manager
from node_process import PATIENCE
from peer import image_of
from rcl_interfaces.srv import GetParameters
from rclpy.executors import MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool

from kp_pose_ros.errors import EngineError, GpuLostError, SettingsError
from kp_pose_ros.inference import factory
from kp_pose_ros.ros import pose_node, rcl, worker
from kp_pose_ros.ros.diagnostics import Diagnostics, Level, Report
from kp_pose_ros.ros.lifecycle import Handover
from kp_pose_ros.ros.pose_node import PoseNode
from kp_pose_ros.ros.qos import RESULTS
from kp_pose_ros.ros.rcl import MiddlewareError
from kp_pose_ros.timing import StageTimes

PICTURE = np.zeros((64, 96, 3), np.uint8)
_names = (f"composed_{number}" for number in count())


@pytest.fixture
def compose(spin, tiny):
    """Maker of a node that an executor of this process spins: returns it and its namespace."""

    def make(*, executor=None, on_poses=None, on_failure=None, **parameters):
        namespace = next(_names)
        node = PoseNode(
            "eyes",
            namespace=namespace,
            on_poses=on_poses,
            on_failure=on_failure,
            parameter_overrides=[
                Parameter(name, value=value)
                for name, value in {"model": str(tiny), **parameters}.items()
            ],
        )
        spin(node, executor or SingleThreadedExecutor())
        return node, namespace

    return make


@pytest.fixture
def manager(ros_node):
    """Maker of a lifecycle client."""
    managers = []

    def make(namespace):
        managers.append(Manager(ros_node, f"/{namespace}/eyes"))
        return managers[-1]

    yield make
    for each in managers:
        each.close()


@pytest.fixture
def gate(monkeypatch):
    """An event that the opening of every model waits for."""
    opened, make_estimator = threading.Event(), worker.make_estimator

    def wait(settings, progress):
        progress.begin()
        progress("Timing tactics", 19, 48)
        assert opened.wait(PATIENCE)
        progress.end()
        return make_estimator(settings, progress)

    monkeypatch.setattr(worker, "make_estimator", wait)
    yield opened
    opened.set()


@pytest.fixture
def faults(monkeypatch):
    """Where the engine fails at its next batches: 'submit', 'result' or nowhere, None."""
    given, make_estimator = [], worker.make_estimator

    def make(settings, progress):
        model, estimator = make_estimator(settings, progress)
        submit = estimator.engine.submit

        def submit_or_fail(frames):
            where = given.pop(0) if given else None
            if where == "submit":
                raise EngineError("the GPU is lost")
            pending = submit(frames)
            if where == "result":
                pending.result()
                pending = Future()
                pending.set_exception(EngineError("the GPU is lost"))
            return pending

        estimator.engine.submit = submit_or_fail
        return model, estimator

    monkeypatch.setattr(worker, "make_estimator", make)
    return given


@pytest.mark.parametrize("where", ["submit", "result"])
def test_images_that_the_engine_fails_on_are_counted_and_the_next_are_tried(
    compose, peer, faults, where
):
    faults += [None, where, where]
    found = []
    node, namespace = compose(on_poses=lambda *given: found.append(given))
    camera = peer(namespace, results=None).connect()
    camera.send_until(lambda: not faults, lambda: image_of(PICTURE))
    before = len(found)
    camera.send_until(lambda: len(found) > before, lambda: image_of(PICTURE))
    assert node.cameras[""].counts.failed == 2


def test_poses_are_handed_over_with_the_stamp_and_frame_of_their_image(
    compose, peer, bus, demo_weights
):
    found = []
    _, namespace = compose(on_poses=lambda *given: found.append(given), model=str(demo_weights))
    camera = peer(namespace, results=None).connect()
    sent = image_of(bus)
    camera.send_until(lambda: found, lambda: sent)
    name, poses, stamp, frame = found[0]
    assert len(poses) == 4
    assert (name, frame) == ("", "camera_optical_frame")
    assert stamp == sent.header.stamp.sec * 10**9 + sent.header.stamp.nanosec


def test_for_nobody_only_the_first_images_are_looked_at_to_open_their_network(compose, peer):
    node, namespace = compose()
    camera = peer(namespace, results=None).connect()
    counts = node.cameras[""].counts
    camera.send_until(lambda: counts.unwanted > 10, lambda: image_of(PICTURE))
    # While the first is looked at, the next is begun and one more waits.
    assert 1 <= counts.processed <= 3


def test_always_on_works_without_subscribers(compose, peer):
    node, namespace = compose(always_on=True)
    camera = peer(namespace, results=None).connect()
    camera.send_until(lambda: node.cameras[""].counts.processed > 5, lambda: image_of(PICTURE))
    assert node.cameras[""].counts.unwanted == 0


def test_each_camera_of_a_program_has_its_name(compose, peer):
    found = set()
    _, namespace = compose(on_poses=lambda name, *_: found.add(name), cameras=["front", "rear"])
    for name in ("front", "rear"):
        camera = peer(f"{namespace}/{name}", results=None).connect()
        camera.send_until(lambda name=name: name in found, lambda: image_of(PICTURE))


def test_a_request_to_resume_ends_one_to_pause_that_waits_for_the_worker(compose, manager, peer):
    is_held, freed = threading.Event(), threading.Event()

    def hold(*_):
        is_held.set()
        assert freed.wait(PATIENCE)

    _, namespace = compose(on_poses=hold)
    client = manager(namespace)
    camera = peer(namespace, results=None).connect()
    camera.send_until(is_held.is_set, lambda: image_of(PICTURE))
    paused = client.ask("enable", SetBool.Request(data=False))
    camera.spin_until(lambda: not camera.publisher.get_subscription_count())
    resumed = client.enable(True)
    assert (resumed.success, resumed.message) == (True, "enabled, in state 'active'")
    answer = camera.spin_until(lambda: paused.done() and paused.result())
    assert (answer.success, answer.message) == (False, "enabled, in state 'active'")
    freed.set()
    camera.connect()


@pytest.mark.parametrize("executor", [SingleThreadedExecutor, MultiThreadedExecutor])
def test_while_it_builds_its_engine_everything_else_is_answered(
    compose, manager, peer, gate, executor
):
    _, namespace = compose(executor=executor(), autostart=False)
    client = manager(namespace)
    request = ChangeState.Request(transition=Transition(id=CONFIGURE))
    configured = client.ask("change_state", request)
    other = peer(namespace)
    other.spin_until(lambda: client.state() == "configuring")
    assert client.enable(False).message == "paused, in state 'configuring'"
    assert not client.change(ACTIVATE)
    parameters = other.node.create_client(GetParameters, f"/{namespace}/eyes/get_parameters")
    assert parameters.wait_for_service(PATIENCE)
    values = parameters.call_async(GetParameters.Request(names=["max_poses"]))
    other.spin_until(values.done)
    other.node.destroy_client(parameters)
    assert values.result().values[0].integer_value == 300
    assert not configured.done()
    said = []
    diagnostics = other.node.create_subscription(
        DiagnosticArray, "/diagnostics", lambda array: said.append(array.status[0]), 10
    )
    status = other.spin_until(
        lambda: next((each for each in said if each.name == f"{namespace}/eyes: node"), None)
    )
    other.node.destroy_subscription(diagnostics)
    assert re.fullmatch(r"building engine for \d+ s: Timing tactics, 19 of 48", status.message)
    gate.set()
    other.spin_until(configured.done)
    assert configured.result().success
    assert client.state() == "inactive"


def test_what_the_callback_raises_ends_the_work_with_that_error(compose, peer):
    failures = []

    def stumble(*_):
        raise ValueError("the planner stumbled")

    _, namespace = compose(on_poses=stumble, on_failure=failures.append)
    camera = peer(namespace, results=None).connect()
    camera.send_until(lambda: failures, lambda: image_of(PICTURE))
    assert str(failures[0]) == "the planner stumbled"


def test_poses_that_cannot_be_published_are_counted_and_the_next_are_tried(
    compose, peer, monkeypatch, capfd
):
    publish, broken = rcl.publish, ["poses"]

    def publish_or_fail(publisher, content):
        if publisher.topic_name.rpartition("/")[2] in broken:
            raise MiddlewareError("the middleware refuses it")
        publish(publisher, content)

    monkeypatch.setattr(rcl, "publish", publish_or_fail)
    node, namespace = compose()
    camera, counts = peer(namespace).connect(), node.cameras[""].counts
    camera.send_until(lambda: counts.failed > 2, lambda: image_of(PICTURE))
    broken.clear()
    camera.ask(image_of(PICTURE))
    assert capfd.readouterr().err.count("the middleware refuses it (1 such messages so far)") == 1


def test_a_worker_that_ends_while_inactive_is_reported_and_cannot_be_activated(
    compose, manager, peer, monkeypatch
):
    def fail(_):
        raise ValueError("out of memory")

    node, namespace = compose(autostart=False)
    client = manager(namespace)
    client.go(CONFIGURE)
    monkeypatch.setattr(node._worker.receiver, "_wait", fail)
    peer().spin_until(lambda: node._problem)
    assert node._problem == "out of memory"
    assert not client.change(ACTIVATE)
    assert client.state() == "unconfigured"
    client.go(CONFIGURE, ACTIVATE)


class LostEngine:
    """Loses its GPU with its first batch, when it is submitted or when its result is asked for."""

    name = "lost"
    overlaps = False
    lost_with_result = False

    def __init__(self, model, settings, *_):
        self.max_batch = settings.max_batch
        self.times = StageTimes()

    def prepare(self, frame):
        pass

    def submit(self, frames):
        error = GpuLostError("the GPU failed, and this process cannot use it any more")
        if not self.lost_with_result:
            raise error
        pending = Future()
        pending.set_exception(error)
        return pending

    def close(self):
        pass


def test_a_failure_is_in_the_diagnostics_before_the_program_ends(compose, monkeypatch):
    published = []
    monkeypatch.setattr(
        Diagnostics, "publish", lambda _, status, *more: published.append(status.message)
    )
    seen, ended = [], threading.Event()

    def end(error):
        seen.extend(published)
        ended.set()

    compose(on_failure=end, model="/nowhere/model.pt")
    assert ended.wait(PATIENCE)
    assert "/nowhere/model.pt" in seen[-1]


@pytest.mark.parametrize("lost_with_result", [False, True], ids=["submitting", "waiting"])
@pytest.mark.parametrize("autostart", [False, True], ids=["managed", "started by itself"])
def test_a_lost_gpu_ends_the_program(
    compose, manager, peer, monkeypatch, lost_with_result, autostart
):
    monkeypatch.setattr(LostEngine, "lost_with_result", lost_with_result)
    monkeypatch.setitem(factory._MAKERS, "onnx", LostEngine)
    failures = []
    _, namespace = compose(on_failure=failures.append, engine="onnx", autostart=autostart)
    if not autostart:
        manager(namespace).go(CONFIGURE, ACTIVATE)
    camera = peer(namespace, results=None).connect()
    camera.send_until(lambda: failures, lambda: image_of(PICTURE))
    assert isinstance(failures[0], GpuLostError)


def test_numbers_that_cannot_be_true_are_warned_of_until_there_are_no_more(ros_node, monkeypatch):
    node, levels = PoseNode("doubted"), []
    for frames in (0, 1, 1, 2, 2):
        faults = {"scores outside of 0 to 1": frames}
        made = SimpleNamespace(output_faults=faults, building="", engine="", times=StageTimes())
        monkeypatch.setattr(node, "_worker", made)
        levels.append(node._status().level)
    monkeypatch.undo()
    node.destroy_node()
    assert levels == [Level.OK, Level.WARN, Level.OK, Level.WARN, Level.OK]


def test_an_error_while_active_leads_back_to_unconfigured_and_work_may_begin_again(
    compose, manager, peer
):
    stumbles = iter([True])

    def stumble_once(*_):
        if next(stumbles, False):
            raise ValueError("the planner stumbled")

    _, namespace = compose(on_poses=stumble_once, autostart=False)
    client = manager(namespace)
    client.go(CONFIGURE, ACTIVATE)
    camera = peer(namespace).connect()
    camera.publisher.publish(image_of(PICTURE))
    camera.send_until(lambda: client.state() == "unconfigured", lambda: image_of(PICTURE))
    client.go(CONFIGURE, ACTIVATE)
    camera.connect().ask(image_of(PICTURE))


def test_a_wrong_parameter_is_an_exception(ros_node):
    with pytest.raises(SettingsError, match="parameter 'max_batch' is 0"):
        PoseNode(parameter_overrides=[Parameter("max_batch", value=0)])


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        pytest.param({"model": __file__}, "test_composition.py", id="a model that is none"),
        pytest.param({"imgsz": "100, 100"}, "multiples of 32", id="size that no network has"),
        pytest.param({"skeleton": "face5"}, "face5", id="skeleton of another model"),
        pytest.param({"build_only": True}, "imgsz is auto", id="a build of no size"),
        pytest.param({"model": "/nowhere/model.pt"}, "/nowhere/model.pt", id="no such model"),
        pytest.param({"engine": "tensorrt"}, "engine 'tensorrt' cannot run here", id="no GPU"),
    ],
)
def test_a_start_that_parameters_make_impossible_is_told_in_a_sentence(
    compose, peer, parameters, sentence
):
    failures = []
    compose(on_failure=failures.append, **parameters)
    peer().spin_until(lambda: failures)
    assert sentence in str(failures[0])
    assert "\n" not in str(failures[0])


def test_the_program_itself_may_ask_for_transitions(compose, peer):
    node, namespace = compose(autostart=False)
    for transition in (CONFIGURE, ACTIVATE):
        done = node.executor.create_task(node.change_state, transition)
        peer().spin_until(done.done)
        assert done.result() is True
    assert node.state == "active"
    peer(namespace).connect().ask(image_of(PICTURE))


def test_calls_of_other_threads_keep_their_order_in_an_executor_of_several_threads(compose, peer):
    node, _ = compose(executor=MultiThreadedExecutor(4), autostart=False)
    handover, made = Handover(node), []

    def call(number):
        sleep(0.001 * (number % 3 == 0))
        made.append(number)

    for number in range(50):
        handover.call(partial(call, number))
    peer().spin_until(lambda: len(made) == 50)
    assert made == list(range(50))


def test_a_callback_that_blocks_is_in_the_diagnostics(compose, peer, monkeypatch):
    """The network that hangs is no other case."""
    said, freed, judge = [], threading.Event(), Report.judge
    monkeypatch.setattr(pose_node, "_WATCH_PERIOD", 0.05)
    monkeypatch.setattr(Report, "judge", lambda *given: (said.append(judge(*given)), said[-1])[1])
    _, namespace = compose(
        on_poses=lambda *_: freed.wait(PATIENCE), **{"diagnostics.warn_age": 0.1}
    )
    camera = peer(namespace, results=None).connect()
    camera.send_until(
        lambda: said and said[-1][1].startswith("no image was taken"), lambda: image_of(PICTURE)
    )
    freed.set()


def test_cameras_may_be_looked_through_while_the_node_is_configured(compose, peer, monkeypatch):
    """As another thread of the executor does for the diagnostics."""
    looks, make = [], pose_node.Camera
    monkeypatch.setattr(
        pose_node,
        "Camera",
        lambda node, *given: (looks.append(iter(node.cameras.values())), make(node, *given))[1],
    )
    node, _ = compose(cameras=["front", "rear"], autostart=False)
    done = node.executor.create_task(node.change_state, CONFIGURE)
    peer().spin_until(done.done)
    assert [len(list(look)) for look in looks] == [0, 1]


def test_a_parameter_set_while_the_node_is_configured_is_used(compose, peer, monkeypatch):
    """In another thread of the executor."""
    make = pose_node.Camera

    def set_and_make(node, *given):
        node.set_parameters([Parameter("max_poses", value=7)])
        return make(node, *given)

    monkeypatch.setattr(pose_node, "Camera", set_and_make)
    node, _ = compose(autostart=False)
    done = node.executor.create_task(node.change_state, CONFIGURE)
    peer().spin_until(done.done)
    assert node._values.decode.max_poses == node._worker._parameters.decode.max_poses == 7


def test_a_look_at_the_publishers_leaves_no_subscription_of_an_inactive_node(
    compose, peer, manager, monkeypatch
):
    """The look is in another thread of the executor."""
    monkeypatch.setattr(pose_node, "_WATCH_PERIOD", 0.05)
    node, namespace = compose(executor=MultiThreadedExecutor(4), autostart=False)
    client = manager(namespace)
    client.go(CONFIGURE, ACTIVATE)
    looking, images = threading.Event(), node.cameras[""].images

    def look():
        looking.set()
        sleep(0.2)  # the node is deactivated, if it may be
        return [SimpleNamespace(qos_profile=RESULTS)]  # another QoS than that so far

    monkeypatch.setattr(images, "_publishers", look)
    peer().spin_until(looking.is_set)
    client.go(DEACTIVATE)
    peer().spin_for(0.3)
    assert images.current is None


def test_triggers_that_cannot_wait_are_refused(compose):
    node, _ = compose(autostart=False)
    with pytest.raises(RuntimeError, match="await change_state"):
        node.trigger_configure()


def test_closed_it_leaves_no_thread(compose, peer):
    before = set(threading.enumerate())
    node, namespace = compose()
    peer(namespace).connect().ask(image_of(PICTURE))
    started = {each.name for each in set(threading.enumerate()) - before}
    assert "engine" in started
    assert node.close(PATIENCE)
    assert "engine" not in {each.name for each in set(threading.enumerate()) - before}


def test_destroyed_but_not_closed_it_leaves_no_thread(ros_node, tiny):
    node = PoseNode("forgotten", parameter_overrides=[Parameter("model", value=str(tiny))])
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    deadline = monotonic() + PATIENCE
    while node.state != "active":
        assert monotonic() < deadline
        executor.spin_once(0.1)
    executor.shutdown()
    node.destroy_node()
    assert node._worker.join(PATIENCE)
