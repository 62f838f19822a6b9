# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import ctypes
import hashlib
import re
import shutil
import subprocess

import numpy as np
import pytest

from kp_pose_ros.image.frame import ENCODINGS, Frame
from kp_pose_ros.inference.letterbox import Letterbox
from kp_pose_ros.inference.tensorrt import kernel

LEVEL = 1 / 255
SIZES = [
    pytest.param((96, 160), (96, 160), id="not resized"),
    pytest.param((36, 64), (144, 256), id="enlarged 4 times"),
    pytest.param((480, 640), (64, 64), id="a tenth, padded above and below"),
    pytest.param((640, 482), (64, 96), id="a tenth, padded at the sides"),
    pytest.param((192, 320), (96, 160), id="exactly half, where OpenCV averages areas"),
    pytest.param((270, 482), (160, 256), id="0.53, odd padding"),
    pytest.param((2, 2), (32, 32), id="two by two pixels"),
    pytest.param((2, 300), (32, 32), id="a line"),
]
ODD_SIZES = [
    pytest.param((101, 77), (64, 96), id="odd sides reduced"),
    pytest.param((33, 57), (96, 160), id="odd sides enlarged"),
    pytest.param((1, 3), (32, 32), id="three pixels"),
    pytest.param((721, 1279), (384, 640), id="a camera's size, odd"),
]
ANY_SIZE = [name for name in kernel.LAYOUTS if ENCODINGS[name].grid == (1, 1)]


def random_frame(encoding, size, margin=0):
    """Return a frame of noise whose rows are `margin` elements apart."""
    layout = ENCODINGS[encoding]
    rows = size[0] * layout.half_rows // 2
    axes = (layout.channels,) if layout.channels > 1 else ()
    noise = np.random.default_rng(7).integers(0, 256, (rows, size[1] + margin, *axes), np.uint8)
    return Frame(noise[:, : size[1]], encoding)


def run_kernel(kernel_on_cpu, frame, network, element="float32", planes=3):
    letterbox = Letterbox.fit(frame.size, network)
    layout = kernel.LAYOUTS[frame.encoding]
    pixels = np.full((3, *network), np.nan, element)
    launch = kernel.Launch.of(
        letterbox,
        layout,
        source=frame.pixels.ctypes.data,
        row_step=frame.pixels.strides[0],
        network=pixels.ctypes.data,
        planes=planes,
    )
    name = kernel.kernel_name(layout.kind, element)
    kernel_on_cpu.run(name, kernel.grid(network), kernel.BLOCK, launch)
    return pixels


def by_opencv(frame, network):
    letterbox = Letterbox.fit(frame.size, network)
    canvas = letterbox.canvas()
    letterbox.apply(frame.to_bgr(), canvas)
    return canvas[..., ::-1].transpose(2, 0, 1) * np.float32(LEVEL)


def assert_within_a_level(planes, expected):
    np.testing.assert_array_less(np.abs(planes - expected), LEVEL)


@pytest.mark.parametrize("encoding", kernel.LAYOUTS)
@pytest.mark.parametrize(("source", "network"), SIZES)
def test_equals_opencv(kernel_on_cpu, encoding, source, network):
    frame = random_frame(encoding, source)
    planes = run_kernel(kernel_on_cpu, frame, network)
    assert_within_a_level(planes, by_opencv(frame, network))


@pytest.mark.parametrize("encoding", ANY_SIZE)
@pytest.mark.parametrize(("source", "network"), ODD_SIZES)
def test_equals_opencv_for_odd_sizes(kernel_on_cpu, encoding, source, network):
    frame = random_frame(encoding, source)
    planes = run_kernel(kernel_on_cpu, frame, network)
    assert_within_a_level(planes, by_opencv(frame, network))


@pytest.mark.parametrize("encoding", kernel.LAYOUTS)
def test_rows_may_be_any_step_apart(kernel_on_cpu, encoding):
    frame = random_frame(encoding, (120, 214), margin=13)
    planes = run_kernel(kernel_on_cpu, frame, (96, 160))
    assert_within_a_level(planes, by_opencv(frame, (96, 160)))


