# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Installs the part that needs no ROS, and the `kp_pose` command, with pip.

`colcon build` does not use this file: CMakeLists.txt installs the whole package.
"""

from pathlib import Path
from xml.etree import ElementTree

from setuptools import find_packages, setup

# package.xml is the only place that states a version.
package = ElementTree.parse(Path(__file__).with_name("package.xml")).getroot()  # noqa: S314

setup(
    name=package.findtext("name"),
    version=package.findtext("version"),
    description=" ".join(package.findtext("description", "").split()),
    license=package.findtext("license"),
    python_requires=">=3.10",
    # config/ is beside the Python package in the source tree, and inside it when installed.
    packages=[
        *find_packages(include=["kp_pose_ros", "kp_pose_ros.*"]),
        "kp_pose_ros.config",
        "kp_pose_ros.interfaces",
    ],
    package_dir={"kp_pose_ros.config": "config", "kp_pose_ros.interfaces": "msg"},
    package_data={
        "kp_pose_ros.config": ["*.yaml", "skeletons/*.yaml"],
        "kp_pose_ros.inference.tensorrt": ["cuda/*"],
        "kp_pose_ros.interfaces": ["*.msg"],
        "kp_pose_ros.output": ["*.schema.json"],
    },
    install_requires=["numpy", "onnx", "opencv-python-headless", "PyYAML", "scipy", "tqdm"],
    extras_require={
        "bags": ["rosbags"],
        "kafka": ["confluent-kafka"],
        "onnx": ["onnxruntime"],
        "openvino": ["openvino"],
        "video": ["av"],
        "dev": ["hypothesis", "mypy", "pytest", "pytest-xdist", "ruff"],
    },
    entry_points={"console_scripts": ["kp_pose = kp_pose_ros.cli:main"]},
)
