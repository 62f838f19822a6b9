# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from sighted import BLUE, GREEN, RED, SECOND, Someone, people

from kp_pose_ros.following.follower import NOBODY, Follower, Sight

STEP = SECOND // 10
TARGET = Someone(7, x=-0.8)


class Run:
    """A follower of TARGET, who stood beside others for a second, or another number of images."""

    def __init__(self, *others, images=10):
        self.stamp = 0
        self.follower = Follower(people(TARGET, *others), 0, 0)
        self.show(TARGET, *others, images=images)

    def show(self, *someone, images=1, **options):
        """Show the same people again and again; return the last sight and who it is, by place."""
        for _ in range(images):
            self.stamp += STEP
            sight, index = self.follower.update(people(*someone, **options), self.stamp)
        return sight, someone[index] if index != NOBODY else None


STRANGER = Someone(3, x=0.8, colour=BLUE)
TWIN = Someone(3, x=0.8)
FAST = np.arange(5.0, 0.6, -0.2).tolist()  # metres from the camera, at 2 m/s


@pytest.mark.parametrize("colour", [RED, None], ids=["colours", "no image"])
@pytest.mark.parametrize("depth", [True, False], ids=["depth", "no depth"])
def test_a_target_with_another_id_at_the_same_place_is_confirmed_within_half_a_second(
    colour, depth
):
    run = Run()
    renamed = Someone(9, x=-0.8, colour=colour, depth=depth)
    assert run.show(renamed) == (Sight.AMBIGUOUS, None)
    assert run.show(renamed, images=4) == (Sight.VISIBLE, renamed)


def test_ids_that_are_swapped_do_not_swap_people():
    run = Run(STRANGER)
    target, stranger = Someone(3, x=-0.8), Someone(7, x=0.8, colour=BLUE)
    assert run.show(target, stranger)[1] is None
    assert run.show(target, stranger, images=5) == (Sight.VISIBLE, target)


def test_a_stranger_who_gets_the_targets_id_is_not_the_target():
    run = Run(STRANGER)
    assert run.show(Someone(7, x=0.8, colour=BLUE), images=20)[1] is None


def test_a_stranger_in_other_clothes_at_the_targets_place_is_not_the_target():
    run = Run()
    run.show(images=10)
    assert run.show(Someone(9, x=-0.8, colour=GREEN), images=20)[1] is None


def test_a_person_in_the_same_clothes_who_was_always_beside_the_target_is_not_the_target():
    run = Run(TWIN)
    assert run.show(TWIN, images=20) == (Sight.ABSENT, None)


def test_a_track_that_was_seen_beside_the_target_does_not_become_the_target():
    run = Run(TWIN)
    run.show(images=8)
    assert run.show(Someone(3, x=-0.8), images=10)[1] is None


def test_two_people_in_the_same_clothes_of_whom_one_may_be_the_target_are_ambiguous():
    run = Run(TWIN)
    run.show(images=5)
    newcomers = Someone(8, x=-0.9), Someone(9, x=-0.7)
    assert run.show(*newcomers, images=10) == (Sight.AMBIGUOUS, None)


def test_a_hidden_target_is_found_again_by_place_and_clothes():
    run = Run(STRANGER)
    run.show(STRANGER, images=20)
    back = Someone(9, x=-0.6)
    assert run.show(STRANGER, back, images=5) == (Sight.VISIBLE, back)


def test_a_target_that_was_hardly_seen_is_not_found_again():
    run = Run(STRANGER, images=4)
    run.show(STRANGER, images=5)
    assert run.show(STRANGER, Someone(9, x=-0.8), images=10)[1] is None


def test_the_place_of_a_new_track_counts_when_it_begins():
    """Somebody who walks to where the target vanished is not the target for that."""
    run = Run()
    run.show(images=5)
    for x in np.linspace(1.8, -0.8, 14):
        run.show(Someone(9, x=float(x), colour=None))
    assert run.show(Someone(9, x=-0.8, colour=None), images=10)[1] is None


@pytest.mark.parametrize(
    ("x", "found"),
    [
        pytest.param(-0.1, True, id="where the glimpse was"),
        pytest.param(-1.6, False, id="on the other side"),
    ],
)
def test_after_a_glimpse_of_the_target_it_is_found_again_only_near_there(x, found):
    run = Run()
    run.show(images=5)
    run.show(Someone(8, x=-0.2), images=3)  # too short to be recognized
    run.show(images=5)
    back = Someone(9, x=x)
    assert run.show(back, images=10)[1] == (back if found else None)


def test_twins_who_meet_at_one_distance_are_ambiguous_afterwards():
    run = Run(TWIN)
    for share in np.linspace(0, 1, 8):
        run.show(Someone(7, x=-0.8 + 0.8 * share), Someone(3, x=0.8 - 0.8 * share))
    run.show(Someone(7, x=0.0), Someone(3, x=0.0), images=5)  # they stop
    run.show(Someone(3, x=0.0), images=5)
    apart = Someone(7, x=0.4), Someone(3, x=-0.4)
    assert run.show(*apart, images=10) == (Sight.AMBIGUOUS, None)


def test_twins_who_pass_at_different_distances_are_told_apart():
    near, far = Someone(7, x=-0.8, z=2.0), Someone(3, x=0.8, z=4.0)
    run = Run()
    run.follower = Follower(people(near, far), 0, run.stamp)
    for share in np.linspace(0, 1, 20):
        near = Someone(7, x=-0.8 + 1.6 * share, z=2.0)
        sight = run.show(near, Someone(3, x=0.8 - 1.6 * share, z=4.0))
        assert sight == (Sight.VISIBLE, near)


def test_a_turning_camera_shifts_everybody():
    others = STRANGER, Someone(4, x=0.2, z=4.0, colour=GREEN)
    run = Run(*others)
    assert run.show(TARGET, *others, shift=150.0) == (Sight.VISIBLE, TARGET)


@pytest.mark.parametrize("depth", [True, False], ids=["depth", "no depth"])
def test_a_target_who_walks_fast_towards_the_camera_stays_visible(depth):
    run = Run()
    run.follower = Follower(people(Someone(7, z=5.0)), 0, run.stamp)
    sights = [run.show(Someone(7, z=z, depth=depth))[0] for z in [5.0] * 10 + FAST]
    assert set(sights) == {Sight.VISIBLE}


def test_time_that_a_late_image_repeats_is_not_counted_twice():
    """After more than a quarter of a second out of sight, the target is not certain at once."""
    run = Run()
    for seconds in (0.2, 0.0, 0.2):
        run.follower.update(people(), run.stamp + round(seconds * SECOND))
    sight, _ = run.follower.update(people(TARGET), run.stamp + round(0.24 * SECOND))
    assert sight is Sight.VISIBLE


def test_in_an_empty_image_the_target_is_absent():
    assert Run().show() == (Sight.ABSENT, None)
