"""Which worker uses which GPU, decided by the master for all of them before the run begins.

The local rank is no guide: the master's rank would leave a GPU idle, and a launcher may show
every rank a GPU of its own. So each worker says which GPUs it can use, and those that can use
the same ones share them. That a UUID stands for one GPU in the world makes this hold where
ranks on one machine do not know that they are neighbours, as in containers.
"""

import socket
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from ribosome.genome.errors import RunError
from ribosome.runner.config import Config, RunnerConfig
from ribosome.runner.cores import usable_cores
from ribosome.runner.gpus import Gpu

MAX_LOCAL_WORKERS = 1024
"""The most that runner.workers may ask for."""

Launch = Literal["mpi", "local"]


class Place(msgspec.Struct, frozen=True):
    """Where a worker runs, and the GPUs that it can use, as it names them.

    Workers with the same ``node`` share a machine; ``host`` is its name, for people.
    """

    worker: int
    node: int
    host: str
    gpus: tuple[Gpu, ...] = ()


def local_workers(config: Config, *, gpus: int, cores: int) -> int:
    """The number of workers on this machine: as many as are asked for, or that fit.

    Where there are GPUs they decide, else ``cores``, of which a trainer has
    ``config.training.threads``.
    """
    if isinstance(config.runner.workers, int):
        return config.runner.workers
    fit = gpus * config.runner.trials_per_gpu or cores // config.training.threads
    return min(max(1, fit), MAX_LOCAL_WORKERS)


def local_places(config: Config, gpus: tuple[Gpu, ...]) -> list[Place]:
    """The places of a run's workers where all of them are on this machine."""
    host = socket.gethostname()
    number = local_workers(config, gpus=len(gpus), cores=usable_cores())
    return [Place(worker, 0, host, gpus) for worker in range(1, number + 1)]


def place_workers(
    places: Sequence[Place], settings: RunnerConfig, launch: Launch
) -> dict[int, Gpu]:
    """The GPU of each worker; empty where no worker can use any: they train on the CPU.

    Workers share their GPUs evenly, neighbours the same one, because launchers bind
    neighbours to neighbouring cores, and GPUs are numbered along with those.

    Raises RunError, with the map of the first node that has too few GPUs, where there are
    more than ``settings.trials_per_gpu`` workers to a GPU; and where there is no GPU at all
    but ``settings.gpus`` is "require".
    """
    if not any(place.gpus for place in places):
        if settings.gpus == "require":
            raise RunError(
                f'runner.gpus = "require", but no worker on {_hosts(places)} sees a GPU; '
                "check nvidia-smi and CUDA_VISIBLE_DEVICES (`ribosome doctor`) there, or "
                'set runner.gpus = "auto" to train on the CPU'
            )
        return {}
    alike: dict[frozenset[str], list[Place]] = defaultdict(list)
    for place in places:
        alike[frozenset(_keys(place))].append(place)
    placed: dict[int, Gpu] = {}
    load: Counter[str] = Counter()
    # Who has the least choice comes first.
    for seen in sorted(alike, key=len):
        group = alike[seen]
        for place, key in zip(
            group, _shares(group, load, settings.trials_per_gpu), strict=False
        ):
            placed[place.worker] = _keys(place)[key]
    without = [place for place in places if place.worker not in placed]
    if without:
        raise RunError(
            _too_few(places, placed, without, settings.trials_per_gpu, launch)
        )
    return placed


def map_text(places: Sequence[Place], placed: Mapping[int, Gpu]) -> str:
    """A node's map, as "worker 1 -> GPU 0, worker 2 -> none"."""
    return ", ".join(
        f"worker {place.worker} -> {gpu.label if gpu else 'none'}"
        for place in places
        for gpu in [placed.get(place.worker)]
    )


def _keys(place: Place) -> dict[str, Gpu]:
    """A worker's GPUs by what tells them from all others, in their order."""
    return {
        gpu.identity if gpu.unique else f"{place.node}/{gpu.identity}": gpu
        for gpu in place.gpus
    }


def _shares(group: Sequence[Place], load: Counter[str], limit: int) -> list[str]:
    """The GPU of each of a group in turn; fewer than there are workers where it is full."""
    keys = list(_keys(group[0]))
    taken = []
    for _ in group:
        least = min(keys, key=load.__getitem__, default=None)
        if least is None or load[least] >= limit:
            break
        load[least] += 1
        taken.append(least)
    return sorted(taken, key=keys.index)


def _too_few(
    places: Sequence[Place],
    placed: Mapping[int, Gpu],
    without: Sequence[Place],
    trials_per_gpu: int,
    launch: Launch,
) -> str:
    first = without[0]
    on_node = [place for place in places if place.node == first.node]
    gpus = len({key for place in on_node for key in _keys(place)})
    workers = len(on_node)
    text = (
        f"too few GPUs on node {first.host}: {_count(workers, 'worker')}, "
        f"{_count(gpus, 'GPU')}, trials_per_gpu = {trials_per_gpu}: "
        f"{map_text(on_node, placed)}"
    )
    if more := len({place.node for place in without}) - 1:
        text += f" (and so on {_count(more, 'more node')})"
    return f"{text}; {_remedy(workers, gpus, trials_per_gpu, launch)}"


def _remedy(workers: int, gpus: int, trials_per_gpu: int, launch: Launch) -> str:
    if gpus == 0:
        return (
            "leave that node out, see what hides its GPUs (`ribosome doctor` there), or "
            'set runner.gpus = "none" to train on the CPU everywhere'
        )
    most = gpus * trials_per_gpu
    if most >= workers:
        return "its workers see different GPUs: let the launcher show all GPUs to each"
    fewer = (
        f"start {most} on each such node, beside the master's rank"
        if launch == "mpi"
        else f'set runner.workers = {most} or "auto"'
    )
    return f"{fewer}, or set runner.trials_per_gpu = {-(-workers // gpus)}"


def _hosts(places: Sequence[Place]) -> str:
    hosts = list(dict.fromkeys(place.host for place in places))
    more = f" and {len(hosts) - 1} more" if len(hosts) > 1 else ""
    return f"{hosts[0]}{more}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
