"""What we wrote, read back: the same model, the same text, the same genome."""

from dataclasses import replace

import pytest

from ribosome.backends.caffe.emit import DEPLOY, SOLVER, TRAIN_VAL, emit
from ribosome.backends.caffe.read_model import DEFAULT_SOLVER, ReadModel, read_model
from ribosome.backends.caffe.schema import FLAVOURS, Flavour
from ribosome.genome.codec import from_text, to_text
from ribosome.genome.encode import encode
from ribosome.genome.network import Model
from ribosome.genome.space_file import load_space
from ribosome.genome.task import DIGITS, Task
from tests.backends.caffe.kit import MENNDL, RGB, model, random_models
from tests.golden_genomes import GENOMES, genome

NOVA = Task("nova", 2, 100, 80, 8, val=1000)
TASKS = (DIGITS, RGB, NOVA)
every_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
every_flavour = pytest.mark.parametrize("flavour", FLAVOURS)


def read(made: Model, task: Task, flavour: Flavour) -> ReadModel:
    """What the two training files of a model say."""
    files = emit(made, task, flavour)
    return read_model(
        files[TRAIN_VAL],
        path=TRAIN_VAL,
        solver=files[SOLVER],
        solver_path=SOLVER,
        shape=task.shape,
    )


@every_flavour
@every_task
def test_a_model_is_read_as_it_was_written(task: Task, flavour: Flavour) -> None:
    """Network, names, slots, solver, genome: everything of 60 random models."""
    for number, drawn in enumerate(random_models(60, task, seed=3)):
        assert read(drawn, task, flavour).model == drawn, number


@every_flavour
@every_task
def test_emit_read_emit_is_the_identity_on_text(task: Task, flavour: Flavour) -> None:
    """All three files, comments included."""
    for number, drawn in enumerate(random_models(40, task, seed=5)):
        files = emit(drawn, task, flavour)
        assert emit(read(drawn, task, flavour).model, task, flavour) == files, number
        deployed = read_model(files[DEPLOY], path=DEPLOY).model
        assert emit(deployed, task, flavour)[DEPLOY] == files[DEPLOY], number


@every_task
def test_encode_of_what_was_emitted_is_the_canonical_genome(task: Task) -> None:
    """From the layers alone: the file's name, which is the genome, is taken away first.

    ``python -m bench.prototxt`` does this for 10,000 genomes.
    """
    for drawn in random_models(60, task, seed=7):
        anonymous = replace(drawn, genome=None, space=None)
        found = read(anonymous, task, "caffe").model
        assert found.genome is None
        assert to_text(MENNDL, encode(MENNDL, found, task)) == drawn.genome


@pytest.mark.parametrize("name", GENOMES)
def test_the_golden_genomes_come_back(name: str) -> None:
    """Every op, filler, activation, update rule and policy of both spaces."""
    from ribosome.genome.decode import decode

    described, text = GENOMES[name], genome(name)
    space = load_space(described.space)
    made = decode(space, from_text(space, text), described.task)
    found = read(made, described.task, "nvcaffe").model
    assert (found, to_text(space, encode(space, found, described.task))) == (made, text)


def test_a_network_without_a_solver_gets_a_usual_one() -> None:
    """With the file's own batch size, which is the training data's."""
    text = emit(model(), DIGITS, "caffe")[TRAIN_VAL]
    found = read_model(text, path="net.prototxt", shape=DIGITS.shape)
    assert found.facts is None
    assert found.model.solver == replace(DEFAULT_SOLVER, batch_size=16)
    assert found.training_batch == 16


def test_a_name_that_is_no_genome_is_a_name() -> None:
    """A network of somebody's whose layers are called as ours are has no slots."""
    text = emit(model(), DIGITS, "caffe")[TRAIN_VAL]
    text = text.replace('"finalip"', '"conv3_1"')
    found = read_model(text, path="net.prototxt", shape=DIGITS.shape).model
    assert found.genome is None
    assert all(node.slot is None for node in found.network.nodes)
