# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Takes the newest image of each camera in the worker's thread, without the executor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING

from rclpy.context import Context

from kp_pose_ros.ros.rcl import InvalidHandle, WaitSet

if TYPE_CHECKING:
    from kp_pose_ros.ros.camera import Camera

# Seconds between two checks of cameras whose poses have no subscriber, to count their images. A new
# subscriber waits at most this much longer for an image.
_IDLE_PERIOD = 0.1


class Receiver:
    """Waits for images in the worker's thread. Any thread may wake, pause, resume or close it."""

    def __init__(
        self, context: Context, cameras: Sequence[Camera], settle: Callable[[], None] = lambda: None
    ) -> None:
        """Prepare to receive the images of `cameras`.

        Args:
            context: rclpy's; when it is shut down, this closes.
            cameras: the cameras whose images to take.
            settle: called in the worker's thread before the callbacks of `pause`; waits until the
                other threads that work on images are idle.
        """
        self._context = context
        self._wait_set = WaitSet(context)
        self._turns = list(cameras)  # least recently served first
        self._settle = settle
        self._counted = 0.0  # when unwanted images were last counted
        self._is_paused = self._is_closed = self._has_left = False
        self._lock = Lock()
        self._when_idle: list[Callable[[], None]] = []
        context.on_shutdown(self.close)

    def take(self, limit: int, *, is_busy: bool, at_once: bool = False) -> list[Camera]:
        """Wait for images and take those available: one per camera, of at most `limit` cameras.

        If more cameras have an image, the least recently served go first.

        Args:
            limit: how many images to take.
            is_busy: whether the worker still has to finish the images that it took before. Then
                `wake` ends the wait.
            at_once: whether to return available images without waiting; for a busy worker.

        Returns:
            The cameras whose image was taken. Empty if closed, and, while busy, if woken or if
            there are none.
        """
        while not self._is_closed:
            if not is_busy:
                self._call_when_idle()
            taken = self._take(self._wait(0 if at_once else _IDLE_PERIOD), limit)
            if taken or is_busy:
                return taken
        return []

    def wake(self) -> None:
        """End the wait in progress, or the next one."""
        with self._lock:
            if not self._has_left:
                self._wait_set.wake()

    def pause(self, when_idle: Callable[[], None]) -> None:
        """Stop taking images.

        `when_idle` is called, in any thread, when all work has ended, or `resume` is called first.
        """
        with self._lock:
            self._is_paused = True
            self._when_idle.append(when_idle)
        if self._has_left:
            self._call_when_idle()
        self.wake()

    def resume(self) -> None:
        """Start taking images again."""
        self._is_paused = False
        self._end_pauses()
        self.wake()

    def close(self) -> None:
        """Make `take` return nothing, now and from now on."""
        self._is_closed = True
        self.wake()

    def leave(self) -> None:
        """Free all resources; the worker calls this after its last `take`."""
        with self._lock:
            self._is_closed = self._has_left = True
            self._wait_set.close()
        self._call_when_idle()

    def _call_when_idle(self) -> None:
        if self._when_idle:
            self._settle()
            self._end_pauses()

    def _end_pauses(self) -> None:
        with self._lock:
            callbacks, self._when_idle = self._when_idle, []
        for callback in callbacks:
            callback()

    def _wait(self, seconds: float) -> list[Camera]:
        """Wait; return the cameras that have an image, empty if woken."""
        cameras = self._cameras_to_serve()
        subscriptions = {
            subscription: camera
            for camera in cameras
            if (subscription := camera.images.current) is not None
        }
        for camera in cameras:
            camera.listened = monotonic()
        try:
            ready = self._wait_set.wait(list(subscriptions), seconds)
            # A lost image also ends every wait, until its event is handled.
            if seconds and not ready and not self._wait_set.is_woken:
                for camera in cameras:
                    camera.images.handle_events()
        except InvalidHandle:  # unsubscribed at this moment
            return []
        except Exception:
            if self._context.ok():
                raise
            self._is_closed = True  # the program ends
            return []
        return [subscriptions[each] for each in ready]

    def _cameras_to_serve(self) -> list[Camera]:
        """Return the cameras whose poses are wanted; now and then all, to count their images."""
        if self._is_paused:
            return []
        wanted = [camera for camera in self._turns if camera.is_wanted()]
        if len(wanted) < len(self._turns) and monotonic() - self._counted > _IDLE_PERIOD:
            self._counted = monotonic()
            return self._turns
        return wanted

    def _take(self, ready: list[Camera], limit: int) -> list[Camera]:
        taken: list[Camera] = []
        for camera in ready if not self._is_paused else ():
            with suppress(InvalidHandle):  # unsubscribed at this moment
                if len(taken) == limit:
                    camera.images.arrived()  # its image waits for its turn
                elif camera.receive():
                    taken.append(camera)
        self._turns = [camera for camera in self._turns if camera not in taken] + taken
        return taken
