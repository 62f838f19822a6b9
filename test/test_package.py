# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What colcon and pip install, as seen without the source tree."""

import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parent.parent
INTERFACES = sorted((ROOT / "msg").glob("*.msg"))
EXECUTABLES = re.findall(r"^  (\w+)=([\w.]+):(\w+)", (ROOT / "CMakeLists.txt").read_text(), re.M)
CONFIG = "from kp_pose_ros.resources import config_path; print(config_path('pose.yaml').resolve())"
INTERFACES_PATH = "from kp_pose_ros.resources import interfaces_path; print(interfaces_path())"


def run(*command, python_path):
    """Run a command with our package from `python_path` only; return what it prints."""
    others = [path for path in os.environ.get("PYTHONPATH", "").split(":") if path != str(ROOT)]
    environment = {**os.environ, "PYTHONPATH": ":".join([str(python_path), *others])}
    return subprocess.run(
        command, cwd="/", env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.fixture(scope="session")
def overlay():
    """Prefix that the workspace was installed into."""
    from ament_index_python import get_package_prefix

    return Path(get_package_prefix("kp_pose_ros"))


@pytest.fixture(scope="session")
def overlay_packages(overlay):
    """The `site-packages` folder of the workspace: the one that has the generated messages."""
    (package,) = overlay.glob("l*/python3*/*-packages/kp_pose_ros/msg")
    return package.parent.parent


@pytest.fixture(scope="session")
def pip_packages(tmp_path_factory):
    """A folder that `pip install` has put a copy of the source tree into."""
    source, target = tmp_path_factory.mktemp("source") / "it", tmp_path_factory.mktemp("target")
    others = shutil.ignore_patterns("build", "install", "log", ".*", "__pycache__", "*.egg-info")
    shutil.copytree(ROOT, source, ignore=others)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", target, source], check=True)
    return target


@pytest.mark.parametrize("interface", INTERFACES, ids=lambda path: path.stem)
def test_every_field_of_a_message_is_explained(interface):
    lines = interface.read_text().splitlines()
    for above, line in zip(["", *lines], lines, strict=False):
        if line and not line.startswith("#"):
            assert above.startswith("# "), f"{line!r} has no comment above it"


@pytest.mark.parametrize(("module", "function"), [entry[1:] for entry in EXECUTABLES])
def test_every_executable_names_a_function(module, function):
    if ".ros." in module:
        pytest.importorskip("rclpy")
    assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.ros
@pytest.mark.parametrize("name", [name for name, _, _ in EXECUTABLES])
def test_colcon_installs_the_executable_for_ros2_run(overlay, name):
    assert os.access(overlay / "lib" / "kp_pose_ros" / name, os.X_OK)


@pytest.mark.ros
def test_colcon_puts_a_kp_pose_command_on_the_path(overlay, overlay_packages):
    usage = run(overlay / "bin" / "kp_pose", "--help", python_path=overlay_packages)
    assert "usage: kp_pose" in usage


@pytest.mark.ros
@pytest.mark.parametrize("interface", INTERFACES, ids=lambda path: path.stem)
def test_colcon_installs_message_definitions_for_ros2_interface_show(overlay, interface):
    installed = overlay / "share" / "kp_pose_ros" / "msg" / interface.name
    assert installed.read_text() == interface.read_text()


@pytest.mark.ros
@pytest.mark.parametrize("folder", ["config", "launch"])
def test_colcon_installs_the_folder_for_ros2_launch(overlay, folder):
    installed = overlay / "share" / "kp_pose_ros" / folder
    names = [path.relative_to(ROOT / folder) for path in (ROOT / folder).rglob("*.[yp][!c]*")]
    assert names
    assert [name for name in names if not (installed / name).is_file()] == []


@pytest.mark.ros
def test_code_that_colcon_installed_finds_its_config(overlay_packages):
    assert Path(run(sys.executable, "-c", CONFIG, python_path=overlay_packages)).is_file()


def test_code_that_pip_installed_finds_its_config(pip_packages):
    path = Path(run(sys.executable, "-c", CONFIG, python_path=pip_packages))
    assert path.is_relative_to(pip_packages)
    assert path.is_file()


def test_code_that_pip_installed_finds_message_definitions(pip_packages):
    path = Path(run(sys.executable, "-c", INTERFACES_PATH, python_path=pip_packages))
    assert path.is_relative_to(pip_packages)
    assert sorted(each.name for each in path.glob("*.msg")) == [each.name for each in INTERFACES]


def test_pip_installs_the_kp_pose_command(pip_packages):
    usage = run(pip_packages / "bin" / "kp_pose", "--help", python_path=pip_packages)
    assert "usage: kp_pose" in usage


def test_pip_knows_the_version_of_the_package_manifest(pip_packages):
    (information,) = pip_packages.glob("kp_pose_ros-*.dist-info")
    version = ElementTree.parse(ROOT / "package.xml").findtext("version")
    assert information.name == f"kp_pose_ros-{version}.dist-info"
    said = run(pip_packages / "bin" / "kp_pose", "--version", python_path=pip_packages)
    assert said == f"kp_pose {version}"
