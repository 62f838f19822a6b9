// SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
// SPDX-License-Identifier: Apache-2.0

// A CUDA driver for the real pycuda: memory is the host's, everything is done at once, and kernels are
// those of the shared library that $KERNELS names. It says on stderr what a real driver would punish.
// With $LOSE=N the N-th kernel is lost with the whole context: every later call fails as that one did.

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

enum { SUCCESS = 0, OUT_OF_MEMORY = 2, INVALID_CONTEXT = 201, NOT_FOUND = 500, ILLEGAL_ADDRESS = 700, NOT_SUPPORTED = 801 };
enum { MULTIPROCESSOR_COUNT = 16, INTEGRATED = 18, CAN_MAP_HOST_MEMORY = 19 };

static const size_t MEMORY = 1ull << 33;
static thread_local std::vector<void*> contexts;
static std::map<std::string, int> alive;
static bool is_lost = false;
static int launches = 0;

static int count(const char* kind, int change) {
  if (contexts.empty()) {
    std::fprintf(stderr, "no context is current: %s\n", kind);
    return INVALID_CONTEXT;
  }
  if (is_lost) return ILLEGAL_ADDRESS;
  alive[kind] += change;
  return SUCCESS;
}

template <typename Pointer>
static int make(const char* kind, Pointer* made, size_t size = 8) {
  void* found = size > MEMORY ? nullptr : std::aligned_alloc(256, (size + 255) / 256 * 256);
  if (!found) return OUT_OF_MEMORY;
  *made = (Pointer)found;
  return count(kind, 1);
}

static int release(const char* kind, void* made) {
  std::free(made);
  return count(kind, -1);
}

static void* kernels() { return dlopen(std::getenv("KERNELS"), RTLD_NOW); }

extern "C" {
typedef unsigned long long Address;

int cuInit(unsigned) { return SUCCESS; }
int cuDriverGetVersion(int* version) { return *version = 13000, SUCCESS; }
int cuGetErrorString(int, const char** text) { return *text = "made up", SUCCESS; }
int cuDeviceGetCount(int* devices) { return *devices = 1, SUCCESS; }
int cuDeviceGet(int* device, int) { return *device = 0, SUCCESS; }
int cuDeviceGetName(char* name, int, int) { return std::strcpy(name, "Made Up"), SUCCESS; }
int cuDeviceComputeCapability(int* major, int* minor, int) { return *major = 8, *minor = 7, SUCCESS; }
int cuDeviceTotalMem_v2(size_t* size, int) { return *size = MEMORY, SUCCESS; }
int cuDeviceGetAttribute(int* value, int attribute, int) {
  const bool is_asked = attribute == INTEGRATED || attribute == CAN_MAP_HOST_MEMORY;
  if (attribute == MULTIPROCESSOR_COUNT) return *value = 14, SUCCESS;
  return *value = is_asked && std::getenv("SHARES_MEMORY"), SUCCESS;
}

int cuDevicePrimaryCtxRetain(void** context, int) { return *context = &alive, SUCCESS; }
// "Unlike cuCtxDestroy() this method does not pop the context from stack in any circumstances."
int cuDevicePrimaryCtxRelease_v2(int) {
  for (const auto& [kind, number] : alive)
    if (number) std::fprintf(stderr, "leaked: %d %s\n", number, kind.c_str());
  return SUCCESS;
}
// "Note that this function may also return error codes from previous, asynchronous launches."
int cuCtxPushCurrent_v2(void* context) {
  return is_lost ? ILLEGAL_ADDRESS : (contexts.push_back(context), SUCCESS);
}
int cuCtxPopCurrent_v2(void** context) {
  if (contexts.empty()) return INVALID_CONTEXT;
  if (is_lost) return ILLEGAL_ADDRESS;
  return *context = contexts.back(), contexts.pop_back(), SUCCESS;
}
int cuCtxGetCurrent(void** context) {
  return *context = contexts.empty() ? nullptr : contexts.back(), SUCCESS;
}
int cuCtxSynchronize() { return count("synchronize", 0); }

int cuStreamCreate(void** stream, unsigned) { return make("stream", stream); }
int cuStreamDestroy_v2(void* stream) { return release("stream", stream); }
int cuStreamWaitEvent(void*, void*, unsigned) { return count("wait", 0); }
int cuStreamSynchronize(void*) { return count("synchronize", 0); }
int cuStreamBeginCapture_v2(void*, int) { return NOT_SUPPORTED; }  // what TensorRT does is not seen here
int cuEventCreate(void** event, unsigned) { return make("event", event); }
int cuEventDestroy_v2(void* event) { return release("event", event); }
int cuEventRecord(void*, void*) { return count("record", 0); }
int cuEventQuery(void*) { return count("query", 0); }
int cuEventSynchronize(void*) { return count("synchronize", 0); }
int cuEventElapsedTime(float* milliseconds, void*, void*) { return *milliseconds = 1, SUCCESS; }
int cuEventElapsedTime_v2(float* milliseconds, void*, void*) { return *milliseconds = 1, SUCCESS; }

int cuMemGetInfo_v2(size_t* free, size_t* total) { return *free = *total = MEMORY, SUCCESS; }
int cuMemAlloc_v2(Address* memory, size_t size) { return make("memory", memory, size); }
int cuMemFree_v2(Address memory) { return release("memory", (void*)memory); }
int cuMemHostAlloc(void** memory, size_t size, unsigned) { return make("pages", memory, size); }
int cuMemFreeHost(void* memory) { return release("pages", memory); }
int cuMemHostGetDevicePointer_v2(Address* device, void* memory, unsigned) {
  return *device = (Address)memory, SUCCESS;
}
int cuMemcpyHtoDAsync_v2(Address to, const void* from, size_t size, void*) {
  return std::memcpy((void*)to, from, size), count("copy", 0);
}
int cuMemcpyDtoHAsync_v2(void* to, Address from, size_t size, void*) {
  return std::memcpy(to, (void*)from, size), count("copy", 0);
}

int cuModuleLoadDataEx(void** module, const void*, unsigned, void*, void**) {
  return make("module", module);
}
int cuModuleUnload(void* module) { return release("module", module); }
int cuModuleGetFunction(void** function, void*, const char* name) {
  return (*function = dlsym(kernels(), name)) ? SUCCESS : NOT_FOUND;
}
int cuFuncSetBlockShape(void*, int, int, int) { return SUCCESS; }
int cuLaunchKernel(void* function, unsigned x, unsigned y, unsigned z, unsigned block_x,
                   unsigned block_y, unsigned block_z, unsigned, void*, void**, void** extra) {
  const char* lose = std::getenv("LOSE");
  is_lost = is_lost || (lose && ++launches == std::atoi(lose));
  if (is_lost) return count("launch", 0);
  const unsigned grid[] = {x, y, z}, block[] = {block_x, block_y, block_z};
  typedef void Run(void*, const unsigned*, const unsigned*, void*);
  ((Run*)dlsym(kernels(), "run"))(function, grid, block, extra[1]);  // extra[0] says: all in a buffer
  return count("launch", 0);
}
}
