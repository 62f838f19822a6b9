# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a failing callback does to the program: nothing."""

from itertools import count
from time import monotonic
from types import SimpleNamespace

import pytest
import rclpy
from node_process import PATIENCE
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import DescribeParameters, SetParameters, SetParametersAtomically
from rclpy.executors import Executor
from rclpy.qos import QoSProfile
from std_msgs.msg import Empty
from std_srvs.srv import Trigger

from kp_pose_ros.ros.executor import Gate, GuardedExecutor

UNDEFINED = Parameter(name="any", value=ParameterValue(type=10))
_names = (f"guarded_{number}" for number in count())


class Stage:
    """A node that a GuardedExecutor spins, and a client beside it."""

    def __init__(self):
        self.node = rclpy.create_node(next(_names))
        self.executor = GuardedExecutor()
        self.executor.add_node(self.node)

    def spin_until(self, condition, timeout=PATIENCE):
        deadline = monotonic() + timeout
        while not condition():
            assert monotonic() < deadline
            self.executor.spin_once(0.05)

    def ask(self, kind, service, request):
        """Ask the node itself; return the future of the answer."""
        client = self.node.create_client(kind, f"{self.node.get_name()}/{service}")
        self.spin_until(client.service_is_ready)
        return client.call_async(request)


@pytest.fixture
def stage(ros_node):  # for its rclpy.init
    stage = Stage()
    yield stage
    stage.executor.shutdown()
    stage.node.destroy_node()


@pytest.fixture
def reports(capfd):
    """Reader of the failures logged so far."""
    seen = []

    def read():
        seen.extend(line for line in capfd.readouterr().err.splitlines() if " raised " in line)
        return seen

    return read


@pytest.mark.parametrize(
    ("kind", "service", "request_"),
    [
        pytest.param(
            SetParameters,
            "set_parameters",
            SetParameters.Request(parameters=[UNDEFINED]),
            id="one by one",
        ),
        pytest.param(
            SetParametersAtomically,
            "set_parameters_atomically",
            SetParametersAtomically.Request(parameters=[UNDEFINED]),
            id="all at once",
        ),
    ],
)
def test_a_parameter_of_an_undefined_type_is_reported_and_dropped(
    stage, reports, kind, service, request_
):
    stage.node.declare_parameter("any", 1)
    stage.ask(kind, service, request_)
    stage.spin_until(reports)
    assert f"/{service}' raised " in reports()[0]
    known = stage.ask(
        DescribeParameters, "describe_parameters", DescribeParameters.Request(names=["any"])
    )
    stage.spin_until(known.done)
    assert known.result().descriptors[0].type == ParameterType.PARAMETER_INTEGER


def stumble(*_):
    raise ValueError("line one\nline \x1b[31mtwo")


def subscription(stage):
    publisher = stage.node.create_publisher(Empty, "steps", QoSProfile(depth=1))
    stage.node.create_subscription(Empty, "steps", stumble, QoSProfile(depth=1))
    stage.spin_until(publisher.get_subscription_count)
    publisher.publish(Empty())


def service(stage):
    stage.node.create_service(Trigger, "~/stumble", stumble)
    stage.ask(Trigger, "stumble", Trigger.Request())


def task(stage):
    stage.executor.create_task(stumble)


def coroutine(stage):
    async def run():
        stumble()

    stage.executor.create_task(run)


@pytest.mark.parametrize(
    ("cause", "name"),
    [
        pytest.param(subscription, "subscription '/steps'", id="subscription"),
        pytest.param(service, "/stumble'", id="service"),
        pytest.param(lambda s: s.node.create_timer(0.01, stumble), "a timer", id="timer"),
        pytest.param(task, "a task", id="function"),
        pytest.param(coroutine, "a task", id="coroutine"),
    ],
)
def test_what_a_callback_raises_is_reported_in_one_printable_line(stage, reports, cause, name):
    cause(stage)
    stage.spin_until(reports)
    (report, *_) = reports()
    assert name in report
    assert "ValueError at test_executor.py:" in report
    assert r"line one\nline \x1b[31mtwo" in report


def test_spin_survives_failures_where_rclpys_calls_a_private_method(stage, reports, monkeypatch):
    monkeypatch.setattr(Executor, "spin", lambda executor: executor._spin_once_impl())
    monkeypatch.setattr(Executor, "_spin_once_impl", stumble, raising=False)

    def end():
        stage.executor.shutdown()
        stumble()

    stage.executor.create_task(end)
    stage.executor.spin()
    assert len(reports()) == 1


def test_a_callback_that_always_fails_is_reported_once_in_a_while(stage, reports):
    calls = []

    def fail():
        calls.append(1)
        raise ValueError("again")

    stage.node.create_timer(0.001, fail)
    stage.spin_until(lambda: len(calls) > 20)
    assert len(reports()) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_must_end_the_program_does(stage, error):
    def end():
        raise error

    stage.node.create_timer(0.001, end)
    with pytest.raises(error):
        stage.spin_until(lambda: False)


def test_it_ends_with_its_shutdown(stage):
    stage.executor.create_task(stage.executor.shutdown)
    stage.executor.spin()


def test_it_spins_until_a_future_is_done(stage):
    answer = stage.ask(DescribeParameters, "describe_parameters", DescribeParameters.Request())
    stage.executor.spin_until_future_complete(answer, PATIENCE)
    assert answer.result() is not None


def test_a_gate_is_open_for_a_thread_that_wants_it_while_another_one_leaves_it():
    gate = Gate(SimpleNamespace(executor=None))

    class Users(set):
        is_interrupted = False

        def __len__(self):
            count = super().__len__()
            if not (count or self.is_interrupted):
                self.is_interrupted = True
                gate.want("image", True)  # in another thread, before this one goes on
            return count

    gate._wanted_by = Users(["image"])
    gate.want("image", False)
    gate.want("image", True)
    assert gate.is_open
