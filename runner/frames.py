"""Messages on a stream socket: four bytes of length, little-endian, then the message."""

import socket
import struct

_LENGTH = struct.Struct("<I")
_CHUNK = 1 << 16


def frame(data: bytes) -> bytes:
    """A message as it goes over the wire."""
    return _LENGTH.pack(len(data)) + data


class Frames:
    """Cuts the messages out of a non-blocking socket's stream."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = bytearray()

    def read(self) -> tuple[list[bytes], bool]:
        """The whole messages that are there, and whether the other side has closed."""
        closed = False
        try:
            while not closed:
                chunk = self._connection.recv(_CHUNK)
                self._buffer += chunk
                closed = not chunk
                if len(chunk) < _CHUNK:
                    break
        except BlockingIOError:
            pass
        except ConnectionError:
            closed = True
        return self._cut(), closed

    def _cut(self) -> list[bytes]:
        messages: list[bytes] = []
        start, buffer = 0, self._buffer
        while len(buffer) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(buffer, start)
            end = start + _LENGTH.size + length
            if len(buffer) < end:
                break
            messages.append(bytes(buffer[start + _LENGTH.size : end]))
            start = end
        del buffer[:start]
        return messages
