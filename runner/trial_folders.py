"""The folders of trials, as the master keeps them in order: one a trial, under its number.

A trial that is handed out again runs in a folder of its own, because its first worker may
still be at it: stopped by a signal, or held up by its file system. The copy whose result
counts gets the number as its name, as soon as no other copy can write there.
"""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ribosome.backends.nofollow import remove
from ribosome.runner.messages import folder_name

TRIALS = "trials"
"""The folder of trials in a run folder."""


class TrialFolders:
    """The folders in ``folder``. What is unwanted goes by `tidy`, after the commit.

    A copy gets its name before the commit: should the master be killed in between, the
    trial has no result, and is trained anew.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unwanted: list[str] = []
        self._contested: dict[int, int] = {}

    def remove(self, trial: int) -> None:
        """The folder of a trial that has its result is not wanted any more."""
        self._unwanted.append(folder_name(trial, self._contested.pop(trial, 0)))

    def remove_copy(self, trial: int, copy: int) -> None:
        """A copy has come to its end in vain."""
        self._unwanted.append(folder_name(trial, copy))

    def settle(
        self, trial: int, copy: int, *, others: Iterable[int], contested: bool
    ) -> None:
        """A copy is the one that counts; ``contested`` if another may still be at it."""
        for other in others:
            remove(self._folder / folder_name(trial, other))
        if copy and contested:
            self._contested[trial] = copy
        elif copy:
            self._rename(trial, copy)

    def tidy(self, *, end: bool = False) -> None:
        """Remove what is unwanted; at the ``end`` of a run nothing is contested any more."""
        for name in self._unwanted:
            remove(self._folder / name)
        self._unwanted.clear()
        if end:
            for trial, copy in self._contested.items():
                self._rename(trial, copy)
            self._contested.clear()

    def recover(self) -> None:
        """Give a killed master's copies their names; none of its workers may be left."""
        copies: list[tuple[int, int]] = []
        for path in self._folder.iterdir():
            number, _, again = path.name.partition(".")
            if number.isdecimal() and again.isdecimal():
                copies.append((int(number), int(again)))
        for trial, copy in sorted(copies):
            self._rename(trial, copy)

    def _rename(self, trial: int, copy: int) -> None:
        source = self._folder / folder_name(trial, copy)
        if source.exists():
            remove(self._folder / str(trial))
            with suppress(OSError):
                source.rename(self._folder / str(trial))
