# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Imports a GPU library's Python bindings without the GPU's own libraries, to see their names.

The libraries that a binding links to are made up, with functions that nothing ever calls.
"""

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

MADE_UP = "libmade_up.so"
NAMES = """
import importlib, json, sys
module = importlib.import_module(sys.argv[1])
found = {name: dir(getattr(module, name)) for name in dir(module)}
print(json.dumps(found | {"__version__": getattr(module, "__version__", "")}))
sys.stdout.flush()
import os; os._exit(0)  # nothing of what was imported can be torn down
"""


def names_of(module, binary, folder):
    """Return {name: its attributes} of a module whose compiled part is `binary`, or None.

    `binary` is a pattern relative to the package; made-up libraries go to `folder`.
    """
    package = find_spec(module.partition(".")[0])
    if package is None or not package.submodule_search_locations:
        return None
    (path,) = Path(package.submodule_search_locations[0]).glob(binary)
    make_up_libraries(path, folder)
    done = subprocess.run(
        [sys.executable, "-c", NAMES, module],
        env=os.environ | {"LD_LIBRARY_PATH": str(folder), "LD_PRELOAD": str(folder / MADE_UP)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def make_up_libraries(binary, folder):
    """Make every NVIDIA library that `binary` links to, with every function that it wants."""
    dynamic = subprocess.check_output(["readelf", "--dynamic", binary], text=True)
    symbols = subprocess.check_output(["nm", "-D", "--undefined-only", binary], text=True)
    wanted = re.findall(r"^\s+U ((?!_|Py|dl)\w+)$", symbols, re.MULTILINE)
    source = 'extern "C" {' + "".join(f"void {name}() {{}}\n" for name in wanted) + "}"
    command = ["g++", "-shared", "-fPIC", "-x", "c++", "-", "-o", str(folder / MADE_UP)]
    subprocess.run(command, input=source, text=True, check=True)
    for library in re.findall(r"NEEDED.*\[(lib(?:nv|cuda|curand)[^]]*)\]", dynamic):
        (folder / library).symlink_to(MADE_UP)