@pytest.mark.parametrize("scale", np.geomspace(0.1, 4, 12).round(3))
def test_equals_opencv_at_every_scale(kernel_on_cpu, scale):
    network = (64, 96)
    frame = random_frame("bgr8", (round(64 / scale), round(96 / scale)))
    planes = run_kernel(kernel_on_cpu, frame, network)
    assert_within_a_level(planes, by_opencv(frame, network))


@pytest.mark.parametrize("encoding", ["uyvy", "nv12"])
def test_every_yuv_colour_is_converted_as_opencv_does(kernel_on_cpu, encoding):
    """Not resized, so that no rounding but the conversion's is left."""
    frame = random_frame(encoding, (512, 1024))
    planes = run_kernel(kernel_on_cpu, frame, (512, 1024))
    np.testing.assert_allclose(planes, by_opencv(frame, (512, 1024)), atol=1e-6)


@pytest.mark.parametrize("encoding", ["bgr8", "yuyv", "nv12"])
def test_half_precision_is_the_rounded_single(kernel_on_cpu, encoding):
    frame = random_frame(encoding, (120, 160))
    single = run_kernel(kernel_on_cpu, frame, (96, 96))
    half = run_kernel(kernel_on_cpu, frame, (96, 96), "float16")
    np.testing.assert_array_equal(half, single.astype(np.float16))


def test_a_network_of_grey_pictures_gets_one_plane(kernel_on_cpu):
    frame = random_frame("mono8", (120, 160))
    planes = run_kernel(kernel_on_cpu, frame, (96, 96), planes=1)
    assert_within_a_level(planes[:1], by_opencv(frame, (96, 96))[:1])
    assert np.isnan(planes[1:]).all()


NVCC = shutil.which("nvcc")


def architectures():
    """Return what the installed nvcc can compile for, as numbers such as 75."""
    if NVCC is None:
        return []
    listed = subprocess.run([NVCC, "--list-gpu-arch"], capture_output=True, text=True, check=True)
    return [int(line.removeprefix("compute_")) for line in listed.stdout.split()]


@pytest.mark.skipif(NVCC is None, reason="there is no nvcc")
@pytest.mark.parametrize("architecture", [72, 75, 87, 90, 110])
def test_nvcc_compiles_it(architecture, tmp_path):
    if architecture not in architectures():
        pytest.skip(f"this nvcc does not know sm_{architecture}")
    command = [NVCC, "-cubin", f"-arch=sm_{architecture}", "-o", str(tmp_path / "letterbox.cubin")]
    command += ["-Werror", "all-warnings", str(kernel.SOURCE)]
    subprocess.run(command, check=True)


@pytest.fixture(scope="module")
def ptx():
    return kernel.SHIPPED_PTX.read_text()


def test_the_shipped_ptx_is_that_of_the_source(ptx):
    source = hashlib.sha256(kernel.SOURCE.read_bytes()).hexdigest()
    assert source in ptx, "run tools/make_letterbox_ptx"


def test_the_shipped_ptx_suits_every_driver_since_cuda_11_8_and_every_gpu_since_xavier(ptx):
    assert re.search(r"^\.version 7\.8$", ptx, re.MULTILINE)
    assert re.search(r"^\.target sm_72$", ptx, re.MULTILINE)


@pytest.mark.parametrize("kind", ["packed", "yuv422", "nv12"])
@pytest.mark.parametrize("element", kernel.ELEMENTS)
def test_the_shipped_ptx_takes_the_argument_that_is_launched(ptx, kind, element):
    name = kernel.kernel_name(kind, element)
    size = re.search(rf"\.visible \.entry {name}\(\s*\.param \.align 8 \.b8 \w+\[(\d+)\]", ptx)
    assert int(size[1]) == ctypes.sizeof(kernel.Launch)


@pytest.mark.skipif(NVCC is None, reason="there is no nvcc")
def test_the_shipped_ptx_assembles(tmp_path):
    command = [NVCC, "-cubin", f"-arch=sm_{min(architectures())}", str(kernel.SHIPPED_PTX)]
    subprocess.run([*command, "-o", str(tmp_path / "letterbox.cubin")], check=True)
