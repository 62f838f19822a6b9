# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Feeds every reader with mutated inputs, the same ones every time, and counts what goes wrong.

An input must be read or refused with a KpPoseError whose text can be printed, within 5 seconds of
processor time and 512 MB. Each reader runs in a process of its own, which is replaced when it dies
or hangs. Inputs that something goes wrong with are kept in build/fuzz.
"""

import argparse
import multiprocessing
import os
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from mutations import BYTES, mutate
from readers import Reader, make_readers

from kp_pose_ros.errors import KpPoseError

ROOT = Path(__file__).parents[2]

SECONDS, MEGABYTES = 5.0, 512
STARTING, HANGING = 120.0, 60.0  # seconds for a process to start, and for an input to be read
OUTCOMES = ("read", "refused", "escaped", "unprintable", "too slow", "too large", "died")


def case(name: str, reader: Reader, index: int) -> tuple[bytes, list[str]]:
    """Return the input of a number, and the names of the mutations that made it.

    The first inputs are the valid ones themselves.
    """
    if index < len(reader.seeds):
        return reader.seeds[index], []
    random = np.random.default_rng([zlib.crc32(name.encode()), index])
    kinds = kinds_of(reader)
    seed = reader.seeds[random.integers(len(reader.seeds))]
    return mutate(random, seed, kinds[index % len(kinds)], reader.mutations)


def kinds_of(reader: Reader) -> list[Callable]:
    """Return the mutations of a reader's inputs; each comes first in its turn."""
    return [*reader.mutations, *BYTES]


def outcome(reader: Reader, content: bytes) -> tuple[str, str]:
    """Return the outcome of reading an input, and the message."""
    try:
        reader.read(content)
    except KpPoseError as error:
        says = str(error)
        return ("refused" if says.isprintable() and len(says) <= 2000 else "unprintable"), says
    except BaseException as error:
        return "escaped", f"{type(error).__name__}: {error}"
    return "read", ""


def work(name: str, numbers: range, pipe) -> None:
    """Send number, outcome, seconds and megabytes of each input."""
    reader = make_readers()[name]
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)  # libpng and libjpeg write there
    cv2.setNumThreads(1)
    for number in numbers:
        content, fired = case(name, reader, number)
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak below
        before, start = memory("VmRSS"), time.process_time()  # the machine may be busy
        pipe.send((number, None))
        kind, says = outcome(reader, content)
        seconds, megabytes = time.process_time() - start, (memory("VmHWM") - before) / 1024
        if kind in ("read", "refused"):
            kind = "too large" if megabytes > MEGABYTES else kind
            kind = "too slow" if seconds > SECONDS else kind
        pipe.send((number, (kind, says, seconds, megabytes, fired)))
    pipe.close()


def memory(name: str) -> int:
    """Return a number of this process's status, in kB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise LookupError(name)


def run(name: str, reader: Reader, count: int, kept: Path) -> tuple[Counter, float, float]:
    """Return how many inputs had which outcome, the longest time and the largest memory.

    Mutations count by their names, too: how often they changed an input.
    """
    context = multiprocessing.get_context("spawn")  # OpenCV has threads, which a fork loses
    counts, slowest, largest, number = Counter(), 0.0, 0.0, 0
    while number < count:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=work, args=(name, range(number, count), theirs))
        process.start()
        theirs.close()
        bad, patience = "", STARTING
        try:
            while number < count:
                if not ours.poll(patience):
                    bad = "too slow" if process.is_alive() else "died"
                    break
                number, result = ours.recv()
                patience = HANGING
                if result is None:
                    continue
                kind, says, seconds, megabytes, fired = result
                slowest, largest = max(slowest, seconds), max(largest, megabytes)
                counts.update([kind, *fired])
                if kind not in ("read", "refused"):
                    keep(kept, name, number, kind, says, case(name, reader, number)[0])
                number += 1
        except EOFError:
            bad = "died"
        process.kill()
        process.join()
        if bad and number < count:
            counts[bad] += 1
            keep(kept, name, number, bad, "", case(name, reader, number)[0])
            number += 1
    return counts, slowest, largest


def keep(folder: Path, name: str, number: int, kind: str, says: str, content: bytes) -> None:
    """Keep an input that failed, and report it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name.replace(' ', '_').lstrip('.')}_{number}"
    path.write_bytes(content)
    print(f"{name} {number}: {kind}: {ascii(says)[:300]} (see {path})", flush=True)


def main() -> int:
    """Run; return 1 if anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=2000, help="for each reader")
    parser.add_argument("--readers", nargs="+", help="some of them; default: all")
    args = parser.parse_args()
    readers = make_readers()
    chosen = args.readers or list(readers)
    print(f"{'reader':16}", *(f"{each:>11}" for each in OUTCOMES), "slowest   memory")
    total: Counter = Counter()
    idle: list[str] = []
    for name in chosen:
        counts, slowest, largest = run(name, readers[name], args.cases, ROOT / "build" / "fuzz")
        numbers = (f"{counts[each]:11}" for each in OUTCOMES)
        print(f"{name:16}", *numbers, f"{slowest:6.2f} s {largest:5.0f} MB", flush=True)
        total += counts
        names = [each.__name__ for each in kinds_of(readers[name])]
        idle += [f"{name}: {each}" for each in names if not counts[each]]
    print(f"{'all':16}", *(f"{total[each]:11}" for each in OUTCOMES))
    print(*(f"this mutation never changed anything: {each}" for each in idle), sep="\n")
    return 1 if idle or any(total[each] for each in OUTCOMES[2:]) else 0


if __name__ == "__main__":
    sys.exit(main())
