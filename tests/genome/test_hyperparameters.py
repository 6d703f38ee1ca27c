"""Tuning spaces: one topology, everything else finer; total, lossless, told by the text."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ribosome.genome.codec import (
    as_text,
    from_text,
    pack,
    space_named_by,
    to_text,
    unpack,
)
from ribosome.genome.decode import decode
from ribosome.genome.encode import encode
from ribosome.genome.errors import GenomeError
from ribosome.genome.fit import canonical, fit
from ribosome.genome.hyperparameters import (
    as_tuned,
    hyperparameters,
    space_of,
    tuning_space,
)
from ribosome.genome.space import Genes, Space
from ribosome.genome.space_file import load_space, parse_space
from ribosome.genome.task import DIGITS, Task
from ribosome.search.variation import draw
from tests.genome.conftest import TASKS, codes, genomes
from tests.genome.space_files import spaces
from tests.genome.write import write_genes

MENNDL = load_space("menndl")
LENET = load_space("lenet")
SPACES = st.one_of(st.sampled_from([MENNDL, LENET]), spaces())
SIZED = Task("sized", 3, 24, 20, 5)

Tuned = tuple[Space, Genes, Space, Task]


@st.composite
def tuned(draw: st.DrawFn) -> Tuned:
    """Any space, a canonical genome for any task, its tuning space, and the task."""
    space, task = draw(SPACES), draw(st.sampled_from([*TASKS, SIZED]))
    genes = canonical(space, draw(genomes(space)), task)
    return space, genes, tuning_space(space, genes), task


LENET_GENES = canonical(LENET, unpack(LENET, bytes([1] * LENET.genome_bytes)), DIGITS)
TUNING = tuning_space(LENET, LENET_GENES)
TEMPLATE = to_text(LENET, LENET_GENES)
TUNED = to_text(TUNING, as_tuned(LENET, LENET_GENES, TUNING))


def test_lenet_has_eleven_hyperparameters() -> None:
    """Those of the paper's strong scaling runs, all of them numbers, in 8 bytes."""
    found = hyperparameters(TUNING)
    assert [(each.group, each.name) for each in found] == [
        ("slot 1", "num_output"),
        ("slot 1", "kernel_h"),
        ("slot 2", "kernel_h"),
        ("slot 3", "num_output"),
        ("slot 3", "kernel_h"),
        ("slot 4", "kernel_h"),
        ("slot 5", "num_output"),
        ("solver", "base_lr"),
        ("solver", "momentum"),
        ("training", "batch_size"),
        ("training", "weight_decay"),
    ]
    assert {each.kind for each in found} == {"continuous"}
    assert TUNING.genome_bytes == 8


def test_names_are_categorical() -> None:
    """Activations, fillers, padding and methods keep the alleles of the space."""
    genes = write_genes(MENNDL, [("convolution", {}), ("pooling", {})])
    found = hyperparameters(tuning_space(MENNDL, genes))
    names = {each.name for each in found if each.kind == "categorical"}
    assert names == {"activation", "weight_filler", "pad", "method"}
    case = MENNDL.groups[MENNDL.slots[0]].cases[1]
    alleles = {gene.name: gene.alleles for gene in case.genes}
    for each in found:
        if each.case == "convolution" and each.kind == "categorical":
            assert each.alleles == alleles[each.name]


def test_a_square_window_stays_square() -> None:
    """One that is "same" both ways has one kernel to tune, any other has two."""
    square = write_genes(MENNDL, [("convolution", {"kernel_h": 3})])
    wide = write_genes(MENNDL, [("convolution", {"kernel_h": 3, "kernel_w": 5})])
    for genes, kernels in ((square, ["kernel_h"]), (wide, ["kernel_h", "kernel_w"])):
        found = hyperparameters(tuning_space(MENNDL, genes))
        assert [each.name for each in found if "kernel" in each.name] == kernels


