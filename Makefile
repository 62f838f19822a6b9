# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0

run := tools/in_ros_env
reference := .venv-reference/.made_from
data := build/demo/models/yolo11n-pose.pt build/demo/photos/bus.jpg build/demo/photos/zidane.jpg

.PHONY: attack events help demo test lint jazzy reference mutants fuzz clean

help:  ## show this list
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/  make \1	\2/p' Makefile

demo: $(data)  ## detect people in photographs through ROS topics; SOURCE=VIDEO|FOLDER|0 (webcam), VIEW=1 (window), OUTPUT=DIR
	@$(run) python3 -m kp_pose_ros.demo $(if $(SOURCE),--source "$(SOURCE)") $(if $(VIEW),--view) $(if $(OUTPUT),--output "$(OUTPUT)")

# Three runs, so that the lowest layers fail first. Tests of nodes mostly wait: two processes are enough.
test: lint $(data)  ## check style and types, and run every test
	@$(run) python3 -m pytest -m "not ros and not reference and not events" --numprocesses auto --dist worksteal
	@$(run) python3 -m pytest -m ros --numprocesses 2 --dist loadfile
	@if [ -e $(reference) ]; then $(run) python3 -m pytest -m reference --numprocesses 2 --dist worksteal; \
	else echo "skipped: the tests that compare with ultralytics; make reference, then make test, runs them"; fi

lint:  ## check style and types
	@$(run) ruff check
	@$(run) ruff format --check
	@$(run) mypy

jazzy: $(data)  ## run the tests of nodes on ROS 2 Jazzy as well, from wheels; TESTS="FILE..." for some
	@KP_POSE_WHEELS=jazzy $(run) python3 -m pytest -m ros --numprocesses 2 --dist loadfile $(TESTS)

events:  ## set up Flink and Spark (2 GB, needs Java 17) and compare their events with the robot's
	@tools/events_env
	@$(run) python3 -m pytest -m events

reference:  ## set up ultralytics and torch, which some tests compare with
	@tools/reference_env

mutants: $(data)  ## change the core in 200 small ways and count how many the tests notice
	@$(run) tools/mutate.py

fuzz:  ## feed every reader with CASES mutated inputs (default 2000), within limits of time and memory
	@$(run) python3 test/fuzz/fuzz.py $(if $(CASES),--cases $(CASES))

attack:  ## send every node CASES hostile messages, requests, parameters and goals (default 2000)
	@$(run) python3 test/fuzz/nodes.py $(if $(CASES),--cases $(CASES))

clean:  ## delete what was built; the .venvs stay
	rm -rf build install log

# One call fetches them all, and checks those that are there.
$(data) &: tools/demo_data.py
	@$(run) python3 tools/demo_data.py build/demo
	@touch $(data)
