# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lets atheris search for inputs of one reader by the lines of Python that they reach."""

import sys

import atheris

with atheris.instrument_imports(include=["kp_pose_ros"]):
    from fuzz import ROOT, SECONDS, outcome
    from readers import make_readers


def main() -> None:
    """Search for a reader's inputs; atheris ends the process."""
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} READER SECONDS; readers: {', '.join(make_readers())}")
    name, seconds = sys.argv[1:]
    reader = make_readers()[name]

    def check(content: bytes) -> None:
        kind, says = outcome(reader, content)
        if kind not in ("read", "refused"):
            raise RuntimeError(f"{name}: {kind}: {says}")

    corpus = ROOT / "build" / "fuzz" / "corpus" / name.replace(" ", "_")
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(reader.seeds):
        (corpus / f"seed_{number}").write_bytes(seed)
    limits = [f"-max_total_time={seconds}", f"-timeout={SECONDS:.0f}", "-rss_limit_mb=2048"]
    atheris.Setup([sys.argv[0], *limits, str(corpus)], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
