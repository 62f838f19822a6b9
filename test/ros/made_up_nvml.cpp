// SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// An NVML with one GPU, whose power sensor does not answer; without a GPU, if compiled with NO_GPU.

#include <cstring>

extern "C" {

int nvmlInit_v2() { return 0; }

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
#ifdef NO_GPU
  return 6;  // NVML_ERROR_NOT_FOUND
#endif
  *device = reinterpret_cast<void*>(0x123456789abc);
  return index == 0 ? 0 : 2;
}

static bool is_ours(void* device) { return device == reinterpret_cast<void*>(0x123456789abc); }

int nvmlDeviceGetName(void* device, char* name, unsigned length) {
  strncpy(name, is_ours(device) ? "Made-up RTX" : "?", length);
  return 0;
}

int nvmlDeviceGetPowerUsage(void*, unsigned*) { return 3; }  // NVML_ERROR_NOT_SUPPORTED

int nvmlDeviceGetClockInfo(void* device, int type, unsigned* mhz) {
  *mhz = type == 1 ? 1755 : 405;  // NVML_CLOCK_SM
  return is_ours(device) ? 0 : 2;
}

int nvmlDeviceGetTemperature(void* device, int sensor, unsigned* degrees) {
  *degrees = 62;
  return is_ours(device) && sensor == 0 ? 0 : 2;
}

int nvmlDeviceGetMemoryInfo(void* device, unsigned long long* total_free_used) {
  total_free_used[0] = 8ull << 30;
  total_free_used[1] = 7ull << 30;
  total_free_used[2] = 1ull << 30;
  return is_ours(device) ? 0 : 2;
}
}
