# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures that replace CUDA and TensorRT with a simulated GPU, which checks their rules."""

import importlib
import sys
import types

import pytest
from fakes.cuda import make_driver, make_library
from fakes.machine import Machine
from fakes.tensorrt import make_tensorrt
from kernel_on_cpu import COMPILER, KernelOnCpu, compile_kernels

from kp_pose_ros.inference.tensorrt import driver_api

# What looks at TensorRT when it is imported.
BOUND_TO_TENSORRT = ["bindings", "builder", "network", "plans", "engine"]


@pytest.fixture(scope="session")
def kernel_on_cpu(tmp_path_factory):
    if COMPILER is None:
        pytest.skip("there is no g++ to compile the kernel with")
    return KernelOnCpu(compile_kernels(tmp_path_factory.mktemp("kernel")))


@pytest.fixture
def machine(request, kernel_on_cpu):
    """A GPU that checks the rules; options come as a dict by indirect parametrization."""
    machine = Machine(kernel_on_cpu.run, **getattr(request, "param", {}))
    yield machine
    assert machine.broken == []
    assert machine.left == []


@pytest.fixture
def engines(machine, monkeypatch, tmp_path):
    """Importer of modules of inference.tensorrt that run on `machine`: engines(name)."""
    monkeypatch.setenv("KP_POSE_CACHE", str(tmp_path / "cache"))
    pycuda = types.ModuleType("pycuda")
    pycuda.driver = make_driver(machine)
    stand_ins = {
        "pycuda": pycuda,
        "pycuda.driver": pycuda.driver,
        "tensorrt": make_tensorrt(machine),
    }
    for name, module in stand_ins.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(driver_api, "load_driver", lambda: make_library(machine))
    package = importlib.import_module("kp_pose_ros.inference.tensorrt")
    before = take_out(package)
    yield lambda name: importlib.import_module(f"kp_pose_ros.inference.tensorrt.{name}")
    take_out(package)
    for name, module in before.items():
        sys.modules[module.__name__] = module
        setattr(package, name, module)


def take_out(package):
    """Forget that the modules were imported; return those that were."""
    modules = {
        name: sys.modules.pop(f"{package.__name__}.{name}", None) for name in BOUND_TO_TENSORRT
    }
    for name in modules:
        vars(package).pop(name, None)
    return {name: module for name, module in modules.items() if module is not None}
