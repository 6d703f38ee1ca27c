"""Weights between the IR's nodes and the state_dict of a generated module."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ribosome.backends.pytorch.layers import PARTS
from ribosome.backends.pytorch.source import legal_names
from ribosome.backends.weights import Weights
from ribosome.genome.cost import parameters
from ribosome.genome.errors import ReadError
from ribosome.genome.network import Network, Node, Shape
from ribosome.genome.ops import BatchNorm

if TYPE_CHECKING:
    from torch import Tensor

_STATISTICS = {"mean": "running_mean", "variance": "running_var"}
_COUNT = (
    "num_batches_tracked"  # torch keeps it in every batch norm; ours does not read it
)


def state_names(network: Network) -> dict[str, dict[str, str]]:
    """The key in the state_dict of every blob, by the names of its node and of the blob.

    Blobs are those of `ribosome.genome.cost.parameters`, and of a BatchNorm ``mean`` and
    ``variance``. A node without blobs is left out.
    """
    names = legal_names(node.name for node in network.nodes)
    parts = PARTS | _STATISTICS
    return {
        node.name: {blob: f"{names[node.name]}.{parts[blob]}" for blob in shapes}
        for node, shapes in _blobs(network)
    }


def to_state_dict(network: Network, weights: Weights) -> "dict[str, Tensor]":
    """What the module that `emit_network` writes loads with ``load_state_dict``.

    Raises ReadError where a blob is missing, not of the network, or of another shape.
    """
    import numpy as np
    import torch

    keys = state_names(network)
    for name, blobs in weights.items():
        if extra := blobs.keys() - keys.get(name, {}).keys():
            raise ReadError(
                f"{name}: the network has no {min(extra)} there; the weights are of "
                "another network"
            )
    state: dict[str, Tensor] = {}
    for node, shapes in _blobs(network):
        for blob, shape in shapes.items():
            values = weights.get(node.name, {}).get(blob)
            if values is None:
                raise ReadError(
                    f"{node.name}: its {blob} is missing from the weights; give those of "
                    "this network"
                )
            _check(f"{node.name}: its {blob}", tuple(values.shape), shape)
            # torch's shared PReLU has one slope on an axis, Caffe's on none.
            copied = np.array(values, np.float32, ndmin=1)
            state[keys[node.name][blob]] = torch.from_numpy(copied)
        if isinstance(node.op, BatchNorm):
            key = keys[node.name]["mean"].rpartition(".")[0]
            state[f"{key}.{_COUNT}"] = torch.tensor(0)
    return state


def from_state_dict(network: Network, state: "Mapping[str, Tensor]") -> Weights:
    """The weights of a module that `emit_module` or `emit_network` wrote, as copies.

    Raises ReadError where a tensor is missing, not of the network, or of another shape.
    """
    import numpy as np
    import torch

    keys = state_names(network)
    known = {key for blobs in keys.values() for key in blobs.values()}
    for key in state:
        if key not in known and not key.endswith(f".{_COUNT}"):
            raise ReadError(
                f"state_dict: the network has no {key}; the weights are of another network"
            )
    weights: Weights = {}
    for node, shapes in _blobs(network):
        blobs = weights[node.name] = {}
        for blob, shape in shapes.items():
            key = keys[node.name][blob]
            tensor = state.get(key)
            if not isinstance(tensor, torch.Tensor):
                raise ReadError(
                    f"state_dict: {key} is missing; give the weights of this network"
                )
            _check(f"state_dict: {key}", tuple(tensor.shape), shape or (1,))
            values = tensor.detach().to("cpu", torch.float32).numpy()
            blobs[blob] = np.array(values).reshape(shape)
    return weights


def read_weights(path: Path, network: Network) -> Weights:
    """The weights of a network from a file that `torch.save` wrote. Raises ReadError."""
    import zipfile

    import torch

    try:
        # torch looks at no checksum; of its files, which are archives, each part has one.
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if (part := archive.testzip()) is not None:
                    raise ReadError(f"{path}: {part} in it is damaged; copy it anew")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except ReadError:
        raise
    except FileNotFoundError:
        raise ReadError(f"{path}: no such file; check the path") from None
    except Exception as error:  # pickles and zip archives fail in many ways
        reason = " ".join(str(error).split())[:200]
        raise ReadError(
            f"{path}: no state_dict that torch reads ({reason}); save one with torch.save"
        ) from None
    if not isinstance(state, Mapping):
        raise ReadError(
            f"{path}: holds a {type(state).__name__}, not a state_dict; save "
            "network.state_dict()"
        )
    return from_state_dict(network, state)


def write_weights(path: Path, network: Network, weights: Weights) -> None:
    """Write weights as a state_dict. Raises ReadError where they are not the network's."""
    save_state(to_state_dict(network, weights), path)


def save_state(state: "Mapping[str, Tensor]", path: Path) -> None:
    """Write tensors whole or not at all; torch.load(weights_only=True) reads them.

    Raises OSError, with ``path``, for a file that cannot be written, as on a full disk.
    """
    import torch

    partial = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        # Where torch opens the file itself, a full disk is "basic_ios::clear: iostream error".
        with partial.open("wb") as file:
            torch.save(dict(state), file)
        partial.replace(path)
    except (OSError, RuntimeError) as error:
        # torch goes on to end its archive, and fails at that too.
        cause = error if isinstance(error, OSError) else error.__context__
        if not isinstance(cause, OSError):
            raise
        raise OSError(cause.errno, cause.strerror, str(path)) from None
    finally:
        partial.unlink(missing_ok=True)


def _blobs(network: Network) -> Iterator[tuple[Node, Mapping[str, Shape]]]:
    """Every node that keeps values, and their shapes by the names of its blobs."""
    left: dict[str, Shape] = {}
    for node in network.nodes:
        left[node.name] = node.shape
        if not node.inputs:
            continue
        source = left[node.inputs[0]]
        shapes = dict(parameters(node.op, source))
        if isinstance(node.op, BatchNorm):
            shapes |= dict.fromkeys(_STATISTICS, source[:1])
        if shapes:
            yield node, shapes


def _check(what: str, shape: Shape, wanted: Shape) -> None:
    if shape != wanted:
        raise ReadError(
            f"{what} has the shape {shape}, the network wants {wanted}; the weights are "
            "of another network"
        )
