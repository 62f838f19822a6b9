// SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
// SPDX-License-Identifier: Apache-2.0

// The letterbox kernels as a plain shared library: what CUDA gives a kernel, as a C++ loop.

#include <cstdint>
#include <cstring>

struct Index {
  unsigned x, y, z;
};
static Index blockIdx, blockDim, threadIdx;

#define __device__
#define __global__

// Nearest half-precision number, ties to even, for 0 and 2^-24 to 65504.
static unsigned short half_bits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const int exponent = static_cast<int>(bits >> 23) - 127;
  const uint32_t mantissa = (bits & 0x7fffff) | 0x800000;
  const int shift = exponent < -14 ? 13 - 14 - exponent : 13;
  if (shift > 24) return 0;
  const uint32_t kept = mantissa >> shift, rest = mantissa & ((1u << shift) - 1);
  const uint32_t halfway = 1u << (shift - 1);
  const uint32_t rounded = kept + (rest > halfway || (rest == halfway && (kept & 1)));
  return static_cast<unsigned short>(exponent < -14 ? rounded
                                                    : rounded + (static_cast<uint32_t>(exponent + 14) << 10));
}

#include "letterbox.cu"

extern "C" void run(void (*kernel)(const Letterbox), const unsigned* grid, const unsigned* block,
                    const Letterbox* box) {
  blockDim = {block[0], block[1], block[2]};
  for (blockIdx.y = 0; blockIdx.y < grid[1]; ++blockIdx.y)
    for (blockIdx.x = 0; blockIdx.x < grid[0]; ++blockIdx.x)
      for (threadIdx.y = 0; threadIdx.y < block[1]; ++threadIdx.y)
        for (threadIdx.x = 0; threadIdx.x < block[0]; ++threadIdx.x) kernel(*box);
}
