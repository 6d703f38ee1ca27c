"""The log of a trial: lines whole however they come, and everything within bounds."""

from pathlib import Path

import pytest

from ribosome.runner import trial_log
from ribosome.runner.trial_log import LINE_LIMIT, TrialLog


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a log goes."""
    return tmp_path / "log.txt"


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_lines_are_whole_however_they_come(path: Path, size: int) -> None:
    """The pieces that output comes in do not show."""
    output = "first\nsécond\r\nthird\rfourth\n".encode()
    log = TrialLog(path)
    lines = []
    for start in range(0, len(output), size):
        lines += log.feed(output[start : start + size])
    assert lines + log.close() == ["first", "sécond", "third", "fourth"]


def test_a_last_line_without_its_end_is_not_lost(path: Path) -> None:
    """What a dying trainer wrote last is given and kept."""
    log = TrialLog(path)
    log.feed(b"one\nlast wor")
    assert log.close() == ["last wor"]
    assert path.read_text() == "one\nlast wor\n"


def test_the_file_is_written_as_lines_come(path: Path) -> None:
    """A log can be followed while the trial runs."""
    log = TrialLog(path)
    log.feed(b"one\ntwo\n")
    assert path.read_text() == "one\ntwo\n"
    log.close()


def test_long_lines_are_cut(path: Path) -> None:
    """A line keeps its beginning, and the next one is whole again."""
    log = TrialLog(path)
    lines = log.feed(b"x" * 3 * LINE_LIMIT) + log.feed(b"x" * LINE_LIMIT + b"\nnext\n")
    log.close()
    assert lines == ["x" * LINE_LIMIT, "next"]


def test_a_long_log_keeps_its_head_and_tail(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The middle of a long log is left out, and the log says how much of it."""
    monkeypatch.setattr(trial_log, "TAIL_BYTES", 1000)
    log = TrialLog(path)
    log._head_left = 1000
    lines = [b"%07d\n" % number for number in range(1000)]
    for line in lines:
        log.feed(line)
    log.close()
    head, gap, tail = b"".join(lines[:125]), b"[6000 bytes", b"".join(lines[-125:])
    kept = path.read_bytes()
    assert kept.startswith(head + gap)
    assert kept.endswith(tail)
    assert len(kept) < 2100


def test_garbage_becomes_text(path: Path) -> None:
    """Bytes that are no text are replaced in the lines and kept in the file."""
    log = TrialLog(path)
    (line,) = log.feed(b"a\xff\xfeb\n")
    log.close()
    assert line == "a\ufffd\ufffdb"
    assert path.read_bytes() == b"a\xff\xfeb\n"


def test_closing_twice_is_harmless(path: Path) -> None:
    """A log that is closed gives no more lines."""
    log = TrialLog(path)
    log.feed(b"half")
    log.close()
    assert log.close() == []


def test_a_full_disk_is_told_of() -> None:
    """A log that cannot be written says so, and still gives its lines."""
    log = TrialLog(Path("/dev/full"))
    assert log.trouble == ""
    assert log.feed(b"whole\nhalf a line") == ["whole"]
    assert log.trouble == "No space left on device"
    assert log.feed(b" more\n") == ["half a line more"]
    assert log.close() == []


def test_all_output_is_counted(path: Path) -> None:
    """What is cut and left out counts as well."""
    log = TrialLog(path)
    log.feed(b"x" * 3 * LINE_LIMIT)
    log.feed(b"\n")
    log.close()
    assert log.taken >= 3 * LINE_LIMIT + 1
