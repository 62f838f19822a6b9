# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The README and the pages in docs/: short enough, and without dead links."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")


def anchors(page):
    """Return the anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


def is_dead(page, link):
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    return not target.exists() or bool(anchor and anchor not in anchors(target))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    links = [link for link in LINK.findall(page.read_text()) if "://" not in link]
    assert [link for link in links if is_dead(page, link)] == []


@pytest.mark.parametrize("page", PAGES[2:], ids=lambda page: page.name)
def test_the_readme_lists_every_page(page):
    assert f"(docs/{page.name})" in README.read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_for_robots_keep_ubuntus_numpy(page):
    """Ubuntu's scipy and cv_bridge were built against numpy 1; onnx alone would bring numpy 2."""
    commands = re.findall(r"pip3 install [^`\n]*(?:onnx|pycuda)[^`\n]*", page.read_text())
    assert [each for each in commands if '"numpy<' not in each] == []


def test_the_readme_is_read_in_five_minutes():
    assert len(README.read_text().split()) <= 1300


def test_the_readme_shows_the_smallest_example_as_it_is():
    example = (ROOT / "examples" / "who_is_there.py").read_text()
    (shown,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert example.endswith(shown)
