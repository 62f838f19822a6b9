# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `import tensorrt` finds where torch stands in for it."""

import sys

from prove.stand_in import make  # type: ignore[import-not-found]  # once it is on the path

sys.modules[__name__] = make()
