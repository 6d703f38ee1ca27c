"""A backend, found as a plug-in, whose trainers say which GPU they see.

Run as a program it is the trainer: it waits until as many trainers run at once as there
should be, so that each worker has a trial.
"""

import os
import sys
import time
from pathlib import Path

MEETING = "GPU_MEETING"
"""The variable that names the folder in which trainers meet, and how many: "N FOLDER"."""

_PATIENCE_S = 25.0


class GpuBackend:
    """Emits nothing to speak of."""

    name = "gpus"
    main_file = "network.txt"

    def emit(self, model: object, task: object) -> dict[str, str]:
        """One file."""
        del model, task
        return {"network.txt": "a network\n"}

    def prepare(self, task: object) -> str:  # noqa: ARG002
        """Nothing is needed."""
        return ""

    def command(
        self, folder: str, *, gpu: int | None, seed: int, save: str = ""
    ) -> object:
        """Run this file as a program."""
        from ribosome.backends.base import Command

        del folder, seed, save
        return Command(argv=(sys.executable, "-P", __file__, f"--gpu={gpu}"))

    def parser(self) -> object:
        """The PyTorch trainer's."""
        from ribosome.backends.pytorch.parser import LogParser

        return LogParser()

    def ending(self, exit_code: int) -> None:
        """No code means anything."""


def main() -> None:
    """Say what is visible, meet the others, and report a good training."""
    shown = {
        name: value
        for name, value in os.environ.items()
        if "VISIBLE_DEVICES" in name or name == "RIBOSOME_GPU_SHARE"
    }
    print(
        "sees",
        *(f"{name}={value}" for name, value in sorted(shown.items())),
        *sys.argv[1:],
    )
    number, _, place = os.environ[MEETING].partition(" ")
    Path(place, str(os.getpid())).touch()
    deadline = time.monotonic() + _PATIENCE_S
    while len(list(Path(place).iterdir())) < int(number):
        if time.monotonic() > deadline:
            raise SystemExit("the others did not come")
        time.sleep(0.01)
    print("event=first_iteration iteration=0 loss=2.3 lr=0.1")
    print("event=test accuracy=0.75 loss=0.5 iteration=10\nevent=done")


if __name__ == "__main__":
    main()
