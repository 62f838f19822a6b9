# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Running a node as a program: start, signals, logging, Fast DDS's settings and exit."""

from __future__ import annotations

import argparse
import ctypes
import logging
import os
import re
import select
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from threading import Event, Thread, get_ident
from time import sleep
from typing import TYPE_CHECKING, TypeVar

from kp_pose_ros.errors import GpuLostError, KpPoseError, SettingsError, show, show_exception
from kp_pose_ros.resources import config_path

if TYPE_CHECKING:
    from rclpy.impl.rcutils_logger import RcutilsLogger
    from rclpy.node import Node
    from rclpy.task import Task

    from kp_pose_ros.ros.executor import GuardedExecutor

# Looked up once: between fork and exec, a lock of the loader would never be released.
_prctl = ctypes.CDLL(None).prctl
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PATIENCE = 1.0  # seconds for each thread to end
_LAST_WORK = 3.0  # seconds for `finish`; ros2 launch kills a program 10 s after Ctrl-C
_LAST_MESSAGES = 0.2  # seconds for what `finish` has sent to arrive
_ROUNDS = 5  # of the executor: a goal that ends takes one to wake up and two to answer
_USAGE = "%(prog)s [-h] [--ros-args -p NAME:=VALUE -r NAME:=NAME --log-level LEVEL ...]"

# Why rclpy does not start, by what is in its message; the first one counts.
_CAUSES = {
    r"log(ging)? directory": "ROS has no folder for its logs; set ROS_LOG_DIR to one it can write",
    "codec": "an argument is not UTF-8",
    "ROS_DOMAIN_ID": "an environment variable is wrong",
    "": "the --ros-args are wrong",
}

_package = logging.getLogger("kp_pose_ros")

# One line each: rclpy refuses a line of code that logs at two severities.
_METHODS = {
    logging.DEBUG: lambda logger, text: logger.debug(text),
    logging.INFO: lambda logger, text: logger.info(text),
    logging.WARNING: lambda logger, text: logger.warning(text),
    logging.ERROR: lambda logger, text: logger.error(text),
    logging.CRITICAL: lambda logger, text: logger.fatal(text),
}

NodeT = TypeVar("NodeT", bound="Node")


def ending_signals() -> list[signal.Signals]:
    """Return the signals that end a program; a closed terminal sends SIGHUP, unless under nohup."""
    ending = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    return [each for each in ending if signal.getsignal(each) != signal.SIG_IGN]


def exit_on_signals(code: int = 0) -> None:
    """Exit at once on a signal, during the imports, when there is nothing to clean up yet."""
    for each in ending_signals():
        signal.signal(each, lambda *_: os._exit(code))


