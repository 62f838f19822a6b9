# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT: the engine of the robot and of any machine with an NVIDIA GPU."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kp_pose_ros.errors import EngineError
from kp_pose_ros.image.frame import Frame
from kp_pose_ros.inference.decode import Candidates
from kp_pose_ros.inference.letterbox import Letterbox
from kp_pose_ros.inference.progress import QUIET, Progress
from kp_pose_ros.inference.tensorrt.bindings import NAME
from kp_pose_ros.inference.tensorrt.builder import BuildOptions
from kp_pose_ros.inference.tensorrt.driver_api import NON_BLOCKING
from kp_pose_ros.inference.tensorrt.gpu import Gpu
from kp_pose_ros.inference.tensorrt.kernel import Launch, LetterboxKernel
from kp_pose_ros.inference.tensorrt.network import Network
from kp_pose_ros.inference.tensorrt.plans import NetworkSource
from kp_pose_ros.inference.tensorrt.slot import SLOTS, HostDeviceBuffer, Picture, Slot
from kp_pose_ros.models.model import PoseModel, Size
from kp_pose_ros.timing import StageTimes

_KEPT_NETWORKS = 4  # a camera of a new shape needs a network; a robot has few shapes at a time


@dataclass(frozen=True, slots=True)
class _Pass:
    """The frames of a batch that go through a network together."""

    network: Network
    indices: list[int]  # of the frames in the batch
    letterboxes: list[Letterbox]

    @property
    def pictures(self) -> int:
        """How many pictures the network runs."""
        tensors = self.network.tensors
        return tensors.batch if tensors.has_fixed_batch else len(self.indices)

    @property
    def output_bytes(self) -> int:
        """Size of their outputs."""
        return self.pictures * self.network.output_bytes


@dataclass(frozen=True, slots=True)
class _Batch:
    """A submitted batch whose result has not been collected yet."""

    engine: TensorRTEngine
    slot: Slot
    passes: list[_Pass]

    def add_done_callback(self, callback: Callable[[Any], object], /) -> None:
        callback(self)  # a GPU sends no notification

    def result(self) -> list[Candidates]:
        return self.engine._collect(self)


