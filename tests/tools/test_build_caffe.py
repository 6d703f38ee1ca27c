"""`make caffe`: what it downloads, changes and compiles, and how it goes on and fails.

The compiler here is a shell script, so nothing real is built: `make caffe` itself does
that, and ends by running what it has built.
"""

import fcntl
import hashlib
import io
import os
import shutil
import sys
import tarfile
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from ribosome.backends.caffe.binary import built_caffe, built_folder, caffe_version
from ribosome.tools.caffe_build import __main__ as program
from ribosome.tools.caffe_build import build as building
from ribosome.tools.caffe_build import debian, edits, plan, sdist
from ribosome.tools.caffe_build.build import build
from ribosome.tools.caffe_build.compile import compile_all
from ribosome.tools.caffe_build.edits import Edit, apply_edits
from ribosome.tools.caffe_build.report import BuildError

LAYERS = [f"src/caffe/layers/layer{i:02}.cpp" for i in range(30)]
SOURCES = {
    **dict.fromkeys(LAYERS, "layer"),
    "src/caffe/net.cpp": "net",
    "src/caffe/util/io.cpp": "io",
    "src/caffe/proto/caffe.proto": "proto",
    "src/caffe/test/test_net.cpp": "a test",
    "include/caffe/net.hpp": "header",
    "include/caffe/proto/caffe.pb.h": "stale",
    "tools/caffe.cpp": "main",
    "tools/other.cpp": "another program",
    "LICENSE": "BSD",
    "setup.py": "raise SystemExit('setup.py was run')",
}
STEPS = 3 + 4 + 2
"""Batches of layers; net, io, main and the messages; protoc and the linker."""

COMPILER = """\
for last; do case "$before" in -c) in=$last;; -o) out=$last;; esac; before=$last; done
echo "${in:-link}" >> ../compiled
case "$in" in *net.cpp) test -e ../broken && { cat ../broken >&2; echo half > $out
  exit 1; };; esac
cat > $out <<END
#!/bin/sh
test "\\$1" = --version && echo caffe version 1.0.0 && exit
cat $PWD/../answer >&2 2>/dev/null || echo "Top shape: 2 3 6 6 (216)" >&2
END
chmod +x $out
"""


def script(path: Path, text: str) -> Path:
    """An executable shell script."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def tarball(path: Path, files: Mapping[str, str]) -> str:
    """Write an sdist; its SHA-256."""
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(f"{sdist.NAME}-{sdist.VERSION}/{name}")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for its only index, with a small sdist in it."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setattr(sdist, "SHA256", tarball(folder / sdist.ARCHIVE, SOURCES))
    return folder


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing but a compiler, make and protoc; its folder of programs."""
    bin = tmp_path / "bin"
    bin.mkdir()
    for name in ("make", "sh", "mkdir", "mv", "rm", "cat", "chmod", "test", "touch"):
        (bin / name).symlink_to(shutil.which(name) or name)
    script(bin / "c++", COMPILER)
    script(bin / "protoc", 'for last; do :; done; cat "$last" > generated.part/made')
    monkeypatch.setenv("PATH", str(bin))
    monkeypatch.delenv("CXX", raising=False)
    return bin