def end_with(parent: int) -> None:
    """Ask the kernel to kill this process when the thread that started it ends."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it has ended already
        os._exit(1)


def has_package(program: str, package: str, mend: str) -> bool:
    """Return whether a package of messages is installed; if not, print how to install it."""
    if find_spec(package) is not None:
        return True
    show(
        f"{program}: {package}, the package of the messages that it publishes, was not found: "
        f"{mend}",
        file=sys.stderr,
    )
    return False


def own_arguments() -> list[str]:
    """Return the command line's arguments without those from each --ros-args to its end or --.

    rclpy's `remove_ros_args` also takes away what looks like a remapping anywhere, in silence.
    """
    own, is_own = [], True
    for word in sys.argv[1:]:
        if word == "--ros-args" or (word == "--" and not is_own):
            is_own = word == "--"
        elif is_own:
            own.append(word)
    return own


class Ending:
    """The event that a program's main thread waits for: a signal, or a call of `end`.

    Python runs signal handlers between two instructions of the main thread, so one that comes just
    before a wait begins is noticed only after it. The wake-up descriptor has no such gap.

    Attributes:
        error: what the first call of `end` gave, unless a signal came before.
    """

    def __init__(self) -> None:
        """Listen for signals from now on; in the main thread, once in a process."""
        self.error: BaseException | None = None
        self._receiving, sending = os.pipe()
        os.set_blocking(sending, False)
        self._sending = sending
        signal.set_wakeup_fd(sending, warn_on_full_buffer=False)
        for each in ending_signals():
            signal.signal(each, lambda *_: None)

    def end(self, error: BaseException | None = None) -> None:
        """End the program, with an error if there is one; the first end counts."""
        if not self.has_come():
            self.error = error
        with suppress(BlockingIOError):  # full: it ends anyway
            os.write(self._sending, b"\0")

    def has_come(self) -> bool:
        """Return whether the end has come, without waiting."""
        return bool(select.select([self._receiving], [], [], 0)[0])

    def wait(self) -> None:
        """Wait for the end; later signals are ignored."""
        select.select([self._receiving], [], [])
        for each in ending_signals():
            signal.signal(each, signal.SIG_IGN)


def run_node(
    program: str,
    about: str,
    make: Callable[[Ending], NodeT],
    *,
    finish: Callable[[NodeT], Awaitable[None]] | None = None,
    close: Callable[[NodeT, float], bool] = lambda *_: True,
) -> int:
    """Run a node until a signal or the node itself ends it; return the process's exit code.

    Args:
        program: the executable's name.
        about: what it does, for --help.
        make: returns the node; may keep the Ending, and may raise KpPoseError.
        finish: the node's last work, while its executor still runs, for 3 s at most.
        close: ends the node's threads within so many seconds; returns whether they have ended.
    """
    sys.excepthook = show_exception
    exit_on_signals()
    start_program(program, about)
    import rclpy
    from rclpy.exceptions import ParameterException

    from kp_pose_ros.ros.compat import get_logger

    ending = Ending()
    code, idle = 0, True
    try:
        node = make(ending)
        has_stopped = _spin_until_end(node, ending, finish)
        idle = close(node, _PATIENCE) and has_stopped
        node.destroy_node()
        if ending.error is not None:
            raise ending.error
    except (KpPoseError, ParameterException) as error:  # the latter of rclpy's own parameters
        get_logger(program).fatal(str(error))
        code = 1
        # Nothing on a lost GPU can be freed, and libraries may abort or hang when they try.
        idle = idle and not isinstance(error, GpuLostError)
    rclpy.shutdown()
    if not idle:
        # A thread inside a library's call cannot be stopped, and Python's exit would wait for it.
        sys.stderr.flush()
        os._exit(code)
    return code


def start_program(program: str, about: str | None) -> None:
    """Check the command line of a program that takes only --ros-args, and start rclpy.

    Args:
        program: the executable's name.
        about: what it does, for --help.

    Raises:
        SystemExit: there are other arguments, ROS cannot start with these, or --help.
    """
    check_command_line(program, about)
    try:
        start_rclpy()
    except SettingsError as error:
        show(f"{program}: {error}", file=sys.stderr)
        sys.exit(2)


def check_command_line(program: str, about: str | None) -> None:
    """Print the help that --help asks for, and end; end with an error if there are other arguments.

    `start_program` does this, too.
    """
    parser = argparse.ArgumentParser(prog=program, usage=_USAGE, description=about)
    parser.parse_args(own_arguments())


def start_rclpy(arguments: list[str] | None = None) -> None:
    """Start rclpy without its signal handlers: they end its context before a last message is sent.

    Args:
        arguments: those of the command line, by default.

    Raises:
        SettingsError: the arguments or the environment are wrong.
    """
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    try:
        rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    except (RuntimeError, UnicodeEncodeError) as error:
        reason = " ".join(str(error).split())
        cause = next(cause for sign, cause in _CAUSES.items() if re.search(sign, reason))
        raise SettingsError(f"{cause}: {reason}") from error


def _spin_until_end(
    node: NodeT, ending: Ending, finish: Callable[[NodeT], Awaitable[None]] | None
) -> bool:
    """Spin a node in a thread until the program's end; return whether the thread has ended."""
    from kp_pose_ros.ros.executor import GuardedExecutor

    executor = GuardedExecutor()
    executor.add_node(node)
    # In a thread, because a signal does not interrupt rclpy's wait in the main thread.
    spinner = Thread(target=_spin, args=(executor, ending), name="executor", daemon=True)
    spinner.start()
    ending.wait()
    if finish is not None:
        _finish(executor, finish(node))
    # In its own thread: it destroys what a callback needs at its end.
    executor.create_task(executor.shutdown)
    spinner.join(_PATIENCE)
    return not spinner.is_alive()


def _spin(executor: GuardedExecutor, ending: Ending) -> None:
    try:
        executor.spin()
    except BaseException as error:  # would otherwise be lost with the thread
        ending.end(error)


def _finish(executor: GuardedExecutor, work: Awaitable[None]) -> None:
    async def run() -> None:
        await work

    async def pass_on() -> None:
        pass

    _wait_for(executor.create_task(run), _LAST_WORK)
    for _ in range(_ROUNDS):
        _wait_for(executor.create_task(pass_on), _PATIENCE)
    sleep(_LAST_MESSAGES)


