# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A window that shows pictures, with tkinter, since the OpenCV used here has no windows."""

from __future__ import annotations

import cv2

from kp_pose_ros.errors import SettingsError
from kp_pose_ros.image.frame import Pixels

_LARGEST = 960  # pixels, the longer side


class Window:
    """Shows one picture at a time."""

    def __init__(self, title: str) -> None:
        """Open the window.

        Raises:
            SettingsError: there is no toolkit or no display.
        """
        try:
            import tkinter
        except ImportError as error:
            raise SettingsError(
                "VIEW=1 needs Python's tkinter: install it (on Debian and Ubuntu: python3-tk), or "
                "start without VIEW"
            ) from error
        try:
            self._root = tkinter.Tk(className=title)
        except tkinter.TclError as error:
            raise SettingsError(
                f"VIEW=1 needs a display ({error}): start without VIEW, and see the pictures "
                "that are written"
            ) from error
        self._root.title(title)
        self._root.protocol("WM_DELETE_WINDOW", self._close)
        self._label = tkinter.Label(self._root)
        self._label.pack()
        self._make_image = tkinter.PhotoImage
        self.closed = False

    def show(self, picture: Pixels) -> None:
        """Show a (height, width, 3) BGR picture from the next `update` on."""
        scale = min(1.0, _LARGEST / max(picture.shape[:2]))
        shown = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        self._image = self._make_image(data=cv2.imencode(".ppm", shown)[1].tobytes())
        self._label.configure(image=self._image)

    def update(self) -> None:
        """Process the window's events."""
        if not self.closed:
            self._root.update()

    def _close(self) -> None:
        self.closed = True
        self._root.destroy()
