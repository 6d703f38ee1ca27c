"""Caffe's sources: the file that pip's index has, checked, and unpacked as needed.

No other place that pip reaches has Caffe's C++ sources. The sdist is of a fork that adds
layers to BVLC's code of before 1.0; `ribosome.tools.caffe_build.edits` makes good the
places in which it differs from 1.0 in what we compare.
"""

import hashlib
import os
import sys
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

from ribosome.tools.caffe_build.report import BuildError, last_lines, run_logged

NAME = "brocolli-caffe"
VERSION = "9.0.2"
ARCHIVE = f"{NAME}-{VERSION}.tar.gz"
SHA256 = "c6410cc60bdd6db685d441b66be7df05410f8850ac88d6b75d48ef9b2315c08a"

_WANTED = ("include/", "src/caffe/", "tools/caffe.cpp", "LICENSE")
_UNWANTED = (
    "src/caffe/test/",
    "include/caffe/test/",
    # Made by another protoc than the one here: it would be found before ours.
    "include/caffe/proto/",
)

_STAND_IN = f"""\
import pathlib
import sys


def get_requires_for_build_wheel(config_settings=None):
    return []


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    folder = pathlib.Path(metadata_directory, "{NAME.replace("-", "_")}-{VERSION}.dist-info")
    folder.mkdir()
    lines = ["Metadata-Version: 2.1", "Name: {NAME}", "Version: {VERSION}", ""]
    (folder / "METADATA").write_text("\\n".join(lines))
    return folder.name


__legacy__ = sys.modules[__name__]
"""


def fetch(folder: Path) -> Path:
    """The sdist, in a folder: downloaded by pip as the user has configured it.

    A file of that name is taken if its SHA-256 is right. Raises BuildError if pip cannot
    get it.
    """
    archive = folder / ARCHIVE
    if _is_right(archive):
        return archive
    log = folder / "download.log"
    log.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="download-") as scratch:
        code = run_logged(*_download(Path(scratch), log))
        got = Path(scratch) / ARCHIVE
        if code == 0 and _is_right(got):
            got.replace(archive)
            return archive
    raise BuildError(
        f"pip does not get {NAME} {VERSION} (see {log}); mend what it says, or put "
        f"{ARCHIVE} with the SHA-256 {SHA256} into {folder} yourself, and run `make caffe` "
        f"again{last_lines(log, 2, of='ERROR')}"
    )


def unpack(archive: Path, folder: Path) -> None:
    """Unpack what the program is compiled from: headers, sources, and the licence.

    Raises BuildError if the archive holds no such files.
    """
    found = False
    with tarfile.open(archive) as held:
        for member in held:
            name = PurePosixPath(*PurePosixPath(member.name).parts[1:])
            if not member.isfile() or not _wanted(str(name)):
                continue
            data = held.extractfile(member)
            assert data is not None
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data.read())
            found = True
    if not found:
        raise BuildError(f"{archive}: no sources of Caffe in it; delete it")


def _wanted(name: str) -> bool:
    inside = ".." not in name.split("/")
    return inside and name.startswith(_WANTED) and not name.startswith(_UNWANTED)


def _is_right(archive: Path) -> bool:
    if not archive.is_file():
        return False
    return hashlib.sha256(archive.read_bytes()).hexdigest() == SHA256


def _download(scratch: Path, log: Path) -> tuple[list[str], Path, dict[str, str]]:
    # pip would run the sdist's setup.py to learn a name and a version that we know, and
    # that fails on many machines. A stand-in for setuptools answers instead, through the
    # hooks of PEP 517. pip checks the hash before it asks.
    stand_in = scratch / "stand-in" / "setuptools"
    stand_in.mkdir(parents=True)
    (stand_in / "__init__.py").touch()
    (stand_in / "build_meta.py").write_text(_STAND_IN, encoding="utf-8")
    wanted = scratch / "wanted.txt"
    wanted.write_text(f"{NAME}=={VERSION} --hash=sha256:{SHA256}\n", encoding="utf-8")
    argv = [sys.executable, "-m", "pip", "download", "--no-input", "--no-deps"]
    argv += ["--no-binary", NAME, "--no-build-isolation", "--ignore-requires-python"]
    argv += ["--require-hashes", "--dest", str(scratch), "--requirement", str(wanted)]
    env = {
        **os.environ,
        "PYTHONPATH": str(stand_in.parent),
        # An option in older pips, and in newer ones no longer a question.
        "PIP_USE_PEP517": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    return argv, log, env
