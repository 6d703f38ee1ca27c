"""The config file of a run: typed, with defaults, and errors that name the nearest key."""

import msgspec


class TaskConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[task]: a built-in data set or a data folder."""

    data: str = "digits"


class SpaceConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[space]: a shipped space or a path to a space file."""

    name: str = "menndl"


class BackendConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[backend]: the framework that networks are written for."""

    name: str = "pytorch"


class TrainingConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[training]: see `ribosome.genome.task.Training`."""

    max_iterations: int = 300
    time_limit_s: float = 60.0
    test_batch_size: int = 256
    precision: str = "auto"
    threads: int = 1


class SearchConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[search]: the strategy and what it is given."""

    strategy: str = "evolution"
    evaluations: int = 120
    population: int = 24
    tournament: int = 3
    crossover: float = 0.5
    mutation: float = 0.0  # rate per gene; 0: one gene of a genome on average
    replacement: str = "age"  # or "fitness"
    seed: int = 1


class RunnerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[runner]: workers, and what a trial may take."""

    workers: int = 2
    trials_per_gpu: int = 1
    gpus: str = "auto"  # "auto", "none"
    wall_limit_s: float = 0.0  # of one trial; 0: twice the training time limit, plus 60
    stall_limit_s: float = 120.0  # without a line of log
    warm_start: bool = True
    keep_trials: str = "best"  # best (and failures), all, none


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole config file."""

    task: TaskConfig = TaskConfig()
    space: SpaceConfig = SpaceConfig()
    backend: BackendConfig = BackendConfig()
    training: TrainingConfig = TrainingConfig()
    search: SearchConfig = SearchConfig()
    runner: RunnerConfig = RunnerConfig()
