# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest
from rclpy.qos import QoSCompatibility, ReliabilityPolicy, qos_check_compatible

from kp_pose_ros.ros.messages import NEWEST, RESULTS, image_qos, wanted_reliability

BEST_EFFORT, RELIABLE = ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE


@pytest.mark.parametrize(
    ("parameter", "offered", "wanted"),
    [
        pytest.param("auto", [], BEST_EFFORT, id="nobody publishes yet"),
        pytest.param("auto", [RELIABLE], RELIABLE, id="a reliable camera"),
        pytest.param("auto", [BEST_EFFORT], BEST_EFFORT, id="a best-effort camera"),
        pytest.param("auto", [RELIABLE, BEST_EFFORT], BEST_EFFORT, id="one of each"),
        pytest.param("sensor_data", [RELIABLE], BEST_EFFORT, id="sensor_data asked for"),
        pytest.param("reliable", [BEST_EFFORT], RELIABLE, id="reliable asked for"),
    ],
)
def test_the_reliability_asked_of_a_camera(parameter, offered, wanted):
    assert wanted_reliability(parameter, offered) == wanted


@pytest.mark.parametrize("offered", [[BEST_EFFORT], [RELIABLE], [BEST_EFFORT, RELIABLE]])
def test_auto_matches_every_publisher(offered):
    asked = image_qos(wanted_reliability("auto", offered))
    for reliability in offered:
        compatibility, reason = qos_check_compatible(image_qos(reliability), asked)
        assert compatibility != QoSCompatibility.ERROR, reason


@pytest.mark.parametrize("profile", [RESULTS, NEWEST], ids=["poses", "annotated"])
@pytest.mark.parametrize("reliability", [BEST_EFFORT, RELIABLE])
def test_results_match_every_consumer(profile, reliability):
    compatibility, reason = qos_check_compatible(profile, image_qos(reliability))
    assert compatibility != QoSCompatibility.ERROR, reason
