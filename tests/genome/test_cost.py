"""Cost against torch: parameters, and operations as its FlopCounterMode counts them."""

import pytest
from hypothesis import given, settings

from ribosome.backends.pytorch.emit import emit_module
from ribosome.genome.cost import cost
from ribosome.genome.decode import decode
from ribosome.genome.space_file import load_space
from ribosome.genome.task import Task
from tests.genome.conftest import genomes
from tests.genome.write import write_genes

torch = pytest.importorskip("torch", reason="install the extra: pip install torch")

MENNDL = load_space("menndl")
TASK = Task("small", 3, 12, 10, 5)


@settings(max_examples=25, deadline=None)
@given(genomes(MENNDL))
def test_cost_agrees_with_torch(genes: tuple[tuple[int, ...], ...]) -> None:
    """Parameters, forward and training operations are torch's, exactly."""
    from torch.utils.flop_counter import FlopCounterMode

    model = decode(MENNDL, genes, TASK)
    namespace: dict[str, object] = {"__name__": "emitted"}
    exec(emit_module(model, TASK), namespace)  # noqa: S102
    network = namespace["Network"]()  # type: ignore[operator]
    counted = cost(model.network)
    assert counted.parameters == sum(p.numel() for p in network.parameters())
    images = torch.rand(2, *TASK.shape)
    with FlopCounterMode(display=False) as forward:
        logits = network(images)
    assert forward.get_total_flops() == 2 * counted.forward_flops
    with FlopCounterMode(display=False) as backward:
        logits.sum().backward()
    whole = forward.get_total_flops() + backward.get_total_flops()
    assert whole == 2 * counted.training_flops


def test_lenet_costs_what_the_textbook_says() -> None:
    """Caffe's LeNet on 28 x 28 digits has 431,080 parameters and 2,293,000 multiply-adds."""
    lenet = load_space("lenet")
    layers = [
        ("convolution", {"num_output": 20, "kernel_h": 5}),
        ("pooling", {"kernel_h": 2}),
        ("convolution", {"num_output": 50, "kernel_h": 5}),
        ("pooling", {"kernel_h": 2}),
        ("inner_product", {"num_output": 500}),
    ]
    task = Task("mnist", 1, 28, 28, 10)
    counted = cost(decode(lenet, write_genes(lenet, layers), task).network)
    assert counted.parameters == 431_080
    assert counted.forward_flops == 2 * (288_000 + 1_600_000 + 400_000 + 5_000)


def test_activation_memory_counts_every_output() -> None:
    """Input, convolution and head of an 8 x 8 image, four bytes a value."""
    layers = [("convolution", {"num_output": 2, "kernel_h": 1})]
    network = decode(
        MENNDL, write_genes(MENNDL, layers), Task("t", 1, 8, 8, 10)
    ).network
    assert cost(network).activation_bytes == 4 * (64 + 128 + 10)
