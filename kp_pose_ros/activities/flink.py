# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rules -> the SQL of a Flink job that finds the same events as `engine.py`.

Rows are ordered by arrival (PROCTIME), which within a camera is the order of its images: a robot
that was offline sends late, and with event time a watermark would drop its records. All times in
rules are stamps in the rows. Every step is a window over one partition, so the state of a person
expires with `table.exec.state.ttl`. Rows are compared with LAG because a quantified MATCH_RECOGNIZE
keeps all rows of a run until it ends, and cannot detect that a run ended because no row followed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kp_pose_ros.activities.evaluate import LAGS, SPEED_AGE, SPEED_SPAN
from kp_pose_ros.activities.language import PEOPLE, terms_of
from kp_pose_ros.activities.rules import Rule
from kp_pose_ros.activities.sql_terms import AXES, Columns, quoted

SETTINGS = """\
SET 'table.exec.state.ttl' = '1 h';
"""

_COLUMNS = {
    "poses_in": """\
  robot STRING,
  camera STRING,
  session STRING,
  seq BIGINT,
  stamp_ms BIGINT,
  width DOUBLE,
  height DOUBLE,
  poses ARRAY<{person}>,
  gone ARRAY<{person}>,
  arrival AS PROCTIME()""",
    "events_out": """\
  v INT,
  robot STRING,
  camera STRING,
  session STRING,
  activity STRING,
  state STRING,
  track_ids ARRAY<INT>,
  since_ms BIGINT,
  until_ms BIGINT,
  stamp_ms BIGINT,
  images BIGINT""",
}

_CARRIED = "robot, camera, session, stamp_ms, arrival, closing"

# Records that are not repeats, in the order of arrival. The first record of a session is preceded
# by a closing copy of the people in the image before it, since they end with their session.
_IMAGES = """\
CREATE TEMPORARY VIEW kp_numbered AS
SELECT *, MAX(seq) OVER (PARTITION BY robot, camera, session ORDER BY arrival
  ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS newest
FROM poses_in
WHERE stamp_ms IS NOT NULL;

CREATE TEMPORARY VIEW kp_images AS
SELECT robot, camera, session, seq, stamp_ms, width, height, arrival,
  ARRAY_CONCAT(poses, gone) AS people, LAG(ARRAY_CONCAT(poses, gone)) OVER w AS last_people,
  LAG(session) OVER w AS last_session, LAG(seq) OVER w AS last_seq
FROM kp_numbered
WHERE seq = newest
WINDOW w AS (PARTITION BY robot, camera ORDER BY arrival);

CREATE TEMPORARY VIEW kp_people AS
SELECT robot, camera, stamp_ms, width, height, arrival, closing,
  CASE WHEN closing THEN last_session ELSE session END AS session,
  CASE WHEN closing THEN last_people ELSE people END AS people
FROM kp_images
CROSS JOIN UNNEST(CASE WHEN last_session <> session THEN ARRAY[TRUE, FALSE] ELSE ARRAY[FALSE] END)
  AS c (closing)
WHERE last_session IS NULL OR last_session <> session OR last_seq <> seq;
"""

