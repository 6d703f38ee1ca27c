"""Optuna, of which every worker is a thread with the study in memory, or a process.

A variant is a storage and a sampler, "memory-nsga2" say: the storages are memory (threads),
journal (a file that every process appends to) and sqlite; the samplers random and nsga2.
"""

import multiprocessing
import time
from pathlib import Path
from typing import TYPE_CHECKING

import optuna
from job import Job, answer, loss, told
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

_STUDY = "noop"


def storage_of(job: Job) -> BaseStorage | None:
    """Where the study is kept; None: in memory."""
    kind = job.variant.split("-")[0]
    if kind == "journal":
        return JournalStorage(JournalFileBackend(str(Path(job.folder, "journal"))))
    if kind == "sqlite":
        # Without a long time-out, processes that wait for the lock fail.
        arguments = {"connect_args": {"timeout": 100}}
        url = f"sqlite:///{job.folder}/study.db"
        return RDBStorage(url, engine_kwargs=arguments)
    return None


def study_of(job: Job, seed: int) -> optuna.Study:
    """The study, made or joined."""
    sampler: optuna.samplers.BaseSampler
    if job.variant.endswith("nsga2"):
        sampler = optuna.samplers.NSGAIISampler(
            population_size=job.population, seed=seed
        )
    else:
        sampler = optuna.samplers.RandomSampler(seed=seed)
    return optuna.create_study(
        storage=storage_of(job),
        sampler=sampler,
        study_name=_STUDY,
        load_if_exists=True,
    )


def optimise(job: Job, study: optuna.Study, evaluations: int, threads: int) -> None:
    """Evaluate so often."""
    names = [f"x{i}" for i in range(len(job.sizes))]

    def noop(trial: optuna.Trial) -> float:
        pairs = zip(names, job.sizes, strict=True)
        return loss(bytes(trial.suggest_int(name, 0, top - 1) for name, top in pairs))

    study.optimize(noop, n_trials=evaluations, n_jobs=threads)


def work(job: Job, number: int, barrier: "Barrier") -> None:
    """Be one of the processes."""
    study = study_of(job, seed=2 + number)
    barrier.wait()
    optimise(job, study, -(-job.evaluations // job.workers), 1)


def main() -> None:
    """Run and answer."""
    job = told()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = study_of(job, seed=1)
    if job.variant.startswith("memory"):
        began = time.perf_counter()
        optimise(job, study, job.evaluations, job.workers)
    else:
        context = multiprocessing.get_context("fork")
        barrier = context.Barrier(job.workers + 1)
        processes = [
            context.Process(target=work, args=(job, number, barrier))
            for number in range(job.workers)
        ]
        for process in processes:
            process.start()
        barrier.wait()
        began = time.perf_counter()
        for process in processes:
            process.join()
    seconds = time.perf_counter() - began
    complete = optuna.trial.TrialState.COMPLETE
    answer(len(study.get_trials(deepcopy=False, states=(complete,))), seconds)


if __name__ == "__main__":
    main()
