# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Remove from the ROS wheels' CMake exports the include folders of the machine that built them.

CMake refuses to use a target whose include folder does not exist. Nothing is lost: the build finds
the headers of this machine's Python and numpy by itself.
"""

import re
import sys
from pathlib import Path

_FOREIGN_FOLDER = re.compile(r"/opt/python/[^;\"]*;?")


def main() -> None:
    """Mend every export under the folder that is the only argument."""
    for export in Path(sys.argv[1]).rglob("*Export.cmake"):
        text = export.read_text(encoding="utf-8")
        mended = _FOREIGN_FOLDER.sub("", text)
        if mended != text:
            export.write_text(mended, encoding="utf-8")


if __name__ == "__main__":
    main()
