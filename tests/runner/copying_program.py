"""A process that uses a node's copy: python copying_program.py ROOM SOURCE [hang].

It prints what it has read and the copied folder, as JSON, and gives the copy back when its
standard input ends, or on SIGTERM as a worker does. With "hang" it prints "copying" in the
middle of the copy, and stays there.
"""

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from ribosome.runner import node_copy
from ribosome.runner.node_copy import NodeCopy


def hang(source: Path, target: Path, *, advance: Callable[[], object]) -> str:
    """Half a copy of a file, and no end."""
    del advance
    target.write_bytes(source.read_bytes()[:-1])
    print("copying", flush=True)
    signal.pause()
    return ""


def main() -> None:
    """Use the copy until the end of standard input."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if "hang" in sys.argv[3:]:
        node_copy.copy_checked = hang
    copy = NodeCopy(Path(sys.argv[1]), Path(sys.argv[2]))
    read = copy.use()
    try:
        print(json.dumps([read, str(copy.data)]), flush=True)
        sys.stdin.read()
    finally:
        copy.release()


if __name__ == "__main__":
    main()