@given(tuned())
def test_a_tuning_space_has_the_alleles_of_the_space(found: Tuned) -> None:
    """Same groups and cases; what is not fixed has every allele, and its weight or finer."""
    space, genes, tuning, _ = found
    for before, chosen, after in zip(space.groups, genes, tuning.groups, strict=True):
        case = before.cases[chosen[0]]
        assert (before.name, case.name) == (after.name, after.cases[0].name)
        for old, new, index in zip(
            case.genes, after.cases[0].genes, chosen[1:], strict=True
        ):
            assert old.name == new.name
            assert old.alleles[index] in new.alleles
            if len(new.alleles) > 1:
                numbers = {a for a in old.alleles if a != "same"}
                assert numbers <= set(new.alleles)
                assert before.name != "towers"


@given(tuned())
def test_the_template_is_a_genome_of_its_tuning_space(found: Tuned) -> None:
    """It decodes to the same network, names and slots included, and the same solver."""
    space, genes, tuning, task = found
    ours = decode(tuning, as_tuned(space, genes, tuning), task)
    before = decode(space, genes, task)
    assert (ours.network, ours.solver) == (before.network, before.solver)
    assert ours.space == before.space
    assert ours.genome is not None
    assert ours.genome.startswith(f"{before.genome}~")


@given(st.data(), tuned())
def test_every_tuned_genome_decodes(data: st.DataObject, found: Tuned) -> None:
    """Any genes of a tuning space are a network, of the template's layers and towers.

    Only a pooling may come or go: it has no effect where another layer leaves one value.
    """
    space, genes, tuning, task = found
    other = data.draw(genomes(tuning))
    assert decode(tuning, other, task).network.output.shape == (task.classes,)
    kinds = [
        [layer.case for layer in fit(s, g, task)[0].layers]
        for s, g in ((space, genes), (tuning, other))
    ]
    before, after = ([k for k in each if "pooling" not in k] for each in kinds)
    assert before == after


@pytest.mark.parametrize("space", [MENNDL, LENET], ids=["menndl", "lenet"])
def test_random_draws_around_two_hundred_genomes_decode(space: Space) -> None:
    """What the workers of a tuning phase draw is a network each time."""
    rng = np.random.default_rng(1)
    for number in range(200):
        task = (DIGITS, SIZED)[number % 2]
        tuning = tuning_space(space, canonical(space, draw(space.groups, rng), task))
        model = decode(tuning, draw(tuning.groups, rng), task)
        assert model.network.output.shape == (task.classes,)


@given(st.data(), tuned())
def test_canonical_is_idempotent_and_means_the_same(
    data: st.DataObject, found: Tuned
) -> None:
    """The canonical form of a tuned genome is one, and decodes to the same model."""
    _, _, tuning, task = found
    genes = data.draw(genomes(tuning))
    once = canonical(tuning, genes, task)
    assert canonical(tuning, once, task) == once
    assert decode(tuning, once, task) == decode(tuning, genes, task)


@given(st.data(), tuned())
def test_encode_gives_the_canonical_tuned_genome(
    data: st.DataObject, found: Tuned
) -> None:
    """A network is written down in a tuning space as in any other."""
    _, _, tuning, task = found
    genes = data.draw(genomes(tuning))
    model = decode(tuning, genes, task)
    assert encode(tuning, model, task) == canonical(tuning, genes, task)


@given(st.data(), tuned())
def test_bytes_and_text_are_lossless(data: st.DataObject, found: Tuned) -> None:
    """Bytes lead back to the genes, and the text does with nothing but the space."""
    space, _, tuning, _ = found
    code = data.draw(codes(tuning))
    genes = unpack(tuning, code)
    assert pack(tuning, genes) == code
    text = as_text(tuning, code)
    assert space_of(space, text) is tuning
    assert from_text(tuning, text) == genes
    assert re.fullmatch(r"[0-9a-z_~-]+", text)
    assert len(text) == len(as_text(tuning, bytes(tuning.genome_bytes)))
    assert space_named_by(text) == (space.name, space.version)


def test_the_text_tells_the_tuning_space_to_another_process() -> None:
    """From a template's text alone comes a space with the same fingerprint, for ever."""
    tuning_space.cache_clear()
    again = space_of(LENET, TUNED.upper())
    assert again is not TUNING
    assert again.fingerprint == TUNING.fingerprint
    assert from_text(again, TUNED) == as_tuned(LENET, LENET_GENES, TUNING)
    assert TUNED == "lenet-1-040ern81-0d71~2ne7c53qjr955-dzzc"


