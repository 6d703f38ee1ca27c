"""Failures in groups: what is alike, what comes first, and which worker stands out."""

import pytest

from ribosome.runner.records import Record
from ribosome.tools.failures import failed, group, outliers, pattern


def record(
    trial: int, ending: str | None, message: str = "", worker: int = 1
) -> Record:
    """A trial that ended so."""
    return Record(
        trial=trial,
        genome="g",
        phase="search",
        ending=ending,
        fitness=0.5 if ending == "ok" else None,
        loss=None,
        batches_per_s=None,
        flops_per_batch=None,
        parameters=None,
        seconds=1.0,
        worker=worker,
        generation=0,
        parents=(),
        proposed_at=1.0,
        started_at=1.0,
        finished_at=2.0,
        message=message or None,
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("the loss is nan at iteration 4", "the loss is nan at iteration 250"),
        (
            "worker 1 on a7: exit code 1: E",
            "worker 22 on b.example.org: exit code 1: E",
        ),
        ("no file /scratch/1/x.lmdb", "no file /scratch/run-2/trials/17/x.lmdb"),
        ("at 0x7f21daf0bcd6 in f", "at 0x1a in f"),
        ("KeyError: 'a' (network.py:12)", "KeyError: 'a' (network.py:7)"),
        ("loss 1.25e-05 at -3", "loss 7 at 1_000"),
        (
            "GPU-12345678-90ab-cdef-1234-567890abcdef fell off",
            "GPU-abcdef12-3456-7890-abcd-ef1234567890 fell off",
        ),
        (
            "not done after 60 s; its log ends: a",
            "not done after 60 s; its log ends: b",
        ),
        ("killed by signal 11 (SIGSEGV): a", "killed by signal 11 (SIGSEGV): b | c"),
    ],
)
def test_what_differs_without_a_reason_is_alike(first: str, second: str) -> None:
    """Numbers, addresses, paths, workers and last words do not make another kind."""
    assert pattern(first) == pattern(second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("the loss is nan at iteration 4", "the loss is inf at iteration 4"),
        ("exit code 1: KeyError: 'a'", "exit code 1: KeyError: 'b'"),
        ("killed by signal 6 (SIGABRT): a", "killed by signal 6 (SIGABRT): b"),
        ("killed by signal 11 (SIGSEGV): a", "killed by signal 9 (SIGKILL): a"),
    ],
)
def test_what_differs_for_a_reason_is_not(first: str, second: str) -> None:
    """Another error is another kind."""
    assert pattern(first) != pattern(second)


def test_groups_come_in_order_of_size() -> None:
    """The most frequent is the first, with its share of all failures."""
    trials = [record(1, "ok"), record(2, None), record(3, "timeout", "slow")]
    trials += [record(n, "crashed", f"exit code 1: E {n}") for n in range(4, 7)]
    groups = group(trials)
    assert [(g.ending, len(g.trials), g.share) for g in groups] == [
        ("crashed", 3, 0.75),
        ("timeout", 1, 0.25),
    ]
    assert [trial.trial for trial in groups[0].trials] == [4, 5, 6]


def test_endings_are_never_mixed() -> None:
    """The same words under another ending are another group."""
    assert len(group([record(1, "crashed", "no"), record(2, "invalid", "no")])) == 2


def test_a_group_knows_its_workers() -> None:
    """Each worker once, by number."""
    trials = [record(n, "crashed", "E", worker=w) for n, w in enumerate((3, 1, 3))]
    assert group(trials)[0].workers == [1, 3]


def test_only_failures_are_grouped() -> None:
    """What is ok or still runs is no failure."""
    assert failed([record(1, "ok"), record(2, None)]) == []
    assert group([record(1, "ok")]) == []


def test_a_bad_worker_is_found() -> None:
    """A worker that fails most of its trials stands out from those that fail few."""
    trials = [
        record(n, "crashed" if n % 4 == 3 or n % 50 == 0 else "ok", "E", worker=n % 4)
        for n in range(400)
    ]
    (bad,) = outliers(trials)
    assert (bad.worker, bad.failed, bad.ended) == (3, 100, 100)
    assert bad.others == pytest.approx(8 / 300)


@pytest.mark.parametrize("period", [1, 2, 3, 10])
def test_where_all_fail_alike_nobody_stands_out(period: int) -> None:
    """A search that fails everywhere is not the fault of a worker."""
    trials = [
        record(n, "crashed" if n // 5 % period == 0 else "ok", "E", worker=n % 5)
        for n in range(500)
    ]
    assert outliers(trials) == []


def test_a_few_failures_prove_nothing() -> None:
    """Four bad trials in a row may be chance."""
    trials = [record(n, "ok", worker=n % 3) for n in range(300)]
    trials += [record(300 + n, "crashed", "E", worker=7) for n in range(4)]
    assert outliers(trials) == []


def test_one_worker_has_nobody_to_compare_with() -> None:
    """Alone there are no others."""
    assert outliers([record(n, "crashed", "E") for n in range(50)]) == []
