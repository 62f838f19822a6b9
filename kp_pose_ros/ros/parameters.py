# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""All parameters of the node: their declaration, descriptions and changes at run time."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from kp_pose_ros.errors import SettingsError, brief
from kp_pose_ros.image.jpeg import JpegSettings
from kp_pose_ros.inference.decode import DecodeSettings
from kp_pose_ros.inference.factory import EstimatorSettings
from kp_pose_ros.models.layouts import NAMED_LAYOUTS
from kp_pose_ros.output.drawing import Style
from kp_pose_ros.ros.diagnostics import Limits
from kp_pose_ros.settings import (
    ENGINES,
    IMAGE_TRANSPORTS,
    Setting,
    Value,
    build,
    camera_names,
    group,
    setting,
    settings_of,
    values_of,
)
from kp_pose_ros.tracking.tracker import TrackingSettings

_NETWORK_SIZE = re.compile(r"\s*([1-9]\d{0,4})\s*(?:[, x]\s*([1-9]\d{0,4})\s*)?")
_THREADS = re.compile(r"[1-9]\d{0,3}")


@dataclass(frozen=True, slots=True)
class DepthSettings:
    """Positions of keypoints in space, from depth images."""

    enabled: bool = setting(
        False, "Subscribe to `depth` and `camera_info`; fill in keypoints_3d; publish markers."
    )
    slop: float = setting(
        0.02,
        "Maximum difference between the stamps of an image and its depth image, seconds.",
        limits=(0, 1),
    )


@dataclass(frozen=True, slots=True)
class RigSettings:
    """Positions of people in space, from several cameras."""

    file: str = setting(
        "", "Path of the file with the poses and calibrations of the cameras. Empty: no poses_3d."
    )
    slop: float = setting(
        0.02,
        "Maximum difference between the stamps of images that are combined, seconds.",
        limits=(0, 1),
    )


@dataclass(frozen=True, slots=True)
class Parameters:
    """The values that a node runs with; each has a description."""

    model: str = setting(
        "yolo11n-pose",
        "Path of a model file (.pt, .onnx, .zip or .engine), or name of a fetched model.",
    )
    skeleton: str = setting(
        "",
        "Path of a skeleton file, or name of a shipped one. Empty: from the model file.",
    )
    layout: str = setting(
        "auto",
        "Layout of the model's output. auto: detected from the model file.",
        choices=NAMED_LAYOUTS,
    )
    engine: str = setting(
        "auto", "Inference engine. auto: the fastest on this machine.", choices=ENGINES
    )
    device: str = setting("CPU", "Device for the engine openvino: CPU, GPU or NPU.")
    providers: tuple[str, ...] = setting(
        ("",),
        "Execution providers for the engine onnx, such as CUDA, in order of preference. One empty "
        "name: the CPU.",
    )
    precision: str = setting(
        "fp16",
        "Precision of the engine tensorrt.",
        choices=("fp32", "fp16", "int8"),
    )
    threads: str = setting(
        "auto",
        "Number of CPU threads for the network. auto: one per core that other programs leave idle.",
    )
    imgsz: str = setting(
        "auto", "Network input 'height, width' in pixels. auto: from the shape of the image."
    )
    cameras: tuple[str, ...] = setting(
        ("",), "Names of the cameras, which prefix their topics. One empty name: no prefix."
    )
    max_batch: int = setting(
        4, "Maximum number of images, from different cameras, in a batch.", limits=(1, 64)
    )
    image_transport: str = setting("raw", "Type of the image topic.", choices=IMAGE_TRANSPORTS)
    image_qos: str = setting(
        "auto",
        "QoS of the image subscription. auto: copied from the publisher.",
        choices=("auto", "sensor_data", "reliable"),
    )
    decode: DecodeSettings = group(DecodeSettings, "", changeable=True)
    always_on: bool = setting(
        False, "Run the network even if its results have no subscriber.", changeable=True
    )
    autostart: bool = setting(
        True,
        "Configure and activate at startup; false leaves that to a lifecycle manager.",
        is_fixed=True,
    )
    build_only: bool = setting(
        False, "Build the engine, log its path, and exit; imgsz must be set.", is_fixed=True
    )
    receive_priority: int = setting(
        0,
        "Real-time priority of Fast DDS's shared-memory threads. 0: none. Needs root or an rtprio "
        "limit.",
        limits=(0, 99),
        is_fixed=True,
    )
    target_frame: str = setting(
        "",
        "Frame of the positions and velocities in `motion` and of `floor` in `coverage`, such as "
        "odom; needs tf2_ros. Empty: the image's frame, and no floor.",
    )
    style: Style = group(Style, "annotated.", changeable=True)
    jpeg: JpegSettings = group(JpegSettings, "annotated.", changeable=True)
    tracking: TrackingSettings = group(TrackingSettings, "tracking.", changeable=True)
    depth: DepthSettings = group(DepthSettings, "depth.")
    rig: RigSettings = group(RigSettings, "rig.")
    diagnostics: Limits = group(Limits, "diagnostics.", changeable=True)

    @classmethod
    def from_values(cls, values: Mapping[str, object]) -> Parameters:
        """Return validated parameters; an empty list of cameras is one without a name.

        Args:
            values: by full name, such as `annotated.boxes`; those left out have their defaults.

        Raises:
            SettingsError: a value has the wrong type, is out of range or cannot be used.
        """
        parameters = build(cls, values)
        parameters = replace(parameters, cameras=camera_names(parameters.cameras))
        parameters._check()
        return parameters

    def values(self) -> dict[str, Value]:
        """Return all values by full name."""
        return values_of(self)

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
                f"parameter 'imgsz' is {brief(self.imgsz)}: expected 'auto', or height and width "
                "in pixels such as '384, 640'"
            )
        return int(numbers[1]), int(numbers[2] or numbers[1])

    @property
    def network_threads(self) -> int | None:
        """`threads`, or None for auto.

        Raises:
            SettingsError: it is neither `auto` nor 1 to 9999.
        """
        if self.threads == "auto":
            return None
        if not _THREADS.fullmatch(self.threads):
            raise SettingsError(
                f"parameter 'threads' is {brief(self.threads)}: expected 'auto', or 1 to 9999"
            )
        return int(self.threads)

    @property
    def starts_itself(self) -> bool:
        """Whether the node configures itself; else a lifecycle manager does."""
        return self.autostart or self.build_only

    def estimator_settings(self) -> EstimatorSettings:
        """Return the settings of the estimator."""
        return EstimatorSettings(
            model=Path(self.model),
            skeleton=self.skeleton or None,
            engine=self.engine,
            layout=self.layout,
            device=self.device,
            providers=tuple(name for name in self.providers if name),
            threads=self.network_threads,
            imgsz=self.network_size,
            precision=self.precision,
            # An engine is fastest at the largest batch that it was built for.
            max_batch=min(self.max_batch, len(self.cameras)),
            decode=self.decode,
        )

    def _check(self) -> None:
        """Check what concerns more than the type and range of one value."""
        if not self.model:
            raise SettingsError(
                "parameter 'model' is empty: expected the path of a .pt or .onnx file, or the name "
                "of a model that `kp_pose fetch` has downloaded"
            )
        if self.target_frame.startswith("/"):  # tf2 refuses such names
            raise SettingsError(
                f"parameter 'target_frame' is '{self.target_frame}': expected the name of a frame, "
                "which does not begin with a slash"
            )
        _ = self.network_size, self.network_threads


