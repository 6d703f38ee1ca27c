"""The Debian packages that Caffe is compiled and run with."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

from ribosome.tools.caffe_build.report import BuildError, Say, last_lines, run_logged

PACKAGES = (
    "libboost-filesystem-dev",
    "libboost-system-dev",
    "libboost-thread-dev",
    "libgflags-dev",
    "libgoogle-glog-dev",
    "libhdf5-dev",
    "liblmdb-dev",
    "libopenblas-dev",
    "libprotobuf-dev",
    "protobuf-compiler",
)
PROGRAMS = {"c++": "g++", "make": "make", "protoc": "protobuf-compiler"}
"""Programs that are run, and the packages that have them."""


def compiler() -> list[str]:
    """The C++ compiler, and its first options: what ``CXX`` says, else ``c++``."""
    return os.environ.get("CXX", "").split() or ["c++"]


def provide(log: Path, say: Say) -> None:
    """See that all is there: root installs what is missing, others are told what to.

    Where there is no dpkg, only the programs can be looked for. Raises BuildError if
    something is missing.
    """
    needed = missing()
    if needed and os.geteuid() == 0:
        say(f"installs Debian packages: {' '.join(needed)}")
        install(needed, log)
        needed = missing()
    if needed:
        command = shlex.join(install_command(needed))
        raise BuildError(
            f"Debian packages are missing: {' '.join(needed)}; install them with\n"
            f"  sudo {command}"
        )
    for program in _absent():
        another = ", or name another in CXX" if program == compiler()[0] else ""
        raise BuildError(f"no {program} on PATH; install it{another}")


def missing() -> list[str]:
    """The packages that dpkg does not know as installed; none where there is no dpkg."""
    dpkg = shutil.which("dpkg-query")
    if dpkg is None:
        return []
    programs = [PROGRAMS[name] for name in _absent() if name in PROGRAMS]
    wanted = sorted({*PACKAGES, *programs})
    listed = subprocess.run(
        [dpkg, "--show", "--showformat=${db:Status-Status} ${Package}\n", *wanted],
        capture_output=True,
        text=True,
        check=False,
    )
    return [
        name for name in wanted if f"installed {name}" not in listed.stdout.split("\n")
    ]


def install_command(packages: list[str]) -> list[str]:
    """The command that installs packages."""
    return ["apt-get", "install", "--yes", "--no-install-recommends", *packages]


def install(packages: list[str], log: Path) -> None:
    """Install packages, as root. Raises BuildError if apt-get fails."""
    log.unlink(missing_ok=True)
    env = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    # Another apt-get may be at work, as on a machine that has just started.
    wait = ["-o", "DPkg::Lock::Timeout=300"]
    run_logged(["apt-get", *wait, "update"], log, env)
    apt_get, *rest = install_command(packages)
    if run_logged([apt_get, *wait, *rest], log, env) != 0:
        raise BuildError(
            f"apt-get fails (see {log}); mend what it says{last_lines(log, 3, of='E: ')}"
        )


def _absent() -> list[str]:
    names = (compiler()[0], "make", "protoc")
    return [name for name in names if shutil.which(name) is None]
