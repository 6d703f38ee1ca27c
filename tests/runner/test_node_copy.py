"""The copy of a data folder that the processes of a node share."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from staging_kit import SOURCE_BYTES, contents, make_source, processes

from ribosome.genome.errors import RunError
from ribosome.runner import node_copy
from ribosome.runner.checked_copy import Damaged, copy_checked
from ribosome.runner.node_copy import DATA, MARK, NodeCopy, remove_stale


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


def test_the_copy_holds_the_data_and_nothing_else(room: Path, source: Path) -> None:
    """Every file of the data is there as it was; what else the folder holds is not."""
    copy = NodeCopy(room, source)
    assert copy.use() == SOURCE_BYTES
    assert contents(copy.data) == contents(source)
    assert not (copy.data / "caffe").exists()
    assert copy.folder.stat().st_mode & 0o777 == 0o700
    copy.release()


def test_four_workers_make_one_copy(room: Path, source: Path) -> None:
    """One reads the data, three read nothing, all four have the same folder."""
    with processes(room, source, 4) as workers:
        found = [worker.has_copy() for worker in workers]
        assert sorted(read for read, _ in found) == [0, 0, 0, SOURCE_BYTES]
        assert len({folder for _, folder in found}) == 1
        assert contents(found[0][1]) == contents(source)


def test_each_node_reads_the_data_once(tmp_path: Path, source: Path) -> None:
    """Two nodes with two workers each read it twice."""
    total = 0
    for node in ("one", "two"):
        room = tmp_path / node
        room.mkdir()
        with processes(room, source, 2) as workers:
            total += sum(worker.has_copy()[0] for worker in workers)
    assert total == 2 * SOURCE_BYTES


def test_the_last_one_removes_the_copy(room: Path, source: Path) -> None:
    """While one of them uses it, it is there; then nothing is left on the node."""
    with processes(room, source, 3) as workers:
        folders = [worker.has_copy()[1] for worker in workers]
        assert workers[0].end() == 0
        assert workers[1].terminate() == 1
        assert contents(folders[2]) == contents(source)
        assert workers[2].end() == 0
    assert list(room.iterdir()) == []


def test_a_terminated_worker_leaves_no_half_copy(room: Path, source: Path) -> None:
    """SIGTERM in the middle of the copy removes what there is of it."""
    with processes(room, source, 1, "hang") as (worker,):
        assert worker.line() == "copying"
        assert worker.terminate() == 1
    assert list(room.iterdir()) == []


def test_who_waits_takes_over_from_a_killed_one(room: Path, source: Path) -> None:
    """The copy that a killed process has left unfinished is made anew."""
    with processes(room, source, 1, "hang") as (first,):
        assert first.line() == "copying"
        with processes(room, source, 2) as workers:
            first.kill()
            found = [worker.has_copy() for worker in workers]
            assert sorted(read for read, _ in found) == [0, SOURCE_BYTES]
            assert contents(found[0][1]) == contents(source)


def test_a_whole_copy_of_a_killed_run_is_used(room: Path, source: Path) -> None:
    """What a killed run has left is not read from the source again."""
    with processes(room, source, 1) as (first,):
        first.has_copy()
        first.kill()
    copy = NodeCopy(room, source)
    assert copy.use() == 0
    assert contents(copy.data) == contents(source)
    copy.release()
    assert list(room.iterdir()) == []


@pytest.mark.parametrize("damage", ["no mark", "cut short", "another source"])
def test_what_is_no_whole_copy_is_made_anew(
    room: Path, source: Path, damage: str
) -> None:
    """A copy counts only with its mark, and with every file of its size."""
    with processes(room, source, 1) as (first,):
        _, data = first.has_copy()
        first.kill()
    mark = data.parent / MARK
    match damage:
        case "no mark":
            mark.unlink()
        case "cut short":
            (data / "val_images.npy").write_bytes(b"")
        case "another source":
            mark.write_text(mark.read_text().replace("source", "sauce"))
    copy = NodeCopy(room, source)
    assert copy.use() == SOURCE_BYTES
    assert contents(copy.data) == contents(source)
    copy.release()


def test_copies_of_killed_runs_are_removed(
    room: Path, source: Path, tmp_path: Path
) -> None:
    """Whoever copies removes what nobody uses, and leaves what somebody does."""
    other = make_source(tmp_path / "other")
    used = make_source(tmp_path / "used")
    stranger = room / "ribosome-data"
    stranger.mkdir()
    with processes(room, other, 1) as (dead,):
        dead.has_copy()
        dead.kill()
    with processes(room, used, 1) as (living,):
        _, theirs = living.has_copy()
        copy = NodeCopy(room, source)
        copy.use()
        assert {path.name for path in room.iterdir()} == {
            stranger.name,
            theirs.parent.name,
            copy.folder.name,
        }
        assert contents(theirs) == contents(used)
        copy.release()


def test_changed_data_is_copied_to_another_place(room: Path, source: Path) -> None:
    """A run that goes on with the old copy and one with new data do not meet."""
    before = NodeCopy(room, source)
    before.use()
    (source / "val_labels.npy").write_bytes(b"new")
    after = NodeCopy(room, source)
    assert after.use() == sum(path.stat().st_size for path in after.data.iterdir())
    assert contents(after.data) == contents(source)
    assert contents(before.data) != contents(source)
    before.release()
    after.release()


def spoiling(times: int) -> Callable[..., str]:
    """A `copy_checked` that finds its first copies damaged."""
    left = [times]

    def copy(source: Path, target: Path, *, advance: Callable[[], object]) -> str:
        found = copy_checked(source, target, advance=advance)
        if left[0] > 0:
            left[0] -= 1
            raise Damaged(f"{target} differs from {source} after copying")
        return found

    return copy


def test_a_damaged_copy_is_made_once_more(
    room: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One wrong checksum is an accident."""
    monkeypatch.setattr(node_copy, "copy_checked", spoiling(1))
    copy = NodeCopy(room, source)
    copy.use()
    assert contents(copy.data) == contents(source)
    copy.release()


