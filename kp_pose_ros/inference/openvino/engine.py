# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""OpenVINO: CPUs, especially those with bfloat16, and Intel's GPUs and NPUs."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import openvino as ov

from kp_pose_ros.errors import EngineError, SettingsError
from kp_pose_ros.image.frame import Size
from kp_pose_ros.inference.cores import CoreWatch, Threads
from kp_pose_ros.inference.host import HostEngine
from kp_pose_ros.models.model import PoseModel
from kp_pose_ros.poses import Floats

VERSION = ov.get_version().partition("-")[0]


class OpenVinoEngine(HostEngine):
    """Runs a model's prepared graph with OpenVINO."""

    def __init__(
        self,
        model: PoseModel,
        imgsz: Size | None = None,
        max_batch: int = 1,
        device: str = "CPU",
        threads: int | None = None,
    ) -> None:
        """Open the engine; see `HostEngine` for the other arguments.

        Args:
            device: CPU, GPU, NPU, or another name that OpenVINO lists here.
            threads: how many a network has on the CPU; None: as many as it has cores left.

        Raises:
            SettingsError: OpenVINO sees no such device.
        """
        core = ov.Core()
        available = core.available_devices
        if device.partition(".")[0] not in {each.partition(".")[0] for each in available}:
            raise SettingsError(
                f"OpenVINO {VERSION} finds no device {device}: expected one of "
                f"{', '.join(available)}; a GPU or NPU needs Intel's driver"
            )
        precision = device_precision(core, device)
        name = f"OpenVINO {VERSION} on {device} ({precision})"
        open_session = partial(OpenVinoSession, core=core, device=device, precision=precision)
        watch = CoreWatch(threads, follows=device == "CPU", spins=False)
        super().__init__(name, model, imgsz, max_batch, open_session=open_session, watch=watch)


def cpu_precision() -> str:
    """Return the precision that this machine's CPU computes fastest in: bf16 or f32."""
    return device_precision(ov.Core(), "CPU")


def device_precision(core: ov.Core, device: str) -> str:
    """Return the precision that a device computes fastest in: bf16, f16 or f32."""
    able = core.get_property(device, "OPTIMIZATION_CAPABILITIES")
    if device == "CPU":  # there, float16 saves memory and no time
        return "bf16" if "BF16" in able else "f32"
    return "f16" if "FP16" in able else "f32"


class OpenVinoSession:
    """One graph in OpenVINO; see `Session`."""

    def __init__(
        self, graph: Path, threads: Threads, *, core: ov.Core, device: str, precision: str
    ) -> None:
        """Open it.

        Raises:
            EngineError: OpenVINO refuses the graph.
        """
        settings: dict[str, object] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": precision,
        }
        if device == "CPU":
            settings |= {"INFERENCE_NUM_THREADS": threads.count, "ENABLE_CPU_PINNING": False}
        try:
            model = core.read_model(graph)
            batch = model.input(0).partial_shape[0]
            self.fixed_batch: int | None = None if batch.is_dynamic else batch.get_length()
            network = core.compile_model(model, device, settings)
            self._request = network.create_infer_request()
        except RuntimeError as error:
            raise EngineError(
                f"OpenVINO {VERSION} refuses the graph {graph} on {device}: {error}; set engine to "
                "onnx, or export the model again"
            ) from error

    def run(self, batch: Floats) -> Floats:
        """Return the rows of pictures; see `Session`."""
        try:
            found = self._request.infer([batch], share_inputs=True)
        except RuntimeError as error:
            raise EngineError(
                f"OpenVINO failed on a batch of shape {batch.shape}: {error}"
            ) from error
        return np.array(found[0], np.float32)
