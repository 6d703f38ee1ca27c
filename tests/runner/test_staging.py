"""Where trials read their data: a copy on their node, or the data folder itself."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from staging_kit import SOURCE_BYTES, contents, make_source

from ribosome.genome.errors import ConfigError, DataError
from ribosome.genome.task import DIGITS, Task
from ribosome.runner import staging
from ribosome.runner.config import load_config
from ribosome.runner.staging import Staged, is_staged, stage, stage_task


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A node's storage."""
    folder = tmp_path / "room"
    folder.mkdir()
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A data folder."""
    return make_source(tmp_path / "source")


@pytest.fixture
def shared(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Path], None]:
    """A machine on which the data is on a shared file system, and what else is named."""
    far = {source}
    monkeypatch.setattr(staging, "is_shared", lambda path: path in far)
    monkeypatch.setattr(staging, "same_file_system", lambda one, other: one == other)
    monkeypatch.setattr(staging, "kind", lambda _: "ext4")
    monkeypatch.setattr(staging, "BURST_BUFFERS", tmp_path / "bb")
    return far.add


def staged_in(room: Path, staged: Staged) -> bool:
    """Whether the data was copied to that room, to be removed again."""
    copied = Path(staged.folder).is_relative_to(room)
    assert copied == (staged.bytes_read == SOURCE_BYTES)
    staged.release()
    return copied


def test_a_named_folder_is_always_used(room: Path, source: Path) -> None:
    """Whatever file systems there are, the data is copied to where the config says."""
    staged = stage(str(source), str(room))
    assert staged.bytes_read == SOURCE_BYTES
    assert staged.warning == ""
    assert contents(Path(staged.folder)) == contents(source)
    staged.release()
    assert list(room.iterdir()) == []


def test_a_named_folder_may_differ_from_node_to_node(room: Path, source: Path) -> None:
    """Environment variables stand for what they are on the node."""
    environment = {"JOB": room.name, "BASE": str(room.parent)}
    staged = stage(str(source), "${BASE}/$JOB", environment=environment)
    assert staged_in(room, staged)


def test_none_copies_nothing(source: Path, shared: Callable[[Path], None]) -> None:
    """Not even where it would help."""
    del shared
    assert stage(str(source), "none") == Staged(str(source))


def test_a_machine_with_a_local_disk_copies_nothing(source: Path, room: Path) -> None:
    """On one machine with its own disk there is nothing to win, and nothing is said."""
    environment = {"TMPDIR": str(room)}
    assert stage(str(source), "auto", environment=environment) == Staged(str(source))
    assert list(room.iterdir()) == []


@pytest.mark.parametrize("name", staging.VARIABLES)
def test_shared_data_is_copied_to_the_nodes_own_storage(
    source: Path, room: Path, name: str, shared: Callable[[Path], None]
) -> None:
    """Any of the variables may say where that is."""
    del shared
    assert staged_in(room, stage(str(source), "auto", environment={name: str(room)}))


def test_the_burst_buffer_comes_first(
    source: Path, room: Path, tmp_path: Path, shared: Callable[[Path], None]
) -> None:
    """A user's folder in it is used before any variable's."""
    del shared
    buffer = tmp_path / "bb" / "me"
    environment = {"USER": "me", "TMPDIR": str(room)}
    assert staged_in(room, stage(str(source), "auto", environment=environment))
    buffer.mkdir(parents=True)
    assert staged_in(buffer, stage(str(source), "auto", environment=environment))


def test_what_is_not_of_the_node_is_no_place_for_a_copy(
    source: Path, room: Path, tmp_path: Path, shared: Callable[[Path], None]
) -> None:
    """A temporary folder that is missing, relative, or shared itself is passed over."""
    far = tmp_path / "far"
    far.mkdir()
    shared(far)
    environment = {
        "SLURM_TMPDIR": str(tmp_path / "missing"),
        "LOCAL_SCRATCH": str(far),
        "TMPDIR": str(room),
    }
    assert staged_in(room, stage(str(source), "auto", environment=environment))
    staged = stage(str(source), "auto", environment={**environment, "TMPDIR": "room"})
    assert staged.folder == str(source)
    assert "no disk of the node's own was found" in staged.warning


def test_a_place_that_cannot_be_looked_at_is_passed_over(
    source: Path, room: Path, shared: Callable[[Path], None]
) -> None:
    """As a folder is whose parent may not be read, or one with an impossible name."""
    del shared
    environment = {"SLURM_TMPDIR": f"/{'x' * 300}", "TMPDIR": str(room)}
    with pytest.raises(OSError, match="too long"):
        Path(environment["SLURM_TMPDIR"]).is_dir()
    assert is_staged(str(source), "auto", environment=environment)
    assert staged_in(room, stage(str(source), "auto", environment=environment))


@pytest.mark.parametrize("memory", ["tmpfs", "ramfs"])
def test_a_folder_in_memory_is_used_if_it_is_named_only(
    source: Path,
    room: Path,
    shared: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
    memory: str,
) -> None:
    """A copy there takes memory that trainers need: that is for the user to decide."""
    del shared
    monkeypatch.setattr(staging, "kind", lambda path: memory if path == room else "")
    environment = {"TMPDIR": str(room)}
    assert "no disk" in stage(str(source), "auto", environment=environment).warning
    assert staged_in(room, stage(str(source), "$TMPDIR", environment=environment))


def test_a_warning_is_the_same_on_every_node(
    source: Path, tmp_path: Path, shared: Callable[[Path], None]
) -> None:
    """Whatever a variable says there: the master shows a text once."""
    del shared
    for setting in ("auto", "$TMPDIR", "${TMPDIR}/data"):
        warnings = set()
        for node in ("a", "b"):
            room = tmp_path / node
            (room / "data").mkdir(parents=True, exist_ok=True)
            for folder in (room, room / "data"):
                folder.chmod(0o777)  # without the sticky bit
            environment = {"TMPDIR": str(room)}
            warnings.add(stage(str(source), setting, environment=environment).warning)
        (warning,) = warnings
        assert "$TMPDIR is writable" in warning or "${TMPDIR}/data is" in warning


def test_whether_data_is_staged_is_known_without_doing_it(
    source: Path, room: Path, shared: Callable[[Path], None]
) -> None:
    """The master, which trains nothing, asks on behalf of the workers."""
    del shared
    assert is_staged(str(source), "auto", environment={"TMPDIR": str(room)})
    assert not is_staged(str(source), "auto", environment={})
    assert not is_staged(str(source), "none", environment={"TMPDIR": str(room)})
    assert is_staged(str(source), str(room))
    assert list(room.iterdir()) == []


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ("/nowhere/at/all", "/nowhere/at/all: No such file or directory"),
        ("$NO_SUCH_VARIABLE/x", "$NO_SUCH_VARIABLE is not set"),
        ("/tmp/$", "a $ without a name behind it"),
        ("/proc/version", "/proc/version is no folder"),
    ],
)
def test_without_a_place_the_data_is_read_where_it_is(
    source: Path, setting: str, why: str
) -> None:
    """What is wrong with the place is a warning that says what to do, no error."""
    staged = stage(str(source), setting)
    assert staged.folder == str(source)
    assert staged.bytes_read == 0
    assert staged.copy is None
    assert why in staged.warning
    assert "set runner.stage to" in staged.warning
    assert "\n" not in staged.warning


def test_missing_data_is_left_to_who_reads_it(room: Path, tmp_path: Path) -> None:
    """A data folder that is not there is no affair of the copy's."""
    staged = stage(str(tmp_path / "gone"), str(room))
    assert staged.folder == str(tmp_path / "gone")
    assert "No such file" in staged.warning


