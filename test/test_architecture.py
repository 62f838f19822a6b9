# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Arrows point one way, and only the edges know ROS or a GPU."""

import ast
import re
import subprocess
import sys
from importlib.util import resolve_name
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in sorted((ROOT / "kp_pose_ros").rglob("*.py"))
}

# Room: the other rooms that it may import. A module that is not named here is a stage.
ARROWS = {
    "core": set(),
    "stages": {"core"},
    "models": {"core"},
    "estimator": {"core", "stages"},
    "engines": {"core", "stages", "models"},
    "factory": {"core", "stages", "models", "estimator", "engines"},
    "ros": {"core", "stages", "models", "estimator", "factory"},
    "bags": {"core", "stages", "estimator"},
    "commands": {"core", "stages", "models", "estimator", "engines", "factory", "ros", "bags"},
}
ROOMS = {
    **dict.fromkeys(("errors", "frame", "poses", "resources", "skeleton", "timing"), "core"),
    "cli": "commands",
    "measure": "estimator",
    "msg": "ros",
}

# Packages that only some rooms may import.
ROS = r"rclpy|rcl_interfaces|builtin_interfaces|\w+_(msgs|srvs)|tf2_ros|cv_bridge|launch|launch_ros"
GPU = r"tensorrt|tensorrt_\w+|pycuda|cuda"
TRAINING = r"torch|torchvision|ultralytics"
FOREIGN = {ROS: {"ros"}, GPU: {"engines"}, TRAINING: set()}


def room(module):
    name = module.split(".")[1] if "." in module else "core"
    return ROOMS.get(name, name if name in ARROWS else "stages")


def imports(module):
    path = MODULES[module]
    package = module if path.stem == "__init__" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package)
            in_package = base == "kp_pose_ros"
            yield from (f"{base}.{alias.name}" if in_package else base for alias in node.names)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_rooms_below_its_own(module):
    allowed = ARROWS[room(module)] | {room(module)}
    ours = {name for name in imports(module) if name.startswith("kp_pose_ros.")}
    assert [name for name in sorted(ours) if room(name) not in allowed] == []


@pytest.mark.parametrize("module", MODULES)
def test_only_the_edges_import_ros_a_gpu_or_a_training_framework(module):
    forbidden = [names for names, rooms in FOREIGN.items() if room(module) not in rooms]
    tops = {name.partition(".")[0] for name in imports(module)} - {"kp_pose_ros"}
    assert [top for top in sorted(tops) if re.fullmatch("|".join(forbidden), top)] == []


def test_the_onnx_runtime_engine_imports_no_gpu_library():
    assert [n for n in imports("kp_pose_ros.engines.onnx") if re.match(f"({GPU})\\b", n)] == []


BLOCK_AND_IMPORT = """
import importlib, re, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if re.fullmatch(sys.argv[1], name.partition(".")[0]):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocker())
for name in sys.argv[2:]:
    importlib.import_module(name)
"""


def test_everything_but_the_edges_imports_where_there_is_no_ros_no_gpu_and_no_torch():
    names = [n for n in MODULES if room(n) not in {"ros", "engines"} and not n.endswith("__init__")]
    names.append("kp_pose_ros.engines.onnx")
    blocked = f"{ROS}|{GPU}|{TRAINING}"
    command = [sys.executable, "-c", BLOCK_AND_IMPORT, blocked, *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
