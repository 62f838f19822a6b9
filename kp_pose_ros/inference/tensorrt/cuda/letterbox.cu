// SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
// SPDX-License-Identifier: Apache-2.0

// The letterbox on the GPU: a camera's raw picture in, one place of the network's batch out.
//
// Every kernel reads one kind of layout and writes RGB planes in [0, 1], or the red one alone for a network
// of grey pictures, whose three colours are the same. A thread makes one pixel of the
// network's input, so that neighbouring threads write neighbouring addresses of each plane. The four
// pixels that a result is mixed from are converted to RGB first, each rounded to 8 bits, as OpenCV does
// when it converts the whole picture before it resizes it.
//
// The file is CUDA C++ without any header. The tests compile it as plain C++ behind definitions of
// __device__, __global__, blockIdx, blockDim, threadIdx and half_bits.

// One launch. kernel.py has the same fields in the same order.
struct Letterbox {
  const unsigned char* source;  // the picture's first byte
  void* network;                // the first element of the red plane
  int row_step;                 // bytes from one row of the picture to the next
  int height, width;            // of the picture, in pixels
  int resized_height, resized_width;  // of the picture inside the network's input
  int network_height, network_width;
  int top, left;          // padding above the picture and at its left
  float scale_y, scale_x; // picture pixels for one pixel of the network's input
  int pixel_bytes;        // packed colours: bytes of one pixel
  int offsets[3];         // packed colours: R G B in a pixel; yuv422: Y U V in a pair of pixels
  int planes;             // 3, or 1 for a network of grey pictures
};

struct Color {
  float red, green, blue;  // 0 to 255
};

// Two neighbouring pixels of a row or column and how much of the second one counts.
struct Taps {
  int first, second;
  float weight;
};

static const float kPadding = 114.0f;  // what YOLO networks saw around their pictures in training

__device__ inline float clamp_to_byte(int value) {
  return static_cast<float>(value < 0 ? 0 : value > 255 ? 255 : value);
}

// BT.601 with luma in 16..235, in OpenCV's fixed point of 20 bits: 1.164, 1.596, -0.813, -0.391, 2.018.
__device__ inline Color from_yuv(int y, int u, int v) {
  const int shift = 20, half = 1 << (shift - 1);
  const int luma = (y > 16 ? y - 16 : 0) * 1220542 + half;
  u -= 128;
  v -= 128;
  return {clamp_to_byte((luma + 1673527 * v) >> shift),
          clamp_to_byte((luma - 852492 * v - 409993 * u) >> shift),
          clamp_to_byte((luma + 2116026 * u) >> shift)};
}

// Colours side by side, 1 to 4 bytes a pixel; a grey picture has all three at the same byte.
struct Packed {
  __device__ static Color at(const Letterbox& box, int y, int x) {
    const unsigned char* pixel = box.source + y * box.row_step + x * box.pixel_bytes;
    return {static_cast<float>(pixel[box.offsets[0]]), static_cast<float>(pixel[box.offsets[1]]),
            static_cast<float>(pixel[box.offsets[2]])};
  }
};

// Two pixels in four bytes: a luma each, the chroma shared.
struct Yuv422 {
  __device__ static Color at(const Letterbox& box, int y, int x) {
    const unsigned char* pair = box.source + y * box.row_step + (x & ~1) * 2;
    return from_yuv(pair[box.offsets[0] + (x & 1) * 2], pair[box.offsets[1]], pair[box.offsets[2]]);
  }
};

// A luma plane and below it a plane of U V pairs, one for each 2 x 2 pixels.
struct Nv12 {
  __device__ static Color at(const Letterbox& box, int y, int x) {
    const unsigned char* luma = box.source + y * box.row_step + x;
    const unsigned char* chroma = box.source + (box.height + y / 2) * box.row_step + (x & ~1);
    return from_yuv(*luma, chroma[0], chroma[1]);
  }
};

__device__ inline void store(float* to, float value) { *to = value; }

struct Half {
  unsigned short bits;
};

#ifdef __CUDACC__
__device__ inline unsigned short half_bits(float value) {
  unsigned short bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
}
#endif

__device__ inline void store(Half* to, float value) { to->bits = half_bits(value); }

// Pixel centres lie at half coordinates; beyond the border the border repeats.
__device__ inline Taps taps(int index, float scale, int size) {
  const float position = (static_cast<float>(index) + 0.5f) * scale - 0.5f;
  if (position <= 0.0f) return {0, 0, 0.0f};
  const int first = static_cast<int>(position);
  if (first >= size - 1) return {size - 1, size - 1, 0.0f};
  return {first, first + 1, position - static_cast<float>(first)};
}

__device__ inline float mix(float first, float second, float weight) {
  return first + (second - first) * weight;
}

__device__ inline Color mix(const Color& first, const Color& second, float weight) {
  return {mix(first.red, second.red, weight), mix(first.green, second.green, weight),
          mix(first.blue, second.blue, weight)};
}

template <typename Layout>
__device__ inline Color color_at(const Letterbox& box, int y, int x) {
  const int row = y - box.top, column = x - box.left;
  if (row < 0 || column < 0 || row >= box.resized_height || column >= box.resized_width)
    return {kPadding, kPadding, kPadding};
  const Taps down = taps(row, box.scale_y, box.height);
  const Taps across = taps(column, box.scale_x, box.width);
  const Color above = mix(Layout::at(box, down.first, across.first),
                          Layout::at(box, down.first, across.second), across.weight);
  const Color below = mix(Layout::at(box, down.second, across.first),
                          Layout::at(box, down.second, across.second), across.weight);
  return mix(above, below, down.weight);
}

template <typename Layout, typename Element>
__device__ inline void letterbox(const Letterbox& box) {
  const int x = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  const int y = static_cast<int>(blockIdx.y * blockDim.y + threadIdx.y);
  if (x >= box.network_width || y >= box.network_height) return;
  const Color color = color_at<Layout>(box, y, x);
  const int plane = box.network_height * box.network_width;
  Element* pixel = static_cast<Element*>(box.network) + y * box.network_width + x;
  const float to_unit = 1.0f / 255.0f;
  store(pixel, color.red * to_unit);
  if (box.planes == 1) return;
  store(pixel + plane, color.green * to_unit);
  store(pixel + 2 * plane, color.blue * to_unit);
}

extern "C" {
__global__ void letterbox_packed_float32(const Letterbox box) { letterbox<Packed, float>(box); }
__global__ void letterbox_packed_float16(const Letterbox box) { letterbox<Packed, Half>(box); }
__global__ void letterbox_yuv422_float32(const Letterbox box) { letterbox<Yuv422, float>(box); }
__global__ void letterbox_yuv422_float16(const Letterbox box) { letterbox<Yuv422, Half>(box); }
__global__ void letterbox_nv12_float32(const Letterbox box) { letterbox<Nv12, float>(box); }
__global__ void letterbox_nv12_float16(const Letterbox box) { letterbox<Nv12, Half>(box); }
}
