# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The thread that owns the engine: it takes images, runs the network and publishes the poses.

An image passes through, in this order:

    Worker._begin            Receiver.take -> Camera.receive -> ImageSubscription.take -> rcl.take
                             Camera.read -> Reader.read -> message.read_raw -> image_to_frame
                             Engine.submit: letterbox and network, in the engine's own threads
    Worker._publish          PoseEstimator.decode -> decode.decode
                             Tracker.update, Camera.lift
                             Publishers.publish -> cdr.pose_array -> rcl.publish
                             AnnotatedPictures.show -> Painter.paint
    the painter's thread     AnnotatedPictures.publish -> Annotator.draw -> rcl.publish
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future as Promise
from dataclasses import dataclass
from functools import partial
from threading import Thread

from rclpy.context import Context
from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.task import Future

from kp_pose_ros.errors import GpuLostError, KpPoseError
from kp_pose_ros.image.jpeg import MinWidth
from kp_pose_ros.image.message import CameraImage
from kp_pose_ros.inference.decode import Candidates
from kp_pose_ros.inference.estimator import Pending, PoseEstimator
from kp_pose_ros.inference.factory import build_engine, make_estimator, network_columns
from kp_pose_ros.inference.progress import ProgressLog
from kp_pose_ros.models.model import PoseModel
from kp_pose_ros.output.drawing import Annotator
from kp_pose_ros.poses import Poses
from kp_pose_ros.ros.annotated import Painter, Presentation
from kp_pose_ros.ros.camera import Camera
from kp_pose_ros.ros.parameters import Parameters
from kp_pose_ros.ros.process import RosLogHandler
from kp_pose_ros.ros.receive import Receiver
from kp_pose_ros.ros.space.poses_3d import Poses3DTopic
from kp_pose_ros.space.lift import Lifter
from kp_pose_ros.timing import StageTimes
from kp_pose_ros.tracking.tracker import Tracker, make_trackers

Images = list[tuple[Camera, CameraImage]]
# Called with a camera's name, the poses, and the stamp (nanoseconds) and frame_id of their image.
OnPoses = Callable[[str, Poses, int, str], None]


@dataclass(frozen=True, slots=True)
class Batch:
    """Images of different cameras in the engine, and the candidates that it will return."""

    images: Images
    candidates: Pending


