# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the machine is: temperatures and memory, as Linux tells them, on a Jetson the GPU's too."""

from __future__ import annotations

from pathlib import Path

_THERMAL = Path("/sys/class/thermal")
_MEMORY = Path("/proc/meminfo")


def temperatures(folder: Path = _THERMAL) -> dict[str, float]:
    """Return degrees Celsius by the name of the sensor; those that do not answer are left out."""
    found = {}
    for zone in sorted(folder.glob("thermal_zone*")):
        try:
            name = (zone / "type").read_text().strip()
            found[name] = int((zone / "temp").read_text()) / 1000
        except (OSError, ValueError):  # a sensor that is switched off
            continue
    return found


def available_memory(file: Path = _MEMORY) -> int | None:
    """Return how many bytes of memory are free for programs; None if that is not known.

    A Jetson's GPU has no memory of its own: it uses this.
    """
    try:
        lines = dict(line.split(":", 1) for line in file.read_text().splitlines() if ":" in line)
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError, IndexError):
        return None