class TensorRTEngine:
    """Runs a model on the GPU, one engine plan for each network size that the frames need.

    Plans come from the cache and are built when it has none, which takes seconds to many minutes.
    Any thread may call, but only one at a time.

    Uploads have a stream of their own, so that those of one batch run while the batch before it is
    in the network. On the main stream follow, without the host waiting in between: the letterbox
    of each frame, the network, the download of its output.

    Attributes:
        name: TensorRT's version and the GPU.
        max_batch: how many frames a batch has at most.
        times: how long each stage took: copy, h2d, letterbox, infer and d2h, the last four as the
            GPU measured them.
    """

    overlaps = True

    def __init__(
        self,
        model: PoseModel,
        imgsz: Size | None = None,
        max_batch: int = 1,
        *,
        precision: str = "fp16",
        progress: Progress = QUIET,
    ) -> None:
        """Open the GPU, and the network if its size is known already.

        Args:
            model: what to run; an .engine file is used as it is, whatever `precision` says.
            imgsz: (height, width) of the network's input, or None to follow each camera's shape.
            max_batch: how many frames a batch has at most.
            precision: fp32, fp16 or int8.
            progress: receives the reports of a build.

        Raises:
            EngineError: there is no GPU, no TensorRT or no pycuda, or they refuse to work.
            ModelError: the model cannot be prepared.
        """
        self.max_batch = max_batch
        self.times = StageTimes()
        self._model = model
        self._channels = model.metadata.channels
        self._imgsz = imgsz
        options = BuildOptions(max_batch, precision)
        self._gpu = Gpu()
        self.name = f"{NAME} on {self._gpu.info}"
        self._source = NetworkSource(model, options, self._gpu, progress)
        self._networks: OrderedDict[Size, Network] = OrderedDict()
        self._kept_networks = max(_KEPT_NETWORKS, max_batch)
        self._free_slots: deque[Slot] = deque()
        self._held = ExitStack()
        self._is_closed = False
        try:
            with self._gpu.current(), self._gpu.errors("preparing the engine"):
                self._hold()
            if imgsz is not None or model.metadata.size_is_static:
                self.prepare(imgsz or model.metadata.imgsz)
        except BaseException:
            self.close()
            raise

    def _hold(self) -> None:
        driver = self._gpu.driver
        self._kernel = LetterboxKernel(driver)
        self._held.callback(self._kernel.close)
        self._uploads: Any = driver.Stream(NON_BLOCKING)
        self._main: Any = driver.Stream(NON_BLOCKING)
        self._held.callback(self._drop_streams)
        for _ in range(SLOTS):
            slot = Slot(self._gpu, self.max_batch, is_gray=self._channels == 1)
            self._held.callback(slot.close)
            self._free_slots.append(slot)
        self._held.callback(self._close_networks)

    def prepare(self, frame: Size) -> Path:
        """See `Engine`; the file is the plan."""
        with self._gpu.current(), self._gpu.errors("opening the network"):
            return self._network(self._network_size(frame)).plan

    def submit(self, frames: Sequence[Frame]) -> _Batch:
        """See `Engine`; only one more batch may be submitted before the result is collected."""
        if not self._free_slots:
            raise RuntimeError(f"{SLOTS} batches are in flight: collect one first")
        slot = self._free_slots.popleft()
        try:
            with self._gpu.current(), self._gpu.errors("running the network"):
                # What can fail without the GPU comes first.
                passes = list(self._passes(frames))
                pictures = slot.stage(frames, self.times)
                self._enqueue(slot, passes, pictures)
        except BaseException:
            self._give_back(slot)
            raise
        return _Batch(self, slot, passes)

    def network_call(self, frames: Sequence[Frame]) -> Callable[[], object]:
        """See `Engine`; each call waits for the one before, so that the GPU is always busy."""
        self.submit(frames).result()
        slot = self._free_slots[-1]
        with self._gpu.current():
            (only,) = self._passes(frames)
            done: Any = self._gpu.driver.Event()

            def call() -> None:
                with self._gpu.current(), self._gpu.errors("running the network"):
                    done.synchronize()
                    done.record(self._main)
                    only.network.enqueue(only.pictures, slot.outputs[0].device, self._main)

        return call

    def close(self) -> None:
        """See `Engine`; batches whose results were not collected are lost."""
        if self._gpu.lost or self._is_closed:
            return
        self._is_closed = True
        try:
            with self._gpu.current():
                self._gpu.check("closing the engine")
                self._held.close()
        finally:
            self._gpu.close()

    def _collect(self, batch: _Batch) -> list[Candidates]:
        found: dict[int, Candidates] = {}
        try:
            with self._gpu.current(), self._gpu.errors("running the network"):
                batch.slot.finish(self.times)
            for each, output in zip(batch.passes, batch.slot.outputs, strict=False):
                found.update(self._candidates(each, output))
        except BaseException:
            self._give_back(batch.slot)
            raise
        self._free_slots.append(batch.slot)
        return [found[index] for index in range(len(found))]

    def _give_back(self, slot: Slot) -> None:
        """Let the slot of a batch that failed be used again, once nothing of it is on a stream."""
        with suppress(EngineError), self._gpu.current():
            self._gpu.check("running the network")
        self._free_slots.append(slot)

    def _network_size(self, frame: Size) -> Size:
        return self._model.network_size(frame, self._imgsz)

    def _passes(self, frames: Sequence[Frame]) -> Iterator[_Pass]:
        """Sort frames by network and cut them into what each takes at once."""
        by_size: defaultdict[Size, list[int]] = defaultdict(list)
        for index, frame in enumerate(frames):
            by_size[self._network_size(frame.size)].append(index)
        for size, indices in by_size.items():
            network = self._network(size)
            batch = network.tensors.batch
            for first in range(0, len(indices), batch):
                chunk = indices[first : first + batch]
                letterboxes = [Letterbox.fit(frames[index].size, size) for index in chunk]
                yield _Pass(network, chunk, letterboxes)

    def _enqueue(self, slot: Slot, passes: list[_Pass], pictures: list[Picture]) -> None:
        main, outputs = self._main, slot.outputs[: len(passes)]
        for each, output in zip(passes, outputs, strict=True):
            # Room for a whole batch, so that no later one moves it: a CUDA graph has its address.
            output.reserve(each.network.tensors.batch * each.network.output_bytes)
        with slot.span("h2d", self._uploads) as uploaded:
            for picture in pictures:
                picture.memory.upload(picture.size, self._uploads)
        main.wait_for_event(uploaded)
        for each, output in zip(passes, outputs, strict=True):
            with slot.span("letterbox", main):
                self._letterbox(each, pictures)
            with slot.span("infer", main):
                each.network.enqueue(each.pictures, output.device, main)
            with slot.span("d2h", main):
                output.download(each.output_bytes, main)

    def _letterbox(self, each: _Pass, pictures: list[Picture]) -> None:
        chosen = (pictures[index] for index in each.indices)
        for index, (picture, letterbox) in enumerate(zip(chosen, each.letterboxes, strict=True)):
            launch = Launch.of(
                letterbox,
                picture.layout,
                source=picture.memory.device,
                row_step=picture.row_step,
                network=each.network.picture_address(index),
                planes=self._channels,
            )
            element = each.network.tensors.input_element
            self._kernel.launch(launch, picture.layout.kind, element, self._main)

    def _candidates(
        self, each: _Pass, output: HostDeviceBuffer
    ) -> Iterator[tuple[int, Candidates]]:
        content = output.host[: each.output_bytes].view(each.network.tensors.output_element)
        found = content.reshape(-1, *each.network.output)
        for index, letterbox, one in zip(each.indices, each.letterboxes, found, strict=False):
            # A copy in any case: the next batch but one writes to the same memory.
            yield index, Candidates(self._source.to_rows(one), letterbox)

    def _network(self, size: Size) -> Network:
        if size not in self._networks:
            if len(self._networks) == self._kept_networks:
                self._main.synchronize()  # it may be in use
                self._networks.popitem(last=False)[1].close()
            self._networks[size] = self._source.open(size)
        self._networks.move_to_end(size)
        return self._networks[size]

    def _close_networks(self) -> None:
        for network in self._networks.values():
            network.close()
        self._networks.clear()

    def _drop_streams(self) -> None:
        """Let go of the streams, which frees them."""
        self._uploads = self._main = None
