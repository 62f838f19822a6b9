# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The people in an image, and a remembered person."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from kp_pose_ros.following.clothes import Views
from kp_pose_ros.following.kinematics import TORSO_OF_BOX, Filter
from kp_pose_ros.poses import Array, Ints, Poses

MOMENT = 0.25  # seconds; after a longer time out of sight a track may be another person's

# Evidence, in natural logarithms of likelihood ratios.
_KNOWN = 1.5  # that a person in the image was seen before and is not a stranger
_SAME_ID = 3.0  # that a track_id means the same person as before, if nobody came near
_BLIND = 6.0  # needed to recognize a person without their clothes
_OTHER_CLOTHES = -1.0  # from clothes; below this they count as another person's
# Clothes: the standard deviation of the distance between two histograms of one person, the share
# of histograms that are outliers (wrong keypoints, half hidden), and the share of strangers in the
# same clothes; measured with the pedestrians of vtest.avi.
_SAME_CLOTHES, _OUTLIERS, _LOOKALIKES = 0.16, 0.06, 0.08

# Squared Mahalanobis distance beyond which a detection is a jump; and the limit that applies right
# after a jump (which may have been a single bad detection), near other people, and where clothes
# are unknown.
GATE, _NARROW_GATE = 14.0, 5.0


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """The n people with a track in one image.

    Attributes:
        poses: their poses; all have a track_id.
        positions: (n, 3) metres from the camera, x right, y down, z forward; NaN where not known.
        velocities: (n, 3) metres / s; NaN where not known.
        histograms: (n, PARTS, BINS), see `clothes`; NaN where not known.
        coordinates: (n, COORDINATES), see `kinematics`.
        size: (height, width) of the image.
    """

    poses: Poses
    positions: Array
    velocities: Array
    histograms: Array
    coordinates: Array
    size: tuple[int, int]

    @property
    def track_ids(self) -> Ints:
        """Their (n,) ids, 0 and up."""
        return self.poses.track_ids

    def __len__(self) -> int:
        return len(self.poses)

    def filter_of(self, index: int) -> Filter:
        """Return a filter that begins with one of the people."""
        _, top, _, bottom = self.poses.boxes[index].tolist()
        found = Filter(max(1.0, TORSO_OF_BOX * (bottom - top)))  # the torso may not be visible yet
        found.correct(self.coordinates[index])
        return found


@dataclass(slots=True, eq=False)
class Person:
    """A remembered person.

    Attributes:
        track_id: the latest track id.
        trust: 0 to 1, how certain it is that the id still means the same person.
        has_jumped: whether the latest detection with that id was too far off to be the same person.
        is_mixed: whether the person came near the target since the target was last seen, so that
            the one may have been taken for the other.
    """

    track_id: int
    filter: Filter
    trust: float = 1.0
    has_jumped: bool = False
    is_mixed: bool = False
    views: Views = field(default_factory=Views)

    @classmethod
    def first_seen(cls, people: People, index: int) -> Person:
        """Return a person who is remembered from this image on."""
        person = cls(int(people.track_ids[index]), people.filter_of(index))
        person.views.learn(people.histograms[index])
        return person

    def evidence(self, people: People, fits: Array | None = None) -> Array:
        """Return how much likelier each person in an image is this one than a stranger, (n,).

        Args:
            people: those in the image.
            fits: (n,), how well their positions fit; None: as they do now.
        """
        if fits is None:
            fits = self.filter.evidence(people.coordinates, people.size)
        same_id = people.track_ids == self.track_id
        total: Array = fits + _KNOWN + self.clothes(people) + _SAME_ID * self.trust * same_id
        return total

    def clothes(self, people: People) -> Array:
        """Return how well people's clothes fit, (n,); 0 where they are not known."""
        return _clothes_evidence(self.views.distances(people.histograms))

    def is_continued(self, people: People, index: int) -> bool:
        """Return whether a detection plainly continues this person's track.

        It has the same id after no more than MOMENT, no jump in position or size, and no other
        clothes.
        """
        if self.track_id != people.track_ids[index] or self.filter.unseen > MOMENT:
            return False
        clothes = self.clothes(people)[index]
        is_doubtful = self.has_jumped or self.trust < 1 or clothes <= 0
        limit = _NARROW_GATE if is_doubtful else GATE
        is_near = self.filter.squared_distance(people.coordinates[index]) <= limit
        return bool(is_near and clothes >= _OTHER_CLOTHES)

    def fits(self, people: People, index: int, evidence: float) -> bool:
        """Return whether a detection may be this person: by the clothes, or without them."""
        clothes = self.clothes(people)[index]
        is_recognized = clothes > 0 or (evidence >= _BLIND and clothes >= _OTHER_CLOTHES)
        return self.is_continued(people, index) or bool(is_recognized)


def _clothes_evidence(distances: Array) -> Array:
    """Return the evidence that histograms at these distances show one person, not two: (n,)."""
    same = np.exp(-0.5 * (distances / _SAME_CLOTHES) ** 2)
    same *= 2 / (_SAME_CLOTHES * math.sqrt(2 * math.pi))  # half of a normal distribution
    same = (1 - _OUTLIERS) * same + _OUTLIERS
    other = (1 - _LOOKALIKES) * 2 * distances + _LOOKALIKES * same
    evidence = np.log(same / other)
    return np.where(np.isfinite(evidence), evidence, 0)
