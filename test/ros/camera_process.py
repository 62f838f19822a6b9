# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""camera_process.py TOPIC PICTURE.npy FRAME_ID: sends the picture at 10 Hz until it is killed."""

import sys
from time import sleep

import numpy as np
import rclpy
from peer import image_of
from sensor_msgs.msg import Image

topic, path, frame_id = sys.argv[1:]
rclpy.init()
publisher = rclpy.create_node("camera").create_publisher(Image, topic, 1)
message = image_of(np.load(path))
message.header.frame_id = frame_id
while True:
    publisher.publish(message)
    sleep(0.1)
