# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
from threading import Event
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image

from kp_pose_ros.image.cdr import Header
from kp_pose_ros.image.frame import Frame
from kp_pose_ros.image.jpeg import JpegSettings
from kp_pose_ros.image.message import CameraImage, image_to_frame, read_raw
from kp_pose_ros.output.drawing import Annotator
from kp_pose_ros.poses import Poses
from kp_pose_ros.ros import rcl
from kp_pose_ros.ros.annotated import AnnotatedPictures, Painter, Presentation
from kp_pose_ros.ros.messages import header_to_msg
from kp_pose_ros.skeleton import Skeleton, Vocabulary
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
EVERY = JpegSettings(jpeg_quality=90, max_rate=0.0, max_width=0)
HALF = JpegSettings(jpeg_quality=90, max_rate=0.0, max_width=320)


HEADER = Header(1_700_000_000 * 10**9 + 5, "camera")


CLOCK = "kp_pose_ros.ros.annotated.monotonic"


@pytest.fixture(autouse=True)
def _publishing(clock, monkeypatch):
    """Publish by `Topic`, while time stands still unless a test moves it."""
    monkeypatch.setattr(rcl, "publish", lambda topic, content: topic.publish(content.tobytes()))


class Topic:
    def __init__(self, kind):
        self.kind, self.subscribers, self.published, self.latest = kind, 0, [], None

    def get_subscription_count(self):
        return self.subscribers

    def publish(self, content):
        self.latest = deserialize_message(content, self.kind)
        self.published.append(self.latest)


class Log(list):
    """A logger of errors."""

    def error(self, line):
        self.append(line)


class Camera:
    """The pictures of one camera, in place of the node, and who looks at them."""

    def __init__(self, *watched):
        self.topics, self.log = {}, Log()
        self.context = SimpleNamespace(ok=lambda: True)
        self.times = StageTimes()
        self.pictures = AnnotatedPictures(self, "front/")
        for topic in watched:
            self.topics[topic].subscribers = 1

    def get_logger(self):
        return self.log

    def resolve_topic_name(self, name):
        return name.replace("front/annotated", "/seen")

    def create_publisher(self, kind, topic, _qos):
        return self.topics.setdefault(topic, Topic(kind))

    def show(self, frame=BLACK, jpeg=EVERY, painter=None, message=None):
        """Publish a frame; return (raw picture or None, JPEG's picture or None)."""
        own = painter or Painter(pytest.fail)
        skeleton = Skeleton.generic(1)
        vocabulary, lifter = Vocabulary(skeleton, ("person",)), Lifter(skeleton.keypoint_names)
        annotator = Annotator(vocabulary)
        look = Presentation(vocabulary, annotator, jpeg, own, lifter, self.times)
        self.pictures.show(message or CameraImage(HEADER, frame), SOMEBODY, look)
        if painter:
            return None
        own.settle()
        own.close()
        raw, jpegs = (self.topics[name].published for name in (RAW, JPEG))
        shown = (
            image_to_frame(raw.pop()).pixels if raw else None,
            cv2.imdecode(np.array(jpegs.pop().data), cv2.IMREAD_COLOR) if jpegs else None,
        )
        assert not raw
        assert not jpegs
        return shown

    def width(self, jpeg=EVERY):
        return self.pictures.min_width(SIZE, jpeg)


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
    assert camera.width() == 0
    assert camera.times.seconds() == {}


def test_a_raw_picture_is_drawn_for_its_subscriber():
    camera = Camera(RAW)
    raw, jpeg = camera.show()
    assert_drawn(raw, 640)
    assert jpeg is None
    assert camera.width() == 640


@pytest.mark.parametrize(("jpeg", "width"), [(EVERY, 640), (HALF, 320)], ids=["full", "narrower"])
def test_a_jpeg_is_drawn_for_its_subscriber(jpeg, width):
    camera = Camera(JPEG)
    raw, small = camera.show(jpeg=jpeg)
    assert raw is None
    assert_drawn(small, width)
    assert camera.width(jpeg) == width