# From conditions to events, as in `engine.py`: a run of images is over when the next image in which
# the condition holds is more than gap_ms later.
_EVENTS = """\
CREATE TEMPORARY VIEW kp_held AS
SELECT *,
  MAX(CASE WHEN holds THEN stamp_ms END) OVER w AS until_ms,
  COUNT(CASE WHEN holds THEN 1 END) OVER w AS images_held
FROM kp_conditions
WINDOW w AS (PARTITION BY robot, camera, session, a_id, b_id, activity ORDER BY arrival
  ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW);

CREATE TEMPORARY VIEW kp_begun AS
SELECT *, holds AND (last_until IS NULL OR stamp_ms - last_until > gap_ms) AS begins
FROM (
  SELECT *, LAG(until_ms) OVER w AS last_until
  FROM kp_held
  WINDOW w AS (PARTITION BY robot, camera, session, a_id, b_id, activity ORDER BY arrival)
);

CREATE TEMPORARY VIEW kp_runs AS
SELECT *,
  MAX(CASE WHEN begins THEN stamp_ms END) OVER w AS since_ms,
  images_held - MAX(CASE WHEN begins THEN images_held END) OVER w + 1 AS images
FROM kp_begun
WINDOW w AS (PARTITION BY robot, camera, session, a_id, b_id, activity ORDER BY arrival
  ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW);

CREATE TEMPORARY VIEW kp_states AS
SELECT *, COALESCE(NOT closing AND until_ms - since_ms >= hold_ms
  AND stamp_ms - until_ms <= gap_ms, FALSE) AS active
FROM kp_runs;

CREATE TEMPORARY VIEW kp_changes AS
SELECT *,
  LAG(active) OVER w AS was_active, LAG(since_ms) OVER w AS was_since,
  LAG(until_ms) OVER w AS was_until, LAG(images) OVER w AS was_images
FROM kp_states
WINDOW w AS (PARTITION BY robot, camera, session, a_id, b_id, activity ORDER BY arrival);

INSERT INTO events_out
SELECT 1, robot, camera, session, activity, CASE WHEN active THEN 'START' ELSE 'END' END,
  CASE WHEN b_id < 0 THEN ARRAY[a_id] ELSE ARRAY[a_id, b_id] END,
  CASE WHEN active THEN since_ms ELSE was_since END,
  CASE WHEN active THEN until_ms ELSE was_until END,
  stamp_ms,
  CASE WHEN active THEN images ELSE was_images END
FROM kp_changes
WHERE active <> COALESCE(was_active, FALSE);
"""


def flink_sql(rules: Sequence[Rule], brokers: str, poses_topic: str, events_topic: str) -> str:
    """Return a complete job from one Kafka topic to another, for Flink's SQL client."""
    kafka = {"connector": "kafka", "properties.bootstrap.servers": brokers, "format": "json"}
    source = {
        **kafka,
        "topic": poses_topic,
        "properties.group.id": "kp_pose_activities",
        "scan.startup.mode": "group-offsets",
        "properties.auto.offset.reset": "latest",
        "json.ignore-parse-errors": "true",
    }
    sink = {**kafka, "topic": events_topic}
    return "\n".join([SETTINGS, tables(rules, source, sink), views(rules)])


def tables(rules: Sequence[Rule], source: dict[str, str], sink: dict[str, str]) -> str:
    """Return the definitions of `poses_in` and `events_out`, with their connectors' options."""
    points = ", ".join(f"`{name}` ARRAY<DOUBLE>" for name in _keypoints(rules))
    person = f"ROW<track_id INT, keypoints ROW<{points}>, keypoints_3d ROW<{points}>>"
    return "\n".join(
        f"CREATE TEMPORARY TABLE {name} (\n{columns.format(person=person)}\n) WITH (\n  "
        + _lines(f"'{key}' = {quoted(value)}" for key, value in options.items())
        + "\n);\n"
        for (name, columns), options in zip(_COLUMNS.items(), (source, sink), strict=True)
    )


def _keypoints(rules: Iterable[Rule]) -> list[str]:
    terms = (term for rule in rules for term in terms_of(rule.when))
    return sorted({str(term.value) for term in terms if term.op == "keypoint"})


def views(rules: Sequence[Rule]) -> str:
    """Return the statements between the two tables: the views, and the INSERT that is the job."""
    parts, kinds = [_IMAGES], []
    for size, is_pair in enumerate((False, True), 1):
        if of_kind := [rule for rule in rules if rule.is_pair == is_pair]:
            columns = Columns(rule.when for rule in of_kind)
            parts += [_subjects(columns, size), _moving(columns, size)]
            parts.append(_conditions(of_kind, columns, size))
            kinds.append(f"SELECT * FROM kp_conditions_{size}")  # noqa: S608  our own name
    union = "\nUNION ALL ".join(kinds)
    return "\n".join([*parts, f"CREATE TEMPORARY VIEW kp_conditions AS\n{union};\n", _EVENTS])


