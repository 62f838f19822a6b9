# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""tools/in_ros_env on machines of all kinds: a copy of the tree, and stubs for what it starts."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SHELL_TOOLS = (
    *(
        "bash",
        "basename",
        "cat",
        "cp",
        "cut",
        "dirname",
        "echo",
        "env",
        "find",
        "flock",
        "ln",
        "mkdir",
    ),
    *("printf", "rm", "sha256sum", "sleep", "sort", "touch", "true"),
)

# Plays a Python: makes a virtual environment that holds itself and a colcon, and notes what it did.
PYTHON = r"""#!/bin/bash
case "$*" in
  "-c import sys;"*) exit "${STUB_WRONG_VERSION:-0}" ;;
  "-c import os, sys;"*) echo "$0" ;;
  --version) echo "Python 3.9.1" ;;
  "-c import ensurepip, venv") exit "${STUB_NO_VENV:-0}" ;;
  "-c import os, sysconfig"*) exit "${STUB_NO_HEADERS:-0}" ;;
  "-c import rclpy") exit "${STUB_NO_RCLPY:-0}" ;;
  "-c import kp_pose_ros.msg") exit "${STUB_NO_MESSAGES:-0}" ;;
  "-m venv "*)
    echo venv >>"$STUB_CALLS"
    mkdir -p "$3/bin" "$3/lib/python3.11/site-packages/ros_rclpy.libs"
    cp "$0" "$3/bin/python"
    cp "${0%/*}/colcon" "$3/bin/colcon" ;;
  "-m pip "*) echo pip >>"$STUB_CALLS"; sleep "${STUB_SLOW:-0}"; exit "${STUB_NO_NETWORK:-0}" ;;
esac
"""
COLCON = r"""#!/bin/bash
echo colcon >>"$STUB_CALLS"
mkdir -p log/latest_build/kp_pose_ros install
echo "error: no member named x" >log/latest_build/kp_pose_ros/stderr.log
touch install/local_setup.bash
exit "${STUB_BROKEN_MESSAGE:-0}"
"""


