// SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// An NVML and a CUDA driver with as many GPUs as MADE_UP_GPUS says, up to two. No power sensor
// answers.
//
// As nvml.h and cuda.h say, NVML looks GPUs up by PCI bus ids of the form x:x:x.x, and CUDA's have
// the form domain:bus:device.function, in hexadecimal. NVML orders GPUs by bus, and CUDA as the CUDA
// programming guide says ("CUDA Environment Variables"): the fastest first, unless
// CUDA_DEVICE_ORDER is PCI_BUS_ID, and only those in CUDA_VISIBLE_DEVICES before the first invalid
// entry. An entry is an index in that order, or begins a UUID; that of a MIG instance is on the
// slower GPU.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string>
#include <vector>

struct Gpu {
  unsigned bus, degrees;
  const char *name, *uuid, *mig;
};

static Gpu gpus[] = {{0x01, 41, "Made-up GTX", "GPU-1111", "MIG-3333"},
                     {0xa1, 62, "Made-up RTX", "GPU-2222", "MIG-none"}};
static std::vector<Gpu*> cuda_devices;

static unsigned gpu_count() { return atoi(getenv("MADE_UP_GPUS")); }

static Gpu* gpu_of(void* device) {
  for (Gpu& each : gpus)
    if (device == &each) return &each;
  return nullptr;
}

extern "C" {

int nvmlInit_v2() { return 0; }

int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = gpu_count();
  return 0;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
  if (index >= gpu_count()) return 2;  // NVML_ERROR_INVALID_ARGUMENT
  *device = &gpus[index];
  return 0;
}

int nvmlDeviceGetHandleByPciBusId_v2(const char* bus_id, void** device) {
  unsigned domain, bus, slot, function;
  if (sscanf(bus_id, "%x:%x:%x.%x", &domain, &bus, &slot, &function) != 4) return 2;
  for (unsigned index = 0; index < gpu_count(); ++index)
    if (!domain && !slot && !function && gpus[index].bus == bus)
      return nvmlDeviceGetHandleByIndex_v2(index, device);
  return 6;  // NVML_ERROR_NOT_FOUND
}

int nvmlDeviceGetName(void* device, char* name, unsigned length) {
  Gpu* gpu = gpu_of(device);
  strncpy(name, gpu ? gpu->name : "?", length);
  return 0;
}

int nvmlDeviceGetPowerUsage(void*, unsigned*) { return 3; }  // NVML_ERROR_NOT_SUPPORTED

int nvmlDeviceGetClockInfo(void* device, int type, unsigned* mhz) {
  *mhz = type == 1 ? 1755 : 405;  // NVML_CLOCK_SM
  return gpu_of(device) ? 0 : 2;
}

int nvmlDeviceGetTemperature(void* device, int sensor, unsigned* degrees) {
  Gpu* gpu = gpu_of(device);
  if (!gpu || sensor != 0) return 2;
  *degrees = gpu->degrees;
  return 0;
}

int nvmlDeviceGetMemoryInfo(void* device, unsigned long long* total_free_used) {
  total_free_used[0] = 8ull << 30;
  total_free_used[1] = 7ull << 30;
  total_free_used[2] = 1ull << 30;
  return gpu_of(device) ? 0 : 2;
}

int cuInit(unsigned flags) {
  std::vector<Gpu*> all;
  for (unsigned index = 0; index < gpu_count(); ++index) all.push_back(&gpus[index]);
  const char* order = getenv("CUDA_DEVICE_ORDER");
  if (!order || strcmp(order, "PCI_BUS_ID")) all = {all.rbegin(), all.rend()};
  const char* visible = getenv("CUDA_VISIBLE_DEVICES");
  cuda_devices = visible ? std::vector<Gpu*>() : all;
  std::istringstream entries(visible ? visible : "");
  for (std::string entry; getline(entries, entry, ',');) {
    Gpu* found = nullptr;
    for (unsigned index = 0; index < all.size(); ++index) {
      Gpu* gpu = all[index];
      bool is_begun = !strncmp(gpu->uuid, entry.c_str(), entry.size());
      bool is_part = entry == gpu->mig;
      if (entry == std::to_string(index) || (entry.size() > 4 && is_begun) || is_part) found = gpu;
    }
    if (!found) break;
    cuda_devices.push_back(found);
  }
  return cuda_devices.empty() ? 100 : 0;  // CUDA_ERROR_NO_DEVICE
}

int cuDeviceGet(int* device, int ordinal) {
  *device = ordinal;
  return ordinal < int(cuda_devices.size()) ? 0 : 101;  // CUDA_ERROR_INVALID_DEVICE
}

int cuDeviceGetPCIBusId(char* bus_id, int length, int device) {
  if (device >= int(cuda_devices.size())) return 101;
  return snprintf(bus_id, length, "0000:%02X:00.0", cuda_devices[device]->bus) < length ? 0 : 1;
}
}
