# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest
from std_msgs.msg import Header

from kp_pose_ros.image.frame import Frame
from kp_pose_ros.output.drawing import Annotator
from kp_pose_ros.poses import Poses
from kp_pose_ros.ros.annotated import AnnotatedPictures
from kp_pose_ros.ros.images import image_to_frame
from kp_pose_ros.ros.messages import Vocabulary
from kp_pose_ros.ros.presentation import JpegSettings, Presentation
from kp_pose_ros.skeleton import Skeleton
from kp_pose_ros.space.lift import Lifter
from kp_pose_ros.timing import StageTimes

RAW, JPEG = "front/annotated", "/seen/compressed"  # `annotated` is remapped
SIZE = (480, 640)
BLACK = Frame(np.zeros((*SIZE, 3), np.uint8))
SOMEBODY = Poses(
    boxes=np.array([[160, 120, 480, 360]], np.float32),
    scores=np.ones(1, np.float32),
    keypoints=np.array([[[320, 240, 1]]], np.float32),
)
EVERY = JpegSettings(quality=90, max_rate=0.0, max_width=0)
HALF = JpegSettings(quality=90, max_rate=0.0, max_width=320)


class Topic:
    def __init__(self):
        self.subscribers, self.published, self.latest = 0, [], None

    def get_subscription_count(self):
        return self.subscribers

    def publish(self, message):
        self.published.append(message)
        self.latest = message


class Camera:
    """The pictures of one camera, in place of whose node this is, and whoever looks at them."""

    def __init__(self, *watched):
        self.topics = {}
        self.times = StageTimes()
        self.pictures = AnnotatedPictures(self, "front/")
        for topic in watched:
            self.topics[topic].subscribers = 1

    def resolve_topic_name(self, name):
        return name.replace("front/annotated", "/seen")

    def create_publisher(self, _kind, topic, _qos):
        return self.topics.setdefault(topic, Topic())

    def show(self, frame=BLACK, jpeg=EVERY, milliseconds=0):
        """Publish a frame; return (raw picture or None, JPEG's picture or None)."""
        skeleton = Skeleton.generic(1)
        annotator = Annotator(skeleton, ("person",))
        vocabulary, lifter = Vocabulary(skeleton, ("person",)), Lifter(skeleton.keypoint_names)
        presentation = Presentation(vocabulary, annotator, jpeg, lifter, self.times)
        self.pictures.publish(header(milliseconds), frame, SOMEBODY, presentation)
        raw, jpegs = (self.topics[name].published for name in (RAW, JPEG))
        shown = (
            image_to_frame(raw.pop()).pixels if raw else None,
            cv2.imdecode(np.array(jpegs.pop().data), cv2.IMREAD_COLOR) if jpegs else None,
        )
        assert not raw
        assert not jpegs
        return shown

    def columns(self, jpeg=EVERY, milliseconds=0):
        return self.pictures.columns(SIZE, header(milliseconds), jpeg)


def header(milliseconds):
    made = Header(frame_id="camera")
    made.stamp.sec, milliseconds = 1_700_000_000 + milliseconds // 1000, milliseconds % 1000
    made.stamp.nanosec = milliseconds * 1_000_000
    return made


def assert_drawn(picture, width):
    """Whether the dot at the picture's centre, and a corner of the box, are where they belong."""
    height = width * 3 // 4
    assert picture.shape == (height, width, 3)
    changed = picture.max(axis=2) > 80
    assert changed[height // 2, width // 2]
    rows, columns = np.nonzero(changed)
    assert abs(columns.min() - width // 4) <= 4
    assert abs(rows.max() - height * 3 // 4) <= 4
    assert not changed[: height // 8].any()


def test_nothing_is_drawn_for_nobody():
    camera = Camera()
    assert camera.show() == (None, None)
    assert camera.columns() == 0
    assert camera.times.seconds() == {}


def test_a_raw_picture_is_drawn_for_its_subscriber():
    camera = Camera(RAW)
    raw, jpeg = camera.show()
    assert_drawn(raw, 640)
    assert jpeg is None
    assert camera.columns() == 640


@pytest.mark.parametrize(("jpeg", "width"), [(EVERY, 640), (HALF, 320)], ids=["full", "narrower"])
def test_a_jpeg_is_drawn_for_its_subscriber(jpeg, width):
    camera = Camera(JPEG)
    raw, small = camera.show(jpeg=jpeg)
    assert raw is None
    assert_drawn(small, width)
    assert camera.columns(jpeg) == width


def test_for_both_a_picture_is_drawn_once():
    camera = Camera(RAW, JPEG)
    raw, jpeg = camera.show(jpeg=HALF)
    assert_drawn(raw, 640)
    assert_drawn(jpeg, 320)
    assert len(camera.times.seconds()["annotate"]) == 1
    assert camera.columns(HALF) == 640


def test_a_small_picture_is_not_enlarged():
    _, jpeg = Camera(JPEG).show(jpeg=JpegSettings(quality=90, max_rate=0.0, max_width=2000))
    assert_drawn(jpeg, 640)


def test_the_frame_itself_stays_as_it_is():
    Camera(RAW, JPEG).show()
    assert not BLACK.pixels.any()


def test_a_jpeg_has_the_image_s_header_and_a_format_that_image_transport_knows():
    camera = Camera(JPEG)
    camera.show(milliseconds=5)
    message = camera.topics[JPEG].latest
    assert message.header == header(5)
    assert message.format == "bgr8; jpeg compressed bgr8"


def test_a_jpeg_of_lower_quality_is_smaller():
    camera = Camera(JPEG)
    sizes = []
    for quality in (20, 95):
        camera.show(jpeg=JpegSettings(quality, max_rate=0.0, max_width=0))
        sizes.append(len(camera.topics[JPEG].latest.data))
    assert sizes[0] < sizes[1]


def test_jpegs_are_made_no_more_often_than_asked_for():
    camera = Camera(RAW, JPEG)
    two = JpegSettings(quality=90, max_rate=2.0, max_width=320)
    shown = [camera.show(jpeg=two, milliseconds=each) for each in range(0, 3000, 100)]
    assert sum(raw is not None for raw, _ in shown) == 30
    assert sum(jpeg is not None for _, jpeg in shown) == 6
    assert len(camera.times.seconds()["compress annotated"]) == 6


def test_between_two_jpegs_nothing_is_drawn_and_no_detail_wanted():
    camera = Camera(JPEG)
    two = JpegSettings(quality=90, max_rate=2.0, max_width=320)
    assert camera.columns(two, 0) == 320
    camera.show(jpeg=two, milliseconds=0)
    assert camera.columns(two, 100) == 0
    assert camera.show(jpeg=two, milliseconds=100) == (None, None)
    assert camera.columns(two, 500) == 320


@pytest.mark.parametrize(
    ("watched", "jpeg", "reduction", "expected"),
    [
        pytest.param([JPEG], HALF, 2, [False, True], id="enough of it for the JPEG"),
        pytest.param([JPEG], HALF, 4, [False, False], id="too little for the JPEG"),
        pytest.param([RAW], HALF, 2, [False, False], id="too little for the raw picture"),
    ],
)
def test_a_frame_that_was_read_with_less_detail_is_shown_where_it_is_enough(
    watched, jpeg, reduction, expected
):
    pixels = np.zeros((SIZE[0] // reduction, SIZE[1] // reduction, 3), np.uint8)
    shown = Camera(*watched).show(Frame(pixels, reduction=reduction), jpeg)
    assert [picture is not None for picture in shown] == expected
    if shown[1] is not None:
        assert_drawn(shown[1], 320)
