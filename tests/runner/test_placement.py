"""Which worker uses which GPU, and how many workers one machine has."""

from collections import Counter
from dataclasses import dataclass

import pytest
from gpu_kit import gpus

from ribosome.genome.errors import RunError
from ribosome.runner.config import Config, RunnerConfig, TrainingConfig
from ribosome.runner.gpus import CUDA, ROCR, Gpu
from ribosome.runner.placement import Place, local_places, local_workers, place_workers


def node(number: int, workers: range, *visible: Gpu) -> list[Place]:
    """Workers on one machine that all see the same GPUs."""
    return [Place(worker, number, f"n{number:02}", visible) for worker in workers]


def names(
    places: list[Place], trials_per_gpu: int = 1, setting: str = "auto"
) -> list[str | None]:
    """The name of each worker's GPU, in the order of the places."""
    settings = RunnerConfig(trials_per_gpu=trials_per_gpu, gpus=setting)
    placed = place_workers(places, settings, "mpi")
    return [
        gpu.name if gpu else None
        for place in places
        for gpu in [placed.get(place.worker)]
    ]


SIX = gpus(*"abcdef")


def test_the_master_takes_no_gpu() -> None:
    """Workers 1 to 6 beside the master have GPUs 0 to 5, as 7 to 12 on the next node."""
    places = node(0, range(1, 7), *SIX) + node(7, range(7, 13), *SIX)
    assert names(places) == list("012345") * 2


def test_packed_workers_are_neighbours() -> None:
    """Two to a GPU, neighbours share: a launcher binds them to neighbouring cores."""
    assert names(node(0, range(1, 9), *gpus(*"abcd")), 2) == list("00112233")


def test_what_is_packed_is_packed_evenly() -> None:
    """With room to spare, no GPU has two workers more than another."""
    assert names(node(0, range(1, 6), *gpus(*"abcd")), 3) == list("00123")
    assert names(node(0, range(1, 4), *gpus(*"abcd")), 2) == list("012")


@pytest.mark.parametrize("workers", range(1, 13))
@pytest.mark.parametrize("trials_per_gpu", [1, 2, 3])
def test_all_have_a_gpu_while_there_is_room(workers: int, trials_per_gpu: int) -> None:
    """No GPU has more workers than it may have, and loads differ by one at most."""
    places = node(0, range(1, workers + 1), *gpus(*"abcd"))
    if workers > 4 * trials_per_gpu:
        with pytest.raises(RunError, match="too few GPUs"):
            names(places, trials_per_gpu)
        return
    load = Counter({name: 0 for name in "0123"})
    load.update(filter(None, names(places, trials_per_gpu)))
    assert max(load.values()) <= trials_per_gpu
    assert max(load.values()) - min(load.values()) <= 1


@dataclass(frozen=True)
class Launched:
    """What a launcher leaves each of a node's workers, and what each should use."""

    name: str
    seen: list[list[tuple[str, str]]]  # (name, identity) of each GPU, for each worker
    used: list[str]
    trials_per_gpu: int = 1


# From the documentation of jsrun, srun, aprun/PALS; of Slurm without cgroups from its source.
LAUNCHED = [
    Launched(
        "jsrun -r 6 -a 1 -g 1: each sees its own under index 0",
        [[("0", f"GPU-{n}")] for n in "abcdef"],
        ["GPU-a", "GPU-b", "GPU-c", "GPU-d", "GPU-e", "GPU-f"],
    ),
    Launched(
        "srun --gpus-per-task=1 without cgroups: each a mask of its own",
        [[(str(n), f"GPU-{name}")] for n, name in enumerate("abcd")],
        ["GPU-a", "GPU-b", "GPU-c", "GPU-d"],
    ),
    Launched(
        "srun --gpu-bind=closest on Frontier: one each, not in order",
        [[(str(n), f"GPU-{n}")] for n in (4, 5, 2, 3, 6, 7, 0, 1)],
        [f"GPU-{n}" for n in (4, 5, 2, 3, 6, 7, 0, 1)],
    ),
    Launched(
        "jsrun -r 2 -a 3 -g 3: resource sets of three",
        [[(str(n), f"GPU-{name}") for n, name in enumerate(rs)] for rs in ["abc"] * 3]
        + [
            [(str(n), f"GPU-{name}") for n, name in enumerate(rs)] for rs in ["def"] * 3
        ],
        ["GPU-a", "GPU-b", "GPU-c", "GPU-d", "GPU-e", "GPU-f"],
    ),
    Launched(
        "jsrun -a 2 -g 1 with trials_per_gpu = 2",
        [[("0", f"GPU-{n}")] for n in "aabb"],
        ["GPU-a", "GPU-a", "GPU-b", "GPU-b"],
        trials_per_gpu=2,
    ),
    Launched(
        "masks that overlap: who has the least choice comes first",
        [[("0", "GPU-a"), ("1", "GPU-b")], [("0", "GPU-a")]],
        ["GPU-b", "GPU-a"],
    ),
    Launched(
        "mpiexec: all see all",
        [[(f"GPU-{n}", f"GPU-{n}") for n in "abcd"]] * 4,
        ["GPU-a", "GPU-b", "GPU-c", "GPU-d"],
    ),
]


@pytest.mark.parametrize("launched", LAUNCHED, ids=lambda case: case.name)
def test_placement_composes_with_what_the_launcher_gave(launched: Launched) -> None:
    """A worker is told a GPU that it sees, by the name that it has there."""
    places = [
        Place(worker, 0, "n01", tuple(Gpu(CUDA, *gpu) for gpu in seen))
        for worker, seen in enumerate(launched.seen, start=1)
    ]
    settings = RunnerConfig(trials_per_gpu=launched.trials_per_gpu)
    placed = place_workers(places, settings, "mpi")
    assert [placed[place.worker].identity for place in places] == launched.used
    assert all(placed[place.worker] in place.gpus for place in places)


