"""What the tests of staging share: a data folder's files, a room, and processes in it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ribosome.backends.data import FILES

PROGRAM = str(Path(__file__).with_name("copying_program.py"))


def make_source(folder: Path) -> Path:
    """A folder with the files of a data folder, and something that is not to be copied."""
    folder.mkdir()
    for number, name in enumerate(FILES):
        (folder / name).write_bytes(bytes([number]) * (1000 + number))
    (folder / "caffe").mkdir()
    (folder / "caffe" / "large").write_bytes(b"x" * 5000)
    return folder


SOURCE_BYTES = sum(1000 + number for number in range(len(FILES)))


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a folder by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


class Process:
    """A process that uses a node's copy."""

    def __init__(self, room: Path, source: Path, *options: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", PROGRAM, str(room), str(source), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        """The next line that it prints."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def has_copy(self) -> tuple[int, Path]:
        """Wait until it has the copy: what it has read, and the copied data folder."""
        read, folder = json.loads(self.line())
        return read, Path(folder)

    def end(self) -> int:
        """Have it give the copy back; its exit code."""
        self._process.communicate()
        return self._process.returncode

    def terminate(self) -> int:
        """End it as a master ends a worker; its exit code."""
        self._process.terminate()
        return self.end()

    def kill(self) -> None:
        """End it as the kernel ends a process that takes too much."""
        self._process.kill()
        self._process.communicate()


@contextmanager
def processes(
    room: Path, source: Path, count: int, *options: str
) -> Iterator[list[Process]]:
    """So many processes; whatever the test finds, they end with it."""
    started = [Process(room, source, *options) for _ in range(count)]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
