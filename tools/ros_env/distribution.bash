# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# Sourced by tools/in_ros_env where a ROS 2 distribution is sourced: uses it as it is, and builds the
# workspace into ./build and ./install only if no sourced workspace has the messages.

imports() {
  python3 -c "import $1" 2>/dev/null
}

if ! imports rclpy; then
  fail "ROS_DISTRO is '$ROS_DISTRO', but $(command -v python3 || echo python3) cannot import rclpy:" \
    "source /opt/ros/$ROS_DISTRO/setup.bash, or unset ROS_DISTRO to get ROS 2 from wheels."
fi

if ! imports kp_pose_ros.msg; then
  exec {lock}<"$here"
  flock "$lock"
  wanted="$ROS_DISTRO $(workspace_fingerprint)"
  if [[ $(cat "$root/install/.made_from" 2>/dev/null) != "$wanted" ]]; then
    command -v colcon >/dev/null ||
      fail "colcon was not found: apt install python3-colcon-common-extensions."
    say "building the workspace for ROS 2 $ROS_DISTRO into ./build and ./install"
    (cd "$root" && colcon build --symlink-install) >&2 ||
      fail "colcon build failed, its own message is above; if a package is missing: rosdep install --from-paths $root -i."
    echo "$wanted" >"$root/install/.made_from"
  fi
  exec {lock}<&-
  set +u  # colcon's scripts read variables that may be unset
  source "$root/install/local_setup.bash"
  set -u
  # The source tree first: edits need no build.
  export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
fi
