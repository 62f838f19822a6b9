# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The thread that owns the engine: frames out of the mailbox, results to the cameras' outputs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from threading import Thread
from typing import Any

from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.task import Future

from kp_pose_ros.errors import KpPoseError
from kp_pose_ros.inference.estimator import PoseEstimator
from kp_pose_ros.inference.factory import build, make_estimator, network_columns
from kp_pose_ros.inference.progress import ProgressLog
from kp_pose_ros.models.model import PoseModel
from kp_pose_ros.output.drawing import Annotator
from kp_pose_ros.poses import Poses
from kp_pose_ros.ros.batches import Batch, Batches, Images
from kp_pose_ros.ros.camera import Camera
from kp_pose_ros.ros.mailbox import Mailbox
from kp_pose_ros.ros.messages import Vocabulary
from kp_pose_ros.ros.parameters import Parameters
from kp_pose_ros.ros.poses_3d import JointPoses
from kp_pose_ros.ros.presentation import Presentation
from kp_pose_ros.ros.stamps import nanoseconds
from kp_pose_ros.space.lift import Lifter
from kp_pose_ros.timing import StageTimes
from kp_pose_ros.tracking.association import sigmas_of
from kp_pose_ros.tracking.tracker import Tracker

# Called with a camera's name, the poses, and the stamp (nanoseconds) and frame_id of their image.
OnPoses = Callable[[str, Poses, int, str], None]


