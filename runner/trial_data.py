"""The data that a worker's trials read, and what becomes of it while they do.

A network that fails because its data is gone is a sound one, and so are all that would fail
after it: what a trial's failure is charged to is asked here first.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from ribosome.genome.errors import RibosomeError
from ribosome.genome.task import Task
from ribosome.runner.data_files import DataFile, look
from ribosome.runner.evaluator import Unfit
from ribosome.runner.staging import stage_task

_LOOK_S = 0.05
_COPIES = 2
"""Copies that are made on a node whose storage loses them, before it does without."""


class TrialData:
    """The data of ``task``, staged by ``setting`` (`ribosome.runner.staging`) and prepared.

    ``prepare`` is the backend's, called in another thread; ``going`` is called now and then
    while data is copied or prepared. Raises what either raises.
    """

    def __init__(
        self,
        task: Task,
        setting: str,
        prepare: Callable[[Task], str],
        *,
        going: Callable[[], object] = lambda: None,
    ) -> None:
        self._source = task
        self._setting = setting
        self._prepare = prepare
        self._going = going
        self._original = _look(task.data)
        self._copies = 0
        self._made = ""
        self.task: Task
        """The task, with the folder that trials read now."""
        self._stage()

    @property
    def copy(self) -> str:
        """The node's copy that trials read; empty where they read the data folder itself."""
        return self._staged.folder if self._staged.copy else ""

    @property
    def bytes_read(self) -> int:
        """What this process has read of the data folder to make the present copy."""
        return self._staged.bytes_read

    @property
    def warning(self) -> str:
        """Why there is no copy although there should be one; empty where all is well."""
        return self._staged.warning

    def regain(self) -> str:
        """Make good what has been lost of the data; what that was, empty for nothing.

        The node's copy is made once more, and after that the data folder itself is read.
        Raises Unfit where that is gone or was changed, and what ``going`` raises.
        """
        here = self.task.data
        if _exactly(here) == self._held:
            return self._prepare_again()
        if _look(self._source.data) != self._original:
            raise Unfit(
                f"{self._source.data}: was removed or changed while the run was reading it; "
                "put it back as it was, and go on with --resume"
            )
        self.release()
        self._stage()
        return f"the data in {here} was removed or changed during the trial"

    def release(self) -> None:
        """Give the copy back; the node's last process that does so removes it."""
        self._staged.release()

    def _stage(self) -> None:
        self._copies += 1
        setting = self._setting if self._copies <= _COPIES else "none"
        try:
            self.task, self._staged = stage_task(
                self._source, setting, self._note, going=self._going
            )
        except (RibosomeError, OSError) as error:
            if self._copies == 1:
                raise
            raise Unfit(str(error)) from None
        self._held = _exactly(self.task.data)

    def _note(self, task: Task) -> None:
        # In a thread, because it may take as long as a copy does.
        with ThreadPoolExecutor(1) as pool:
            made = pool.submit(self._prepare, task)
            while not wait([made], _LOOK_S).done:
                self._going()
        self._made = made.result()

    def _prepare_again(self) -> str:
        before = self._made
        try:
            self._note(self.task)
        except (RibosomeError, OSError) as error:
            raise Unfit(str(error)) from None
        if self._made == before:
            return ""
        self._staged.bytes_read = 0  # of the data folder; a copy is as it was
        return f"what was made of {self.task.data} for trials was gone"


def _exactly(folder: str) -> object:
    """What is equal only while the files are there, and the very same."""
    files = _look(folder)
    return object() if files is None else [(file, file.ctime_ns) for file in files]


def _look(folder: str) -> tuple[DataFile, ...] | None:
    try:
        return look(Path(folder))
    except OSError:
        return None
