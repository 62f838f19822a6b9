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

VOCABULARY = {"errors", "poses", "resources", "settings", "skeleton", "timing"}

# Room: the others that it may import, besides the vocabulary; in the order of a frame's way.
ARROWS: dict[str, set[str]] = {
    "image": set(),
    "models": {"models.checkpoint"},
    "models.checkpoint": {"models"},
    "inference": {
        *("image", "models", "inference.onnx", "inference.openvino", "inference.tensorrt"),
    },
    "inference.onnx": {"image", "models", "inference"},
    "inference.openvino": {"image", "models", "inference"},
    "inference.tensorrt": {"image", "models", "inference"},
    "tracking": set(),
    "space": {"image", "tracking"},
    "space.multi_camera": {"image", "space", "tracking"},
    "activities": set(),
    "following": set(),
    "output": {"image"},
    "bags": {"image", "inference", "tracking", "activities", "output"},
    "ros": {
        *("image", "models", "inference", "tracking", "space", "space.multi_camera", "output"),
        "ros.space",
    },
    "ros.space": {"image", "space", "space.multi_camera", "output", "ros"},
    "ros.bridges": {"activities", "following", "image", "output", "ros", "ros.space", "space"},
    "bench": {"image", "models", "inference", "ros"},
    "demo": {"image", "output", "ros"},
    "commands": {
        *("image", "models", "models.checkpoint", "inference", "inference.tensorrt", "tracking"),
        *("activities", "output", "bags", "bench", "space", "space.multi_camera"),
    },
}
ROOMS = {
    **dict.fromkeys(VOCABULARY, "vocabulary"),
    "cli": "commands",
    "msg": "ros",
    "action": "ros",
}

# Packages that only some rooms may import.
ROS = r"rclpy|rcl_interfaces|builtin_interfaces|\w+_(msgs|srvs)|tf2_ros|cv_bridge|launch|launch_ros"
GPU = r"tensorrt|tensorrt_\w+|pycuda|cuda"
INTEL = r"openvino"
TRAINING = r"torch|torchvision|ultralytics"
FOREIGN = {
    ROS: {"ros", "ros.space", "ros.bridges", "bench", "demo"},
    GPU: {"inference.tensorrt"},
    INTEL: {"inference.openvino"},
    TRAINING: set(),
}


def room(module):
    """Return a module's folder, or its room in ROOMS if it is at the top."""
    names = module.split(".")[1:]
    if not names or names[0] in ROOMS:
        return ROOMS[names[0]] if names else "vocabulary"
    return ".".join(names[:2]) if ".".join(names[:2]) in ARROWS else names[0]


def test_every_folder_and_every_module_at_the_top_is_a_room():
    folders = {
        str(path.parent.relative_to(ROOT / "kp_pose_ros")).replace("/", ".")
        for path in MODULES.values()
    }
    assert folders == {*ARROWS, "."}
    assert {path.stem for path in (ROOT / "kp_pose_ros").glob("*.py")} == {
        *VOCABULARY,
        "cli",
        "__init__",
    }


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
    allowed = ARROWS.get(room(module), set()) | {room(module), "vocabulary"}
    ours = {name for name in imports(module) if name.startswith("kp_pose_ros.")}
    assert [name for name in sorted(ours) if room(name) not in allowed] == []


@pytest.mark.parametrize("module", MODULES)
def test_only_the_edges_import_ros_a_gpu_or_a_training_framework(module):
    forbidden = [names for names, rooms in FOREIGN.items() if room(module) not in rooms]
    tops = {name.partition(".")[0] for name in imports(module)} - {"kp_pose_ros"}
    assert [top for top in sorted(tops) if re.fullmatch("|".join(forbidden), top)] == []


def names_in(module):
    """The names that a module defines or imports."""
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def python_outside():
    """Python that mypy and the other tests do not see: name -> source."""
    for folder in ("launch", "examples"):
        for path in (ROOT / folder).rglob("*.py"):
            yield str(path.relative_to(ROOT)), path.read_text()
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        blocks = re.findall(r"^```python\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)
        yield from ((f"{path.name}, block {n}", block) for n, block in enumerate(blocks, 1))


@pytest.mark.parametrize(
    ("name", "source"), [pytest.param(*each, id=each[0]) for each in python_outside()]
)
def test_python_outside_the_package_imports_only_what_is_there(name, source):
    wrong = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("kp_pose_ros"):
            module = node.module
            if re.fullmatch(r"kp_pose_ros\.(msg|action)", module):
                continue
            known = set(names_in(module)) if module in MODULES else set()
            known |= {each.rpartition(".")[2] for each in MODULES if each.startswith(f"{module}.")}
            wrong += [f"{module}.{a.name}" for a in node.names if a.name not in known]
    assert wrong == []


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


@pytest.mark.parametrize("module", MODULES)
def test_no_class_of_rclpy_gets_type_arguments_when_the_program_runs(module):
    """Humble's and Jazzy's are not generic, and Lyrical's take another number of arguments."""
    tree = ast.parse(MODULES[module].read_text())
    theirs = {
        name.asname or name.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rclpy")
        for name in node.names
    }
    for node in ast.walk(tree):  # annotations are not evaluated
        for field in ("annotation", "returns"):
            if getattr(node, field, None):
                setattr(node, field, None)
    values = [node.value for node in ast.walk(tree) if isinstance(node, ast.Subscript)]
    found = theirs & {value.id for value in values if isinstance(value, ast.Name)}
    assert found <= {"QoSPolicyKind"}  # an enumeration


# Modules that always need scipy, which takes half a second and 40 MB.
WITH_SCIPY = {"kp_pose_ros.following.follower", "kp_pose_ros.space.multi_camera.adjustment"}


def test_only_modules_that_always_need_scipy_import_it_at_their_top():
    found = set()
    for module, path in MODULES.items():
        parts = ast.parse(path.read_text()).body
        tops = [
            ast.unparse(each) for each in parts if isinstance(each, ast.Import | ast.ImportFrom)
        ]
        found |= {module for top in tops if "scipy" in top}
    assert found == WITH_SCIPY


def test_everything_but_the_edges_imports_where_there_is_no_ros_no_gpu_and_no_torch():
    edges = FOREIGN[ROS] | FOREIGN[GPU] | FOREIGN[INTEL]
    names = [n for n in MODULES if room(n) not in edges and not n.endswith("__init__")]
    blocked = f"{ROS}|{GPU}|{INTEL}|{TRAINING}"
    command = [sys.executable, "-c", BLOCK_AND_IMPORT, blocked, *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
