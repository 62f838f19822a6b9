# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the nodes beside the pose node share: parameters, actions, subscriptions on demand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import monotonic_ns
from typing import Any, TypeAlias

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.action.server import ActionServer, CancelResponse, GoalResponse, ServerGoalHandle
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from rclpy.task import Future

from kp_pose_ros.msg import PoseArray, Skeleton
from kp_pose_ros.ros.qos import LATCHED, REQUESTS, RESULTS, OverridableQos
from kp_pose_ros.settings import Setting, Value

# Why a goal that needs an image's poses ends.
NO_IMAGE = (
    "the poses belong to no image, as those of poses_3d: expected those of one camera; remap "
    "'poses' to them"
)

_TWINS_PERIOD = 2.0  # seconds between two looks for a node of the same name

Handle: TypeAlias = "ServerGoalHandle[Any, Any, Any]"


class GoalServer(ActionServer):  # type: ignore[type-arg]  # it takes none in Humble
    """An action server that can wait until every client has asked for its goal's result.

    rclpy sends a result only then, and a client asks only after it has heard of the acceptance.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """See rclpy's ActionServer."""
        self._unasked: set[bytes] = set()  # ids of goals
        self._all_asked: Future[None] = Future()
        super().__init__(*arguments, handle_accepted_callback=self._on_accepted, **options)

    async def wait_for_clients(self) -> None:
        """Wait until the results of all goals have been asked for."""
        if self._unasked:
            self._all_asked = Future()
            await self._all_asked

    async def execute(self, taken_data: Any) -> None:
        """Process requests; see rclpy."""
        await super().execute(taken_data)
        asked = [taken_data["result"][1]] if "result" in taken_data else []
        for each in (*asked, *taken_data.get("expired", ())):
            self._unasked.discard(bytes(each.goal_id.uuid))
        if not (self._unasked or self._all_asked.done()):
            self._all_asked.set_result(None)

    def _on_accepted(self, handle: Handle) -> None:
        self._unasked.add(bytes(handle.goal_id.uuid))
        handle.execute()