def task(source: Path) -> Task:
    """A task with its data there."""
    return replace(DIGITS, data=str(source))


def test_the_copy_is_what_is_prepared(room: Path, source: Path) -> None:
    """What a backend makes of the data is made of the copy, beside it, and goes with it."""

    def prepare(task: Task) -> None:
        Path(task.data, "form").write_bytes(Path(task.data, "data.json").read_bytes())

    staged_task, staged = stage_task(task(source), str(room), prepare)
    assert staged_task.data == staged.folder
    assert "form" in contents(Path(staged.folder))
    assert "form" not in contents(source)
    staged.release()
    assert list(room.iterdir()) == []


def test_a_copy_that_cannot_be_prepared_is_given_up(
    room: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too little room for what the backend makes: it is made of the data folder itself."""
    prepared: list[str] = []

    def prepare(task: Task) -> None:
        prepared.append(task.data)
        if task.data != str(source):
            raise DataError(f"cannot make its form in {task.data}; make room")

    monkeypatch.setenv("TMPDIR", str(room))
    staged_task, staged = stage_task(task(source), "$TMPDIR", prepare)
    assert staged_task == task(source)
    assert prepared[-1] == str(source)
    assert "cannot make its form" in staged.warning
    assert "in $TMPDIR/ribosome-" in staged.warning
    assert staged.copy is None
    assert list(room.iterdir()) == []


def test_a_run_that_cannot_be_prepared_leaves_nothing(room: Path, source: Path) -> None:
    """An error that has nothing to do with the copy is raised, and the copy removed."""

    def prepare(task: Task) -> None:
        raise ConfigError(f"no trainer for {task.name}")

    with pytest.raises(ConfigError, match="no trainer"):
        stage_task(task(source), str(room), prepare)
    assert list(room.iterdir()) == []


@pytest.mark.parametrize("setting", ["auto", "none", "/local/me", "$TMPDIR/data"])
def test_a_config_says_where_to_stage(tmp_path: Path, setting: str) -> None:
    """One of two words, or a folder."""
    path = tmp_path / "run.toml"
    path.write_text(f'[runner]\nstage = "{setting}"\n')
    assert load_config(path).runner.stage == setting


@pytest.mark.parametrize("setting", ["always", "data/copy", "~/copy"])
def test_what_is_no_folder_for_every_node_is_refused(
    tmp_path: Path, setting: str
) -> None:
    """A relative folder, or a mistyped word, is an error before anything runs."""
    path = tmp_path / "run.toml"
    path.touch()
    with pytest.raises(ConfigError, match=r'stage = .*: take "auto", "none", or a'):
        load_config(path, [f"runner.stage={setting}"])
