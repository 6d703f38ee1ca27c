"""One fork server process, as its worker holds it: started, asked, ended."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

_LAST_BYTES = 1 << 16


class Server:
    """One fork server process and the socket to it.

    The kernel ends it when the thread that made this object ends, even one that is
    stopped: see below.
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
                # A group of its own, that a Ctrl-C for the worker does not reach. But no
                # session: where the worker dies, the last tie of the group to its session
                # is cut, and if the server is stopped at that time, the kernel sends
                # SIGHUP and SIGCONT (POSIX, orphaned process groups). To a session's
                # leader it would send nothing.
                process_group=0,
            )
        self._ready_since: float | None = None

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._process.pid

    @property
    def ready_since(self) -> float | None:
        """When it was first seen to have done its import, on the monotonic clock."""
        if self._ready_since is None:
            with contextlib.suppress(OSError):
                if self._door.recv(1, socket.MSG_DONTWAIT):
                    self._ready_since = time.monotonic()
        return self._ready_since

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