class Bridge(OverridableQos):
    """A node that works on the topics of the pose node.

    Attributes:
        stopped: whether it is about to end, and rejects goals: nothing would send their results.
    """

    stopped = False

    def declare(
        self,
        name: str,
        default: Value,
        about: str,
        limits: tuple[float, float] | None = None,
        choices: tuple[str, ...] = (),
    ) -> Any:
        """Declare a parameter that cannot change while the node runs; return its value.

        Raises:
            SettingsError: the value has another type than the default, or is outside the limits
                or choices.
        """
        rule = Setting(default, about, limits, choices)
        # Dynamically typed, so that the rule can report a wrong type in a clear sentence.
        descriptor = ParameterDescriptor(description=about, read_only=True, dynamic_typing=True)
        initial = list(default) if isinstance(default, tuple) else default
        given: Any = self.declare_parameter(name, initial, descriptor).value
        return rule.check(name, [] if given is None else given)  # `[]` has no type in ROS

    def now(self) -> int:
        """Return the time for timeouts, in nanoseconds: simulated time where it is used.

        Otherwise it is the steady clock's, since the system's clock may be set.
        """
        clock: Any = self.get_clock()
        return int(clock.now().nanoseconds) if clock.ros_time_is_active else monotonic_ns()

    def skeleton_topic(self, prefix: str = "") -> str:
        """Return the topic of the skeleton of poses: beside them, wherever they are remapped to.

        Args:
            prefix: the prefix of the topics' names. A remapping of the skeleton itself is kept.
        """
        name = f"{prefix}skeleton"
        topic = self.resolve_topic_name(name)
        if topic != self.resolve_topic_name(name, only_expand=True):
            return topic
        return self.resolve_topic_name(f"{prefix}poses").rpartition("/")[0] + "/skeleton"

    def ready(self, work: str) -> None:
        """Log what the node does, and which parameters have no effect; call it once, at the end."""
        self.warn_of_unknown_parameters()
        self.warn_of_unused_overrides()
        self.get_logger().info(f"ready: {work}")
        self._has_twin = False
        self.create_steady_timer(_TWINS_PERIOD, self._watch_twins)

    def create_subscription(
        self, msg_type: Any, topic: str, callback: Any, qos_profile: Any, **options: Any
    ) -> Any:
        """See rclpy's Node."""
        made = super().create_subscription(msg_type, topic, callback, qos_profile, **options)
        self.get_logger().debug(f"subscribes to '{made.topic_name}'")
        return made

    def _watch_twins(self) -> None:
        """Warn once of another node with this one's name, since both do the same work."""
        nodes, us = self.get_node_names_and_namespaces(), (self.get_name(), self.get_namespace())
        had_twin, self._has_twin = self._has_twin, nodes.count(us) > 1
        # Not at once: a restarted node may overlap with the old one.
        if had_twin and self._has_twin:
            self.get_logger().warning(
                f"another node has this one's name, {self.get_fully_qualified_name()}: both do the "
                "same work, and others get its results twice; stop one, or give it another name or "
                "namespace (a node that was killed counts for up to 20 s)",
                once=True,
            )

    def serve_goals(
        self,
        action_type: type[Any],
        name: str,
        execute: Callable[[Handle], Awaitable[Any]],
        on_cancel: Callable[[Handle], CancelResponse],
    ) -> GoalServer:
        """Serve an action whose goals end by what arrives on `poses`; log that it is ready.

        Args:
            action_type: the action's type.
            name: the action's name.
            execute: works on a goal; returns its result.
            on_cancel: called when a client asks to cancel a goal.
        """
        server = GoalServer(
            self,
            action_type,
            name,
            execute_callback=execute,
            goal_callback=lambda _: GoalResponse.REJECT if self.stopped else GoalResponse.ACCEPT,
            cancel_callback=on_cancel,
            goal_service_qos_profile=REQUESTS,
            result_service_qos_profile=REQUESTS,
            cancel_service_qos_profile=REQUESTS,
        )
        self.ready(
            f"serves the action '{self.resolve_service_name(name)}' from "
            f"'{self.resolve_topic_name('poses')}'"
        )
        return server


class OnDemand:
    """A subscription that `want` creates and destroys, so that the network need not always run."""

    def __init__(
        self,
        node: Bridge,
        message_type: type[Any],
        topic: str,
        callback: Callable[[Any], None],
        qos: QoSProfile,
        *,
        raw: bool = False,
    ) -> None:
        """Take the arguments of `Node.create_subscription`; `want` subscribes."""
        self._node = node
        self._arguments = message_type, topic, callback, qos
        self._raw = raw
        self._subscription: Subscription[Any] | None = None
        node.expect_subscription(topic)

    def want(self, is_wanted: bool) -> bool:
        """Subscribe or unsubscribe, unless already done; return whether this changed anything."""
        if is_wanted == (self._subscription is not None):
            return False
        if self._subscription is None:
            self._subscription = self._node.create_subscription(*self._arguments, raw=self._raw)
        else:
            self._node.get_logger().debug(f"unsubscribes from '{self._subscription.topic_name}'")
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
        return True


class PosesOnDemand(OnDemand):
    """Subscribes to `poses` on demand, and always to the `skeleton` that names their keypoints."""

    def __init__(self, node: Bridge, on_poses: Callable[[PoseArray], None]) -> None:
        """Subscribe to the skeleton; `want` subscribes to the poses."""
        super().__init__(node, PoseArray, "poses", on_poses, RESULTS)
        self._skeleton = Skeleton()
        node.create_subscription(Skeleton, node.skeleton_topic(), self._on_skeleton, LATCHED)

    def skeleton_of(self, message: PoseArray) -> Skeleton:
        """Return the skeleton of the poses; one without keypoints if it has not arrived."""
        is_known = self._skeleton.name == message.skeleton
        return self._skeleton if is_known else Skeleton()

    def _on_skeleton(self, message: Skeleton) -> None:
        self._skeleton = message
