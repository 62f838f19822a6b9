# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# Included by every package of the workspace: compiles the generated C++ of all messages of a package at
# once, which takes two thirds of the time. The other generated files cannot be compiled together.
function(compile_together)
  get_property(targets DIRECTORY PROPERTY BUILDSYSTEM_TARGETS)
  list(FILTER targets INCLUDE REGEX "__rosidl_typesupport_(cpp|fastrtps_c|fastrtps_cpp)$")
  foreach(target ${targets})
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 0)
    target_compile_options(${target} PRIVATE -Wno-redundant-decls)
  endforeach()
endfunction()
cmake_language(DEFER CALL compile_together)
