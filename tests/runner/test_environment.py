"""The environment of a trainer."""

import pytest

from ribosome.backends.base import GPU_SHARE
from ribosome.runner.environment import (
    LAUNCHER_PREFIXES,
    THREADS,
    scrub,
    trainer_environment,
)
from ribosome.runner.gpus import CUDA, ROCR, Gpu

GPU = Gpu(CUDA, "5", "GPU-b")


@pytest.mark.parametrize("prefix", LAUNCHER_PREFIXES)
def test_launcher_variables_are_scrubbed(prefix: str) -> None:
    """No variable of an MPI library or launcher reaches a trainer."""
    environ = {prefix + "RANK": "0", "HOME": "/home/ada"}
    assert scrub(environ) == {"HOME": "/home/ada"}


def test_threads_are_set_for_every_library() -> None:
    """All libraries with threads of their own get the trainer's number."""
    given = trainer_environment(
        {"OMP_NUM_THREADS": "64"}, threads=2, gpu=None, extra={}
    )
    assert {given[name] for name in THREADS} == {"2"}


def test_without_a_gpu_a_trainer_sees_none() -> None:
    """A trainer on the CPU does not find GPUs that the worker could see."""
    environ = {CUDA: "0,1", ROCR: "0,1"}
    given = trainer_environment(environ, threads=1, gpu=None, extra={})
    assert (given[CUDA], given[ROCR]) == ("", "")


def test_a_trainer_sees_the_one_gpu() -> None:
    """CUDA_VISIBLE_DEVICES is narrowed to the worker's GPU."""
    given = trainer_environment({CUDA: "4,5"}, threads=1, gpu=GPU, extra={})
    assert given[CUDA] == "5"


@pytest.mark.parametrize(
    ("gpu", "trials_per_gpu", "share"),
    [(GPU, 1, None), (GPU, 2, "0.500000"), (GPU, 3, "0.333333"), (None, 2, None)],
)
def test_trainers_that_share_a_gpu_share_its_memory(
    gpu: Gpu | None, trials_per_gpu: int, share: str | None
) -> None:
    """Each is told its part; what was in the worker's environment does not count."""
    given = trainer_environment(
        {GPU_SHARE: "0.9"}, threads=1, gpu=gpu, trials_per_gpu=trials_per_gpu, extra={}
    )
    assert given.get(GPU_SHARE) == share


def test_a_command_has_the_last_word() -> None:
    """What a backend's command asks for stands above our own settings."""
    extra = {"OMP_NUM_THREADS": "3", "GLOG_logtostderr": "1"}
    given = trainer_environment({}, threads=1, gpu=None, extra=extra)
    assert extra.items() <= given.items()