def test_for_both_a_picture_is_drawn_once():
    camera = Camera(RAW, JPEG)
    raw, jpeg = camera.show(jpeg=HALF)
    assert_drawn(raw, 640)
    assert_drawn(jpeg, 320)
    assert len(camera.times.seconds()["annotate"]) == 1
    assert camera.width(HALF) == 640


def test_a_small_picture_is_not_enlarged():
    _, jpeg = Camera(JPEG).show(jpeg=JpegSettings(jpeg_quality=90, max_rate=0.0, max_width=2000))
    assert_drawn(jpeg, 640)


def camera_message(encoding, row=640 * 3, memory=bytearray):
    """A black image of a camera as it arrives, its rows so many bytes apart."""
    message = Image(header=header_to_msg(HEADER), height=480, width=640, encoding=encoding)
    message.step, message.data = row, bytes(row * 480)
    return read_raw(np.frombuffer(memory(serialize_message(message)), np.uint8))


@pytest.mark.parametrize(
    ("image", "is_drawn_on"),
    [
        pytest.param(camera_message("bgr8"), True, id="bgr8"),
        pytest.param(camera_message("bgr8", 640 * 3 + 64), True, id="bgr8 with padded rows"),
        pytest.param(camera_message("rgb8"), False, id="an encoding that has to be converted"),
        pytest.param(camera_message("8UC3"), False, id="a picture under another name"),
        pytest.param(camera_message("bgr8", memory=bytes), False, id="bgr8 that is read-only"),
        pytest.param(CameraImage(HEADER, BLACK), False, id="a picture that was no raw message"),
    ],
)
def test_only_a_camera_s_own_bgr8_message_is_drawn_on_and_sent_back(image, is_drawn_on):
    camera = Camera(RAW)
    raw, _ = camera.show(message=image)
    assert_drawn(raw, 640)
    message = camera.topics[RAW].latest
    assert message.header == header_to_msg(HEADER)
    assert message.encoding == "bgr8"
    assert image.frame.pixels.any() == is_drawn_on


def test_a_jpeg_has_the_image_s_header_and_a_format_that_image_transport_knows():
    camera = Camera(JPEG)
    camera.show()
    message = camera.topics[JPEG].latest
    assert isinstance(message, CompressedImage)
    assert message.header == header_to_msg(HEADER)
    assert message.format == "bgr8; jpeg compressed bgr8"


def test_a_jpeg_of_lower_quality_is_smaller():
    camera = Camera(JPEG)
    sizes = []
    for quality in (20, 95):
        camera.show(jpeg=JpegSettings(quality, max_rate=0.0, max_width=0))
        sizes.append(len(camera.topics[JPEG].latest.data))
    assert sizes[0] < sizes[1]


def at_rate(camera, clock, camera_rate, rate, delays=None):
    """How many JPEGs a camera of 300 images gives at a limited rate."""
    jpeg = JpegSettings(jpeg_quality=90, max_rate=rate, max_width=32)
    start, made = clock[0], 0
    for index in range(300):
        clock[0] = start + (index + (delays[index] if delays is not None else 0)) / camera_rate
        made += camera.show(jpeg=jpeg)[1] is not None
    return made


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        pytest.param(0.0, 300, id="every one"),
        pytest.param(100.0, 300, id="more than there are"),
        pytest.param(10.0, 100, id="a third"),
        pytest.param(20.0, 200, id="two of three"),
        pytest.param(0.5, 5, id="one in two seconds"),
    ],
)
def test_so_many_jpegs_a_second_are_made(clock, rate, expected):
    assert abs(at_rate(Camera(JPEG), clock, 30, rate) - expected) <= 1


def test_images_that_come_irregularly_give_no_fewer_jpegs_and_no_more(clock):
    late = np.random.default_rng(0).uniform(0, 0.5, 300)
    assert abs(at_rate(Camera(JPEG), clock, 30, 10.0, late) - 100) <= 2


def test_a_break_is_not_made_up_for(clock):
    camera = Camera(JPEG)
    at_rate(camera, clock, 30, 10.0)
    clock[0] += 60
    assert abs(at_rate(camera, clock, 30, 10.0) - 100) <= 1