def test_ordinary_genomes_are_of_the_space_itself() -> None:
    """A text without a template is of the space that it names."""
    assert space_of(LENET, TEMPLATE) is LENET


def test_a_tuned_genome_is_tuned_in_its_own_space() -> None:
    """Tuning on from the best of a tuning phase changes neither space nor text."""
    genes = unpack(TUNING, bytes(TUNING.genome_bytes))
    assert tuning_space(TUNING, genes) is TUNING
    assert as_tuned(TUNING, genes, TUNING) == genes
    assert space_of(TUNING, TUNED) is TUNING


def test_templates_have_spaces_of_their_own() -> None:
    """Another template has another fingerprint, even where the alleles are the same."""
    other = tuning_space(LENET, unpack(LENET, bytes(LENET.genome_bytes)))
    assert other.size == TUNING.size
    assert other.fingerprint != TUNING.fingerprint


def test_another_topology_cannot_be_tuned_there() -> None:
    """A genome with another layer, or a word for a number, says where it differs."""
    conv = write_genes(MENNDL, [("convolution", {"kernel_w": 3})])
    tuning = tuning_space(MENNDL, conv)
    for layer in (("lrn", {}), ("convolution", {})):
        with pytest.raises(GenomeError, match=r"another topology.*slot 1 is") as caught:
            as_tuned(MENNDL, write_genes(MENNDL, [layer]), tuning)
        assert "\n" not in str(caught.value)


OTHER = to_text(LENET, unpack(LENET, bytes(LENET.genome_bytes)))
LETTERS = TUNED.partition("~")[2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{OTHER}~{LETTERS}", "checksum is wrong"),
        (f"{TEMPLATE}~{LETTERS[1:]}", "truncated"),
        (f"{TEMPLATE}~0{LETTERS}", "padded"),
        (f"{TEMPLATE}~{LETTERS[:-4]}zzzz", "checksum is wrong"),
        (f"{TEMPLATE}~u{LETTERS[1:]}", "base 32"),
        (f"{TEMPLATE[:-1]}~{LETTERS}", "is no genome"),
        (f"{TEMPLATE[:-4]}zzzz~{LETTERS}", "checksum is wrong"),
        (f"{TEMPLATE}~", "is no genome"),
        (f"{TEMPLATE}~{LETTERS}~{LETTERS}", "is no genome"),
        (f"~{LETTERS}", "is no genome"),
        (f"{TUNED.replace('lenet', 'menndl')}", "is of space menndl 1, not of"),
        (f"{TUNED.replace('lenet-1', 'lenet-2')}", "is of space lenet 2, not of"),
    ],
)
def test_a_damaged_tuned_genome_says_what_is_wrong(text: str, message: str) -> None:
    """Each kind of damage, of the template or behind it, has an error of one line."""
    with pytest.raises(GenomeError, match=message) as caught:
        from_text(space_of(LENET, text), text)
    assert "\n" not in str(caught.value)
    assert ";" in str(caught.value), "says what to do"


@pytest.mark.parametrize(
    ("space", "text", "message"),
    [
        (LENET, TUNED, "genome is tuned.*--nearest"),
        (TUNING, TEMPLATE, "genome is not tuned"),
        (TUNING, TUNED.replace(TEMPLATE, OTHER), f"genome is tuned from {OTHER}"),
    ],
)
def test_a_genome_of_another_template_is_refused(
    space: Space, text: str, message: str
) -> None:
    """Tuned where none is expected, not tuned, or tuned from another genome."""
    with pytest.raises(GenomeError, match=message) as caught:
        from_text(space, text)
    assert "\n" not in str(caught.value)


def test_a_template_of_a_changed_space_file_is_refused() -> None:
    """A tuned genome is not read with another space of the same name."""
    text = """
    name = "small"
    version = 1
    [[slot]]
    [slot.inner_product]
    num_output = [1, 2, LAST]
    [solver.SGD]
    base_lr = [0.1]
    [training]
    batch_size = [8]
    """
    ours, other = (
        parse_space(text.replace("LAST", last), source="test") for last in ("5", "6")
    )
    tuning = tuning_space(ours, unpack(ours, b"\0"))
    with pytest.raises(GenomeError, match="another space file"):
        space_of(other, as_text(tuning, b"\1"))
