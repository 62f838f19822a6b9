# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Videos made of the demo's photographs, and what a person sees in them."""

import cv2
import numpy as np

RATE = 10  # images a second
WIDTH, HEIGHT = 960, 720
SECONDS = {"still": 8, "pan": 8, "coaches": 8, "door": 12, "fall": 12}

# The events, as seconds of start and end (None: not before the video ends). The two men before the
# bus, and the two coaches, are close to each other. While the camera pans, nobody is known to stand
# still. No coach raises a hand: one points ahead of him.
SEEN = [
    *[("still", "close_together", 0, None), *[("still", "standing_still", 0, None)] * 2],
    *[("coaches", "close_together", 0, None), *[("coaches", "standing_still", 0, None)] * 2],
    ("pan", "close_together", 0, None),
    ("door", "standing_still", 0, None),
    *[("door", "in_doorway", 4.1, 10.2), ("door", "close_together", 5.4, 8.7)],
    ("fall", "fallen", 4.4, 10.2),
]


def write_scenes(folder, bus, coaches):
    """Write each scene as a video, from the photographs bus.jpg and zidane.jpg."""
    man, other = bus[385:925, 40:255], bus[390:870, 222:352]
    street = cv2.resize(bus[120:480, 340:], (WIDTH, HEIGHT))  # without people

    def door(t):  # the man stands; the other walks up to him and back, through the doorway
        x = at(t, (2, 100), (6, 560), (8, 560), (12, 150))
        return paste(paste(street, man, 700, 0.9), other, x)

    def fall(t):
        return paste(street, man, 480, turn=at(t, (4, 0), (4.6, 80), (10, 80), (10.6, 0)))

    def pan(t):
        zoom = at(t, (0, 1.1), (4, 0.8), (8, 1))
        return window(bus, at(t, (0, 250), (8, 560)), at(t, (0, 700), (8, 560)), zoom)

    drawings = {
        "still": lambda t: window(bus, 405, 620, 0.8),
        "pan": pan,
        "coaches": lambda t: window(coaches, 640 + 8 * np.sin(t), 360, 0.74),  # held by hand
        "door": door,
        "fall": fall,
    }
    random = np.random.default_rng(0)
    noise = [random.integers(-4, 5, (HEIGHT, WIDTH, 1), np.int16) for _ in range(5)]
    folder.mkdir()
    for name, draw in drawings.items():
        size = WIDTH, HEIGHT
        writer = cv2.VideoWriter(
            str(folder / f"{name}.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), RATE, size
        )
        for number in range(SECONDS[name] * RATE):
            picture = draw(number / RATE) + noise[number % len(noise)]
            writer.write(np.clip(picture, 0, 255).astype(np.uint8))
        writer.release()


def at(t, *keys):
    """Return a value between those of (seconds, value)."""
    return float(np.interp(t, *zip(*keys, strict=True)))


def window(photo, x, y, zoom):
    """Return what a camera sees of a photograph around (x, y)."""
    matrix = np.array([[zoom, 0, WIDTH / 2 - zoom * x], [0, zoom, HEIGHT / 2 - zoom * y]])
    return cv2.warpAffine(photo, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)


def paste(canvas, cut, x, scale=1.0, turn=0.0):
    """Return the canvas with a cut-out person on the ground at x, turned by some degrees."""
    height, width = cut.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -turn, scale)
    lowest = (abs(matrix[0, 1]) * width + abs(matrix[0, 0]) * height) / 2
    matrix[:, 2] += x - width / 2, HEIGHT - 20 - lowest - height / 2
    mask = np.zeros((height, width), np.float32)
    mask[8:-8, 8:-8] = 1
    mask = cv2.GaussianBlur(mask, (0, 0), 4)
    size = WIDTH, HEIGHT
    share = cv2.warpAffine(mask, matrix, size)[..., None]
    return canvas * (1 - share) + cv2.warpAffine(cut, matrix, size) * share
