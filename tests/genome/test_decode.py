"""Decode: what a plan's values become in the network."""

from ribosome.genome.decode import decode
from ribosome.genome.ops import InnerProduct
from ribosome.genome.space_file import parse_space
from ribosome.genome.task import DIGITS


def test_a_bias_of_minus_zero_is_zero() -> None:
    """Whichever of the two was decoded first, the text that is emitted is the same."""
    text = """
    name = "minus"
    version = 1
    [[slot]]
    [slot.inner_product]
    num_output = [3]
    bias = [BIAS]
    [solver.SGD]
    base_lr = [0.1]
    [training]
    batch_size = [8]
    """
    genes = ((0, 0, 0, 0, 0, 0), (0, 0, 0), (0,), (0, 0, 0, 0))
    for allele in ("-0.0", "0.0", "0"):
        space = parse_space(text.replace("BIAS", allele), source="minus")
        op = decode(space, genes, DIGITS).network.nodes[1].op
        assert isinstance(op, InnerProduct)
        assert op.bias is not None
        assert repr(op.bias.filler.value) == "0.0"