def test_a_copy_damaged_twice_is_given_up(
    room: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two wrong checksums are a bad disk, on which nothing is left."""
    monkeypatch.setattr(node_copy, "copy_checked", spoiling(2))
    with pytest.raises(RunError, match="differs from"):
        NodeCopy(room, source).use()
    assert list(room.iterdir()) == []


def test_too_little_room_is_seen_before_the_copy(
    room: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """5 % more than the data must be free."""
    free = [int(1.05 * SOURCE_BYTES) - 1]
    monkeypatch.setattr(
        node_copy.os,
        "statvfs",
        lambda _: SimpleNamespace(f_bavail=free[0], f_frsize=1),
    )
    with pytest.raises(RunError, match="has no room for its"):
        NodeCopy(room, source).use()
    assert list(room.iterdir()) == []
    free[0] += 1
    copy = NodeCopy(room, source)
    assert copy.use() == SOURCE_BYTES
    copy.release()


def test_those_that_wait_do_not_try_what_has_failed(
    room: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They raise the same error, and the source is read once."""
    copying, waiting = threading.Event(), threading.Event()
    tried: list[Path] = []
    refused: list[int] = []
    errors: list[str] = []
    try_lock = node_copy._try_lock

    def fail(source: Path, target: Path, *, advance: Callable[[], object]) -> str:
        del target, advance
        tried.append(source)
        copying.set()
        assert waiting.wait(20)
        raise OSError(28, "No space left on device")

    def try_lock_and_tell(handle: int, kind: int) -> bool:
        found = try_lock(handle, kind)
        if threading.current_thread() is second and not found:
            refused.append(handle)
            # The first refusal says that somebody uses the folder, the next that he copies.
            if len(refused) > 1:
                waiting.set()
        return found

    def use() -> None:
        assert copying.wait(20)
        with pytest.raises(RunError) as found:
            NodeCopy(room, source).use()
        errors.append(str(found.value))

    monkeypatch.setattr(node_copy, "copy_checked", fail)
    monkeypatch.setattr(node_copy, "_try_lock", try_lock_and_tell)
    second = threading.Thread(target=use)
    second.start()
    with pytest.raises(OSError, match="No space left"):
        NodeCopy(room, source).use()
    second.join()
    assert errors == ["No space left on device"]
    assert len(tried) == 1
    assert list(room.iterdir()) == []


def test_a_process_without_progress_is_not_waited_for(
    room: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copying process that hangs costs the others the limit, not the run."""
    monkeypatch.setattr(node_copy, "STALLED_S", 0.2)
    with processes(room, source, 1, "hang") as (first,):
        assert first.line() == "copying"
        with pytest.raises(RunError, match="makes no progress"):
            NodeCopy(room, source).use()


@pytest.mark.parametrize("when", ["copying", "waiting"])
def test_who_is_no_longer_wanted_stops(room: Path, source: Path, when: str) -> None:
    """What ``going`` raises ends the copy, or the wait for another one's."""

    def stop() -> None:
        raise KeyError("stop")

    with processes(room, source, 1, "hang") as (first,):
        assert first.line() == "copying"
        if when == "copying":
            first.kill()
        with pytest.raises(KeyError):
            NodeCopy(room, source).use(going=stop)
        first.terminate()
    assert list(room.iterdir()) == []


def test_a_planted_link_is_not_followed(
    room: Path, source: Path, tmp_path: Path
) -> None:
    """A link in our folder's place is an error, and where it points nothing is touched."""
    target = tmp_path / "theirs"
    target.mkdir()
    (target / "file").touch()
    copy = NodeCopy(room, source)
    copy.folder.symlink_to(target)
    with pytest.raises(RunError, match="not a folder of ours"):
        copy.use()
    remove_stale(room)
    assert [path.name for path in target.iterdir()] == ["file"]


def test_a_planted_link_inside_a_stale_copy_is_not_followed(
    room: Path, tmp_path: Path
) -> None:
    """What is removed is the link, not what it points at."""
    target = tmp_path / "theirs"
    target.mkdir()
    (target / "file").touch()
    stale = room / f"ribosome-{os.geteuid()}-0123"
    stale.mkdir(mode=0o700)
    (stale / DATA).symlink_to(target)
    remove_stale(room)
    assert list(room.iterdir()) == []
    assert [path.name for path in target.iterdir()] == ["file"]


def test_a_folder_that_others_can_write_to_is_not_used(
    room: Path, source: Path
) -> None:
    """Trials would read what somebody else has put there."""
    copy = NodeCopy(room, source)
    copy.folder.mkdir()
    copy.folder.chmod(0o777)
    with pytest.raises(RunError, match="others can write to it"):
        copy.use()
    assert copy.folder.is_dir()


def test_a_folder_of_somebody_else_is_not_used(
    room: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever made it first could change it later."""
    copy = NodeCopy(room, source)
    copy.folder.mkdir(mode=0o700)
    me = os.geteuid()
    monkeypatch.setattr(node_copy.os, "geteuid", lambda: me + 1)
    with pytest.raises(RunError, match="belongs to somebody else"):
        copy.use()


def test_a_room_in_which_anybody_may_rename_is_not_used(
    room: Path, source: Path
) -> None:
    """Without the sticky bit our folder could be replaced under the trials' feet."""
    room.chmod(0o777)
    with pytest.raises(RunError, match="no sticky bit"):
        NodeCopy(room, source)
    room.chmod(0o1777)
    NodeCopy(room, source)