class Worker:
    """Opens model and engine in a thread of its own and works until `receiver` is closed.

    Attributes:
        opened: done when the engine is open or the thread has ended; its result is the error that
            ended the thread, or None.
        ended: the same for the end of the thread.
        receiver: the source of images; any thread may pause, resume and close it.
        times: how long the stages of the latest images took.
        engine: the engine's name.
        output_faults: numbers of frames by fault in the network's output.
    """

    def __init__(
        self,
        parameters: Parameters,
        cameras: Sequence[Camera],
        logger: RcutilsLogger,
        context: Context,
        *,
        call: Callable[[Callable[[], object]], None],
        on_poses: OnPoses | None = None,
        poses_3d: Poses3DTopic | None = None,
    ) -> None:
        """Make a worker that does not run yet.

        Args:
            parameters: the node's parameters; see `adopt`.
            cameras: the sources of images and destinations of results.
            logger: the node's.
            context: the node's.
            call: makes the executor call a function; the two futures are awaited there.
            on_poses: called in the worker's thread with the poses of every image.
            poses_3d: combines the poses of all cameras.
        """
        self.opened: Future[BaseException | None] = Future()
        self.ended: Future[BaseException | None] = Future()
        self._painter = Painter(self._painter_failed)
        self.receiver = Receiver(context, cameras, self._painter.settle)
        self.times = StageTimes()  # the engine's, once it is open
        self.engine = "not open yet"
        self.output_faults: Mapping[str, int] = {}
        self._parameters = parameters
        self._cameras = cameras
        self._logger = logger
        self._call = call
        self._on_poses = on_poses
        self._poses_3d = poses_3d
        self._progress = ProgressLog()
        self._problems: dict[str, str] = {}  # the engine's current error, by camera
        self._painting_failed: BaseException | None = None
        # The thread sets these once the engine is open, the last three for each new `_parameters`.
        self._model: PoseModel
        self._estimator: PoseEstimator
        self._trackers: dict[str, Tracker]
        self._applied: Parameters
        self._network_width: MinWidth
        self._presentation: Presentation
        # A daemon, since a library call that takes minutes must not delay the exit.
        self._thread = Thread(target=self._run, name="engine", daemon=True)

    @property
    def building(self) -> str:
        """The progress of an engine build; empty while none is running."""
        return self._progress.status

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def adopt(self, parameters: Parameters) -> None:
        """Use new parameters from the next image on; those that cannot change stay as they are."""
        self._parameters = parameters

    def join(self, timeout: float) -> bool:
        """Wait for the end of the thread; return whether it came within `timeout` seconds."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        failure = None
        log = RosLogHandler(self._logger)
        log.attach()
        try:
            settings = self._parameters.estimator_settings()
            model, estimator = make_estimator(settings, self._progress)
            self.times = estimator.engine.times
            try:
                if self._parameters.build_only:
                    self._logger.info(f"built {build_engine(model, estimator, settings)}")
                self._work(model, estimator)
            finally:
                self._painter.close()
                estimator.engine.close()
        except BaseException as error:  # would otherwise be lost with the thread
            failure = error
        log.detach()
        self._call(partial(self._end, failure))
        self.receiver.leave()

    def _end(self, failure: BaseException | None) -> None:
        """Complete the futures after the end of the thread; called in the executor."""
        self._thread.join()
        for future in (self.opened, self.ended):
            if not future.done():
                future.set_result(failure)

    def _work(self, model: PoseModel, estimator: PoseEstimator) -> None:
        self.engine = estimator.engine.name
        self.output_faults = estimator.faults
        self._logger.info(f"model {model.path} runs on {self.engine}")
        self._model, self._estimator = model, estimator
        labels = {camera.name: camera.label for camera in self._cameras}
        self._trackers = make_trackers(model.skeleton, labels, self._parameters.tracking)
        self._apply_parameters()
        for topics in (*(camera.publishers for camera in self._cameras), self._poses_3d):
            if topics is not None:
                topics.describe(self._presentation.vocabulary)
        self._call(partial(self.opened.set_result, None))
        batch = self._begin()
        while batch is not None:
            following = self._begin(is_busy=True) if estimator.engine.overlaps else None
            found = self._candidates(batch)
            # The engine works on the next images while the poses are published.
            following = following or self._begin(is_busy=True, at_once=True)
            for camera, image, candidates in found:
                self._publish(camera, image, candidates)
            if self._painting_failed is not None:
                raise self._painting_failed
            batch = following or self._begin()

    def _begin(self, *, is_busy: bool = False, at_once: bool = False) -> Batch | None:
        """Take images and submit those that can be read.

        None if there are none; see `Receiver.take`. While busy it takes images once, so that those
        that cannot be read do not delay the poses of the others.
        """
        engine = self._estimator.engine
        while taken := self.receiver.take(engine.max_batch, is_busy=is_busy, at_once=at_once):
            if self._applied is not self._parameters:
                self._apply_parameters()
            images = [
                (camera, image)
                for camera in taken
                if (image := camera.read(self._network_width, self._presentation))
            ]
            if images:
                batch = self._submit(images)
                if engine.overlaps:
                    batch.candidates.add_done_callback(lambda _: self.receiver.wake())
                return batch
            if is_busy:
                break
        return None

    def _submit(self, images: Images) -> Batch:
        """Submit images; if the engine refuses them, that error is the result."""
        try:
            pending = self._estimator.engine.submit([image.frame for _, image in images])
        except KpPoseError as error:
            pending = Promise()
            pending.set_exception(error)
        return Batch(images, pending)

    def _candidates(self, batch: Batch) -> list[tuple[Camera, CameraImage, Candidates]]:
        """Wait for the candidates in each image; leave out images on which the engine fails.

        If it fails on several at once, one of them may be at fault: each is tried alone.
        """
        try:
            found = batch.candidates.result()
        except GpuLostError:
            raise  # this process cannot go on
        except KpPoseError as error:
            if len(batch.images) > 1:
                alone = [self._candidates(self._submit([each])) for each in batch.images]
                return [one for each in alone for one in each]
            self._fail(batch.images[0][0], error)
            return []
        return [(*each, one) for each, one in zip(batch.images, found, strict=True)]

    def _publish(self, camera: Camera, image: CameraImage, candidates: Candidates) -> None:
        """Decode the poses in an image, track the people and publish them."""
        try:
            (found,) = self._estimator.decode([image.frame], [candidates])
        except KpPoseError as error:
            self._fail(camera, error)
            return
        header, size, presentation = image.header, image.frame.source_size, self._presentation
        with self.times.measure("track"):
            poses = self._trackers[camera.name].update(found, header.stamp, size)
        keypoints_3d = camera.lift(image, poses, presentation)
        is_published = camera.publishers.publish(image, poses, presentation, keypoints_3d)
        camera.coverage.publish(header)
        if is_published:
            camera.published(header.stamp, len(poses))
        else:
            camera.counts.failed += 1
        if self._on_poses is not None:
            self._on_poses(camera.name, poses, header.stamp, header.frame_id)
        if self._poses_3d is not None:
            self._poses_3d.add(camera.name, header, size, poses, presentation)
        if self._problems.pop(camera.label, ""):
            self._logger.info(f"{camera.label}: the engine works again")

    def _fail(self, camera: Camera, error: KpPoseError) -> None:
        """Count an image on which the engine failed; log the error when it begins and changes."""
        camera.counts.failed += 1
        problem = str(error)
        if problem != self._problems.get(camera.label):
            self._logger.error(f"{camera.label}: {problem}; the next images are still tried")
        self._problems[camera.label] = problem

    def _painter_failed(self, error: BaseException) -> None:
        self._painting_failed = error
        self.receiver.wake()

    def _apply_parameters(self) -> None:
        """Apply the newest parameters, which another thread may have replaced."""
        parameters = self._applied = self._parameters
        model = self._model
        self._network_width = partial(network_columns, model, parameters.network_size)
        self._presentation = Presentation(
            model.vocabulary,
            Annotator(model.vocabulary, parameters.style),
            parameters.jpeg,
            self._painter,
            Lifter(model.skeleton.keypoint_names),
            self.times,
        )
        self._estimator.settings = parameters.decode
        for tracker in self._trackers.values():
            tracker.settings = parameters.tracking
