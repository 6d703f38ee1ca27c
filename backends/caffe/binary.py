"""Which caffe to run: one that is named, one that is installed, or the one made here.

Both flavours answer to the same name, so ``RIBOSOME_CAFFE`` also picks NVCaffe where
both are installed.
"""

import functools
import os
import re
import shutil
import subprocess
from pathlib import Path

from ribosome.backends.data import cache_folder
from ribosome.genome.errors import ConfigError

VARIABLE = "RIBOSOME_CAFFE"
WHAT_TO_DO = f"run `make caffe` in Ribosome's source folder, or set {VARIABLE} to one"

_ANSWER_TIME_S = 60.0
_VERSION = re.compile(r"^caffe version (\S+)", re.MULTILINE)


def built_folder() -> Path:
    """Where `make caffe` builds: a folder of its own in the cache."""
    return cache_folder() / "caffe-1.0"


def built_caffe() -> Path:
    """The program that `make caffe` leaves behind, whether it is there or not."""
    return built_folder() / "bin" / "caffe"


def caffe_environment() -> dict[str, str]:
    """What a caffe needs in its environment besides what this process has.

    One thread per trial, for trials share a machine; and the log on stderr alone, where
    glog would leave four files of every run in the folder for temporary files.
    """
    return {"OPENBLAS_NUM_THREADS": "1", "GLOG_logtostderr": "1"}


def find_caffe() -> str:
    """The absolute path of the caffe to run.

    It is what ``RIBOSOME_CAFFE`` names; else the ``caffe`` on PATH; else the one that
    `make caffe` built. Raises ConfigError if there is none, or if the variable names
    something that cannot be run.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return _named(named)
    installed = shutil.which("caffe")
    if installed is not None:
        return str(Path(installed).absolute())
    built = built_caffe()
    if _can_run(built):
        return str(built.absolute())
    raise ConfigError(
        f"no caffe: {VARIABLE} is not set, none is on PATH, and there is no {built}; "
        f"{WHAT_TO_DO}"
    )


@functools.cache
def caffe_version(path: str) -> str:
    """The version that a caffe gives of itself, as in "1.0.0"; asked once per process.

    Raises ConfigError if it does not run or is no caffe.
    """
    try:
        run = subprocess.run(
            [path, "--version"],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, **caffe_environment()},
            stdin=subprocess.DEVNULL,
            timeout=_ANSWER_TIME_S,
            check=False,
        )
    except OSError as error:
        raise ConfigError(
            f"{path}: does not run ({error.strerror}); {WHAT_TO_DO}"
        ) from None
    except subprocess.TimeoutExpired:
        raise ConfigError(
            f"{path}: does not answer to --version within {_ANSWER_TIME_S:.0f} s; "
            f"{WHAT_TO_DO}"
        ) from None
    found = _VERSION.search(run.stdout)
    if run.returncode == 0 and found is not None:
        return found[1]
    said = (run.stderr.strip() or run.stdout.strip() or "nothing").splitlines()[-1]
    raise ConfigError(
        f"{path}: --version ends with exit code {run.returncode} and says {said!r}, so it "
        f"is no caffe that runs here; {WHAT_TO_DO}"
    )


def _named(named: str) -> str:
    path = Path(named)
    if _can_run(path):
        return str(path.absolute())
    if not path.exists():
        wrong = "which does not exist"
    elif path.is_dir():
        wrong = "which is a folder: name the program in it"
    else:
        wrong = "which is not an executable file"
    raise ConfigError(
        f"{VARIABLE} is {named!r}, {wrong}; correct it, or unset it and `make caffe`"
    )


def _can_run(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
