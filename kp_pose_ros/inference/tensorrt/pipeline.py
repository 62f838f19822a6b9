# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames in, candidate rows out: what the GPU does, with two batches in flight."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kp_pose_ros.image.frame import Frame
from kp_pose_ros.inference.decode import Candidates
from kp_pose_ros.inference.tensorrt.gpu import Gpu, let_go
from kp_pose_ros.inference.tensorrt.kernel import Launch, LetterboxKernel
from kp_pose_ros.inference.tensorrt.network import Network
from kp_pose_ros.inference.tensorrt.plans import NetworkSource
from kp_pose_ros.inference.tensorrt.passes import Pass, passes_of
from kp_pose_ros.inference.tensorrt.slot import Picture, Slot
from kp_pose_ros.models.model import Size
from kp_pose_ros.timing import StageTimes

SLOTS = 2  # one uploads while the other is in the network
_KEPT_NETWORKS = 4  # a camera of a new shape costs a network; a robot has few shapes at a time


@dataclass(frozen=True, slots=True)
class Job:
    """A batch that was submitted and not collected yet."""

    slot: Slot
    passes: list[Pass]


class Pipeline:
    """All that is held on a GPU: kernels, streams, slots and networks.

    Uploads have a stream of their own, so that those of one batch run while the batch before it is
    in the network. On the main stream follow, without the host waiting in between: the letterbox
    of each frame, the network, the download of its output.

    Attributes:
        gpu: what everything runs on.
    """

    def __init__(
        self, gpu: Gpu, source: NetworkSource, to_size: Callable[[Size], Size], times: StageTimes
    ) -> None:
        """Load the kernels and make the streams; networks are opened when frames need them.

        Args:
            gpu: what everything runs on; closed together with this.
            source: opens the networks.
            to_size: the network's (height, width) for frames of (height, width).
            times: takes the durations of the stages.

        Raises:
            EngineError: the driver takes no kernel, or there is no memory left.
        """
        self.gpu = gpu
        self._source = source
        self._to_size = to_size
        self._times = times
        self._networks: OrderedDict[Size, Network] = OrderedDict()
        self._kept_networks = max(_KEPT_NETWORKS, source.options.max_batch)
        self._free_slots: deque[Slot] = deque()
        self._held = ExitStack()
        try:
            with gpu.current(), gpu.errors("preparing the pipeline"):
                self._hold()
        except BaseException as error:
            let_go(error)
            self.close()
            raise

    def _hold(self) -> None:
        driver = self.gpu.driver
        self._kernel = LetterboxKernel(driver)
        self._held.callback(self._kernel.close)
        self._streams = _Streams(driver.Stream(), driver.Stream())
        self._held.callback(self._streams.drop)
        for _ in range(SLOTS):
            slot = Slot(self.gpu, self._source.options.max_batch)
            self._held.callback(slot.close)
            self._free_slots.append(slot)
        self._held.callback(self._close_networks)

    def prepare(self, size: Size) -> Path:
        """Open the network for inputs of (height, width), built if the cache has none."""
        with self.gpu.current(), self.gpu.errors("opening the network"):
            self._network(size)
            return self._source.path(size)

    def submit(self, frames: Sequence[Frame]) -> Job:
        """Put a batch on its way; at most `SLOTS` are, until `collect`.

        Raises:
            EngineError: a network cannot be opened, or the GPU failed.
            FrameError: a frame cannot be converted.
        """
        if not self._free_slots:
            raise RuntimeError(f"{SLOTS} batches are on their way: collect one first")
        slot = self._free_slots.popleft()
        try:
            with self.gpu.current(), self.gpu.errors("running the network"):
                # First all that may fail without the GPU's doing.
                passes = list(passes_of(frames, self._to_size, self._network))
                pictures = slot.stage(frames, self._times)
                self._enqueue(slot, passes, pictures)
        except BaseException:
            self._free_slots.append(slot)
            raise
        return Job(slot, passes)

    def done(self, job: Job) -> bool:
        """Return whether `collect` need not wait; it raises as `collect` does."""
        with self.gpu.current(), self.gpu.errors("running the network"):
            return job.slot.done()

    def collect(self, job: Job) -> list[Candidates]:
        """Wait for a batch and return the candidates of each of its frames.

        Raises:
            GpuFailureError: the GPU failed.
        """
        with self.gpu.current(), self.gpu.errors("running the network"):
            job.slot.finish(self._times)
        found: dict[int, Candidates] = {}
        for each in job.passes:
            found.update(self._candidates(each, job.slot))
        self._free_slots.append(job.slot)
        return [found[index] for index in range(len(found))]

    def network_call(self, frames: Sequence[Frame]) -> Callable[[], object]:
        """Return what enqueues the network alone on frames that are on its input.

        Each call waits for the one before it, so that the GPU always has the next to do.
        """
        self.collect(self.submit(frames))
        slot = self._free_slots[-1]
        with self.gpu.current():
            (only,) = passes_of(frames, self._to_size, self._network)
            done: Any = self.gpu.driver.Event()

            def call() -> None:
                with self.gpu.current(), self.gpu.errors("running the network"):
                    done.synchronize()
                    done.record(self._streams.main)
                    only.network.enqueue(only.pictures, slot.outputs.device, self._streams.main)

        return call

    def close(self) -> None:
        """Free everything, and the GPU; batches that were not collected are lost."""
        try:
            with self.gpu.current(), self._held, suppress(self.gpu.driver.Error):
                self.gpu.driver.Context.synchronize()
        finally:
            self.gpu.close()

    def _enqueue(self, slot: Slot, passes: list[Pass], pictures: list[Picture]) -> None:
        main, uploads = self._streams.main, self._streams.uploads
        slot.outputs.reserve(passes[-1].stop)
        with slot.span("h2d", uploads) as uploaded:
            for picture in pictures:
                picture.memory.upload(0, picture.size, uploads)
        main.wait_for_event(uploaded)
        for each in passes:
            with slot.span("letterbox", main):
                self._letterbox(each, pictures)
            with slot.span("infer", main):
                each.network.enqueue(each.pictures, slot.outputs.device + each.start, main)
            with slot.span("d2h", main):
                slot.outputs.download(each.start, each.stop, main)

    def _letterbox(self, each: Pass, pictures: list[Picture]) -> None:
        for place, (index, letterbox) in enumerate(
            zip(each.indices, each.letterboxes, strict=True)
        ):
            picture = pictures[index]
            launch = Launch.of(
                letterbox,
                picture.layout,
                source=picture.memory.device,
                row_step=picture.row_step,
                network=each.network.place(place),
            )
            element = each.network.tensors.input_element
            self._kernel.launch(launch, picture.layout.kind, element, self._streams.main)

    def _candidates(self, each: Pass, slot: Slot) -> Iterator[tuple[int, Candidates]]:
        network = each.network
        content = slot.outputs.host[each.start : each.stop].view(network.tensors.output_element)
        outputs = content.reshape(-1, *network.output)
        for index, letterbox, output in zip(each.indices, each.letterboxes, outputs, strict=False):
            # A copy in any case: the next batch but one writes to the same memory.
            yield index, Candidates(self._source.to_rows(output), letterbox)

    def _network(self, size: Size) -> Network:
        if size not in self._networks:
            if len(self._networks) == self._kept_networks:
                self._streams.main.synchronize()  # it may be in use
                self._networks.popitem(last=False)[1].close()
            self._networks[size] = self._source.open(size)
        self._networks.move_to_end(size)
        return self._networks[size]

    def _close_networks(self) -> None:
        for network in self._networks.values():
            network.close()
        self._networks.clear()


@dataclass(slots=True)
class _Streams:
    uploads: Any
    main: Any

    def drop(self) -> None:
        """Let go of the streams, which frees them."""
        self.uploads = self.main = None
