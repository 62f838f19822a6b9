# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Robots, cameras and people whose activities are known, and the records that a broker receives.

Images and people are lost, keypoints are noisy or hidden, a robot is offline for ten seconds, a
segment of records is sent twice, and a pose node is restarted.
"""

from collections import Counter
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from kp_pose_ros.output.json_records import Recorder
from kp_pose_ros.poses import ABSENT, OBSERVED, Poses
from kp_pose_ros.skeleton import Skeleton, Vocabulary

RATE = 15  # images a second
WIDTH, HEIGHT = 1920, 1080
COCO = Skeleton.builtin("coco17")

# A standing person in torso lengths, x to the right and y down, the hips' middle at the origin.
STANDING = {
    **{"nose": (0, -1.4), "left_eye": (0.06, -1.46), "right_eye": (-0.06, -1.46)},
    **{"left_ear": (0.12, -1.42), "right_ear": (-0.12, -1.42)},
    **{"left_shoulder": (0.35, -1), "right_shoulder": (-0.35, -1)},
    **{"left_elbow": (0.45, -0.45), "right_elbow": (-0.45, -0.45)},
    **{"left_wrist": (0.48, 0.05), "right_wrist": (-0.48, 0.05)},
    **{"left_hip": (0.2, 0), "right_hip": (-0.2, 0)},
    **{"left_knee": (0.2, 0.85), "right_knee": (-0.2, 0.85)},
    **{"left_ankle": (0.2, 1.7), "right_ankle": (-0.2, 1.7)},
}
ARM_UP = {"right_elbow": (-0.5, -1.35), "right_wrist": (-0.45, -1.9)}


@dataclass
class Truth:
    """One activity as it was: of people (two for a pair), in seconds."""

    camera: str
    activity: str
    people: tuple[int, ...]
    start: float
    end: float


def body(action, t, phase):
    """Return the keypoints, in torso lengths, of a person `t` seconds into an action."""
    points = dict(STANDING)
    if action in ("raise", "scratch"):
        points.update(ARM_UP)
    elif action == "wave":
        swing = 0.5 * np.sin(2 * np.pi * 1.2 * t + phase)
        points["left_elbow"] = (0.6, -0.75)
        points["left_wrist"] = (0.6 + swing, -1.2)
    elif action == "bend":  # the torso forward, the legs as they were
        for name, (x, y) in points.items():
            if y < -0.1:
                points[name] = (-y, x * 0.2)
    if action in ("lie", "lie with a hand up"):
        points = {name: (-y, x * 0.5) for name, (x, y) in points.items()}
        if action == "lie with a hand up":
            x, y = points["left_shoulder"]
            points["left_wrist"] = (x, y - 0.9)
    return points


@dataclass
class Person:
    """A person in a lane of the image, and what they do one after the other."""

    number: int
    lane: float
    torso: float
    phase: float
    script: list  # (action, seconds)

    def truths(self, camera):
        """Yield the activities to be found."""
        rules = {
            "raise": "raised_hand",
            "wave": "waving",
            "lie": "fallen",
            "stand": "standing_still",
        }
        rules["lie with a hand up"] = "fallen"
        start = 0.0
        for action, seconds in self.script:
            if action in rules and seconds > 1.8:
                yield Truth(camera, rules[action], (self.number,), start, start + seconds)
            if camera == "door" and action == "through the door":
                # The zone is 0.35 to 0.65 of the width, and the path crosses it at constant
                # speed.
                yield Truth(
                    camera,
                    "in_doorway",
                    (self.number,),
                    start + 0.35 * seconds,
                    start + 0.65 * seconds,
                )
            start += seconds

    def at(self, time):
        """Return the (17, 2) keypoints in pixels."""
        start = 0.0
        for action, seconds in self.script:  # noqa: B007  used below
            if time < start + seconds:
                break
            start += seconds
        t = time - start
        shape = body(action, t, self.phase)
        points = np.array([shape[name] for name in COCO.keypoint_names])
        x, y = self.lane, 0.55 * HEIGHT
        if action == "walk":  # to and fro, two torso lengths a second
            x += self.torso * (1 - abs(1 - 2 * t % 2))
        elif action == "through the door":
            x = WIDTH * t / seconds
        elif action == "lie" or action == "lie with a hand up":
            y += self.torso * 1.5
        return points * self.torso + (x, y)


ACTIONS = {  # seconds, from and to
    "raise": (2.5, 4),
    "wave": (3, 4.2),
    "lie": (5, 8),
    "lie with a hand up": (5, 7),
    "bend": (3.5, 4.2),
    "stand": (7.5, 9),
    "scratch": (0.2, 0.25),
}


def script(random, seconds):
    """Return what a person does: activities, and a walk between them."""
    found = [("walk", 3.0)]
    while sum(length for _, length in found) < seconds:
        action = random.choice([*ACTIONS])
        found += [(str(action), float(random.uniform(*ACTIONS[action]))), ("walk", 3.0)]
    # Nobody can tell whether what the recording cuts off was going to be an activity.
    while sum(length for _, length in found) > seconds - 2:
        found = found[:-2]
    return [*found, ("walk", 1000.0)]


@dataclass
class Camera:
    """One camera's records, and the truth of what it saw."""

    robot: str
    name: str
    records: list = field(default_factory=list)
    truths: list = field(default_factory=list)
    people: dict = field(default_factory=dict)  # by (session, track id): number of the person


