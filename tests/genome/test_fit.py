"""The rules that make every genome fit, and the canonical form that they lead to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ribosome.genome.codec import unpack
from ribosome.genome.decode import decode
from ribosome.genome.encode import encode
from ribosome.genome.fit import canonical, fit
from ribosome.genome.network import Network
from ribosome.genome.ops import Concat, Convolution, Pooling
from ribosome.genome.space import Genes
from ribosome.genome.space_file import load_space, parse_space
from ribosome.genome.task import DIGITS, Task
from ribosome.search.novelty import every
from tests.genome.conftest import TASKS, genomes
from tests.genome.space_files import spaces
from tests.genome.write import write_genes

MENNDL = load_space("menndl")
LENET = load_space("lenet")
SPACES = st.one_of(st.sampled_from([MENNDL, LENET]), spaces())


@given(st.data(), st.sampled_from(TASKS), SPACES)
def test_every_genome_decodes(data: st.DataObject, task: Task, space) -> None:  # type: ignore[no-untyped-def]
    """Any code of any space is a network that leaves one logit a class."""
    model = decode(space, data.draw(genomes(space)), task)
    assert model.network.output.shape == (task.classes,)


@given(st.data(), st.sampled_from(TASKS), SPACES)
def test_decoding_the_canonical_genome_gives_the_same_model(
    data: st.DataObject,
    task: Task,
    space,  # type: ignore[no-untyped-def]
) -> None:
    """decode(canonical(g)) == decode(g), names, slots and genome text included."""
    genes = data.draw(genomes(space))
    assert decode(space, canonical(space, genes, task), task) == decode(
        space, genes, task
    )


@given(st.data(), st.sampled_from(TASKS), SPACES)
def test_canonical_is_idempotent(data: st.DataObject, task: Task, space) -> None:  # type: ignore[no-untyped-def]
    """The canonical genome of a canonical genome is itself."""
    once = canonical(space, data.draw(genomes(space)), task)
    assert canonical(space, once, task) == once


@given(st.data(), st.sampled_from(TASKS), SPACES)
def test_encode_gives_the_canonical_genome(
    data: st.DataObject, task: Task, space
) -> None:  # type: ignore[no-untyped-def]
    """encode(decode(g)) == canonical(g)."""
    genes = data.draw(genomes(space))
    assert encode(space, decode(space, genes, task), task) == canonical(
        space, genes, task
    )


def test_a_kernel_never_exceeds_its_input() -> None:
    """A 256 x 100 kernel on 8 x 8 images is 8 x 8."""
    conv = _only(Convolution, [("convolution", {"kernel_h": 256, "kernel_w": 100})])
    assert (conv.kernel_h, conv.kernel_w) == (8, 8)


def test_same_means_the_fitted_kernel_h() -> None:
    """A square kernel of 37 on a 100 x 20 map is 37 x 20."""
    task = Task("tall", 1, 100, 20, 2)
    layers = [("convolution", {"kernel_h": 37, "kernel_w": "same"})]
    conv = _only(Convolution, layers, task)
    assert (conv.kernel_h, conv.kernel_w) == (37, 20)


def test_padding_is_half_the_fitted_kernel() -> None:
    """NOvA's 1 x 4 convolution has padding 0 x 1 (MENNDL's own network)."""
    layers = [("convolution", {"kernel_h": 1, "kernel_w": 4, "pad": "half"})]
    conv = _only(Convolution, layers)
    assert (conv.pad_h, conv.pad_w) == (0, 1)


def test_a_pooling_stride_is_at_most_its_kernel() -> None:
    """No pooling skips pixels: a stride of 68 with a kernel of 2 is 2."""
    pool = _only(Pooling, [("pooling", {"kernel_h": 2, "stride_h": 68})])
    assert (pool.stride_h, pool.stride_w) == (2, 2)


def test_the_stride_of_a_pooling_over_the_whole_axis_is_one() -> None:
    """Where one value is left, the stride means nothing and is 1."""
    pool = _only(Pooling, [("pooling", {"kernel_h": 64, "stride_h": 16})])
    assert (pool.kernel_h, pool.stride_h) == (8, 1)


def test_a_convolution_stride_ends_at_the_last_place_of_its_kernel() -> None:
    """A stride that leaves one value is the smallest that does: 8 - 3 + 1."""
    conv = _only(Convolution, [("convolution", {"kernel_h": 3, "stride_h": 68})])
    assert conv.stride_h == 6


@pytest.mark.parametrize(
    "kind", ["convolution", "pooling", "global_pooling", "lrn", "inception"]
)
def test_no_map_is_left_behind_an_inner_product(kind: str) -> None:
    """Layers that need a map vanish behind an inner product."""
    genes = write_genes(MENNDL, [("inner_product", {}), (kind, {})])
    assert len(fit(MENNDL, genes, DIGITS)[0].layers) == 1


@pytest.mark.parametrize("kind", ["pooling", "global_pooling"])
def test_pooling_vanishes_on_a_single_pixel(kind: str) -> None:
    """There is nothing to pool in a 1 x 1 map."""
    genes = write_genes(MENNDL, [("global_pooling", {}), (kind, {})])
    assert len(fit(MENNDL, genes, DIGITS)[0].layers) == 1


def test_empty_slots_close_ranks() -> None:
    """A layer behind empty slots has the number, and the genome, of one before them."""
    late = [("none", {})] * 5 + [("convolution", {})]
    early = [("convolution", {})]
    genes = [write_genes(MENNDL, layers) for layers in (late, early)]
    assert decode(MENNDL, genes[0], DIGITS) == decode(MENNDL, genes[1], DIGITS)
    assert decode(MENNDL, genes[0], DIGITS).network.nodes[1].slot == 1


def test_towers_are_at_most_the_channels() -> None:
    """Four towers on two channels are two."""
    task = Task("nova", 2, 100, 80, 8)
    genes = write_genes(
        MENNDL, [("convolution", {})], towers=("cut", {"count": 4, "merge": 1})
    )
    assert fit(MENNDL, genes, task)[0].towers == 2


def test_a_grey_image_has_one_tower() -> None:
    """One channel cannot be cut."""
    genes = write_genes(
        MENNDL, [("convolution", {})], towers=("cut", {"count": 2, "merge": 1})
    )
    plan, _ = fit(MENNDL, genes, DIGITS)
    assert (plan.towers, plan.merge) == (1, 0)


def test_towers_without_layers_are_not_cut() -> None:
    """A cut that is merged at once is no cut."""
    task = Task("nova", 2, 100, 80, 8)
    genes = write_genes(MENNDL, [], towers=("cut", {"count": 2, "merge": 3}))
    nodes = decode(MENNDL, genes, task).network.nodes
    assert not any(isinstance(node.op, Concat) for node in nodes)


def test_layers_move_only_to_slots_that_can_hold_them() -> None:
    """Where slots differ, the canonical genome keeps a layer that only a later one holds."""
    space = parse_space(
        """
        name = "mixed"
        version = 1
        [[slot]]
        [slot.none]
        [slot.convolution]
        num_output = [8]
        [[slot]]
        [slot.convolution]
        num_output = [8, 16]
        [solver.SGD]
        base_lr = [0.1]
        [training]
        batch_size = [8]
        """,
        source="mixed",
    )
    genes = ((0,), (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), (0, 0, 0), (0,), (0, 0, 0, 0))
    assert canonical(space, genes, DIGITS) == genes


def test_genomes_of_one_model_share_one_canonical_form() -> None:
    """Of a whole space of odd alleles: as many canonical genomes as different models."""
    space = parse_space(
        """
        name = "odd"
        version = 1
        [towers.one]
        [towers.cut]
        count = [2, 64]
        merge = [1, 9]
        [[slot]]
        [slot.convolution]
        num_output = [2]
        kernel_h = [3, 7, 9]
        kernel_w = ["same", 2]
        stride_h = [2, 30]
        pad = ["half_h", "none"]
        [slot.inner_product]
        num_output = [2]
        [[slot]]
        [slot.global_pooling]
        [slot.pooling]
        kernel_h = [1, 2, 8]
        stride_w = ["same", 1, 3]
        [solver.SGD]
        base_lr = [0.1]
        [training]
        batch_size = [8]
        """,
        source="odd",
    )
    task = Task("small", 3, 7, 4, 2)
    forms: dict[Network, set[Genes]] = {}
    for genes in every(space.groups):
        network = decode(space, genes, task).network
        forms.setdefault(network, set()).add(canonical(space, genes, task))
    assert all(len(form) == 1 for form in forms.values())
    assert len(set.union(*forms.values())) == len(forms) < space.size / 2


def test_slots_that_all_differ_are_searched_in_no_time() -> None:
    """Layers that only the last 40 of 80 slots hold: the ways to try double with each slot."""
    slots = [
        f"[[slot]]\n{none}[slot.batch_norm]\nfraction = [0.5, 0.{100 + i}]\n"
        for none in ("[slot.none]\n", "")
        for i in range(40)
    ]
    space = parse_space(
        "\n".join(
            [
                'name = "differ"\nversion = 1',
                *slots,
                "[solver.SGD]\nbase_lr = [0.1]\n[training]\nbatch_size = [8]",
            ]
        ),
        source="differ",
    )
    genes = unpack(space, bytes(space.genome_bytes))
    assert canonical(space, genes, DIGITS) == genes


def _only(kind, layers, task=DIGITS):  # type: ignore[no-untyped-def]
    network = decode(MENNDL, write_genes(MENNDL, layers), task).network
    (op,) = [node.op for node in network.nodes if isinstance(node.op, kind)]
    return op
