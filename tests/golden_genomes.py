"""The genomes whose emitted text is kept, and the command that renews the kept text.

``python -m tests.golden_genomes`` (or ``make golden``) writes ``tests/golden/`` anew. A
change there is a change of meaning: it asks for a new version of the space, unless only the
form of the text was meant to change.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ribosome.backends.registry import backend, backend_names
from ribosome.genome.codec import from_text, to_text
from ribosome.genome.decode import decode
from ribosome.genome.fit import canonical
from ribosome.genome.space_file import load_space
from ribosome.genome.task import DIGITS, Task
from tests.genome.test_encode import NOVA, NOVA_LAYERS
from tests.genome.write import Choice, write_genes

FOLDER = Path(__file__).parent / "golden"
RGB = Task("colour", 3, 32, 32, 10, mean=(125.0, 123.0, 114.0), scale=0.017)
BATCH = ("training", {"batch_size": 32, "weight_decay": 0.0005})


@dataclass(frozen=True)
class Described:
    """A genome by its layers and settings, and the task that it is decoded for."""

    space: str
    task: Task
    layers: tuple[Choice, ...]
    settings: Mapping[str, Choice] = field(default_factory=dict)


def _conv(width: int, kernel: int, activation: str = "relu", **more: object) -> Choice:
    chosen = {"num_output": width, "kernel_h": kernel, "activation": activation}
    return ("convolution", chosen | {"pad": "half"} | more)  # type: ignore[return-value]


_POOL: Choice = ("pooling", {"kernel_h": 2, "stride_h": 2})

GENOMES: dict[str, Described] = {
    "only_the_head": Described("menndl", DIGITS, ()),
    "plain_chain": Described(
        "menndl",
        DIGITS,
        (_conv(32, 3), _POOL, _conv(64, 3), ("inner_product", {"num_output": 128})),
        {
            "solver": ("SGD", {"base_lr": 0.01, "momentum": 0.9}),
            "learning_rate": ("inv", {"gamma": 10.0, "power": 0.75}),
            "training": BATCH,
        },
    ),
    "two_towers_of_menndl_for_nova": Described(
        "menndl",
        NOVA,
        tuple(NOVA_LAYERS),
        {
            "towers": ("cut", {"count": 2, "merge": 9}),
            "input": ("input", {"jitter": 0.01}),
        },
    ),
    "towers_merged_behind_the_last_layer": Described(
        "menndl",
        RGB,
        (_conv(16, 5), ("inner_product", {"num_output": 64, "activation": "tanh"})),
        {"towers": ("cut", {"count": 3, "merge": 13})},
    ),
    "inception_in_uneven_towers": Described(
        "menndl",
        RGB,
        (("inception", {}), ("global_pooling", {"method": "AVE"}), _conv(24, 1)),
        {
            "towers": ("cut", {"count": 2, "merge": 1}),
            "solver": ("Adam", {"base_lr": 0.001, "momentum": 0.9, "momentum2": 0.999}),
            "learning_rate": ("poly", {"power": 2.0}),
        },
    ),
    "oblong_kernels_and_strides": Described(
        "menndl",
        NOVA,
        (
            (
                "convolution",
                {"num_output": 7, "kernel_h": 1, "kernel_w": 9, "pad": "half_w"},
            ),
            ("pooling", {"kernel_h": 37, "kernel_w": 3, "stride_h": 5, "stride_w": 3}),
            ("convolution", {"num_output": 96, "kernel_h": 256, "stride_h": 68}),
        ),
        {"solver": ("Nesterov", {"base_lr": 0.02, "momentum": 0.95})},
    ),
    "both_kinds_of_lrn": Described(
        "menndl",
        DIGITS,
        (
            _conv(16, 3),
            ("lrn", {"region": "ACROSS_CHANNELS", "local_size": 5, "alpha": 0.0001}),
            _conv(16, 3, "elu"),
            ("lrn", {"region": "WITHIN_CHANNEL", "local_size": 3, "alpha": 0.9}),
        ),
    ),
    "batch_norm_before_and_behind_inner_product": Described(
        "menndl",
        DIGITS,
        (
            _conv(16, 3, "none"),
            ("batch_norm", {"activation": "relu"}),
            ("inner_product", {"num_output": 64}),
            ("batch_norm", {"activation": "leaky_relu"}),
        ),
        {
            "solver": ("RMSProp", {"base_lr": 0.0005, "rms_decay": 0.98}),
            "learning_rate": ("step", {"gamma": 0.3, "fraction": 0.25}),
        },
    ),
    "every_filler_dropout_and_activation": Described(
        "menndl",
        DIGITS,
        (
            _conv(8, 3, "relu", weight_filler="xavier", dropout=0.1),
            _conv(8, 3, "leaky_relu", weight_filler="msra", dropout=0.2, bias=0.2),
            _conv(8, 3, "elu", weight_filler="positive_unitball", dropout=0.3),
            _conv(8, 3, "tanh", weight_filler="gaussian(0.01)", dropout=0.4),
            _conv(8, 3, "sigmoid", weight_filler="gaussian(0.1)", dropout=0.5),
            _conv(8, 3, "none", weight_filler="gaussian(1)", dropout=0.9),
        ),
        {"learning_rate": ("sigmoid", {"gamma": -20.0, "fraction": 0.75})},
    ),
    "layers_that_vanish": Described(
        "menndl",
        Task("pixel", 1, 1, 1, 2),
        (_POOL, _conv(4, 7), ("none", {}), ("inner_product", {}), _conv(4, 3), _POOL),
        {"towers": ("cut", {"count": 2, "merge": 2})},
    ),
    "lenet_of_caffe": Described(
        "lenet",
        Task("mnist", 1, 28, 28, 10, scale=0.00390625),
        (
            ("convolution", {"num_output": 20, "kernel_h": 5}),
            ("pooling", {"kernel_h": 2}),
            ("convolution", {"num_output": 50, "kernel_h": 5}),
            ("pooling", {"kernel_h": 2}),
            ("inner_product", {"num_output": 500}),
        ),
        {
            "solver": ("SGD", {"base_lr": 0.01, "momentum": 0.9}),
            "training": ("training", {"batch_size": 64, "weight_decay": 0.0005}),
        },
    ),
    "lenet_smallest": Described("lenet", DIGITS, ()),
}


def genome(name: str) -> str:
    """The canonical text of a described genome."""
    described = GENOMES[name]
    space = load_space(described.space)
    genes = write_genes(space, described.layers, **described.settings)
    return to_text(space, canonical(space, genes, described.task))


def emitted(name: str, text: str) -> dict[str, str]:
    """What every backend emits for a genome's text: path below the folder to content."""
    described = GENOMES[name]
    space = load_space(described.space)
    model = decode(space, from_text(space, text), described.task)
    return {
        f"{kind}/{name}/{path}": content
        for kind in backend_names()
        for path, content in backend(kind).emit(model, described.task).items()
    }


def kept_genomes() -> dict[str, str]:
    """The kept text of every genome, by name."""
    lines = (FOLDER / "genomes.txt").read_text().splitlines()
    return dict(line.split() for line in lines)  # type: ignore[misc]


def main() -> None:
    """Write the folder anew."""
    texts = {name: genome(name) for name in GENOMES}
    files = {"genomes.txt": "".join(f"{n} {t}\n" for n, t in texts.items())}
    for name, text in texts.items():
        files |= emitted(name, text)
    for path, content in files.items():
        (FOLDER / path).parent.mkdir(parents=True, exist_ok=True)
        (FOLDER / path).write_text(content)
    for path in sorted(FOLDER.rglob("*.*")):
        if str(path.relative_to(FOLDER)) not in files:
            path.unlink()
    print(f"wrote {len(files)} files below {FOLDER.name}/")


if __name__ == "__main__":
    main()