def watch(random, robot, name, people, seconds, *, id_changes=False, restart=None):
    """Return a camera that has seen people for so many seconds."""
    camera = Camera(robot, name)
    recorder = Recorder(
        Vocabulary(COCO, ("person",)), robot=robot, camera=name, session=f"{robot}-{name}-1"
    )
    ids = count(1)
    track_ids = {person.number: next(ids) for person in people}
    changes = []
    for person in people:
        for truth in person.truths(name):
            if id_changes and len(changes) % 2 == 0:
                changes.append((truth.start + 0.5 * (truth.end - truth.start), person.number))
            elif id_changes:
                changes.append((np.inf, person.number))
            camera.truths.append(truth)
    lost_until = Counter()
    for image in range(round(seconds * RATE)):
        time = image / RATE
        if random.random() < 0.03:
            continue
        for change in [each for each in changes if each[0] <= time]:
            changes.remove(change)
            track_ids[change[1]] = next(ids)
        if restart is not None and time >= restart:
            restart, ids = None, count(1)
            track_ids = {person.number: next(ids) for person in people}
            recorder.begin_session()
        seen = []
        for person in people:
            if random.random() < 0.02 / RATE * 3:
                lost_until[person.number] = time + random.uniform(0.1, 0.3)
            if time >= lost_until[person.number]:
                seen.append(person)
        poses = picture(random, seen, [track_ids[person.number] for person in seen], time)
        stamp = round(1_700_000_000e9 + time * 1e9)
        record = recorder.record(
            poses, stamp=stamp, frame_id=f"{name}_optical", size=(HEIGHT, WIDTH)
        )
        camera.records.append(record)
        for person in seen:
            camera.people[record["session"], track_ids[person.number]] = person.number
    return camera


def picture(random, people, track_ids, time):
    """Return what the network detects of people: noisy keypoints, some of them missing."""
    n = len(people)
    keypoints = np.zeros((n, 17, 3), np.float32)
    states = np.full((n, 17), OBSERVED, np.uint8)
    for index, person in enumerate(people):
        noise = random.normal(0, 0.015 * person.torso, (17, 2))
        keypoints[index, :, :2] = person.at(time) + noise
        keypoints[index, :, 2] = random.uniform(0.6, 1, 17)
        hidden = random.random(17) < 0.02
        states[index, hidden] = ABSENT
    boxes = [[*each[:, :2].min(0), *each[:, :2].max(0)] for each in keypoints]
    return Poses(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.full(n, 0.9, np.float32),
        keypoints=keypoints,
        track_ids=np.array(track_ids, np.int32),
        states=states,
    )


def cameras(seed, seconds=75.0, *, id_changes=False):
    """Return two robots with three cameras each, one of which has a restart."""
    random = np.random.default_rng(seed)
    found = []
    for robot in ("r1", "r2"):
        crowd = [
            Person(
                number,
                250 + 480 * number,
                random.uniform(60, 90),
                random.uniform(0, 6),
                script(random, seconds),
            )
            for number in range(4)
        ]
        found.append(watch(random, robot, "front", crowd, seconds, id_changes=id_changes))
        door = Person(0, 300, 90, 0, [("walk", 3.0), ("through the door", 10.0), ("walk", 1000.0)])
        found.append(watch(random, robot, "door", [door], 20.0))
        found.append(pair(random, robot))
    return found


def pair(random, robot):
    """Return a camera that sees one person walk past another; then its node is restarted."""
    waiting = Person(0, 960, 100, 0, [("walk", 3.0), ("stand", 1000.0)])
    passing = Person(1, 700, 100, 0, [("through the door", 16.0), ("walk", 1000.0)])
    camera = watch(random, robot, "hall", [waiting, passing], 30.0, restart=20.0)
    speed = WIDTH / 16.0
    near = 1.5 * 100
    camera.truths = [
        Truth("hall", "close_together", (0, 1), (960 - near) / speed, (960 + near) / speed),
        Truth("hall", "standing_still", (0,), 3.0, 20.0),
        Truth("hall", "standing_still", (0,), 20.0, 30.0),
    ]
    return camera


def arrivals(cameras, seed):
    """Return all records in the order in which a broker gets them."""
    random = np.random.default_rng(seed)
    queues = []
    for camera in cameras:
        records = list(camera.records)
        again = int(random.integers(60, len(records) - 1))
        records[again:again] = records[again - 50 : again]  # sent twice
        late = 10_000 if camera.robot == "r2" else 0  # offline for ten seconds
        order, newest = [], 0
        for record in records:
            age = record["stamp_ms"] - camera.records[0]["stamp_ms"]
            offline = 5_000 <= age < 15_000
            newest = max(newest, age + (15_000 - age if late and offline else 0))
            order.append((newest, record))
        queues += order
    return [record for _, record in sorted(queues, key=lambda each: each[0])]
