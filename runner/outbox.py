"""What the master has to say, kept back until what it follows from is committed."""

from ribosome.runner.messages import Model, ToWorker, encode
from ribosome.runner.transport import Transport


class Outbox:
    """Messages to workers, in order."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._messages: dict[int, list[bytes]] = {}
        self._models: dict[int, set[int]] = {}

    def tell(self, worker: int, message: ToWorker) -> None:
        """Have a message sent once the turn is committed."""
        self._messages.setdefault(worker, []).append(encode(message))

    def tell_model(self, worker: int, model: Model) -> None:
        """Have a worker told of a model, unless it has been before."""
        known = self._models.setdefault(worker, set())
        if model.number not in known:
            known.add(model.number)
            self.tell(worker, model)

    def drop(self, worker: int) -> None:
        """A worker is gone: nothing of what it was to be told is sent, or known to it."""
        self._messages.pop(worker, None)
        self._models.pop(worker, None)

    def send(self) -> None:
        """Send everything."""
        for worker, messages in self._messages.items():
            self._transport.send(worker, *messages)
        self._messages = {}
