"""The fake trainer, in a server that takes long to kill what a trial has left."""

import time
from typing import Any

from fake_trainer import serve

from ribosome.runner import processes

__all__ = ["serve"]

_kill_descendants = processes.kill_descendants


def _slowly(**options: Any) -> None:
    time.sleep(2.5)  # longer than a worker waits for a server that is gone
    _kill_descendants(**options)


processes.kill_descendants = _slowly
