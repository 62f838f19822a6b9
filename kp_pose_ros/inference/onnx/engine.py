# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime: on the CPU by default, or with its execution providers on other hardware.

Which execution providers (CUDA, ROCm, QNN, CoreML, ...) there are depends on how ONNX Runtime was
built.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np
import onnxruntime as ort

from kp_pose_ros.errors import EngineError, SettingsError
from kp_pose_ros.image.frame import Size
from kp_pose_ros.inference.cores import CoreWatch, Threads
from kp_pose_ros.inference.host import HostEngine
from kp_pose_ros.models.model import PoseModel
from kp_pose_ros.poses import Floats

_SUFFIX = "ExecutionProvider"
_CPU = f"CPU{_SUFFIX}"
# By default, CUDA times every algorithm at the first batch of each size: 2 s on an H200, where a
# heuristic takes 0.3 s and chooses algorithms that are as fast.
_OPTIONS = {f"CUDA{_SUFFIX}": {"cudnn_conv_algo_search": "HEURISTIC"}}


class OnnxEngine(HostEngine):
    """Runs a model's prepared graph with ONNX Runtime."""

    def __init__(
        self,
        model: PoseModel,
        imgsz: Size | None = None,
        max_batch: int = 1,
        providers: Sequence[str] = (),
        threads: int | None = None,
    ) -> None:
        """Open the engine; see `HostEngine` for the other arguments.

        Args:
            providers: names of execution providers, with or without "ExecutionProvider", the
                preferred one first; none: the CPU. The CPU runs what they cannot.
            threads: how many a network has; None: as many as the machine has cores left.

        Raises:
            SettingsError: this ONNX Runtime has no such provider.
        """
        chosen = find_providers(providers)
        where = "the CPU" if chosen == [_CPU] else chosen[0].removesuffix(_SUFFIX)
        name = f"ONNX Runtime {ort.__version__} on {where}"
        open_session = partial(OrtSession, providers=chosen)
        watch = CoreWatch(threads, follows=chosen == [_CPU])
        super().__init__(name, model, imgsz, max_batch, open_session=open_session, watch=watch)


def find_providers(names: Sequence[str]) -> list[str]:
    """Return the full names of execution providers, the CPU as the last.

    Raises:
        SettingsError: this ONNX Runtime has no such provider.
    """
    available = {name.removesuffix(_SUFFIX).lower(): name for name in ort.get_available_providers()}
    chosen = []
    for name in names:
        short = name.removesuffix(_SUFFIX).lower().replace("_", "").replace("-", "")
        if short not in available:
            known = ", ".join(each.removesuffix(_SUFFIX) for each in available.values())
            raise SettingsError(
                f"ONNX Runtime {ort.__version__} has no execution provider {name}: expected one of "
                f"{known}, or an onnxruntime that was built with it (such as onnxruntime-gpu)"
            )
        chosen.append(available[short])
    return [*(name for name in dict.fromkeys(chosen) if name != _CPU), _CPU]


@cache  # once in a process
def _share_memory() -> None:
    """Let sessions on the CPU share the memory of their activations.

    Sessions of other sizes and numbers of threads are open beside the one that runs: three of
    yolo11n-pose at 384 x 640 take 75 MB instead of 125.
    """
    arena = ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR
    where = ort.OrtMemoryInfo("Cpu", arena, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(where, None)


class OrtSession:
    """One graph in ONNX Runtime; see `Session`."""

    def __init__(self, graph: Path, threads: Threads, providers: Sequence[str]) -> None:
        """Open it.

        Raises:
            EngineError: ONNX Runtime refuses the graph, or does not start the first provider.
        """
        _share_memory()
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads.count
        options.enable_mem_pattern = False  # it takes 25 MB and saves no time
        options.add_session_config_entry("session.use_env_allocators", "1")
        # Threads that spin between two images would take the cores from the camera's driver.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        options.add_session_config_entry("session.intra_op.allow_spinning", str(int(threads.spin)))
        # Smaller shares of work: if a core is busy with something else, another takes them over.
        options.add_session_config_entry("session.dynamic_block_base", "4")
        with_options = [(name, _OPTIONS.get(name, {})) for name in providers]
        try:
            self._session = ort.InferenceSession(str(graph), options, providers=with_options)
        except Exception as error:  # ONNX Runtime has no base class for its errors
            raise EngineError(
                f"ONNX Runtime {ort.__version__} refuses the graph {graph}: {error}; expected a "
                "graph that it can run: delete the file, or export the model again with a lower "
                "opset"
            ) from error
        started = self._session.get_providers()
        if started[:1] != list(providers[:1]):
            raise EngineError(
                f"ONNX Runtime {ort.__version__} did not start {providers[0]}, only "
                f"{', '.join(started)}: check that its driver and libraries are installed"
            )
        self._input = self._session.get_inputs()[0]
        batch = self._input.shape[0]
        self.fixed_batch: int | None = batch if isinstance(batch, int) else None

    def run(self, batch: Floats) -> Floats:
        """Return the rows of pictures; see `Session`."""
        try:
            (rows,) = self._session.run(None, {self._input.name: batch})
        except Exception as error:  # as above
            raise EngineError(
                f"ONNX Runtime failed on a batch of shape {batch.shape}: {error}"
            ) from error
        return np.asarray(rows, np.float32)
