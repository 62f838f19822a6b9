# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# Sourced by tools/in_ros_env where no ROS 2 distribution is: sets the environment to .venv, with ROS 2
# from wheels, and to the workspace in build/ros_env. Makes what is missing or outdated. The distribution is
# Kilted; with KP_POSE_WHEELS=jazzy it is Jazzy, in .venv-jazzy and build/ros_env-jazzy.
#
# Each of the two gets a stamp when it is finished: its path and the fingerprint of what it was made from.
# Without the right stamp (never made, interrupted, moved, outdated) it is made again.

wheels=${KP_POSE_WHEELS:-kilted}
case $wheels in
  kilted) suffix="" ;;
  jazzy) suffix=-jazzy ;;
  *) fail "KP_POSE_WHEELS is '$wheels': expected kilted or jazzy, for which there are wheels." ;;
esac
venv=$root/.venv$suffix
workspace=$root/build/ros_env$suffix
overlay=$workspace/install

compute_stamps() {
  venv_stamp="$venv $(fingerprint tools/ros_env/{requirements.txt,constraints.txt,"$wheels.txt",mend_cmake_exports.py})"
  mapfile -t files < <(cd "$root" && printf '%s\n' tools/ros_env/*_msgs/{*.*,msg/*})
  workspace_stamp="$workspace $venv_stamp $(workspace_fingerprint "${files[@]}")"
}

venv_is_current() {
  [[ -x $venv/bin/python && $(cat "$venv/.made_from" 2>/dev/null) == "$venv_stamp" ]]
}

workspace_is_current() {
  [[ $(cat "$workspace/.made_from" 2>/dev/null) == "$workspace_stamp" ]]
}

set_environment() {
  local site_packages
  site_packages=$(echo "$venv"/lib/python3.*/site-packages)
  export VIRTUAL_ENV=$venv
  # Including the programs that `ros2 run kp_pose_ros` starts, since the wheels have no ros2 command.
  export PATH=$overlay/bin:$overlay/lib/kp_pose_ros:$venv/bin:$PATH
  export AMENT_PREFIX_PATH=$overlay:$venv CMAKE_PREFIX_PATH=$overlay:$venv
  LD_LIBRARY_PATH=$(printf '%s:' "$overlay/lib" "$venv/lib" "$site_packages"/ros_*.libs)${LD_LIBRARY_PATH:-}
  export LD_LIBRARY_PATH=${LD_LIBRARY_PATH%:}
  # The source tree first: edits need no build.
  export PYTHONPATH=$root:$overlay/${site_packages#"$venv/"}${PYTHONPATH:+:$PYTHONPATH}
  # So that the model that `make demo` has downloaded is found by its name.
  export KP_POSE_MODELS=${KP_POSE_MODELS:-$root/build/demo/models}
  # The library path is complete: the wheels need not start every Python twice to set it.
  export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1
}

compute_stamps
if ! venv_is_current || ! workspace_is_current; then
  source "$here/wheels_setup.bash"
fi
set_environment
