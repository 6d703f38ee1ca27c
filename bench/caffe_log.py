"""The parser of Caffe's log: throughput, memory, and 100,000 damaged logs.

Run it as ``python -m bench.caffe_log [MEGABYTES]``; 100 by default. The log is that of one
long training with a line of losses every 20 iterations, of each version in turn: every
third line has something to say, which no real log exceeds by much. Seconds are the
processor's own in this process, so that a busy machine counts little.

The goals: 50 MB/s, memory that does not grow with the log, and no exception from any log.
"""

import resource
import sys
import tempfile
from pathlib import Path
from random import Random
from time import process_time

from ribosome.backends.caffe.log_parser import LogParser
from tests.backends.caffe.logs import FLAVOURS, training
from tests.backends.caffe.test_log_parser import FAILURES, mutated

GOAL = 50.0
DAMAGED = 100_000
LINES = 6  # of each damaged log
_PIECE = 1_000_000


def main(megabytes: int) -> None:
    """Print the table."""
    print("version          MB      MB/s   with reading   lines/s    memory grew by")
    for flavour in FLAVOURS:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "log.txt")
            size = write(path, flavour, megabytes * 1_000_000)
            print(f"{flavour:15} {size / 1e6:5.1f} {measure(path, size)}")
    print(f"{DAMAGED} damaged logs: {survive()} exceptions")


def write(path: Path, flavour: str, size: int) -> int:
    """A log of at least so many bytes; its true size."""
    run = training(
        flavour,
        iterations=100_000,
        display=20,
        batch_s=0.002,
        test_every=5_000,
        snapshot_every=10_000,
    )
    text = "".join(run).encode()
    with path.open("wb") as file:
        while file.tell() < size:
            file.write(text)
        return file.tell()


def measure(path: Path, size: int) -> str:
    """One row: rates of the parser alone, and with reading and decoding."""
    feed = LogParser().feed
    parsing, lines = 0.0, 0
    begin = process_time()
    grown = memory = _peak()
    with path.open(encoding="utf-8", errors="replace") as file:
        while piece := file.readlines(_PIECE):
            before = process_time()
            for line in piece:
                feed(line)
            parsing += process_time() - before
            if not lines:
                memory = _peak()  # the first piece is there
            lines += len(piece)
    whole = process_time() - begin
    grown = _peak() - memory
    mark = "" if size / parsing >= GOAL * 1e6 else "  (missed)"
    return (
        f"{size / parsing / 1e6:9.1f} {size / whole / 1e6:14.1f} "
        f"{lines / parsing:9.0f} {grown / 1e6:13.1f} MB{mark}"
    )


def survive() -> int:
    """How many damaged logs made a parser raise."""
    random = Random(1)
    logs = [training(flavour, test_every=7) + FAILURES for flavour in FLAVOURS]
    failed = 0
    for _ in range(DAMAGED):
        parser = LogParser()
        try:
            for line in random.sample(random.choice(logs), LINES):
                parser.feed(mutated(line, random))
        except Exception as error:
            print(f"{type(error).__name__}: {error}")
            failed += 1
    return failed


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