@pytest.fixture
def cache(
    tmp_path: Path, index: Path, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The folder that is built in, with an sdist that needs no edits."""
    del machine
    monkeypatch.setenv("RIBOSOME_CACHE", str(tmp_path / "cache"))
    built_folder().mkdir(parents=True)
    shutil.copy(index / sdist.ARCHIVE, built_folder())
    monkeypatch.setattr(building, "EDITS", ())
    monkeypatch.setattr(edits, "EDITS", ())
    monkeypatch.setattr(building, "NEEDED_BYTES", 0)
    caffe_version.cache_clear()
    return built_folder()


def compiled(cache: Path) -> list[str]:
    """What the compiler has been given since the last call."""
    file = cache / "compiled"
    done = file.read_text().split() if file.is_file() else []
    file.unlink(missing_ok=True)
    return sorted(done)


def test_the_sdist_comes_through_pip_and_its_setup_is_not_run(
    index: Path, tmp_path: Path
) -> None:
    """Its setup.py fails on most machines, and pip would run it for a name we know."""
    del index
    assert sdist.fetch(tmp_path).name == sdist.ARCHIVE
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        sdist.ARCHIVE,
        "download.log",
        "index",
    ]


def test_an_sdist_that_is_there_is_not_downloaded(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine without a network can be given it."""
    (index / sdist.ARCHIVE).rename(tmp_path / sdist.ARCHIVE)
    monkeypatch.setattr(sys, "executable", "/nowhere")
    assert sdist.fetch(tmp_path) == tmp_path / sdist.ARCHIVE


def test_a_damaged_sdist_is_downloaded_again(index: Path, tmp_path: Path) -> None:
    """Nothing is compiled that does not have the known hash."""
    (tmp_path / sdist.ARCHIVE).write_bytes(b"half of it")
    archive = sdist.fetch(tmp_path)
    assert archive.read_bytes() == (index / sdist.ARCHIVE).read_bytes()


def test_an_sdist_with_another_hash_is_refused(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What pip says is shown, and what can be done by hand."""
    del index
    monkeypatch.setattr(sdist, "SHA256", "0" * 64)
    with pytest.raises(BuildError, match=r"(?s)put brocolli-caffe.*ERROR: .*HASHES"):
        sdist.fetch(tmp_path)
    assert not (tmp_path / sdist.ARCHIVE).exists()


def test_only_what_is_compiled_is_unpacked(index: Path, tmp_path: Path) -> None:
    """No tests, no stale messages, and nothing outside the folder."""
    archive = index / sdist.ARCHIVE
    tarball(archive, {**SOURCES, "src/caffe/../../../escaped": "x"})
    sdist.unpack(archive, tmp_path / "to")
    files = {
        str(path.relative_to(tmp_path / "to"))
        for path in (tmp_path / "to").rglob("*")
        if path.is_file()
    }
    assert not (tmp_path / "escaped").exists()
    left_out = {"test_net.cpp", "caffe.pb.h", "other.cpp", "setup.py"}
    assert files == {name for name in SOURCES if name.split("/")[-1] not in left_out}


def test_an_edit_that_does_not_fit_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second time there is nothing left to change: it says where and what for."""
    (tmp_path / "a.cpp").write_text("one two")
    monkeypatch.setattr(edits, "EDITS", (Edit("a.cpp", "(o)ne", r"\1n", "it is on"),))
    apply_edits(tmp_path)
    assert (tmp_path / "a.cpp").read_text() == "on two"
    with pytest.raises(BuildError, match=r"a\.cpp.*it is on.*0 times"):
        apply_edits(tmp_path)


def test_everything_is_compiled_once(cache: Path) -> None:
    """Layers in batches, the rest one by one; the program runs and the rest is gone."""
    said: list[str] = []
    assert build(said.append) == built_caffe()
    batches = [f"batches/layers-{i}.cpp" for i in (1, 2, 3)]
    others = ["source/src/caffe/net.cpp", "source/src/caffe/util/io.cpp"]
    others += ["source/tools/caffe.cpp", "generated/caffe.pb.cc", "link"]
    assert compiled(cache) == sorted([*batches, *others])
    assert said[-1].endswith(f"caffe 1.0.0 is built: {built_caffe()}")
    assert not (cache / "work").exists()


def test_each_layer_is_in_one_batch(cache: Path) -> None:
    """By a path that the compiler finds from the batch."""
    work = cache / "work"
    for name in LAYERS:
        path = work / plan.SOURCE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    plan.write_plan(work, ["c++"])
    batches = [path.read_text() for path in (work / "batches").iterdir()]
    lines = "".join(batches).splitlines()
    assert sorted(lines) == [f'#include "../source/{name}"' for name in LAYERS]


def test_a_second_call_ends_at_once(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says where it is, and asks neither pip nor a compiler."""
    build(print)
    compiled(cache)
    monkeypatch.setattr(sdist, "fetch", None)
    said: list[str] = []
    assert build(said.append) == built_caffe()
    assert said == [f"caffe 1.0.0 is there: {built_caffe()}"]
    assert compiled(cache) == []


def test_it_goes_on_where_it_failed(cache: Path) -> None:
    """Objects that are done stay; one that was half written does not count."""
    (cache / "broken").write_text("net.cpp:7:1: error: no semicolon\n")
    with pytest.raises(BuildError) as caught:
        build(print, jobs=1)
    assert "\n  net.cpp:7:1: error: no semicolon" in str(caught.value)
    assert str(cache / "compile.log") in str(caught.value)
    assert "source/src/caffe/net.cpp" in compiled(cache)
    (cache / "broken").unlink()
    said: list[str] = []
    build(said.append, jobs=1)
    again = compiled(cache)
    assert "source/src/caffe/net.cpp" in again
    assert "batches/layers-1.cpp" not in again
    assert any("steps are done" in line for line in said)


def test_a_change_of_the_recipe_builds_anew(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other edits or flags: neither the program nor objects are of use."""
    build(print)
    first = compiled(cache)
    monkeypatch.setattr(building, "RECIPE", "another")
    build(print)
    assert compiled(cache) == first


def test_a_program_that_no_longer_runs_is_built_anew(cache: Path) -> None:
    """As when the system's libraries have changed."""
    build(print)
    compiled(cache)
    script(built_caffe(), "exit 127")
    caffe_version.cache_clear()
    build(print)
    assert caffe_version(str(built_caffe())) == "1.0.0"


def test_what_does_not_run_a_network_is_not_installed(cache: Path) -> None:
    """The program gets its name only after it has run one."""
    (cache / "answer").write_text("F1123 undefined layer\n")
    with pytest.raises(BuildError, match="F1123 undefined layer"):
        build(print)
    assert not built_caffe().exists()


def test_two_builds_do_not_meet(cache: Path) -> None:
    """The second waits for the first, and then has nothing to do."""
    build(print)
    waits = threading.Event()
    second = threading.Thread(target=build, args=[lambda _: waits.set()])
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second.start()
        assert waits.wait(30)
        second.join(0.2)
        assert second.is_alive()
    second.join(30)
    assert not second.is_alive()


def test_progress_is_told_in_steps(cache: Path, tmp_path: Path) -> None:
    """Rising to 100 per cent, with no more than one line for each step."""
    said: list[str] = []
    work = cache / "work"
    sdist.unpack(sdist.fetch(cache), work / plan.SOURCE)
    assert plan.write_plan(work, ["c++"]) == STEPS
    with (tmp_path / "lock").open("w") as lock:
        compile_all(
            work,
            STEPS,
            jobs=2,
            log=tmp_path / "log",
            say=said.append,
            keep_open=lock.fileno(),
        )
    percents = [int(line.split(" %")[0]) for line in said]
    assert len(percents) == STEPS
    assert percents == sorted(percents)
    assert percents[-1] == 100


def test_a_full_disk_is_foreseen(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the folder, what is needed, and the way out."""
    monkeypatch.setattr(building, "NEEDED_BYTES", 1 << 60)
    with pytest.raises(BuildError, match=r"free, but a build needs.*RIBOSOME_CACHE"):
        build(print)
    assert not (cache / "work").exists()


def test_missing_packages_are_named_for_who_is_not_root(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them, in one command to copy."""
    script(machine / "dpkg-query", 'echo "installed liblmdb-dev"')
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(BuildError) as caught:
        debian.provide(tmp_path / "log", print)
    lacking = " ".join(name for name in debian.PACKAGES if name != "liblmdb-dev")
    command = f"sudo apt-get install --yes --no-install-recommends {lacking}"
    assert str(caught.value).endswith(command)


def test_a_missing_compiler_is_a_missing_package(machine: Path) -> None:
    """Unless CXX names another: which package that is in, we do not know."""
    script(machine / "dpkg-query", "exit 1")
    (machine / "c++").unlink()
    assert set(debian.missing()) == {*debian.PACKAGES, "g++"}


def test_root_has_them_installed(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what is missing; a package that was removed counts as missing."""
    have = tmp_path / "have"
    have.write_text("".join(f"installed {name}\n" for name in debian.PACKAGES[1:]))
    with have.open("a") as file:
        file.write(f"config-files {debian.PACKAGES[0]}\n")
    script(machine / "dpkg-query", f"cat {have}")
    script(
        machine / "apt-get",
        f"for last; do :; done; test $last = update || echo installed $last >> {have}",
    )
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    said: list[str] = []
    debian.provide(tmp_path / "log", said.append)
    assert said == [f"installs Debian packages: {debian.PACKAGES[0]}"]


def test_an_apt_get_that_fails(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its errors are shown, and where all of its words are."""
    script(machine / "dpkg-query", "exit 1")
    script(machine / "apt-get", "echo 'E: no such package'; exit 100")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(BuildError, match=r"(?s)log.*\n  E: no such package"):
        debian.provide(tmp_path / "log", print)


def test_without_dpkg_the_programs_are_looked_for(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere than on Debian the user knows the packages' names."""
    debian.provide(tmp_path / "log", print)
    monkeypatch.setenv("CXX", "clang++ -m64")
    with pytest.raises(BuildError, match=r"no clang\+\+ on PATH.*CXX"):
        debian.provide(tmp_path / "log", print)
    monkeypatch.delenv("CXX")
    (machine / "protoc").unlink()
    with pytest.raises(BuildError, match="no protoc on PATH"):
        debian.provide(tmp_path / "log", print)


def test_errors_end_the_program_with_1_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that we foresaw, and one of the file system."""
    monkeypatch.setattr(sys, "argv", ["caffe_build"])
    monkeypatch.setenv("RIBOSOME_CACHE", str(tmp_path / "file" / "cache"))
    (tmp_path / "file").touch()
    assert program.main() == 1
    assert "Not a directory; RIBOSOME_CACHE" in capsys.readouterr().err
    monkeypatch.setenv("RIBOSOME_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(building, "NEEDED_BYTES", 1 << 60)
    assert program.main() == 1
    assert capsys.readouterr().err.startswith("make caffe: ")
