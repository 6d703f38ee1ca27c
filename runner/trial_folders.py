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


class TrialFolders:
    """The folders in ``folder``. What is noted is done by `tidy`, after the commit."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unwanted: list[str] = []
        self._settled: dict[int, int] = {}
        self._contested: dict[int, int] = {}

    def remove(self, trial: int) -> None:
        """The folder of a trial that has its result is not wanted any more."""
        copy = self._settled.pop(trial, 0) or self._contested.pop(trial, 0)
        self._unwanted.append(folder_name(trial, copy))

    def remove_copy(self, trial: int, copy: int) -> None:
        """A copy has come to its end in vain."""
        self._unwanted.append(folder_name(trial, copy))

    def settle(
        self, trial: int, copy: int, *, others: Iterable[int], contested: bool
    ) -> None:
        """A copy is the one that counts; ``contested`` if another may still be at it."""
        self._unwanted += [folder_name(trial, other) for other in others]
        if copy:
            (self._contested if contested else self._settled)[trial] = copy

    def tidy(self, *, end: bool = False) -> None:
        """Do what was noted; at the ``end`` of a run nothing is contested any more."""
        for name in self._unwanted:
            remove(self._folder / name)
        self._unwanted.clear()
        if end:
            self._settled |= self._contested
            self._contested.clear()
        for trial, copy in self._settled.items():
            self._rename(trial, copy)
        self._settled.clear()

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
