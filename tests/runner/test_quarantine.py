"""Which workers fail where others do not."""

from itertools import count

from ribosome.runner.quarantine import Quarantine

numbers = count()


def results(judge: Quarantine, worker: int, ending: str, times: int) -> list[bool]:
    """Give that many results of different genomes; what was said of each."""
    return [judge.bars(worker, ending, str(next(numbers))) for _ in range(times)]


def test_a_row_of_failures_bars_where_others_succeed() -> None:
    """The eighth failure alike is one too many."""
    judge = Quarantine(8)
    assert results(judge, 1, "crashed", 7) == [False] * 7
    results(judge, 2, "ok", 1)
    assert results(judge, 1, "crashed", 1) == [True]


def test_where_nobody_succeeds_nobody_is_barred() -> None:
    """Data that fits no network is not a worker's fault; nor do earlier successes count."""
    judge = Quarantine(3)
    results(judge, 2, "ok", 50)
    assert not any(results(judge, 1, "crashed", 20))


def test_a_success_ends_a_row() -> None:
    """Failures with a success between them are no row."""
    judge = Quarantine(3)
    for _ in range(10):
        assert not any(results(judge, 1, "crashed", 2))
        results(judge, 1, "ok", 1)
        results(judge, 2, "ok", 1)


def test_another_kind_of_failure_begins_a_new_row() -> None:
    """Failures that differ do not show a broken machine."""
    judge = Quarantine(3)
    for _ in range(10):
        results(judge, 2, "ok", 1)
        assert not any(results(judge, 1, "crashed", 2))
        assert not any(results(judge, 1, "timeout", 2))


def test_one_genome_counts_once() -> None:
    """The same network failing again shows nothing of the machine."""
    judge = Quarantine(3)
    for _ in range(10):
        judge.bars(2, "ok", "good")
        assert not judge.bars(1, "crashed", "bad")


def test_a_common_failure_must_repeat_more_often() -> None:
    """Where every third network diverges, eight in a row are not rare in a long run."""
    judge = Quarantine(8)
    for _ in range(10_000):
        results(judge, 2, "diverged", 1)
        results(judge, 2, "ok", 2)
    said: list[bool] = []
    while not any(said) and len(said) < 50:
        results(judge, 2, "ok", 1)
        said += results(judge, 1, "diverged", 1)
    # 30,000 / 3 ** 14 is the first expected number under 0.01.
    assert len(said) == 14


def test_a_length_of_zero_bars_nobody() -> None:
    """0 turns it off."""
    judge = Quarantine(0)
    for _ in range(100):
        results(judge, 2, "ok", 1)
        assert not any(results(judge, 1, "crashed", 1))
