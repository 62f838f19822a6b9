# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# Sourced by wheels.bash when something is missing or outdated: makes $venv and builds the workspace.

# Prints the path of the first Python on PATH that there are wheels for. In a virtual environment, which may be
# the one that is about to be replaced, this is the path of the Python that it was made with.
find_python() {
  local name
  for name in python3 python3.12 python3.11 python3.10; do
    if "$name" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' 2>/dev/null; then
      "$name" -c 'import os, sys; print(os.path.realpath(sys.executable))'
      return
    fi
  done
  return 1
}

# need WHAT APT_PACKAGE COMMAND...: notes that WHAT is missing if COMMAND fails.
need() {
  "${@:3}" &>/dev/null || { missing+="${missing:+, }$1" packages+=" $2"; }
}

check_machine() {
  local machine found name missing="" packages=""
  machine="$(uname -s) $(uname -m)"
  [[ $machine == "Linux x86_64" ]] ||
    fail "there are ROS 2 wheels for Linux x86_64 only, and this is $machine:" \
      "install ROS 2 Humble, Jazzy, Kilted or Lyrical for it and source its setup.bash."
  found=$(python3 --version 2>/dev/null || echo "no python3")
  python=$(find_python) ||
    fail "Python 3.10, 3.11 or 3.12 is needed, and this machine has $found:" \
      "put one of them on PATH (on Debian 12, Ubuntu 22.04 and 24.04: apt install python3)."
  name=$(basename "$python")
  need "the venv module of $name" "$name-venv" "$python" -c "import ensurepip, venv"
  need "the headers of $name" "$name-dev" "$python" -c \
    "import os, sysconfig; os.stat(os.path.join(sysconfig.get_path('include'), 'Python.h'))"
  need "a C compiler" gcc command -v "${CC:-cc}"
  need "a C++ compiler" g++ command -v "${CXX:-c++}"
  need cmake cmake command -v cmake
  need make make command -v make
  [[ -z $missing ]] ||
    fail "not found on this machine: $missing; on Debian and Ubuntu: apt install$packages."
}

# Turns pip's hundreds of lines into a few.
show_progress() {
  local count=0 line
  while read -r line; do
    case $line in
      Collecting*) ((++count % 25)) || say "  $count wheels downloaded" ;;
      Installing*) say "  installing $count wheels" ;;
    esac
  done
}

make_venv() {
  [[ ! -e $venv/pyvenv.cfg || -e $venv/COLCON_IGNORE ]] ||
    fail "$venv exists, but was not made by this tool: move it away or delete it."
  check_machine
  say "no ROS 2 distribution is sourced: making $(basename "$venv") with ROS 2 $wheels from wheels for $python (once, 1.4 GB)"
  mkdir -p "$venv"
  touch "$venv/COLCON_IGNORE"  # also marks it as made by this tool, even if it is interrupted
  find "$venv" -mindepth 1 -not -path "$venv/COLCON_IGNORE" -delete
  rm -rf "$workspace"
  "$python" -m venv "$venv"
  "$venv/bin/python" -m pip install --disable-pip-version-check --progress-bar off \
    --requirement "$here/requirements.txt" --requirement "$here/$wheels.txt" \
    --constraint "$here/constraints.txt" | show_progress ||
    fail "pip could not install tools/ros_env/requirements.txt and $wheels.txt; its own message is above."
  "$venv/bin/python" "$here/mend_cmake_exports.py" "$venv/share"
  echo "$venv_stamp" >"$venv/.made_from"
}

# An ordinary colcon workspace. Its sources are links, because CMake refuses an include folder (numpy's in
# .venv) inside the source folder.
build_workspace() {
  check_machine
  say "building the messages in ${workspace#"$root/"} (two minutes)"
  # A finished build is updated; what is left of an interrupted one cannot be trusted.
  [[ -e $workspace/.made_from ]] || rm -rf "$workspace"
  rm -f "$workspace/.made_from"
  mkdir -p "$workspace/src"
  ln -sfn "$root" "$workspace/src/kp_pose_ros"
  ln -sfn "$here"/*_msgs "$workspace/src"
  (
    set_environment
    cd "$workspace"
    colcon --log-level error build --merge-install --symlink-install --event-handlers console_direct- \
      --cmake-args -DBUILD_TESTING=OFF -DPython3_EXECUTABLE="$venv/bin/python" \
      -DCMAKE_PROJECT_INCLUDE="$here/unity.cmake"
  ) >&2 || {
    cat "$workspace"/log/latest_build/*/stderr.log >&2
    fail "the messages could not be built; the compiler's own message is above."
  }
  echo "$workspace_stamp" >"$workspace/.made_from"
}

# One set-up at a time: a second caller waits here, and then finds the work done.
exec {lock}<"$here"
flock --nonblock "$lock" || { say "waiting for another set-up to finish" && flock "$lock"; }
venv_is_current || make_venv
workspace_is_current || build_workspace
exec {lock}<&-
