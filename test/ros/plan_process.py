# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""plan_process.py MODEL [killed]: builds an engine into the cache; may be killed in the middle."""

import os
import signal
import sys

from kp_pose_ros.inference.progress import QUIET, Progress
from kp_pose_ros.inference.tensorrt import builder
from kp_pose_ros.inference.tensorrt.bindings import NAME
from kp_pose_ros.inference.tensorrt.plans import PlanFacts
from kp_pose_ros.models.cache import cached, content_hash
from kp_pose_ros.models.model import PoseModel


class Killed(Progress):
    """Ends the process at the first report, as if there were no more memory."""

    def __call__(self, *_):
        os.kill(os.getpid(), signal.SIGKILL)


model, *killed = sys.argv[1:]
graph = PoseModel.open(model).graph((64, 96))
builder.ONLY_THIS_GPU = False
options = builder.BuildOptions(1, "fp32")
facts = PlanFacts(content_hash(graph), "any", "any", 1, NAME, "fp32", 1)
progress = Killed() if killed else QUIET
print(cached(facts.file_name(graph), lambda: builder.build_plan(graph, options, progress=progress)))