class Machine:
    """A machine with nothing but a shell, stubs and a copy of our tree."""

    def __init__(self, folder):
        self.root, self.bin, self._calls = folder / "it", folder / "bin", folder / "calls"
        self.variables = {"PATH": str(self.bin), "STUB_CALLS": str(self._calls)}
        for name in ("action", "config", "launch", "msg", "tools"):
            shutil.copytree(ROOT / name, self.root / name)
        (self.root / "kp_pose_ros").mkdir()
        (self.root / "kp_pose_ros" / "old.py").touch()
        for name in ("CMakeLists.txt", "package.xml"):
            shutil.copy(ROOT / name, self.root)
        self.bin.mkdir()
        for name in SHELL_TOOLS:
            (self.bin / name).symlink_to(shutil.which(name))
        self.has("python3", PYTHON)
        self.has("colcon", COLCON)
        self.has("uname", "#!/bin/bash\n[[ $1 == -s ]] && echo Linux || echo x86_64\n")
        for name in ("cc", "c++", "cmake", "make"):
            self.has(name, "#!/bin/bash\n")

    def has(self, name, script):
        (self.bin / name).write_text(script)
        (self.bin / name).chmod(0o755)

    def lacks(self, *names):
        for name in names:
            (self.bin / name).unlink()

    def start(self, *command, **variables):
        return subprocess.Popen(
            [self.root / "tools" / "in_ros_env", *command],
            env={**self.variables, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *command, **variables):
        """Return exit code, standard output and standard error."""
        process = self.start(*command, **variables)
        output, errors = process.communicate(timeout=60)
        return process.returncode, output, errors

    def calls(self):
        """Return what the stubs were asked for since the last call."""
        calls = self._calls.read_text().split() if self._calls.exists() else []
        self._calls.unlink(missing_ok=True)
        return calls


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.fixture
def ready(machine):
    """A machine on which everything is set up."""
    assert machine.run("true")[0] == 0
    assert machine.calls() == ["venv", "pip", "colcon"]
    return machine


def test_the_command_gets_its_arguments_and_gives_its_exit_code(ready):
    assert ready.run("bash", "-c", 'echo "$1"; exit 7', "_", "two words")[:2] == (7, "two words\n")


def test_a_second_call_sets_nothing_up(ready):
    assert ready.run("true") == (0, "", "")
    assert ready.calls() == []


def test_it_may_be_called_from_any_folder(ready, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert ready.run("bash", "-c", "pwd") == (0, f"{tmp_path}\n", "")
    assert ready.calls() == []


@pytest.mark.parametrize(
    ("changed", "calls"),
    [
        pytest.param("msg/Keypoint.msg", ["colcon"], id="a message"),
        pytest.param("msg/New.msg", ["colcon"], id="one more message"),
        pytest.param("CMakeLists.txt", ["colcon"], id="the build"),
        pytest.param("package.xml", ["colcon"], id="the manifest"),
        pytest.param("tools/ros_env/vision_msgs/msg/Pose2D.msg", ["colcon"], id="vision_msgs"),
        pytest.param("tools/ros_env/hri_msgs/msg/IdsList.msg", ["colcon"], id="hri_msgs"),
        pytest.param(
            "tools/ros_env/constraints.txt", ["venv", "pip", "colcon"], id="a version of a wheel"
        ),
        pytest.param("tools/ros_env/kilted.txt", ["venv", "pip", "colcon"], id="a version of ROS"),
        pytest.param("tools/ros_env/jazzy.txt", [], id="a version of another ROS"),
        pytest.param("kp_pose_ros/new.py", ["colcon"], id="one more module"),
        pytest.param("kp_pose_ros/old.py", [], id="a module needs no build"),
    ],
)
def test_only_what_is_outdated_is_made_anew(ready, changed, calls):
    path = ready.root / changed
    with path.open("a") as file:
        file.write("\n")
    assert ready.run("true")[0] == 0
    assert ready.calls() == calls


def test_jazzy_is_set_up_beside_kilted(ready):
    show = 'echo "${VIRTUAL_ENV##*/} ${AMENT_PREFIX_PATH%%:*}"'
    for calls in (["venv", "pip", "colcon"], []):
        output = ready.run("bash", "-c", show, KP_POSE_WHEELS="jazzy")[1]
        assert output == f".venv-jazzy {ready.root}/build/ros_env-jazzy/install\n"
        assert ready.calls() == calls
    assert ready.run("true") == (0, "", "")
    assert ready.calls() == []


def test_wheels_that_do_not_exist_are_refused(machine):
    code, _, errors = machine.run("true", KP_POSE_WHEELS="humble")
    assert code == 1
    assert "KP_POSE_WHEELS is 'humble': expected kilted or jazzy" in errors


def test_a_moved_tree_is_set_up_again(ready):
    ready.root = ready.root.rename(ready.root.with_name("moved"))
    assert ready.run("true")[0] == 0
    assert ready.calls() == ["venv", "pip", "colcon"]


@pytest.mark.parametrize(
    ("trouble", "message", "mended_by"),
    [
        pytest.param(
            "STUB_NO_NETWORK",
            "pip could not install tools/ros_env/requirements.txt",
            ["venv", "pip", "colcon"],
            id="no network",
        ),
        pytest.param(
            "STUB_BROKEN_MESSAGE",
            "error: no member named x\ntools/in_ros_env: the messages could not be built",
            ["colcon"],
            id="a message that does not compile",
        ),
    ],
)
def test_a_failed_set_up_says_why_and_the_next_call_mends_it(machine, trouble, message, mended_by):
    code, output, errors = machine.run("echo", "it ran", **{trouble: "1"})
    assert (code, output) == (1, "")
    assert message in errors
    machine.calls()
    assert machine.run("echo", "it ran")[:2] == (0, "it ran\n")
    assert machine.calls() == mended_by


def test_a_killed_set_up_is_mended_by_the_next_call(machine):
    process = machine.start("true", STUB_SLOW="60")
    while not machine._calls.exists() or "pip" not in machine._calls.read_text():
        assert process.poll() is None
    os.killpg(process.pid, 9)
    process.communicate()
    machine.calls()
    assert machine.run("true")[0] == 0
    assert machine.calls() == ["venv", "pip", "colcon"]


def test_two_first_calls_at_once_set_up_once(machine):
    processes = [machine.start("echo", "it ran", STUB_SLOW="1") for _ in range(2)]
    results = [process.communicate(timeout=60) for process in processes]
    assert [output for output, _ in results] == ["it ran\n", "it ran\n"]
    assert "waiting for another set-up" in "".join(errors for _, errors in results)
    assert machine.calls() == ["venv", "pip", "colcon"]


@pytest.mark.parametrize(
    ("names", "variables", "message"),
    [
        pytest.param(["cmake"], {}, "cmake; on Debian and Ubuntu: apt install cmake.", id="cmake"),
        pytest.param(["make"], {}, "make; on Debian and Ubuntu: apt install make.", id="make"),
        pytest.param(
            ["c++", "cmake"],
            {},
            "a C++ compiler, cmake; on Debian and Ubuntu: apt install g++ cmake.",
            id="two things at once",
        ),
        pytest.param(
            [], {"STUB_NO_VENV": "1"}, "apt install python3-venv.", id="Debian's split-off venv"
        ),
        pytest.param(
            [], {"STUB_NO_HEADERS": "1"}, "apt install python3-dev.", id="Python's headers"
        ),
        pytest.param(
            [],
            {"STUB_WRONG_VERSION": "1"},
            "Python 3.10, 3.11 or 3.12 is needed, and this machine has Python 3.9.1",
            id="an old Python",
        ),
        pytest.param(["python3"], {}, "this machine has no python3", id="no Python"),
    ],
)
def test_what_the_machine_lacks_is_named_with_the_mend(machine, names, variables, message):
    machine.lacks(*names)
    code, _, errors = machine.run("true", **variables)
    assert code == 1
    assert message in errors
    assert machine.calls() == []


def test_another_python_is_used_if_the_first_is_too_old(machine):
    machine.has("python3.12", PYTHON)
    machine.has("python3", "#!/bin/bash\nexit 1\n")
    assert machine.run("true")[0] == 0


def test_an_arm_machine_is_told_to_use_a_distribution(machine):
    machine.has("uname", "#!/bin/bash\n[[ $1 == -s ]] && echo Linux || echo aarch64\n")
    code, _, errors = machine.run("true")
    assert code == 1
    assert "for Linux x86_64 only, and this is Linux aarch64" in errors


def test_a_virtual_environment_of_the_user_is_left_alone(machine):
    (machine.root / ".venv").mkdir()
    (machine.root / ".venv" / "pyvenv.cfg").touch()
    code, _, errors = machine.run("true")
    assert code == 1
    assert "was not made by this tool: move it away or delete it" in errors


def test_a_sourced_distribution_is_used_as_it_is(machine):
    assert machine.run("echo", "it ran", ROS_DISTRO="jazzy") == (0, "it ran\n", "")
    assert machine.calls() == []


def test_a_sourced_distribution_builds_the_workspace_once(machine):
    for calls in (["colcon"], []):
        assert machine.run("true", ROS_DISTRO="jazzy", STUB_NO_MESSAGES="1")[0] == 0
        assert machine.calls() == calls


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        pytest.param(
            {"STUB_NO_RCLPY": "1"}, "source /opt/ros/jazzy/setup.bash", id="named, but not sourced"
        ),
        pytest.param(
            {"STUB_NO_MESSAGES": "1", "STUB_BROKEN_MESSAGE": "1"},
            "colcon build failed",
            id="a build that fails",
        ),
    ],
)
def test_a_distribution_that_cannot_be_used_is_an_error(machine, variables, message):
    code, _, errors = machine.run("true", ROS_DISTRO="jazzy", **variables)
    assert code == 1
    assert message in errors


@pytest.mark.parametrize(
    ("variables", "printed"),
    [
        pytest.param({}, "LOCALHOST unset", id="no neighbours by default"),
        pytest.param(
            {"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET", "ROS_DOMAIN_ID": "7"},
            "SUBNET 7",
            id="what the user set",
        ),
    ],
)
def test_the_users_choice_of_neighbours_is_kept(machine, variables, printed):
    show = 'echo "$ROS_AUTOMATIC_DISCOVERY_RANGE ${ROS_DOMAIN_ID-unset}"'
    assert machine.run("bash", "-c", show, ROS_DISTRO="jazzy", **variables)[1].strip() == printed