def _subjects(columns: Columns, size: int) -> str:
    """Return the view with a row for each person or pair in an image, including those gone."""
    people = PEOPLE[:size]
    ids = ["a.track_id AS a_id", f"{'b.track_id' if size == 2 else '-1'} AS b_id"]
    seen = []
    for person, name, space in columns.keypoints:
        array = f"{person}.keypoints{'_3d' if space else ''}.`{name}`"
        for number, axis in enumerate(AXES[space], 1):
            value = f"{array}[{number}]"
            if not space:
                value = f"CASE WHEN {array}[3] > 0E0 THEN {value} END"
            seen.append(f"{value} AS {person}_{name}{space}_{axis}")
    unnested = "\n".join(
        f"CROSS JOIN UNNEST(people) AS {each} (track_id, keypoints, keypoints_3d)"
        for each in people
    )
    return _view(
        f"kp_subjects_{size}",
        f"SELECT {_CARRIED}, width, height,\n  {_lines([*ids, *seen])}\n"
        f"FROM kp_people\n{unnested}\n"
        f"WHERE a.track_id >= 0{' AND a.track_id < b.track_id' if size == 2 else ''}",
    )


def _moving(columns: Columns, size: int) -> str:
    """Return the view with points made of keypoints, and with velocities."""
    points = [f"{sql} AS {name}" for name, sql in columns.points.items()]
    query = f"SELECT {_lines(['*', *points])}\nFROM kp_subjects_{size}"
    if columns.moving:
        moving = ["stamp_ms", *columns.moving.values()]
        lagged = [f"LAG({name}, {lag}) OVER w AS {name}_{lag}" for lag in LAGS for name in moving]
        velocities = [f"{_velocity(of)} AS {name}" for name, of in columns.moving.items()]
        query = (
            f"SELECT {_lines(['*', *velocities])}\nFROM (\nSELECT {_lines(['*', *lagged])}\n"
            f"FROM (\n{query}\n)\n"
            "WINDOW w AS (PARTITION BY robot, camera, session, a_id, b_id ORDER BY arrival)\n)"
        )
    return _view(f"kp_moving_{size}", query)


def _velocity(name: str) -> str:
    """Return a column's change per second, relative to its first lag that is old enough."""
    cases = []
    for lag in LAGS:
        age = f"stamp_ms - stamp_ms_{lag}"
        change = f"({name} - {name}_{lag}) / (CAST({age} AS DOUBLE) / 1E3)"
        young = f"CASE WHEN {age} <= {SPEED_AGE} THEN {change} END"
        cases.append(f"WHEN {age} >= {SPEED_SPAN} AND {name}_{lag} IS NOT NULL THEN {young}")
    return f"CASE {' '.join(cases)} END"


def _conditions(rules: Sequence[Rule], columns: Columns, size: int) -> str:
    """Return the view with a row for each rule and subject in an image."""
    rows = [
        f"ROW({quoted(rule.name)}, {_condition(rule, columns)}, "
        f"CAST({rule.hold_ms} AS BIGINT), CAST({rule.gap_ms} AS BIGINT))"
        for rule in rules
    ]
    return _view(
        f"kp_conditions_{size}",
        f"SELECT {_CARRIED}, a_id, b_id, activity, holds, hold_ms, gap_ms\n"
        f"FROM kp_moving_{size}\nCROSS JOIN UNNEST(ARRAY[\n  {_lines(rows)}\n"
        "]) AS r (activity, holds, hold_ms, gap_ms)",
    )


def _condition(rule: Rule, columns: Columns) -> str:
    condition = columns.sql(rule.when)
    if rule.cameras:
        listed = ", ".join(map(quoted, rule.cameras))
        condition = f"camera IN ({listed}) AND {condition}"
    return f"COALESCE({condition}, FALSE)"


def _view(name: str, query: str) -> str:
    return f"CREATE TEMPORARY VIEW {name} AS\n{query};\n"


def _lines(items: Iterable[str]) -> str:
    return ",\n  ".join(items)
