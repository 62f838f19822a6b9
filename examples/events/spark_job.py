# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The rules as a Spark job: the robot's own Python, with a state for each camera.

In an environment with pyspark==4.1.4, pandas, pyarrow, protobuf and kp_pose_ros:

    python spark_job.py --files RECORDS EVENTS            segments of event_feed, to their end
    spark-submit --packages org.apache.spark:spark-sql-kafka-0-10_2.13:4.1.4 \
        spark_job.py --kafka HOST:PORT EVENTS             the topic poses, until stopped

EVENTS is a folder of JSON lines; from EVENTS.checkpoint beside it, a stopped job resumes.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f
from pyspark.sql.streaming import StatefulProcessor, StatefulProcessorHandle

from kp_pose_ros.activities.engine import CameraState, Matcher
from kp_pose_ros.activities.rules import load_rules
from kp_pose_ros.errors import SettingsError
from kp_pose_ros.resources import config_path


class Apply(StatefulProcessor):
    """Applies the rules to the records of one camera; each call is one micro-batch."""

    def __init__(self, rules: Path) -> None:
        self._rules = rules

    def init(self, handle: StatefulProcessorHandle) -> None:
        self._matcher = Matcher(load_rules(self._rules))
        self._state = handle.getValueState("camera", "pickled BINARY")

    def handleInputRows(  # noqa: N802  Spark's name
        self,
        key: Any,
        rows: Iterator[pd.DataFrame],
        timerValues: Any,  # noqa: N803
    ) -> Iterator[pd.DataFrame]:
        # A pickle of our own, from our own checkpoint.
        state = pickle.loads(self._state.get()[0]) if self._state.exists() else CameraState()  # noqa: S301
        found = []
        # Spark keeps no order within a batch: the line of the file or Kafka's offset gives it.
        for line in pd.concat(rows).sort_values(["source", "place"])["line"]:
            try:
                found += self._matcher.update(state, json.loads(line))
            except (SettingsError, ValueError) as error:
                print(f"spark_job: {error}", file=sys.stderr)
        self._state.update((pickle.dumps(state),))
        yield pd.DataFrame({"value": [json.dumps(event.to_record()) for event in found]}, dtype=str)

    def close(self) -> None:
        pass


def from_files(spark: SparkSession, folder: str) -> DataFrame:
    """Return the lines of segments, which are ordered by their names."""
    texts = spark.readStream.option("wholetext", True).option("maxFilesPerTrigger", 4).text(folder)
    lines = f.posexplode(f.split("value", "\n")).alias("place", "line")
    return texts.select(f.col("_metadata.file_name").alias("source"), lines).where("line <> ''")


def from_kafka(spark: SparkSession, brokers: str) -> DataFrame:
    """Return the records of the topic poses."""
    options = {"kafka.bootstrap.servers": brokers, "subscribe": "poses"}
    messages = spark.readStream.format("kafka").options(**options).load()
    return messages.selectExpr(
        "string(partition) AS source", "offset AS place", "string(value) AS line"
    )


def main() -> None:
    """Run the job."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--files", metavar="RECORDS")
    source.add_argument("--kafka", metavar="HOST:PORT")
    parser.add_argument("events", metavar="EVENTS")
    parser.add_argument("--rules", type=Path, default=config_path("activities.yaml"))
    args = parser.parse_args()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    provider = "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"
    spark = (
        SparkSession.builder.appName("kp_pose_activities")
        .config("spark.sql.streaming.stateStore.providerClass", provider)
        .config("spark.sql.shuffle.partitions", 2)
        .getOrCreate()
    )
    records = from_files(spark, args.files) if args.files else from_kafka(spark, args.kafka)
    camera = (f.get_json_object("line", f"$.{name}").alias(name) for name in ("robot", "camera"))
    events = (
        records.select("*", *camera)
        .groupBy("robot", "camera")
        .transformWithStateInPandas(
            Apply(args.rules), outputStructType="value STRING", outputMode="Append", timeMode="None"
        )
    )
    writer = events.writeStream.format("text").option(
        "checkpointLocation", f"{args.events}.checkpoint"
    )
    if args.files:
        writer = writer.trigger(availableNow=True)
    writer.start(args.events).awaitTermination()


if __name__ == "__main__":
    main()
