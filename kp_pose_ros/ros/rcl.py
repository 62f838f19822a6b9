# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""rcl functions that rclpy lacks: serialized messages without copies in Python and without the GIL.

rclpy's Python message makes an image cost 1.3 times as much CPU. The structures are
those of rcutils/types/uint8_array.h, rcutils/allocator.h and rmw/types.h, the same from Humble on
but for the length of a gid: 24 bytes in Humble, 16 since; its first 16 bytes are the publisher's
GUID.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
from rclpy.context import Context
from rclpy.guard_condition import GuardCondition
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.serialization import serialize_message
from rclpy.subscription import Subscription

from kp_pose_ros.errors import KpPoseError
from kp_pose_ros.image.frame import Pixels
from kp_pose_ros.timing import Throttle

InvalidHandle = rclpy_implementation.InvalidHandle  # of what has been destroyed

_OK, _TAKE_FAILED = 0, 401  # rcl/types.h
_ERROR_PERIOD = 10.0  # seconds between two log lines about what one topic cannot publish
_NO_NUMBER = 2**64 - 1  # RMW_MESSAGE_INFO_SEQUENCE_NUMBER_UNSUPPORTED


class MiddlewareError(KpPoseError):
    """A call of rcl that failed."""


class _Allocator(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("a", "d", "r", "z", "state")]


class _View(ctypes.Structure):
    """rcutils_uint8_array_t over memory of ours, which rcl only reads."""

    _fields_ = [
        ("buffer", ctypes.c_void_p),
        ("length", ctypes.c_size_t),
        ("capacity", ctypes.c_size_t),
        ("allocator", _Allocator),
    ]


class _Bytes(_View):
    """The same over memory that the middleware allocates."""

    def __del__(self) -> None:
        if self.buffer:
            _rcutils().rcutils_uint8_array_fini(ctypes.byref(self))


class _Info(ctypes.Structure):
    """rmw_message_info_t."""

    _fields_ = [
        ("source_timestamp", ctypes.c_int64),
        ("received_timestamp", ctypes.c_int64),
        ("publication_sequence_number", ctypes.c_uint64),
        ("reception_sequence_number", ctypes.c_uint64),
        ("implementation", ctypes.c_void_p),
        ("gid", ctypes.c_uint8 * 16),
        ("rest", ctypes.c_uint8 * 64),
    ]


class _ErrorString(ctypes.Structure):
    _fields_ = [("text", ctypes.c_char * 1024)]


def take(subscription: Subscription[Any]) -> tuple[Pixels, bytes, int | None] | None:
    """Take the next message of a subscription as the middleware carries it.

    Returns:
        The message's CDR bytes, an array that owns its memory; the publisher's GUID; the number of
        the message among its publisher's, None if the middleware does not count them. None if
        there is no message.

    Raises:
        MiddlewareError: rcl failed.
    """
    content, info = _Bytes(allocator=_allocator()), _Info()
    handle = subscription.handle
    with handle:  # not destroyed meanwhile
        code = _rcl().rcl_take_serialized_message(
            ctypes.c_void_p(handle.pointer), ctypes.byref(content), ctypes.byref(info), None
        )
    if code == _TAKE_FAILED:
        _forget_error()
        return _take_message(subscription) if has_buffers() else None
    if code != _OK:
        raise MiddlewareError(f"a message of {subscription.topic_name} cannot be taken: {_error()}")
    array = np.empty(0, np.uint8)
    if content.length:  # else it may have no memory at all
        memory = (ctypes.c_uint8 * content.length).from_address(content.buffer)
        memory.owner = content  # frees it with the last view
        array = np.frombuffer(memory, np.uint8)
    number = info.publication_sequence_number
    return array, bytes(info.gid), None if number == _NO_NUMBER else number


def _take_message(subscription: Subscription[Any]) -> tuple[Pixels, bytes, int | None] | None:
    """Do what `take` does with rclpy's message, at rclpy's cost; the bytes are read-only."""
    handle = subscription.handle
    try:
        with handle:
            taken = handle.take_message(subscription.msg_type, False)
    except rclpy_implementation.RCLError as error:
        raise MiddlewareError(
            f"a message of {subscription.topic_name} cannot be taken: {error}"
        ) from error
    if taken is None:
        return None
    message, info = taken
    publisher = info.get("publisher_gid")
    content = np.frombuffer(serialize_message(message), np.uint8)
    guid = publisher["data"] if publisher else b""
    return content, guid, info["publication_sequence_number"]


def publish(publisher: Publisher[Any], content: Pixels) -> None:
    """Publish a message from its CDR bytes, a contiguous array, which is copied.

    Raises:
        MiddlewareError: rcl failed.
    """
    message = _View(content.ctypes.data, content.nbytes, content.nbytes)
    handle = publisher.handle
    with handle:
        code = _rcl().rcl_publish_serialized_message(
            ctypes.c_void_p(handle.pointer), ctypes.byref(message), None
        )
    if code != _OK:
        raise MiddlewareError(f"nothing can be published on {publisher.topic_name}: {_error()}")


