# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The rules as a Flink job over files of records, such as event_feed writes without a broker.

For Kafka no Python is needed: give what `kp_pose activities --flink` prints to Flink's SQL client.
In an environment with apache-flink==2.2.1 and kp_pose_ros:

    python flink_job.py RECORDS EVENTS [--rules RULES]

RECORDS is one file: Flink's streaming file source has no order among files, and a camera's records
have to be in order (`cat 0*.jsonl > all.jsonl` concatenates segments).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from pyflink.table import EnvironmentSettings, TableEnvironment

from kp_pose_ros.activities.flink import tables, views
from kp_pose_ros.activities.rules import load_rules
from kp_pose_ros.resources import config_path


def main() -> None:
    """Run the job to the end of the records."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("records", type=Path, metavar="RECORDS")
    parser.add_argument("events", type=Path, metavar="EVENTS")
    parser.add_argument("--rules", type=Path, default=config_path("activities.yaml"))
    args = parser.parse_args()
    rules = load_rules(args.rules)
    source = {"connector": "filesystem", "path": str(args.records.resolve()), "format": "json"}
    sink = {"connector": "filesystem", "path": str(args.events.resolve()), "format": "json"}
    environment = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    environment.get_config().set("parallelism.default", "1")
    environment.get_config().set("table.exec.state.ttl", "1 h")
    script = tables(rules, source, sink) + views(rules)
    for statement in script.split(";\n"):
        if statement.strip():
            result = environment.execute_sql(statement)
    result.wait()


if __name__ == "__main__":
    main()
