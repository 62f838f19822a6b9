# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every name that the stand-ins offer, and so every name that the engine uses, is a real one."""

import enum
import types
from pathlib import Path

import pytest
from fakes.cuda import make_driver
from fakes.machine import Machine
from fakes.tensorrt import make_tensorrt
from kernel_on_cpu import COMPILER
from real_bindings import names_of

BINDINGS = {
    "tensorrt_rtx_bindings": "tensorrt_rtx.so",
    "tensorrt_bindings": "tensorrt.so",
    "pycuda.driver": "_driver*.so",
}
# Names that only earlier versions have; each is asked for by name before it is used.
ONLY_BEFORE_11 = {"BuilderFlag.FP16", "BuilderFlag.INT8"}
# Only TensorRT for RTX has these; the engine uses them with that module only.
ONLY_RTX = ["ComputeCapability.CURRENT"]
ONLY_RTX += [f"IBuilderConfig.{n}" for n in ("num_compute_capabilities", "set_compute_capability")]


def offered(module):
    """Return the dotted public names of a stand-in's classes and of their members."""
    for name, thing in vars(module).items():
        if isinstance(thing, types.SimpleNamespace):
            yield from (f"{name}.{member}" for member in vars(thing))
        elif isinstance(thing, enum.EnumMeta):
            yield from (f"{name}.{member}" for member in thing.__members__)
        elif isinstance(thing, type):
            yield name
            yield from (f"{name}.{each}" for each in vars(thing) if not each.startswith("_"))
        elif not name.startswith("_"):
            yield name


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Names of an installed binding: real(module) -> {name: its attributes}."""
    if COMPILER is None:
        pytest.skip("there is no g++ to make up libraries with")

    def read(module):
        found = names_of(module, BINDINGS[module], tmp_path_factory.mktemp("libraries"))
        return found or pytest.skip(f"{module} is not installed")

    return read


def missing(names, real):
    pairs = [name.partition(".")[::2] for name in names]
    return [(a, b) for a, b in pairs if a not in real or (b and b not in real[a])]


@pytest.mark.parametrize("module", ["tensorrt_rtx_bindings", "tensorrt_bindings"])
def test_tensorrt_has_every_name(real, module):
    names = set(offered(make_tensorrt(Machine(None)))) - ONLY_BEFORE_11
    assert missing(sorted(names), real(module)) == []


def test_tensorrt_for_rtx_has_its_own_names(real):
    assert missing(ONLY_RTX, real("tensorrt_rtx_bindings")) == []


def written_down():
    """Names of pycuda.driver, which few have installed: {name: its attributes}."""
    lines = Path(__file__).with_name("pycuda_names.txt").read_text().splitlines()
    pairs = [line.partition(":")[::2] for line in lines if not line.startswith("#")]
    return {name: members.split() for name, members in pairs}


def test_pycuda_has_every_name():
    assert missing(sorted(offered(make_driver(Machine(None)))), written_down()) == []


def test_the_installed_pycuda_has_every_name(real):
    assert missing(sorted(offered(make_driver(Machine(None)))), real("pycuda.driver")) == []


def test_a_name_that_pycuda_lacks_is_found():
    wrong = ["Event.wait", "graph_launch"]
    assert missing(wrong, written_down()) == [("Event", "wait"), ("graph_launch", "")]


def test_a_name_that_is_not_there_is_found(real):
    wrong = ["Builder.build_cuda_engine", "CudaEngine"]
    assert missing(wrong, real("tensorrt_rtx_bindings")) == [
        ("Builder", "build_cuda_engine"),
        ("CudaEngine", ""),
    ]