RULES = settings_of(Parameters)
UNCONFIGURED = "unconfigured"  # lifecycle_msgs/State


def declare_parameters(node: Node) -> Parameters:
    """Declare all parameters on `node` and return the values it was started with.

    Raises:
        SettingsError: one of them cannot be used.
    """
    # rclpy would refuse `score_threshold: 1`, an integer. So read the given values whatever their
    # types, check them by our rules, and only then declare the final values and types.
    given: dict[str, object] = {}
    for name, rule in RULES.items():
        anything = ParameterDescriptor(dynamic_typing=True)
        value = node.declare_parameter(name, _to_ros(rule.default), anything).value
        given[name] = [] if value is None else value  # `[]` has no type in ROS
        node.undeclare_parameter(name)
    parameters = Parameters.from_values(given)
    for name, value in parameters.values().items():
        descriptor = _descriptor(RULES[name])
        node.declare_parameter(name, _to_ros(value), descriptor, ignore_override=True)
    return parameters


def follow_changes(
    node: Node,
    parameters: Parameters,
    apply: Callable[[Parameters], None],
    state: Callable[[], str],
) -> None:
    """Call `apply` with the new parameters whenever a client changes some on `node`.

    A change that breaks a rule is refused with the rule's sentence, and nothing changes.

    Args:
        node: where the parameters are declared.
        parameters: their values now.
        apply: called in the executor.
        state: returns the state of the node's lifecycle.
    """

    def change(changes: Sequence[Parameter[Any]]) -> SetParametersResult:
        nonlocal parameters
        changed = {each.name: each.value for each in changes if each.name in RULES}
        try:
            wanted = Parameters.from_values({**parameters.values(), **changed})
            _check_state(parameters, wanted, state())
        except SettingsError as error:
            return SetParametersResult(successful=False, reason=str(error))
        parameters = wanted
        apply(parameters)
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(change)


def _check_state(now: Parameters, wanted: Parameters, state: str) -> None:
    """Refuse to change what `configure` has read, since it would have no effect.

    Raises:
        SettingsError: it would change.
    """
    if state == UNCONFIGURED:
        return
    values = now.values()
    for name, value in wanted.values().items():
        if value != values[name] and not RULES[name].changeable:
            raise SettingsError(
                f"parameter '{name}' can be set only in the state '{UNCONFIGURED}', and the node "
                f"is '{state}': clean it up, set the parameter, and configure it again"
            )


def _to_ros(value: Value) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _descriptor(rule: Setting) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(description=rule.description, read_only=rule.is_fixed)
    if rule.choices:
        descriptor.additional_constraints = f"one of {', '.join(rule.choices)}"
    if rule.limits is not None:
        low, high = rule.limits
        if isinstance(rule.default, int):
            descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
        else:
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=float(low), to_value=float(high))
            ]
    return descriptor
