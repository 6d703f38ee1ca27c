"""What the generated layers compute, against Caffe's formulas written out."""

import math

import pytest

from ribosome.backends.pytorch.emit import emit_module
from ribosome.genome.decode import decode
from ribosome.genome.space_file import load_space
from ribosome.genome.task import Task
from tests.backends.pytorch.test_emit import build
from tests.genome.write import Choice, write_genes

torch = pytest.importorskip("torch", reason="install the extra: pip install torch")

MENNDL = load_space("menndl")
TASK = Task("maps", 4, 9, 7, 3)


def layer(*choices: Choice, name: str, **settings: Choice):  # type: ignore[no-untyped-def]
    """A layer of a network for 4 x 9 x 7 images."""
    genes = write_genes(MENNDL, choices, **settings)
    network = build(emit_module(decode(MENNDL, genes, TASK), TASK))
    return dict(network.named_children())[name]


def test_lrn_across_channels_follows_caffe() -> None:
    """X / (1 + alpha / n * sum of x^2 over n channels)^beta."""
    chosen = {"region": "ACROSS_CHANNELS", "local_size": 3, "alpha": 0.9, "beta": 0.75}
    x = torch.randn(2, 4, 9, 7)
    padded = torch.nn.functional.pad(x**2, (0, 0, 0, 0, 1, 1))
    total = padded[:, 0:4] + padded[:, 1:5] + padded[:, 2:6]
    expected = x / (1 + 0.9 / 3 * total) ** 0.75
    assert torch.allclose(
        layer(("lrn", chosen), name="norm1_0")(x), expected, atol=1e-6
    )


def test_lrn_within_channel_follows_caffe() -> None:
    """X * (1 + alpha * mean of x^2 over an n x n window, zeros counted)^-beta."""
    chosen = {"region": "WITHIN_CHANNEL", "local_size": 3, "alpha": 0.9, "beta": 0.25}
    x = torch.randn(2, 4, 9, 7)
    padded = torch.nn.functional.pad(x**2, (1, 1, 1, 1))
    total = sum(padded[:, :, i : i + 9, j : j + 7] for i in range(3) for j in range(3))
    expected = x * (1 + 0.9 * total / 9) ** -0.25
    assert torch.allclose(
        layer(("lrn", chosen), name="norm1_0")(x), expected, atol=1e-6
    )


def test_average_pooling_divides_by_the_clipped_window() -> None:
    """The last window of 9 by 2 holds one row: it is divided by what it holds."""
    pool = layer(
        ("pooling", {"method": "AVE", "kernel_h": 2, "stride_h": 2}), name="pool1_0"
    )
    x = torch.randn(1, 4, 9, 7)
    out = pool(x)
    assert out.shape == (1, 4, 5, 4)
    assert torch.allclose(out[0, 0, 4, 0], x[0, 0, 8, 0:2].mean())
    assert torch.allclose(out[0, 0, 4, 3], x[0, 0, 8, 6])


def test_batch_norm_keeps_bias_corrected_averages() -> None:
    """Caffe: sums S = f S + batch, c = f c + 1; the statistics are S / c."""
    norm = layer(("batch_norm", {}), name="bn1_0").train()
    batches = [torch.randn(6, 4, 9, 7) * k + k for k in (1.0, 2.0, 3.0)]
    mean, var, count = torch.zeros(4), torch.zeros(4), 0.0
    for batch in batches:
        out = norm(batch)
        flat = batch.transpose(0, 1).flatten(1)
        mean = 0.9 * mean + flat.mean(1)
        var = 0.9 * var + flat.var(1, unbiased=True)
        count = 0.9 * count + 1
        centred = (flat - flat.mean(1, keepdim=True)) / (
            flat.var(1, unbiased=False, keepdim=True) + 1e-5
        ).sqrt()
        assert torch.allclose(out.transpose(0, 1).flatten(1), centred, atol=1e-5)
    assert torch.allclose(norm.running_mean, mean / count, atol=1e-6)
    assert torch.allclose(norm.running_var, var / count, rtol=1e-5)


