"""One fork server process, as its worker holds it: started, asked, ended."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence

_LAST_BYTES = 1 << 16


class Server:
    """One fork server process and the socket to it.

    The kernel ends it when the thread that made this object ends.
    """

    def __init__(self, preload: str, environment: Mapping[str, str]) -> None:
        self.preload = preload
        self._door, theirs = socket.socketpair()
        # In memory: a server must start, and say why it does not, on a full disk too.
        memory = os.memfd_create("ribosome-server")
        self._output = os.fdopen(memory, "w+b")  # closed by `end`
        with theirs:
            program = ("-P", "-m", "ribosome.runner.forkserver")
            number = str(theirs.fileno())
            self._process = subprocess.Popen(
                [sys.executable, *program, "--fd", number, "--preload", preload],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._process.pid

    def send(self, request: Mapping[str, object], descriptors: Sequence[int]) -> None:
        """Ask for a trial; OSError where the server is gone."""
        text = json.dumps(request).encode() + b"\n"
        sent = socket.send_fds(self._door, [text], descriptors)
        self._door.sendall(text[sent:])

    def end(self) -> str:
        """End it, with what it has started, and say how it was found."""
        self._door.close()
        try:
            code = self._process.wait(timeout=2.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        size = self._output.seek(0, os.SEEK_END)
        self._output.seek(max(0, size - _LAST_BYTES))
        lines = self._output.read().decode(errors="replace").split("\n")
        self._output.close()
        last = next((line for line in reversed(lines) if line.strip()), "")
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return f"{how}: {last.strip()}" if last else how

    def kill(self) -> None:
        """SIGKILL, for a server that does not answer; its trainer dies with it."""
        self._process.kill()