def test_indices_of_two_machines_are_different_gpus() -> None:
    """GPU 0 of one node and GPU 0 of another, known by their files alone."""
    places = node(0, range(1, 2), *gpus("nvidia0")) + node(
        2, range(2, 3), *gpus("nvidia0")
    )
    assert names(places) == ["0", "0"]


def test_neighbours_that_mpi_does_not_know_of_share_a_machine_all_the_same() -> None:
    """In containers each rank may be a node of its own: the UUIDs tell."""
    seen = gpus("GPU-a", "GPU-b")
    places = [Place(1, 1, "box1", seen), Place(2, 2, "box2", seen)]
    assert names(places) == ["0", "1"]


def test_too_few_gpus_are_an_error_with_the_map() -> None:
    """It names the node, who has what and who has none, and both ways out."""
    places = node(0, range(1, 5), *gpus(*"abcd")) + node(
        5, range(5, 11), *gpus(*"abcd")
    )
    with pytest.raises(RunError) as caught:
        names(places)
    assert str(caught.value) == (
        "too few GPUs on node n05: 6 workers, 4 GPUs, trials_per_gpu = 1: "
        "worker 5 -> GPU 0, worker 6 -> GPU 1, worker 7 -> GPU 2, worker 8 -> GPU 3, "
        "worker 9 -> none, worker 10 -> none; start 4 on each such node, beside the "
        "master's rank, or set runner.trials_per_gpu = 2"
    )


def test_the_advice_holds() -> None:
    """With the trials_per_gpu that the error asks for, all workers have a GPU."""
    places = node(0, range(1, 14), *gpus(*"abcd"))
    with pytest.raises(RunError, match=r"runner\.trials_per_gpu = 4$"):
        names(places)
    assert None not in names(places, 4)


def test_a_machine_alone_is_told_of_its_workers() -> None:
    """Without MPI it is the number of workers that is too large."""
    with pytest.raises(RunError, match=r'set runner\.workers = 1 or "auto", or set'):
        place_workers(node(0, range(1, 3), *gpus("a")), RunnerConfig(), "local")


def test_a_node_without_gpus_among_others_is_named() -> None:
    """A run trains on GPUs or on none: one node's CPU among GPUs is a mistake."""
    places = node(0, range(1, 3), *gpus(*"ab")) + node(3, range(3, 5))
    with pytest.raises(RunError, match=r"node n03: 2 workers, 0 GPUs.*leave that node"):
        names(places)


def test_many_bad_nodes_are_one_line() -> None:
    """The first is shown, the others are counted."""
    places = [
        place
        for first in range(1, 30, 3)
        for place in node(first, range(first, first + 3), *gpus(*"ab"))
    ]
    with pytest.raises(RunError, match=r"node n01: .*and so on 9 more nodes") as caught:
        names(places)
    assert len(str(caught.value)) < 400


def test_masks_that_leave_gpus_unused_are_another_mistake() -> None:
    """Two workers that are shown the same one of two GPUs: fewer would not help."""
    places = [Place(1, 0, "n01", (Gpu(CUDA, "0", "GPU-a"),))] * 1 + [
        Place(2, 0, "n01", (Gpu(CUDA, "0", "GPU-a"),)),
        Place(3, 0, "n01", (Gpu(CUDA, "1", "GPU-b"), Gpu(CUDA, "2", "GPU-c"))),
    ]
    with pytest.raises(RunError, match="let the launcher show all GPUs to each"):
        names(places)


def test_without_gpus_all_train_on_the_cpu() -> None:
    """A laptop is no error, unless GPUs are required."""
    places = node(0, range(1, 3))
    assert names(places) == [None, None]
    with pytest.raises(RunError, match=r'"require", but no worker on n00 sees a GPU'):
        names(places, setting="require")


def test_ranks_of_both_makes_are_placed() -> None:
    """A cluster of NVIDIA's and AMD's nodes: each worker has its own make's variable."""
    amd = Gpu(ROCR, "0", "GPU-000000000000000a")
    places = node(0, range(1, 2), *gpus("a")) + node(2, range(2, 3), amd)
    placed = place_workers(places, RunnerConfig(), "mpi")
    assert [placed[1].variable, placed[2].variable] == [CUDA, ROCR]


@pytest.mark.parametrize(
    ("workers", "trials_per_gpu", "visible", "cores", "threads", "expected"),
    [
        ("auto", 1, 4, 2, 1, 4),
        ("auto", 2, 4, 2, 1, 8),
        ("auto", 2, 0, 8, 1, 8),
        ("auto", 1, 0, 8, 3, 2),
        ("auto", 1, 0, 2, 4, 1),
        ("auto", 2000, 1, 2, 1, 1024),
        (3, 1, 4, 2, 1, 3),
    ],
)
def test_a_machine_has_as_many_workers_as_fit(
    workers: int | str,
    trials_per_gpu: int,
    visible: int,
    cores: int,
    threads: int,
    expected: int,
) -> None:
    """GPUs decide, then cores; a number that is asked for stands."""
    config = Config(
        training=TrainingConfig(threads=threads),
        runner=RunnerConfig(workers=workers, trials_per_gpu=trials_per_gpu),
    )
    assert local_workers(config, gpus=visible, cores=cores) == expected


def test_local_workers_are_numbered_from_one() -> None:
    """All are on this machine and see the same."""
    config = Config(runner=RunnerConfig(workers="auto"))
    places = local_places(config, gpus(*"abc"))
    assert [place.worker for place in places] == [1, 2, 3]
    assert names(places) == list("012")
