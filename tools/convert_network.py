"""Converts a Caffe network and its weights into another framework's files."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ribosome.backends.base import Portable
from ribosome.backends.registry import backend
from ribosome.genome.cost import cost
from ribosome.genome.errors import ConfigError
from ribosome.tools.networks import read_network_file, task_of

if TYPE_CHECKING:
    from ribosome.backends.caffe.phases import Phase


@dataclass(frozen=True)
class Converted:
    """The files by name, what was left out, and what to say of the network."""

    files: dict[str, str | bytes]
    notes: tuple[str, ...]
    layers: int
    parameters: int
    shapes: str


def convert_network(
    net: Path,
    *,
    backend_name: str,
    weights: Path | None = None,
    shape: tuple[int, int, int] | None = None,
    output: str | None = None,
    phase: "Phase" = "TEST",
    stages: tuple[str, ...] = (),
) -> Converted:
    """A prototxt, and perhaps a caffemodel, as the files of a backend.

    Raises ReadError for what cannot be read, UnsupportedOp for what the backend cannot
    say, ConfigError for a backend that takes no networks from elsewhere.
    """
    target = backend(backend_name)
    if not isinstance(target, Portable):
        raise ConfigError(
            f"the backend {backend_name} takes no networks from elsewhere; see "
            "ribosome.backends.base.Portable"
        )
    read = read_network_file(
        net, shape=shape, output=output, phase=phase, stages=stages
    )
    network = read.model.network
    files: dict[str, str | bytes] = dict(
        target.emit_for_use(read.model, task_of(read, net.stem))
    )
    if weights is not None:
        from ribosome.backends.caffe.caffemodel import read_caffemodel
        from ribosome.backends.caffe.weights import from_caffemodel

        values = from_caffemodel(
            read.reading, read_caffemodel(weights), path=str(weights)
        )
        with tempfile.TemporaryDirectory(prefix="ribosome-") as folder:
            path = Path(folder, target.weights_file)
            target.write_weights(path, network, values)
            files[target.weights_file] = path.read_bytes()
    sizes = (
        " x ".join(map(str, node.shape)) for node in (network.input, network.output)
    )
    return Converted(
        files,
        read.reading.notes,
        len(network.nodes) - 1,
        cost(network).parameters,
        " to ".join(sizes),
    )