def _wait_for(task: Task[None], timeout: float) -> None:
    done = Event()
    task.add_done_callback(lambda _: done.set())
    done.wait(timeout)


class RosLogHandler(logging.Handler):
    """Passes the package's log records on to a ROS logger, from `attach` to `detach`.

    The part of the package without ROS logs through Python's `logging`. If several nodes of a
    process have a handler, a record goes to the one of its thread, or else to the first one.
    """

    def __init__(self, logger: RcutilsLogger) -> None:
        super().__init__()
        self._logger = logger
        self._thread = 0

    def attach(self) -> None:
        """Begin, in the thread whose records are this node's."""
        self._thread = get_ident()
        _package.addHandler(self)
        _package.setLevel(logging.DEBUG)  # the ROS logger has a level of its own

    def detach(self) -> None:
        """End."""
        _package.removeHandler(self)
        if not any(isinstance(each, RosLogHandler) for each in _package.handlers):
            _package.setLevel(logging.NOTSET)  # as the program has set its root logger

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record at the ROS severity of its level."""
        attached = [each for each in _package.handlers if isinstance(each, RosLogHandler)]
        if self is min(attached, key=lambda each: each._thread != record.thread, default=None):
            _METHODS[record.levelno](self._logger, self.format(record))


_TRANSPORTS = "FASTDDS_BUILTIN_TRANSPORTS"
# Where Humble adds transports of this machine to those of a profile, which stay open to the network
# (create_participant in rmw_fastrtps_shared_cpp). Later distributions replace no transports.
_LOCAL_HUMBLE = {"ROS_DISTRO": "humble", "ROS_LOCALHOST_ONLY": "1"}
_READING_THREADS = "dds.shm"  # how the names of the threads that read shared memory begin


def large_images_profile() -> str:
    """Return the path of the profile that a process needs to publish raw images."""
    return str(config_path("large_images.xml"))


def profile_variable() -> str:
    """Return the environment variable that names the profile for this machine's Fast DDS.

    Version 3 (Kilted) renamed the variable and the package, and warns about the old name.
    """
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    if any(Path(prefix, "share", "fastdds").is_dir() for prefix in prefixes):
        return "FASTDDS_DEFAULT_PROFILES_FILE"
    return "FASTRTPS_DEFAULT_PROFILES_FILE"


def large_images_environment() -> dict[str, str]:
    """Return this process's environment with the profile, unless the user has chosen another.

    Transports that the user has chosen also stay; a profile would override them. So does Humble's
    restriction to this machine.
    """
    if _TRANSPORTS in os.environ or _LOCAL_HUMBLE.items() <= os.environ.items():
        return dict(os.environ)
    return {profile_variable(): large_images_profile(), **os.environ}


def use_large_images() -> None:
    """Use the profile for what this process publishes; call it before `rclpy.init`.

    A raw annotated image overruns the default shared memory, and the poses are lost with it: they
    are sent again only when Fast DDS notices, seconds later.
    """
    os.environ.update(large_images_environment())


def prioritize_reading(
    priority: int, logger: RcutilsLogger, threads: Path = Path("/proc/self/task")
) -> None:
    """Give the threads that read shared memory a real-time priority (SCHED_FIFO), and log it.

    Fast DDS sends an image through shared memory in pieces, 0.5 MB at a time by default. Pieces
    that are not read within about 0.1 ms are overwritten, and the rest of a best-effort image is
    dropped. On two busy cores a normal thread came too late for 86 % of the 1280 x 720 images, a
    real-time one for 47 %. Reading a piece takes 0.02 ms.

    Args:
        priority: 1 to 99; even 1 precedes every normal thread of the machine.
        logger: the node's.
        threads: where the kernel lists this process's threads.
    """
    count = 0
    for thread in threads.iterdir():
        try:
            if (thread / "comm").read_text().startswith(_READING_THREADS):
                os.sched_setscheduler(int(thread.name), os.SCHED_FIFO, os.sched_param(priority))
                count += 1
        except PermissionError:
            logger.warning(
                f"parameter 'receive_priority' is {priority}, but this process may not use "
                "real-time priorities: run it as root or raise its limit rtprio "
                "(/etc/security/limits.conf)"
            )
            return
        except OSError:  # the thread has just ended
            continue
    if count:
        logger.info(f"{count} threads that read shared memory have real-time priority {priority}")
    else:
        logger.warning(
            f"parameter 'receive_priority' is {priority}, but no thread of Fast DDS reads shared "
            "memory here: it has no effect"
        )
