# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Text from outside in the log of our nodes: it can neither move the cursor nor forge a line."""

import ast
import logging
from pathlib import Path
from threading import Thread

import pytest

from kp_pose_ros.ros.compat import PrintableNode, get_logger
from kp_pose_ros.ros.process import RosLogHandler

PACKAGE = Path(__file__).parents[2] / "kp_pose_ros"
HOSTILE = "a\x1b[2Jb\r\n[FATAL] [1.0] [robot]: c\u202e\x9b\ud800"
LINE = r"a\x1b[2Jb\r"


@pytest.fixture(scope="module")
def node(ros_node):  # for its rclpy.init
    node = PrintableNode("printable")
    yield node
    node.destroy_node()


@pytest.fixture
def lines(capfd):
    """Reader of the lines that the log has got."""

    def read():
        text = capfd.readouterr().err
        assert text.replace("\n", "").isprintable()
        return text.splitlines()

    return read


def test_hostile_text_in_a_nodes_log_stays_in_its_own_line(node, lines):
    node.get_logger().error(HOSTILE)
    first, second = lines()
    assert first.endswith(f"[printable]: {LINE}")
    assert second == r"  [FATAL] [1.0] [robot]: c\u202e\x9b\ud800"


def test_so_does_hostile_text_that_the_package_logs(node, lines, monkeypatch):
    # pytest keeps what reaches the root logger, and pytest-xdist cannot send a lone surrogate.
    monkeypatch.setattr(logging.getLogger("kp_pose_ros"), "propagate", False)
    handler = RosLogHandler(node.get_logger())
    handler.attach()
    try:
        logging.getLogger("kp_pose_ros.models").warning("the file %s", HOSTILE)
    finally:
        handler.detach()
    assert lines()[0].endswith(f"[printable]: the file {LINE}")


def test_of_several_nodes_the_one_whose_thread_logs_passes_a_record_on(node, lines):
    record = logging.makeLogRecord({"msg": "one line", "levelno": logging.INFO})
    first, second = (RosLogHandler(get_logger(name)) for name in ("first", "second"))
    first.attach()
    thread = Thread(target=second.attach)
    thread.start()
    thread.join()
    try:
        for record.thread in (first._thread, second._thread, 0):
            logging.getLogger("kp_pose_ros").handle(record)
        first.detach()
        assert logging.getLogger("kp_pose_ros").isEnabledFor(logging.DEBUG)
    finally:
        first.detach()
        second.detach()
    assert logging.getLogger("kp_pose_ros").level == logging.NOTSET
    assert [line.split("] ", 2)[2] for line in lines()] == [
        "[first]: one line",
        "[second]: one line",
        "[first]: one line",
    ]


def test_every_line_of_code_is_throttled_by_itself(node, lines):
    for _ in range(3):
        node.get_logger().warning("one", throttle_duration_sec=100.0)
        node.get_logger().error("two", throttle_duration_sec=100.0)
    assert [line[-3:] for line in lines()] == ["one", "two"]


def uses_of_rclpys_log(path):
    """Yield what would log around the printable loggers."""
    for part in ast.walk(ast.parse(path.read_text())):
        if isinstance(part, ast.ClassDef):
            yield from (base for base in map(ast.unparse, part.bases) if base.endswith("Node"))
        elif isinstance(part, ast.ImportFrom) and part.module == "rclpy.logging":
            yield part.module
        elif isinstance(part, ast.Attribute) and part.attr in {"logging", "create_node"}:
            yield ast.unparse(part)


def test_everything_that_logs_has_a_printable_logger():
    found = {
        str(path.relative_to(PACKAGE)): uses
        for path in sorted(PACKAGE.rglob("*.py"))
        if (uses := set(uses_of_rclpys_log(path)) - {"PrintableNode", "ManagedNode"})
    }
    # The bench and the demo have nodes that do not log.
    silent = [name for name in found if "get_logger" not in (PACKAGE / name).read_text()]
    assert sorted(set(found) - set(silent)) == ["ros/compat.py"]
