# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import io
import logging

from kp_pose_ros.inference import progress

CLOCK = "kp_pose_ros.inference.progress.time.monotonic"


def test_the_log_gets_a_line_every_five_seconds(clock, caplog):
    caplog.set_level(logging.INFO)
    report = progress.ProgressLog()
    report.begin()
    for step in range(48):
        clock[0] += 0.25
        report("Timing tactics", step, 48)
    assert caplog.messages == [
        "building engine for 5 s: Timing tactics, 19 of 48",
        "building engine for 10 s: Timing tactics, 39 of 48",
    ]


def test_the_status_says_what_goes_on_from_beginning_to_end(clock):
    report = progress.ProgressLog()
    assert report.status == ""
    for _ in range(2):
        report.begin()
        clock[0] += 3
        assert report.status == "building engine for 3 s"
        report("Timing tactics", 19, 48)
        clock[0] += 1
        assert report.status == "building engine for 4 s: Timing tactics, 19 of 48"
        report.end()
        assert report.status == ""


def test_the_status_says_that_another_process_is_building(clock):
    report = progress.ProgressLog()
    with report.waiting():
        clock[0] += 3
        assert report.status == "building engine for 3 s: waiting for another process"
    assert report.status == ""


def test_the_bar_shows_phase_and_steps_on_one_line():
    terminal = io.StringIO()
    bar = progress.ProgressBar(terminal)
    bar.begin()
    for phase in ("Optimizing graph", "Timing tactics"):
        for step in range(3):
            bar(phase, step, 2)
    bar.end()
    drawn = terminal.getvalue()
    assert drawn.count("\n") == 1
    assert drawn.rstrip().split("\r")[-1].startswith("Timing tactics: 100%")
    assert "2/2" in drawn


def test_a_bar_that_was_never_drawn_leaves_no_empty_line():
    terminal = io.StringIO()
    bar = progress.ProgressBar(terminal)
    bar.begin()
    bar.end()
    assert terminal.getvalue() == ""