def test_stamps_that_stand_still_do_not_freeze_the_jpegs(clock):
    camera = Camera(JPEG)
    two = JpegSettings(jpeg_quality=90, max_rate=2.0, max_width=320)
    assert camera.show(jpeg=two)[1] is not None
    clock[0] += 0.5
    assert camera.show(jpeg=two)[1] is not None  # HEADER's stamp again


def test_another_rate_applies_from_the_next_image_on(clock):
    camera = Camera(JPEG)
    rare, frequent = (JpegSettings(90, max_rate=rate, max_width=320) for rate in (0.001, 10.0))
    camera.show(jpeg=rare)
    clock[0] += 0.2
    assert camera.show(jpeg=rare)[1] is None
    assert camera.show(jpeg=frequent)[1] is not None


def test_between_two_jpegs_nothing_is_drawn_and_no_detail_wanted(clock):
    camera = Camera(JPEG)
    two = JpegSettings(jpeg_quality=90, max_rate=2.0, max_width=320)
    assert camera.width(two) == 320
    camera.show(jpeg=two)
    clock[0] += 0.1
    assert camera.width(two) == 0
    assert camera.show(jpeg=two) == (None, None)
    clock[0] += 0.4
    assert camera.width(two) == 320


class Busy:
    """A painter's first picture, which takes until `go` is set."""

    def __init__(self, camera):
        self.drawn, self.go, self.began = [], Event(), Event()
        self.publish = camera.pictures.publish
        camera.pictures.publish = self

    def __call__(self, picture):
        self.began.set()
        assert self.go.wait(10)
        self.drawn.append(picture)
        self.publish(picture)


def test_pictures_wait_for_nobody_and_only_the_newest_is_drawn():
    camera = Camera(RAW)
    painter, busy = Painter(pytest.fail), Busy(camera)
    camera.show(painter=painter)
    assert busy.began.wait(10)
    frames = [Frame(np.full((*SIZE, 3), value, np.uint8)) for value in (1, 2, 3)]
    for frame in frames:
        camera.show(frame, painter=painter)
    busy.go.set()
    painter.settle()
    painter.close()
    assert [picture.image.frame for picture in busy.drawn] == [BLACK, frames[-1]]


def test_a_jpeg_s_turn_passes_to_the_picture_that_overtakes_it(clock):
    camera = Camera(RAW, JPEG)
    painter, busy = Painter(pytest.fail), Busy(camera)
    rare = JpegSettings(jpeg_quality=90, max_rate=0.01, max_width=320)
    camera.show(painter=painter)
    assert busy.began.wait(10)
    clock[0] += 100
    camera.show(jpeg=rare, painter=painter)
    camera.show(jpeg=rare, painter=painter)
    busy.go.set()
    painter.settle()
    painter.close()
    assert [picture.jpeg_width for picture in busy.drawn] == [640, 320]


def test_an_error_while_drawing_is_told():
    camera, errors = Camera(RAW), []
    painter = Painter(errors.append)
    camera.pictures.publish = lambda *_: 1 / 0
    camera.show(painter=painter)
    painter.settle()
    assert [type(each) for each in errors] == [ZeroDivisionError]
    painter.close()


def test_a_picture_that_cannot_be_published_costs_no_other(monkeypatch):
    camera, errors = Camera(RAW, JPEG), []

    def publish(topic, content):
        if topic is camera.topics[RAW]:
            raise rcl.MiddlewareError("it is too large")
        topic.publish(content.tobytes())

    monkeypatch.setattr(rcl, "publish", publish)
    for _ in range(2):
        raw, jpeg = camera.show()
        assert raw is None
        assert jpeg is not None
    assert camera.log == ["it is too large (1 such messages so far)"]
    camera.context.ok = lambda: False  # shut down
    painter = Painter(errors.append)
    camera.show(painter=painter)
    painter.settle()
    assert [str(each) for each in errors] == ["it is too large"]
    painter.close()


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
