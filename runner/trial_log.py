"""The log of a trial: a trainer's output, cut into lines and kept within bounds.

Whatever a trainer prints, the file, the memory and the time taken stay small: a file
holds the first and the last of a long log, and a line longer than `LINE_LIMIT` is cut.
Whatever becomes of the file, the lines are given.
"""

from collections import deque
from pathlib import Path

HEAD_BYTES = 3 << 20
TAIL_BYTES = 1 << 20
LINE_LIMIT = 4096
"""Bytes of a line that are kept."""


class TrialLog:
    """Takes a trainer's output as it comes, gives lines, and writes them to a file.

    The file is written as the output comes, up to `HEAD_BYTES`; of what follows, the
    last `TAIL_BYTES` are added on closing. A carriage return ends a line as well.

    ``taken`` are the bytes of output so far; ``trouble`` says why the file could not be
    written, and is empty where it could. Raises OSError where it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.taken = 0
        self.trouble = ""
        self._file = path.open("wb", buffering=0)
        self._head_left = HEAD_BYTES
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self._dropped = 0
        self._part = b""

    def feed(self, output: bytes) -> list[str]:
        """The lines that this piece of output completes, none of them empty."""
        self.taken += len(output)
        first, *others = output.replace(b"\r", b"\n").split(b"\n")
        self._grow(first)
        lines = []
        for piece in others:
            if self._part:
                lines.append(self._part)
            self._part = b""
            self._grow(piece)
        self._write(lines)
        return [line.decode(errors="replace") for line in lines]

    def close(self) -> list[str]:
        """Complete the file; the last line, where it lacked its end."""
        if self._file.closed:
            return []
        lines = self.feed(b"\n")
        if self._dropped:
            self._put(b"[%d bytes are left out here]\n" % self._dropped)
        self._put(b"".join(self._tail))
        try:
            self._file.close()
        except OSError as error:  # a quota on a network file system shows only here
            self.trouble = self.trouble or str(error.strerror)
        return lines

    def _grow(self, piece: bytes) -> None:
        room = LINE_LIMIT - len(self._part)
        if room > 0:
            self._part += piece[:room]

    def _write(self, lines: list[bytes]) -> None:
        if not lines:
            return
        text = b"\n".join(lines) + b"\n"
        if self._head_left > 0:
            self._head_left -= len(text)
            self._put(text)
            return
        self._tail.append(text)
        self._tail_bytes += len(text)
        while self._tail_bytes > TAIL_BYTES and len(self._tail) > 1:
            oldest = self._tail.popleft()
            self._tail_bytes -= len(oldest)
            self._dropped += len(oldest)

    def _put(self, text: bytes) -> None:
        rest = memoryview(text)
        try:
            # A disk that fills up takes a part, and tells of it at the next try.
            while rest and not self.trouble:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self.trouble = str(error.strerror)
