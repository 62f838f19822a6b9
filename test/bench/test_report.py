# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import math
from argparse import Namespace
from collections import Counter
from types import SimpleNamespace

import pytest

from kp_pose_ros.bench import report as bench_report
from kp_pose_ros.bench.measure import CameraRound, NodeRound, Rounds
from kp_pose_ros.bench.report import facts_table, results_table

TOLD = {"power VDD_IN (W)": 7.5, "clock GPU (MHz)": 612.0, "memory GPU in use (MB)": 900.0}


def round_of(answered=(10, 30), *, readings=TOLD, memory=100 << 20, **stages):
    cameras = CameraRound(2.0, [40, 40], list(answered), [0.010, 0.020], cpu_seconds=1.5)
    became = Counter(received=sum(answered) + 5, processed=sum(answered), dropped=5)
    return NodeRound(cameras, {"infer": [0.002], **stages}, became, memory, readings)


def results(node, network=None, relay=None, others=0.0):
    """Cells of the table of rounds; the relay answers twice as often at half the cost."""
    count = len(next(iter(node.values())))
    relay = relay or [CameraRound(2.0, [80], [80], [0.005], cpu_seconds=1.5)] * count
    return cells(results_table(Rounds(network or [40.0] * count, relay, node), others))


def cells(table):
    """Rows of a Markdown table by their first cell."""
    rows = [[each.strip() for each in line.strip("|").split("|")] for line in table.splitlines()]
    return {name: values for name, *values in rows}


def test_each_way_to_run_the_node_has_a_column():
    overlaid = round_of(annotate=[0.004])
    table = results({False: [round_of()], True: [overlaid]})
    assert table[""] == ["without overlay", "with overlay"]
    assert table["annotate, ms (p50, p95, p99)"] == ["", "4.00 4.00 4.00"]
    assert table["infer, ms (p50, p95, p99)"] == ["2.00 2.00 2.00"] * 2
    assert list(table).index("annotate, ms (p50, p95, p99)") < list(table).index("power VDD_IN (W)")


def test_rates_shares_and_losses_are_those_of_the_cameras():
    table = results({False: [round_of()]})
    assert table["node, frames/s"] == ["20.00"]
    assert table["sent by each camera, frames/s"] == ["20.0 20.0"]
    assert table["share of each camera"] == ["0.250 0.750"]
    assert table["frames that reached the node"] == ["45 = 40 processed + 5 dropped"]
    assert table["camera stamp -> poses, ms (p50, p95, p99)"] == ["15.00 19.50 19.90"]
    assert table["CPU of the node, % of a core"] == ["75"]


def test_the_node_stands_beside_its_network_and_the_relay():
    table = results({False: [round_of()]})
    assert table["relay, frames/s"] == ["40.00"]
    assert table["node, CPU ms a frame"] == ["37.50"]
    assert table["node, p50 ms"] == ["15.00"]
    assert table["node / network alone, frames/s"] == ["0.50"]
    assert table["node / relay, frames/s"] == ["0.50"]
    assert table["node / relay, CPU ms a frame"] == ["2.00"]
    assert table["node / relay, p50 ms"] == ["3.00"]


def test_ratios_are_taken_within_a_round():
    """The machine is four times as fast in one round as in the two others."""
    node = {False: [round_of(), round_of((40, 120)), round_of()]}
    assert results(node, [40.0, 160.0, 40.0])["node / network alone, frames/s"] == ["0.50"]


@pytest.mark.parametrize(
    ("others", "ratio"),
    [
        pytest.param(0.09, "0.50", id="an idle machine"),
        pytest.param(
            0.11, "0.50, machine too busy", id="a machine that does something else as well"
        ),
    ],
)
def test_ratios_of_a_busy_machine_say_so(others, ratio):
    table = results({False: [round_of()]}, others=others)
    for name in ("node / network alone, frames/s", "node / relay, frames/s"):
        assert table[name] == [ratio]
    assert table["CPU of other processes, % of the cores"] == [f"{100 * others:.0f}"]


def test_what_the_machine_told_is_averaged_and_what_it_did_not_tell_is_named():
    later = round_of(readings={**TOLD, "power VDD_IN (W)": 8.5})
    table = results({False: [round_of(), later]})
    assert table["power VDD_IN (W)"] == ["8.0"]
    assert table["clock GPU (MHz)"] == ["612.0"]
    assert table["temperature (C)"] == ["not measured here"]


def test_growth_of_memory_is_told_only_over_frames():
    two = [round_of(memory=50 << 20), round_of()]
    assert "its growth, MB" not in results({False: two})
    three = {False: [*two, round_of(memory=101 << 20)]}
    assert results(three)["its growth, MB"] == ["+1.00 over 40 frames"]


def test_no_answer_is_no_division_by_zero():
    table = results({False: [round_of((0, 0))]})
    assert table["share of each camera"] == ["0.000 0.000"]
    assert not math.isnan(float(table["node, frames/s"][0]))


@pytest.mark.parametrize(
    ("engine", "precision"),
    [
        pytest.param("TensorRT 10.3.0 on Orin", "int8", id="the engine that has a choice"),
        pytest.param("ONNX Runtime 1.31.0 on the CPU", "fp32", id="the one that has none"),
        pytest.param("OpenVINO 2026.4 on CPU (bf16)", "bf16", id="the one that chooses itself"),
    ],
)
def test_facts_name_board_power_mode_and_what_ran(monkeypatch, engine, precision):
    monkeypatch.setattr(bench_report, "board_name", lambda: "Orin Nano")
    monkeypatch.setattr(bench_report, "power_mode", lambda: "15W")
    model = SimpleNamespace(
        path=SimpleNamespace(name="yolo11n-pose.pt"), network_size=lambda *_: (384, 640)
    )
    settings = SimpleNamespace(imgsz=None, precision="int8")
    args = Namespace(size=[720, 1280], rate=30.0, cameras=4)
    table = cells(facts_table(model, engine, settings, args, 2.5))
    assert table["board"] == ["Orin Nano"]
    assert table["power mode"] == ["15W"]
    assert table["precision"] == [precision]
    assert table["network input"] == ["384 x 640"]
    assert table["cameras"] == ["4 of 720 x 1280 bgr8, 30 Hz"]


def test_a_machine_without_power_modes_says_so(monkeypatch):
    monkeypatch.setenv("PATH", "")
    model = SimpleNamespace(
        path=SimpleNamespace(name="yolo11n-pose.pt"), network_size=lambda *_: (384, 640)
    )
    args = Namespace(size=[720, 1280], rate=0.0, cameras=1)
    settings = SimpleNamespace(imgsz=None, precision="fp16")
    table = cells(facts_table(model, "ONNX Runtime", settings, args, 2.5))
    assert table["power mode"] == ["not measured here"]
    assert table["cameras"] == ["1 of 720 x 1280 bgr8, a frame as soon as one is answered"]
