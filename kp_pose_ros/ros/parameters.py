# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every parameter of the node, declared once; `config/pose.yaml` lists the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from operator import attrgetter
from pathlib import Path
from typing import Any

from kp_pose_ros.errors import SettingsError
from kp_pose_ros.inference.decode import DecodeSettings
from kp_pose_ros.inference.factory import ENGINES, LAYOUTS, Settings
from kp_pose_ros.output.drawing import Style
from kp_pose_ros.ros.annotated import JpegSettings
from kp_pose_ros.ros.health import Limits
from kp_pose_ros.ros.parameter_groups import Annotated, Depth, DiagnosticLimits, Rig, Tracking
from kp_pose_ros.ros.rules import Rule, Value, parameter, rules_of
from kp_pose_ros.tracking.tracker import TrackingSettings

_CAMERA_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*")
_NETWORK_SIZE = re.compile(r"\s*([1-9]\d*)\s*(?:[, x]\s*([1-9]\d*)\s*)?")


@dataclass(frozen=True, slots=True)
class Parameters:
    """The values that a node runs with; see each one's description."""

    model: str = parameter(
        "yolo11n-pose",
        "Path of the model file, .pt, .onnx, .zip or .engine, or a name that was fetched.",
    )
    skeleton: str = parameter(
        "", "Path of a skeleton file, or the name of a shipped one; empty: as the model says."
    )
    layout: str = parameter(
        "auto", "What the model's output looks like; auto: as the model says.", choices=LAYOUTS
    )
    engine: str = parameter("auto", "What runs the model.", choices=ENGINES)
    device: str = parameter("CPU", "Where the engine openvino runs: CPU, GPU or NPU.")
    providers: tuple[str, ...] = parameter(
        ("",),
        "Execution providers of the engine onnx, the preferred one first, such as CUDA; one empty "
        "name: the CPU.",
    )
    precision: str = parameter(
        "fp16",
        "Numbers that the engine tensorrt calculates with.",
        choices=("fp32", "fp16", "int8"),
    )
    imgsz: str = parameter(
        "auto", "Network input 'height, width' in pixels; auto follows the shape of the image."
    )
    cameras: tuple[str, ...] = parameter(
        ("",), "Name of each camera, the prefix of its topics; one empty name: no prefix."
    )
    max_batch: int = parameter(
        4, "How many frames of different cameras the network takes at once.", limits=(1, 64)
    )
    image_transport: str = parameter(
        "raw", "Kind of image topic to read.", choices=("raw", "compressed")
    )
    image_qos: str = parameter(
        "auto",
        "Reliability of the image subscription; auto copies the publisher's.",
        choices=("auto", "sensor_data", "reliable"),
    )
    score_threshold: float = parameter(
        0.25, "Poses have a score above this.", limits=(0, 1), changeable=True
    )
    iou_threshold: float = parameter(
        0.7,
        "Of two boxes that overlap by more (intersection over union) only the better one stays.",
        limits=(0, 1),
        changeable=True,
    )
    keypoint_threshold: float = parameter(
        0.5, "Keypoints of a lower score are ABSENT, and not drawn.", limits=(0, 1), changeable=True
    )
    max_poses: int = parameter(
        300, "How many poses an image has at most.", limits=(1, 1000), changeable=True
    )
    always_on: bool = parameter(
        False, "Look for poses although nobody subscribes to them.", changeable=True
    )
    autostart: bool = parameter(
        True, "Configure and activate at the start; false leaves that to a lifecycle manager."
    )
    build_only: bool = parameter(
        False, "Build the engine, say where it is, and end; imgsz has to be given."
    )
    receive_priority: int = parameter(
        0,
        "Real-time priority of Fast DDS's threads that read shared memory; 0: none. It needs root "
        "or the limit rtprio.",
        limits=(0, 99),
    )
    annotated: Annotated = field(default_factory=Annotated)
    tracking: Tracking = field(default_factory=Tracking)
    depth: Depth = field(default_factory=Depth)
    rig: Rig = field(default_factory=Rig)
    diagnostics: DiagnosticLimits = field(default_factory=DiagnosticLimits)

    @classmethod
    def from_values(cls, values: Mapping[str, object]) -> Parameters:
        """Return validated parameters; an empty list of cameras is one without a name.

        Args:
            values: by full name, such as `annotated.boxes`; those left out have their defaults.

        Raises:
            SettingsError: a value has the wrong type, is out of range or cannot be used.
        """
        checked = {
            name: rule.check(name, values.get(name, rule.default)) for name, rule in RULES.items()
        }
        checked["cameras"] = checked["cameras"] or ("",)
        groups = {name: group(**_taken_out(checked, name)) for name, group in _GROUPS.items()}
        parameters = cls(**checked, **groups)  # type: ignore[arg-type]
        parameters._check()
        return parameters

    def values(self) -> dict[str, Value]:
        """Return all values by full name."""
        return {name: attrgetter(name)(self) for name in RULES}

    @property
    def network_size(self) -> tuple[int, int] | None:
        """`imgsz` as (height, width) in pixels, or None for auto.

        Raises:
            SettingsError: it is neither `auto` nor one or two numbers.
        """
        if self.imgsz == "auto":
            return None
        numbers = _NETWORK_SIZE.fullmatch(self.imgsz)
        if numbers is None:
            raise SettingsError(
                f"parameter 'imgsz' is '{self.imgsz}': expected 'auto', or height and width in "
                "pixels such as '384, 640'"
            )
        return int(numbers[1]), int(numbers[2] or numbers[1])

    @property
    def starts_itself(self) -> bool:
        """Whether the node configures itself, rather than a lifecycle manager."""
        return self.autostart or self.build_only

    def settings(self) -> Settings:
        """Return what the estimator is made from."""
        return Settings(
            model=Path(self.model),
            skeleton=self.skeleton or None,
            engine=self.engine,
            layout=self.layout,
            device=self.device,
            providers=tuple(name for name in self.providers if name),
            imgsz=self.network_size,
            precision=self.precision,
            # An engine is the fastest at the largest batch that it was built for.
            max_batch=min(self.max_batch, len(self.cameras)),
            decode=self.decode_settings(),
        )

    def decode_settings(self) -> DecodeSettings:
        """Return what counts as a pose."""
        return DecodeSettings(
            score_threshold=self.score_threshold,
            iou_threshold=self.iou_threshold,
            keypoint_threshold=self.keypoint_threshold,
            max_poses=self.max_poses,
        )

    def style(self) -> Style:
        """Return what is drawn, and how."""
        names = [each.name for each in fields(Style)]
        return Style(**{name: getattr(self.annotated, name) for name in names})

    def jpeg_settings(self) -> JpegSettings:
        """Return what a compressed annotated picture is like."""
        annotated = self.annotated
        return JpegSettings(annotated.jpeg_quality, annotated.max_rate, annotated.max_width)

    def tracking_settings(self) -> TrackingSettings:
        """Return how people are followed."""
        return TrackingSettings(**asdict(self.tracking))

    def limits(self) -> Limits:
        """Return from where on a camera is not well."""
        return Limits(**asdict(self.diagnostics))

    def _check(self) -> None:
        """Check what one value's rule cannot know."""
        if not self.model:
            raise SettingsError(
                "parameter 'model' is empty: expected the path of a .pt or .onnx file, or the name "
                "of a model that `kp_pose fetch` got"
            )
        for name in self.cameras:
            if self.cameras.count(name) > 1:
                raise SettingsError(
                    f"parameter 'cameras' names '{name}' more than once: expected a name of its "
                    "own for each camera"
                )
            if not _CAMERA_NAME.fullmatch(name) and self.cameras != ("",):
                raise SettingsError(
                    f"parameter 'cameras' has the name '{name}': expected letters, digits and "
                    "underscores, no digit first, such as 'front'"
                )
        _ = self.network_size


def _taken_out(values: dict[str, Value], group: str) -> dict[str, Any]:
    """Remove the values of a group from `values` and return them by their names inside of it."""
    names = [name for name in values if name.startswith(f"{group}.")]
    return {name.removeprefix(f"{group}."): values.pop(name) for name in names}


_GROUPS: dict[str, type[Annotated | Tracking | Depth | Rig | DiagnosticLimits]] = {
    "annotated": Annotated,
    "tracking": Tracking,
    "depth": Depth,
    "rig": Rig,
    "diagnostics": DiagnosticLimits,
}
RULES: dict[str, Rule] = dict(rules_of(Parameters))