def test_jitter_multiplies_in_training_only() -> None:
    """N(1, std) in training, the identity in tests."""
    jitter = layer(name="jitteredData", input=("input", {"jitter": 0.1}))
    ones = torch.ones(50, 4, 9, 7)
    noisy = jitter.train()(ones)
    assert noisy.mean().item() == pytest.approx(1.0, abs=0.01)
    assert noisy.std().item() == pytest.approx(0.1, rel=0.05)
    assert torch.equal(jitter.eval()(ones), ones)


@pytest.mark.parametrize(
    ("filler", "spread", "low", "high"),
    [
        ("xavier", 1 / math.sqrt(100), -math.sqrt(3 / 100), math.sqrt(3 / 100)),
        ("msra", math.sqrt(2 / 100), -math.inf, math.inf),
        ("gaussian(0.1)", 0.1, -math.inf, math.inf),
        ("gaussian(1)", 1.0, -math.inf, math.inf),
    ],
)
def test_fillers_have_caffes_spread(
    filler: str, spread: float, low: float, high: float
) -> None:
    """Standard deviation and bounds for a fan-in of 4 x 5 x 5 = 100."""
    chosen = {"num_output": 128, "kernel_h": 5, "weight_filler": filler}
    weight = layer(("convolution", chosen), name="conv1_0").weight
    assert weight.std().item() == pytest.approx(spread, rel=0.05)
    assert abs(weight.mean().item()) < 0.05 * spread
    assert low <= weight.min().item()
    assert weight.max().item() <= high


def test_positive_unitball_sums_to_one() -> None:
    """Every output's weights are positive and sum to 1."""
    chosen = {"num_output": 16, "kernel_h": 3, "weight_filler": "positive_unitball"}
    weight = layer(("convolution", chosen), name="conv1_0").weight
    assert torch.allclose(weight.flatten(1).sum(1), torch.ones(16), atol=1e-6)
    assert weight.min().item() >= 0


def test_biases_start_at_their_allele() -> None:
    """A bias filler is a constant."""
    bias = layer(("convolution", {"num_output": 9, "bias": 0.2}), name="conv1_0").bias
    assert torch.equal(bias, torch.full((9,), 0.2))


def test_inception_joins_its_four_branches_in_order() -> None:
    """1x1, 3x3, 5x5, pool projection: 64 + 128 + 32 + 32 channels."""
    genes = write_genes(MENNDL, [("inception", {}), ("global_pooling", {})])
    network = build(emit_module(decode(MENNDL, genes, TASK), TASK)).eval()
    parts: dict[str, object] = {}
    for name, child in network.named_children():
        child.register_forward_hook(
            lambda _l, inputs, out, name=name: parts.update({name: (inputs[0], out)})
        )
    network(torch.rand(2, *TASK.shape))
    joined = parts["pool2_0"][0]  # type: ignore[index]
    branches = [
        parts[f"inception_1_0_relu_{part}"][1]  # type: ignore[index]
        for part in ("1x1", "3x3", "5x5", "pool_proj")
    ]
    assert [b.shape[1] for b in branches] == [64, 128, 32, 32]
    assert torch.equal(joined, torch.cat(branches, dim=1))


def test_multipliers_name_every_bias() -> None:
    """Biases learn twice as fast and do not decay."""
    genes = write_genes(MENNDL, [("convolution", {}), ("inner_product", {})])
    network = build(emit_module(decode(MENNDL, genes, TASK), TASK))
    assert network.multipliers() == {
        "conv1_0.bias": (2.0, 0.0),
        "ip2_0.bias": (2.0, 0.0),
        "finalip.bias": (2.0, 0.0),
    }
    assert set(network.multipliers()) <= set(dict(network.named_parameters()))
