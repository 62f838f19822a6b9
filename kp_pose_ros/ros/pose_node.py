# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node: it connects parameters, cameras and worker, and takes them through the lifecycle."""

from __future__ import annotations

if __name__ == "__main__":  # the other imports take a second, in which a signal may come
    from kp_pose_ros.ros.process import exit_on_signals

    exit_on_signals()

import sys
import traceback
from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import Any

from lifecycle_msgs.msg import Transition
from rclpy.task import Future
from std_srvs.srv import SetBool

from kp_pose_ros.errors import GpuLostError, KpPoseError
from kp_pose_ros.image.tuning import tune_process
from kp_pose_ros.ros.camera import Camera
from kp_pose_ros.ros.diagnostics import Diagnostics, Level, NodeStatus
from kp_pose_ros.ros.lifecycle import Handover, ManagedNode
from kp_pose_ros.ros.parameters import RULES, Parameters, declare_parameters, follow_changes
from kp_pose_ros.ros.process import prioritize_reading, run_node, use_large_images
from kp_pose_ros.ros.qos import REQUESTS
from kp_pose_ros.ros.space.poses_3d import Poses3DTopic
from kp_pose_ros.ros.space.transforms import Transforms
from kp_pose_ros.ros.worker import OnPoses, Worker
from kp_pose_ros.timing import StageTimes

_WATCH_PERIOD = 1.0  # seconds


