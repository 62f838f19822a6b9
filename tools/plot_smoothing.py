#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draws docs/smoothing.png: how steady and how late `tracking.smoothing` makes a keypoint.

    tools/in_ros_env tools/plot_smoothing.py

Needs matplotlib.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kp_pose_ros.tracking.smoothing import NEVER, smooth

try:
    import matplotlib.pyplot as plt  # type: ignore[import-not-found]
except ImportError as missing:
    sys.exit(
        f"plot_smoothing needs matplotlib ({missing}): run "
        "`tools/in_ros_env python3 -m pip install matplotlib`"
    )

Array = npt.NDArray[np.float64]

HZ = 30.0
STRENGTHS = (0.5, 1.0, 2.0)
NOISE = 0.005  # spans (person heights); 2 pixels for a span of 400
SCORE = 0.9
PICTURE = Path(__file__).parent.parent / "docs" / "smoothing.png"


def main() -> None:
    """Draw the two panels."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    draw_hand(left)
    draw_lag(right)
    figure.savefig(PICTURE, dpi=80)
    print(PICTURE)


def draw_hand(axes: plt.Axes) -> None:
    """Draw a hand that rests, waves once a second and rests again."""
    seconds = np.arange(0, 6, 1 / HZ)
    waves = (seconds > 2) & (seconds < 4)
    truth = np.where(waves, 0.12 * np.sin(2 * np.pi * seconds), 0.0)
    raw = truth + noise(len(truth))[:, 0]
    axes.plot(seconds, truth, "k", lw=0.8, label="truth")
    axes.plot(seconds, raw, ".", ms=2.5, color="tab:gray", label="smoothing 0 (raw)")
    axes.plot(seconds, smoothed(column(raw), 1.0)[:, 0], color="tab:red", label="smoothing 1")
    axes.set(xlabel="seconds", ylabel="position, person heights", xlim=(1, 5))
    axes.legend(fontsize=7)


def draw_lag(axes: plt.Axes) -> None:
    """Draw the lag of a hand that waves once a second, by how far it waves."""
    reaches = np.linspace(0.03, 0.3, 12)
    still = noise(3000)
    for strength in STRENGTHS:
        calm = smoothed(still, strength)[150:].std() / still[150:].std()
        lags = [1000 * lag(reach, strength) for reach in reaches]
        label = f"smoothing {strength:g}: still jitter x {calm:.2f}"
        axes.plot(reaches, lags, label=label)
    axes.axhline(40, color="k", lw=0.6, ls=":")
    axes.set(xlabel="hand waving at 1 Hz, +- person heights", ylabel="added lag, ms", ylim=0)
    axes.legend(fontsize=7)


def lag(reach: float, strength: float) -> float:
    """Return how many seconds the smoothed position of a hand that waves at 1 Hz lags behind."""
    seconds = np.arange(0, 20, 1 / HZ)
    truth = column(reach * np.sin(2 * np.pi * seconds))
    output = smoothed(truth + noise(len(truth)), strength)
    carrier = np.exp(-2j * np.pi * seconds)
    return float(-np.angle((output[:, 0] @ carrier) / (truth[:, 0] @ carrier)) / (2 * np.pi))


def noise(count: int) -> Array:
    """Return the model's noise, (count, 2) spans."""
    return np.random.default_rng(0).normal(0, NOISE, (count, 2))


def column(x: Array) -> Array:
    """Return points, (n, 2), that move along x only."""
    return np.stack((x, np.zeros_like(x)), axis=1)


def smoothed(points: Array, strength: float) -> Array:
    """Return (n, 2) points, in spans, after the filter."""
    state, stamps = np.zeros((1, 1, 4)), np.full((1, 1), NEVER)
    output = []
    for index, point in enumerate(points):
        state, stamps = smooth(
            state,
            stamps,
            point[None, None],
            np.full((1, 1), SCORE),
            stamp=round(index / HZ * 1e9),
            spans=np.ones(1),
            strength=strength,
        )
        output.append(state[0, 0, :2])
    return np.array(output)


if __name__ == "__main__":
    main()