class Worker:
    """Opens model and engine in a thread of its own and works until the mailbox is closed."""

    def __init__(
        self,
        parameters: Parameters,
        mailbox: Mailbox[Any],
        cameras: Mapping[str, Camera],
        logger: RcutilsLogger,
        *,
        call: Callable[[Callable[[], object]], None],
        on_poses: OnPoses | None = None,
        joint: JointPoses | None = None,
    ) -> None:
        """Make a worker that does not run yet.

        Args:
            parameters: what to work with; see `adopt`.
            mailbox: where the frames come from.
            cameras: by name; they read the frames and publish the results.
            logger: the node's.
            call: hands a call over to the executor, where the two futures are awaited.
            on_poses: called in the thread with the poses of every frame.
            joint: joins the poses of all cameras.
        """
        # Each has the error that ended the thread, or None.
        self.opened: Future[BaseException | None] = Future()
        self.ended: Future[BaseException | None] = Future()
        self._parameters = parameters
        self._mailbox = mailbox
        self._cameras = cameras
        self._logger = logger
        self._call = call
        self._on_poses = on_poses
        self._joint = joint
        self.times = StageTimes()  # the engine's, once it is open
        self.engine = "not open yet"
        self._trackers: dict[str, Tracker] = {}
        self._progress = ProgressLog()
        self._trouble = ""  # the engine's error that was logged last, while it goes on
        # A daemon: a thread inside a library's call of minutes must not hold up the exit.
        self._thread = Thread(target=self._run, name="engine", daemon=True)

    @property
    def building(self) -> str:
        """How far the build of an engine is; empty while none is built."""
        return self._progress.status

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def adopt(self, parameters: Parameters) -> None:
        """Work with other parameters from the next frame on; those that cannot change stay."""
        self._parameters = parameters

    def join(self, timeout: float) -> bool:
        """Wait for the end of the thread; return whether it came within `timeout` seconds."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        failure = None
        try:
            settings = self._parameters.settings()
            model, estimator = make_estimator(settings, self._progress)
            self.times = estimator.engine.times
            try:
                if self._parameters.build_only:
                    self._logger.info(f"built {build(model, estimator, settings)}")
                self._work(model, estimator)
            finally:
                estimator.engine.close()
        except BaseException as error:  # nobody else would hear of it
            failure = error
        self._call(partial(self._end, failure))
        self._mailbox.leave()

    def _end(self, failure: BaseException | None) -> None:
        """Tell who waits for the thread that it has ended; in the executor."""
        self._thread.join()
        for future in (self.opened, self.ended):
            if not future.done():
                future.set_result(failure)

    def _work(self, model: PoseModel, estimator: PoseEstimator) -> None:
        self.engine = estimator.engine.name
        self._logger.info(f"model {model.path} runs on {self.engine}")
        adopted = self._parameters
        presentation = _presentation(model, adopted, estimator.engine.times)
        self._trackers = _trackers(model, adopted, self._cameras.values())
        self._network_columns = partial(network_columns, model, adopted.network_size)
        for camera in self._cameras.values():
            camera.outputs.describe(presentation.vocabulary)
        if self._joint is not None:
            self._joint.describe(presentation.vocabulary)
        self._call(partial(self.opened.set_result, None))
        for batch in Batches(self._mailbox, estimator, self._read, self._fail):
            if adopted is not self._parameters:
                adopted = self._parameters
                presentation = _presentation(model, adopted, estimator.engine.times)
                estimator.settings = replace(
                    adopted.decode_settings(), suppress=estimator.settings.suppress
                )
                for tracker in self._trackers.values():
                    tracker.settings = adopted.tracking_settings()
            results = self._finish(batch)
            self._mailbox.call_for_items()  # they come while these results are published
            if results is not None:
                self._publish(batch, results, presentation)

    def _read(self, taken: list[tuple[str, Any]]) -> Images:
        """Return the images in messages that can be read."""
        jpeg = self._parameters.jpeg_settings()
        images = []
        for name, message in taken:
            camera = self._cameras[name]
            frame = camera.read(message, self._network_columns, jpeg)
            if frame is not None:
                images.append((camera, message, frame))
        return images

    def _finish(self, batch: Batch) -> list[Poses] | None:
        """Wait for the poses in a batch's images; None if the engine fails."""
        try:
            results = batch.poses.result()
        except KpPoseError as error:
            self._fail(batch.images, error)
            return None
        self._report(None)
        return results

    def _publish(self, batch: Batch, results: list[Poses], presentation: Presentation) -> None:
        """Track and publish what was found in a batch."""
        for (camera, message, frame), found in zip(batch.images, results, strict=True):
            stamp = nanoseconds(message.header.stamp)
            with self.times.measure("track"):
                poses = self._trackers[camera.name].update(found, stamp, frame.source_size)
            places = camera.locate(message.header, frame, poses, presentation)
            camera.outputs.publish(message.header, frame, poses, presentation, places)
            if self._on_poses is not None:
                self._on_poses(camera.name, poses, stamp, message.header.frame_id)
            if self._joint is not None:
                size = frame.source_size
                self._joint.add(camera.name, message.header, size, poses, presentation)
            camera.processed(stamp)

    def _fail(self, images: Images, error: KpPoseError) -> None:
        for camera, _, _ in images:
            camera.counts.failed += 1
        self._report(error)

    def _report(self, error: KpPoseError | None) -> None:
        """Log an engine's trouble when it begins, changes and ends; it is tried again each time."""
        trouble = str(error or "")
        if trouble and trouble != self._trouble:
            self._logger.error(f"{trouble}; the next frames are tried all the same")
        elif self._trouble and not trouble:
            self._logger.info("the engine works again")
        self._trouble = trouble


def _trackers(
    model: PoseModel, parameters: Parameters, cameras: Iterable[Camera]
) -> dict[str, Tracker]:
    """Return a tracker for each camera by its name; no id is given twice."""
    settings, ids = parameters.tracking_settings(), itertools.count(1)
    sigmas = sigmas_of(model.skeleton.name, len(model.skeleton))
    return {each.name: Tracker(settings, sigmas, ids, each.label) for each in cameras}


def _presentation(model: PoseModel, parameters: Parameters, times: StageTimes) -> Presentation:
    names = model.metadata.class_names
    return Presentation(
        Vocabulary(model.skeleton, names),
        Annotator(model.skeleton, names, parameters.style()),
        parameters.jpeg_settings(),
        Lifter(model.skeleton.keypoint_names),
        times,
    )