class Output:
    """A topic of results. What cannot be published costs that message only, and a line in the log.

    One thread publishes; any thread may ask `wanted`.
    """

    def __init__(self, node: Node, message_type: type[Any], topic: str, qos: QoSProfile) -> None:
        self._node = node
        self._publisher = node.create_publisher(message_type, topic, qos)
        self._failures = 0
        self._throttle = Throttle(_ERROR_PERIOD)

    def wanted(self) -> bool:
        """Return whether the topic has a subscriber."""
        return self._publisher.get_subscription_count() > 0

    def publish(self, message: Any) -> bool:
        """Publish a message, or the CDR bytes of one; return whether that succeeded.

        Raises:
            MiddlewareError: the context is shut down, so that nothing can be published any more.
        """
        if not isinstance(message, (bytes, np.ndarray)):
            message = serialize_message(message)
        try:
            publish(self._publisher, np.frombuffer(message, np.uint8))
        except MiddlewareError as error:
            if not self._node.context.ok():
                raise
            self._failures += 1
            if self._throttle.passes("publish"):
                self._node.get_logger().error(f"{error} ({self._failures} such messages so far)")
            return False
        return True

    def close(self) -> None:
        """Destroy the publisher."""
        self._node.destroy_publisher(self._publisher)


class WaitSet:
    """Waits for some subscriptions in a thread of its own, beside any executor.

    Attributes:
        is_woken: whether `wake` ended the last wait.
    """

    def __init__(self, context: Context) -> None:
        if context.handle is None:
            raise MiddlewareError("rclpy is not initialized: call rclpy.init first")
        self._context = context.handle
        self._guard = GuardCondition(None, None, context)
        self.is_woken = False
        self._set: Any = None
        self._count = -1

    def wake(self) -> None:
        """End the wait in progress, or the next one; from any thread."""
        self._guard.trigger()

    def wait(
        self, subscriptions: Sequence[Subscription[Any]], seconds: float
    ) -> list[Subscription[Any]]:
        """Wait at most so many seconds; return the subscriptions that have a message.

        Raises:
            InvalidHandle: one of them has just been destroyed.
        """
        with ExitStack() as held:
            handles = [each.handle for each in subscriptions]
            for handle in (*handles, self._guard.handle):
                held.enter_context(handle)
            self._prepare(len(handles))
            for handle in handles:
                self._set.add_subscription(handle)
            self._set.add_guard_condition(self._guard.handle)
            self._set.wait(int(seconds * 1e9))
            ready = set(self._set.get_ready_entities("subscription"))
            self.is_woken = bool(self._set.get_ready_entities("guard_condition"))
            return [
                each
                for each, handle in zip(subscriptions, handles, strict=True)
                if handle.pointer in ready
            ]

    def close(self) -> None:
        """Free what rcl holds; call it after the last `wait` and `wake`."""
        self._guard.destroy()
        self._set = None

    def _prepare(self, count: int) -> None:
        if count != self._count:
            self._set = rclpy_implementation.WaitSet(count, 1, 0, 0, 0, 0, self._context)
            self._count = count
        self._set.clear_entities()


def handle_events(context: Context, subscription: Subscription[Any]) -> None:
    """Call the callbacks of the QoS events of a subscription that no executor waits for."""
    handlers = subscription.event_handlers
    with ExitStack() as held:
        for handler in handlers:
            held.enter_context(handler)
        size = (0, 0, 0, 0, 0, len(handlers))
        events = rclpy_implementation.WaitSet(*size, context.handle)  # type: ignore[arg-type]
        events.clear_entities()
        for handler in handlers:
            handler.add_to_wait_set(events)
        events.wait(0)
        for handler in handlers:
            if handler.is_ready(events) and (data := handler.take_data()):
                handler.callback(data)


@cache
def has_buffers() -> bool:
    """Return whether messages with a uint8[], as images, may have to be taken as rclpy's messages.

    rmw_fastrtps of Lyrical delivers them through a channel of its own, which only `rcl_take` reads.
    ros2/rmw_fastrtps#881 mended that, but up to 9.4.10 (September 2026) the changelogs of Lyrical
    do not have it.
    """
    return find_spec("rosidl_buffer") is not None  # since Lyrical


@cache
def _rcl() -> ctypes.CDLL:
    return ctypes.CDLL("librcl.so")


@cache
def _rcutils() -> ctypes.CDLL:
    library = ctypes.CDLL("librcutils.so")
    library.rcutils_get_default_allocator.restype = _Allocator
    library.rcutils_get_error_string.restype = _ErrorString
    return library


@cache
def _allocator() -> _Allocator:
    allocator: _Allocator = _rcutils().rcutils_get_default_allocator()
    return allocator


def _error() -> str:
    text: bytes = _rcutils().rcutils_get_error_string().text
    _forget_error()
    return text.decode(errors="replace")


def _forget_error() -> None:
    _rcutils().rcutils_reset_error()
