"""Space files: what they may say, and what is said of a wrong one."""

import re
from pathlib import Path

import pytest

from ribosome.genome.errors import SpaceError
from ribosome.genome.space_file import load_space, parse_space, shipped_spaces

GOOD = """
name = "mine"
version = 3
[[slot]]
repeat = 2
[slot.none]
[slot.convolution]
weight = 2.0
num_output = [8, 16]
kernel_h = { range = [1, 4], power = -1 }
[solver.SGD]
base_lr = [0.01, 0.1]
[training]
batch_size = [32]
"""


def test_a_space_file_becomes_groups_in_order() -> None:
    """Slots come before solver, learning rate and training."""
    names = [group.name for group in parse_space(GOOD, source="good").groups]
    assert names == ["slot 1", "slot 2", "solver", "learning_rate", "training"]


def test_size_counts_every_way_to_fill_in_the_space() -> None:
    """Cases add up, genes multiply: (1 + 2 * 4)^2 slots times 2 rates."""
    assert parse_space(GOOD, source="good").size == 9 * 9 * 2


def test_power_weighs_alleles_by_their_value() -> None:
    """Power -1 makes 1 four times as likely as 4."""
    gene = parse_space(GOOD, source="good").groups[0].cases[1].genes[1]
    assert gene.weights[0] == pytest.approx(4 * gene.weights[3])


def test_cumulative_weights_end_at_one() -> None:
    """The last cumulative probability is exactly 1, so that every draw finds an allele."""
    for name in shipped_spaces():
        for group in load_space(name).groups:
            assert group.cumulative[-1] == 1.0
            assert all(g.cumulative[-1] == 1.0 for c in group.cases for g in c.genes)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("num_output = [8, 16]", "num_output = [8, 8]", "8 stands twice"),
        ("num_output = [8, 16]", "num_output = []", "is empty"),
        ("num_output = [8, 16]", "num_output = [0]", "0 is not a whole number from 1"),
        ("num_output = [8, 16]", "num_output = [true]", "True is not"),
        ("num_output = [8, 16]", "", "num_output is missing"),
        ("num_output = [8, 16]", "num_outptu = [8]", "did you mean 'num_output'"),
        ("num_output = [8, 16]", "num_output = 8", "must be a list of alleles"),
        ("[slot.convolution]", "[slot.convolutoin]", "did you mean 'convolution'"),
        ("[solver.SGD]", "[solver.sgd]", "did you mean 'SGD'"),
        ("power = -1", "power = -9999", "leaves no weight"),
        ("power = -1", "weights = [1]", "4 positive numbers"),
        ("range = [1, 4]", "range = [4, 1]", "first to last"),
        ("range = [1, 4]", "alleles = [3, 1]", "ascending order"),
        ("repeat = 2", "repeat = 0", "repeat must be"),
        ("repeat = 2", "repeat = 1000", "repeat must be"),
        ("weight = 2.0", "weight = -1", "weight must be"),
        ("weight = 2.0", "weight = nan", "weight must be"),
        ("version = 3", "version = 0", "version must be"),
        ('name = "mine"', 'name = "Mine!"', "name must be"),
        ('name = "mine"', 'name = "9"', "begin with a letter"),
        ("weight = 2.0", f"weight = 1{'0' * 400}", "weight must be"),
        ("power = -1", f"power = 1{'0' * 400}", "power must be"),
        ("power = -1", "weights = [1e308, 1e308, 1e308, 1]", "4 positive numbers"),
        ("repeat = 2", f"repeat = {'9' * 5000}", "not valid TOML"),
        ("[8, 16]", "[" * 5000 + "]" * 5000, "not valid TOML"),
        ("weight = 2.0", 'weight_filler = ["gaussian(0.10)"]', "as short as can be"),
        ("weight = 2.0", 'weight_filler = ["gaussian(0)"]', "as short as can be"),
        ("batch_size = [32]", "batch_size = [1]", "1 is not a whole number from 2"),
        ("[[slot]]", "[slots]", "unknown key 'slots'"),
        ("[training]", "[training", "not valid TOML"),
        ("base_lr = [0.01, 0.1]", "base_lr = [nan]", "nan is not a number from"),
        ("[training]\nbatch_size = [32]", "", r"\[training\] is missing"),
    ],
)
def test_a_wrong_space_file_is_refused(old: str, new: str, message: str) -> None:
    """Each fault gives one line with the source and the place."""
    assert old in GOOD
    with pytest.raises(SpaceError, match=message) as caught:
        parse_space(GOOD.replace(old, new), source="wrong.toml")
    assert re.fullmatch(r"space file wrong\.toml: .+", str(caught.value))


def test_an_unknown_space_names_the_nearest() -> None:
    """A misspelt shipped space is guessed."""
    with pytest.raises(SpaceError, match="did you mean menndl"):
        load_space("mendl")


def test_a_missing_space_file_is_an_error(tmp_path: Path) -> None:
    """A path to nothing says so."""
    with pytest.raises(SpaceError, match="cannot read the space file"):
        load_space(str(tmp_path / "none.toml"))


def test_a_path_that_no_file_can_have_is_an_error() -> None:
    """A NUL in a path is no file that is missing, but is said alike."""
    with pytest.raises(SpaceError, match="cannot read the space file"):
        load_space("\0.toml")


def test_a_space_file_is_read_from_its_path(tmp_path: Path) -> None:
    """A user's own space is as good as a shipped one."""
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    assert load_space(str(path)).name == "mine"


def test_lenet_has_eleven_hyperparameters() -> None:
    """The paper's LeNet has 11 of them (VII.C)."""
    space = load_space("lenet")
    genes = [gene for group in space.groups for gene in group.cases[0].genes]
    assert all(len(group.cases) == 1 for group in space.groups)
    assert sum(len(gene.alleles) > 1 for gene in genes) == 11
