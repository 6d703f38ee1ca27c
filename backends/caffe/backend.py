"""The Caffe backend in its two flavours: what is emitted, how it is trained and read."""

import json
from pathlib import Path

from ribosome.backends.base import Command, Ending, Parser
from ribosome.backends.caffe.binary import caffe_version, find_caffe
from ribosome.backends.caffe.command import train_command
from ribosome.backends.caffe.data import FORM_FILE, layer_of, prepared
from ribosome.backends.caffe.emit import emit, emit_deploy
from ribosome.backends.caffe.endings import ending
from ribosome.backends.caffe.files import DEPLOY, TRAIN_VAL, TRIAL
from ribosome.backends.caffe.frames import test_batches
from ribosome.backends.caffe.log_parser import LogParser
from ribosome.backends.caffe.schema import Flavour
from ribosome.backends.weights import Weights
from ribosome.genome.errors import ConfigError
from ribosome.genome.network import Model, Network
from ribosome.genome.task import Task


class Caffe:
    """Complete prototxt for `caffe train`, BVLC's or NVIDIA's."""

    main_file = TRAIN_VAL
    network_file = DEPLOY
    weights_file = "weights.caffemodel"
    readme = "export_caffe.md.jinja"

    def __init__(self, flavour: Flavour = "caffe") -> None:
        self.name: str = flavour
        self._flavour: Flavour = flavour

    def emit(self, model: Model, task: Task) -> dict[str, str]:
        """Prototxt of network and solver, and the supervisor's settings as JSON."""
        training = task.training
        _, test_iterations = test_batches(task.val, training.test_batch_size)
        settings = {
            "max_iterations": training.max_iterations,
            "time_limit_s": training.time_limit_s,
            "test_iterations": test_iterations,
        }
        if training.check_every:
            settings["check_every"] = training.check_every
        files = emit(model, task, self._flavour)
        files[TRIAL] = json.dumps(settings, indent=2) + "\n"
        return files

    def prepare(self, task: Task) -> str:
        """The images as LMDB or HDF5, made once for all trials, and a caffe to run.

        Raises ConfigError where there is none that runs, or where it lacks the precision
        asked for or is of the other flavour,
        DataError for images that cannot be trained on.
        """
        if self._flavour == "caffe" and task.training.precision in ("mixed", "half"):
            raise ConfigError(
                f'training.precision = "{task.training.precision}" is for the backend '
                'nvcaffe; caffe has single precision only: write "auto" or "single"'
            )
        caffe = find_caffe()
        # One that lacks a library would fail every network, and each would take the blame.
        version = caffe_version(caffe)
        if self._flavour == "nvcaffe" and version.startswith("1."):
            raise ConfigError(
                f"{caffe} is Caffe {version}, BVLC's, which refuses what nvcaffe writes; "
                'set RIBOSOME_CAFFE to NVIDIA\'s, or write backend.name = "caffe"'
            )
        layer = layer_of(task)
        if not task.data:
            return ""
        form = Path(prepared(task.data, layer).train).parent
        return f"{form} {(form / FORM_FILE).stat().st_ctime_ns}"

    def command(
        self, folder: str, *, gpu: int | None, seed: int, save: str = ""
    ) -> Command:
        """`ribosome.backends.caffe.train`, which starts `caffe train` on the folder."""
        return train_command(folder, gpu=gpu, seed=seed, save=save)

    def parser(self) -> Parser:
        """A parser of Caffe's log."""
        return LogParser()

    def ending(self, exit_code: int) -> Ending | None:
        """What the exit codes of caffe and its supervisor say."""
        return ending(exit_code)

    def emit_for_use(self, model: Model, task: Task) -> dict[str, str]:
        """The deploy file alone."""
        return {DEPLOY: emit_deploy(model, task, self._flavour)}

    def read_weights(self, path: Path, network: Network) -> Weights:
        """A caffemodel of a network that we wrote."""
        from ribosome.backends.caffe.weights import read_weights

        return read_weights(path, network)

    def write_weights(self, path: Path, network: Network, weights: Weights) -> None:
        """A caffemodel for the deploy and the train_val file."""
        from ribosome.backends.caffe.caffemodel import write_caffemodel
        from ribosome.backends.caffe.weights import to_caffemodel

        write_caffemodel(path, path.stem, to_caffemodel(network, weights))


def nvcaffe() -> Caffe:
    """The flavour of NVIDIA's fork."""
    return Caffe("nvcaffe")
