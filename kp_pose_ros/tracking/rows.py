# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several arrays that share their first axis, handled as one table."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

R = TypeVar("R", bound="Rows")


class Rows:
    """Base of dataclasses whose fields are arrays of n rows, or such dataclasses."""

    def __getitem__(self: R, index: npt.NDArray[Any]) -> R:
        """Return the chosen rows: a boolean mask or an array of indices."""
        return type(self)(*(column[index] for column in self._columns()))

    def joined(self: R, other: R) -> R:
        """Return our rows, followed by those of `other`."""
        pairs = zip(self._columns(), other._columns(), strict=True)
        return type(self)(
            *(a.joined(b) if isinstance(a, Rows) else np.concatenate((a, b)) for a, b in pairs)
        )

    def _columns(self) -> list[Any]:
        return [getattr(self, field.name) for field in fields(self)]  # type: ignore[arg-type]