class PoseNode(ManagedNode):
    """Publishes the poses of the people in the images of its cameras.

    It can be composed into any program: add it to an executor, whose thread then runs everything
    but the network. The worker, a thread from `configure` to `cleanup`, owns the engine.

    Attributes:
        cameras: by name; empty unless configured.
    """

    # Here, since rclpy's shutdown also destroys a node whose __init__ has failed.
    _worker: Worker | None = None

    def __init__(
        self,
        name: str = "kp_pose",
        *,
        on_poses: OnPoses | None = None,
        on_failure: Callable[[BaseException], None] | None = None,
        on_built: Callable[[], None] = lambda: None,
        **node_arguments: Any,
    ) -> None:
        """Declare the parameters; unless `autostart` is false, start when the executor spins.

        Args:
            name: the node's.
            on_poses: called with a camera's name, the Poses in one of its images, and the image's
                stamp (nanoseconds) and frame_id. With it, the network runs as with a subscriber.
                It is called in the worker's thread: the network waits for its return, and newer
                images replace older ones meanwhile. An exception ends the worker.
            on_failure: called, instead of logging, with the error that ends an automatic start or
                the work after it; and always with GpuLostError, after which the process must end.
            on_built: called when `build_only` has built the engine, instead of activating the node.
            node_arguments: those of rclpy's Node, such as namespace or parameter_overrides.

        Raises:
            SettingsError: a parameter cannot be used.
        """
        super().__init__(name, **node_arguments)
        self.warn_of_unknown_parameters(RULES)  # first, since it may explain an error
        self._values = declare_parameters(self)
        self._on_poses = on_poses
        self._on_failure = on_failure
        self._on_built = on_built
        self.cameras: dict[str, Camera] = {}
        self._poses_3d: Poses3DTopic | None = None
        self._transforms: Transforms | None = None
        self._active, self._enabled = False, True
        # Held while subscriptions change: an executor may have several threads.
        self._changing = Lock()
        if self._values.receive_priority:
            prioritize_reading(self._values.receive_priority, self.get_logger())
        self._handover = Handover(self)
        self._diagnostics = Diagnostics(self)
        self._problem = ""  # the error that stopped the node
        self._faulty = 0  # frames with invalid numbers, until the last status
        follow_changes(self, self._values, self._adopt, lambda: self.state)
        group = self.waiting_group
        self.create_service(
            SetBool, "enable", self._enable, qos_profile=REQUESTS, callback_group=group
        )
        self.create_steady_timer(_WATCH_PERIOD, self._watch)
        if self._values.starts_itself:
            self._handover.call(partial(self._do, self._start))

    @property
    def times(self) -> StageTimes:
        """How long the stages of the latest frames took."""
        return self._worker.times if self._worker else StageTimes()

    async def configure(self) -> None:
        """Open model and engine, in the worker."""
        values = self._values
        if values.target_frame:
            self._transforms = Transforms(self, values.target_frame)
            if not values.depth.enabled and not values.rig.file:
                self.get_logger().warning(
                    f"target_frame '{values.target_frame}' is used for `coverage` only, since "
                    "nothing measures people's positions: for these, set depth.enabled or rig.file"
                )
        transforms = self._transforms
        self._poses_3d = Poses3DTopic(self, values, transforms) if values.rig.file else None
        for name in values.cameras:
            # A new dict, since another thread of the executor may be looking through the old one.
            self.cameras = {**self.cameras, name: Camera(self, name, values, transforms)}
        if self._poses_3d is not None:
            for camera in self.cameras.values():
                camera.wanted_by.append(self._poses_3d.wanted)
        self._worker = Worker(
            values,
            list(self.cameras.values()),
            self.get_logger(),
            self.context,
            call=self._handover.call,
            on_poses=self._on_poses,
            poses_3d=self._poses_3d,
        )
        self._adopt(self._values)  # some may have been changed since
        self._worker.ended.add_done_callback(lambda _: self._on_worker_end())
        self._worker.start()
        _raise_if_any(await self._worker.opened)
        self._problem = ""

    async def activate(self) -> None:
        """Receive images, if enabled.

        Raises:
            BaseException: the error that has ended the worker, if it has ended.
        """
        self._raise_if_ended()
        self._active = True
        self._resume()

    async def deactivate(self) -> None:
        """Stop all work; the engine stays open.

        Raises:
            BaseException: the error that has ended the worker, if it has ended.
        """
        self._active = False
        await self._rest()
        self._raise_if_ended()

    async def cleanup(self) -> None:
        """Close the engine and destroy the topics."""
        self._active = False
        with self._changing:
            if self._transforms is not None:
                self._transforms.close()
            self._transforms = None
            for camera in self.cameras.values():
                camera.stop()
        if self._worker is not None:
            self._worker.receiver.close()
            await self._worker.ended
        with self._changing:
            for camera in self.cameras.values():
                camera.close()
            if self._poses_3d is not None:
                self._poses_3d.close()
            self.cameras, self._poses_3d, self._worker = {}, None, None

    def report(self, error: Exception) -> None:
        """Report the error that stopped the node."""
        self._problem = str(error)
        # Now, since the process may be about to end.
        self._diagnostics.publish(self._status(), (), self._values.diagnostics)
        is_fatal = self._values.starts_itself or isinstance(error, GpuLostError)
        if self._on_failure is not None and is_fatal:
            self._on_failure(error)
        elif isinstance(error, KpPoseError):
            self.get_logger().error(str(error))
        else:
            self.get_logger().error("".join(traceback.format_exception(error)))

    def close(self, timeout: float) -> bool:
        """Stop for good; return whether the worker ended within `timeout` seconds.

        Call it before `destroy_node`, when the executor no longer spins this node.
        """
        self._handover.close()
        ended = True
        if self._worker is not None:
            self._worker.receiver.close()
            ended = self._worker.join(timeout)
        return ended

    def destroy_node(self) -> None:
        """See rclpy's Node; this ends the worker first, without waiting, if the program has not."""
        if self._worker is not None:
            self.close(timeout=0.0)
        super().destroy_node()

    async def _start(self) -> None:
        if not await self.change_state(Transition.TRANSITION_CONFIGURE):
            return
        if self._values.build_only:
            self._on_built()
        else:
            await self.change_state(Transition.TRANSITION_ACTIVATE)

    def _on_worker_end(self) -> None:
        """Go through the error state if active; if inactive, there is no way to it."""
        if self._active:
            self._do(self.change_state, Transition.TRANSITION_DEACTIVATE)
        elif self.state == "inactive":
            try:
                self._raise_if_ended()
            except Exception as error:
                self.report(error)

    def _raise_if_ended(self) -> None:
        if self._worker is not None and self._worker.ended.done():
            _raise_if_any(self._worker.ended.result())

    async def _enable(self, request: Any, response: Any) -> Any:
        """Pause or resume work, in any state; of two requests, the last one wins."""
        self._enabled = request.data
        if self._enabled:
            self._resume()
        elif self._active:
            await self._rest()
        response.success = self._enabled == request.data
        response.message = f"{'enabled' if self._enabled else 'paused'}, in state '{self.state}'"
        return response

    def _resume(self) -> None:
        """Receive images, if active and enabled."""
        with self._changing:
            if not (self._active and self._enabled):
                return
            for camera in self.cameras.values():
                camera.start()
            if self._worker is not None:
                self._worker.receiver.resume()
        self.warn_of_unused_overrides()

    async def _rest(self) -> None:
        """Stop receiving images and wait until the worker is idle."""
        with self._changing:
            for camera in self.cameras.values():
                camera.stop()
            worker = self._worker
        idle: Future[None] = Future()
        if worker is not None:
            worker.receiver.pause(partial(self._handover.call, partial(idle.set_result, None)))
            await idle
        if self._poses_3d is not None:
            self._poses_3d.interrupt()

    def _watch(self) -> None:
        with self._changing:
            replaced = [camera for camera in self.cameras.values() if camera.watch()]
            if replaced and self._worker is not None:
                self._worker.receiver.wake()
            working = self.cameras.values() if self._active and self._enabled else ()
            self._diagnostics.publish(self._status(), working, self._values.diagnostics)

    def _status(self) -> NodeStatus:
        pause = "" if self._enabled else ", paused by the service enable"
        building = self._worker.building if self._worker else ""
        faults = dict(self._worker.output_faults) if self._worker else {}
        level, faulty, before = Level.OK, "", self._faulty
        self._faulty = sum(faults.values())
        if self._faulty > before:
            level, faulty = Level.WARN, ", but the network returns invalid numbers"
        if self._transforms is not None and (missing := self._transforms.take_problem()):
            level, faulty = Level.WARN, f"{faulty}, but {missing}"
        return NodeStatus(
            Level.ERROR if self._problem else level,
            self._problem or building or f"{self.state}{pause}{faulty}",
            {
                "state": self.state,
                "model": self._values.model,
                "engine": self._worker.engine if self._worker else "none",
                **{f"images with {fault}": str(count) for fault, count in faults.items()},
            },
            self.times,
        )

    def _adopt(self, values: Parameters) -> None:
        self._values = values
        if self._worker is not None:
            self._worker.adopt(values)
        for camera in self.cameras.values():
            camera.always_on = values.always_on or self._on_poses is not None

    def _do(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Run a function or a coroutine as a task of the executor."""
        if self.executor is not None:  # else the node has just been removed from it
            self.executor.create_task(function, *arguments)


def _raise_if_any(error: BaseException | None) -> None:
    if error is not None:
        raise error


def main() -> int:
    """Run the node as a program; return the process's exit code."""
    use_large_images()
    tune_process()
    return run_node(
        "pose_node",
        "Publishes the poses of the people in camera images.",
        lambda ending: PoseNode(on_failure=ending.end, on_built=ending.end),
        close=PoseNode.close,
    )


if __name__ == "__main__":
    sys.exit(main())
