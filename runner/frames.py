"""Messages one behind another: four bytes of length, little-endian, then the message."""

import socket
import struct

_LENGTH = struct.Struct("<I")
_CHUNK = 1 << 16
_CHUNKS = 64
"""Of one reading: who sends without an end does not keep its reader from others."""

LONGEST = 1 << 26
"""Bytes of a message. A report has some hundred."""


def frame(data: bytes) -> bytes:
    """A message as it goes over the wire."""
    return _LENGTH.pack(len(data)) + data


def split(data: bytes) -> list[bytes]:
    """The messages of whole frames that stand one behind another."""
    messages: list[bytes] = []
    start = 0
    while start < len(data):
        (length,) = _LENGTH.unpack_from(data, start)
        start += _LENGTH.size + length
        messages.append(data[start - length : start])
    return messages


class Frames:
    """Cuts the messages out of a non-blocking socket's stream."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = bytearray()
        self.refused = ""
        """Why nothing more is read; empty while the stream is in order."""

    def read(self) -> tuple[list[bytes], bool]:
        """The whole messages that are there, and whether there will be no more."""
        closed = False
        try:
            for _ in range(_CHUNKS):
                chunk = self._connection.recv(_CHUNK)
                self._buffer += chunk
                closed = not chunk
                if len(chunk) < _CHUNK:
                    break
        except BlockingIOError:
            pass
        except ConnectionError:
            closed = True
        messages = self._cut()
        return messages, closed or bool(self.refused)

    def _cut(self) -> list[bytes]:
        messages: list[bytes] = []
        start, buffer = 0, self._buffer
        while len(buffer) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(buffer, start)
            end = start + _LENGTH.size + length
            if length > LONGEST:
                self.refused = f"it began a message of {length} bytes"
            if self.refused or len(buffer) < end:
                break
            messages.append(bytes(buffer[start + _LENGTH.size : end]))
            start = end
        del buffer[:start]
        return messages
