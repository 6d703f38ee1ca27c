"""The emitted prototxt: what each file holds, and that each flavour knows every field."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ribosome.backends.caffe.check import check_text
from ribosome.backends.caffe.emit import (
    DEPLOY,
    SOLVER,
    TRAIN_VAL,
    emit,
    emit_deploy,
)
from ribosome.backends.caffe.frames import test_batches
from ribosome.backends.caffe.schema import FLAVOURS, Flavour
from ribosome.genome.errors import EmitError
from ribosome.genome.ops import Jitter, Pooling, Softmax
from ribosome.genome.task import DIGITS, Task, Training
from ribosome.templates.frame import Frame, frame
from tests.backends.caffe.kit import RGB, layers, model, parsed, random_models

test_batches.__test__ = False  # type: ignore[attr-defined]


def trained_by(task: Task, **fields: object) -> Task:
    """A task with other settings of training."""
    return replace(task, training=replace(task.training, **fields))  # type: ignore[arg-type]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_protobuf_reads_whatever_is_emitted(flavour: Flavour) -> None:
    """Every file of 100 random models parses with the schema of its own flavour."""
    for number, drawn in enumerate(random_models(100, RGB)):
        files = emit(drawn, RGB, flavour)
        assert parsed(files[TRAIN_VAL], flavour=flavour).layer, number
        assert parsed(files[DEPLOY], flavour=flavour).layer, number
        assert parsed(files[SOLVER], "SolverParameter", flavour).net == TRAIN_VAL


def test_a_field_that_a_flavour_does_not_know_is_caught() -> None:
    """BVLC's Caffe aborts on NVIDIA's fields; our own check refuses them before."""
    text = emit(model(), DIGITS, "nvcaffe")[TRAIN_VAL]
    check_text(text, "NetParameter", "nvcaffe")
    with pytest.raises(EmitError, match="default_forward_type"):
        check_text(text, "NetParameter", "caffe")


def test_emission_has_no_memory() -> None:
    """The same model gives the same text, whatever was emitted before."""
    first, second, *_ = random_models(2, RGB)
    before = emit(first, RGB, "caffe")
    emit(second, RGB, "nvcaffe")
    assert emit(first, RGB, "caffe") == before


def test_every_node_is_a_layer_of_its_name() -> None:
    """In order; Slice nodes are the tops of one layer, the image is the data layers'."""
    for drawn in random_models(50, RGB):
        net = parsed(emit(drawn, RGB, "caffe")[TRAIN_VAL])
        names = {layer.name for layer in net.layer}
        tops = {top for layer in net.layer for top in layer.top}
        for node in drawn.network.nodes:
            assert node.name in names or node.name in tops


def test_both_phases_read_their_images_in_batches_of_their_own() -> None:
    """The batch size gene in training, a divisor of the validation images in tests."""
    net = parsed(emit(model(), DIGITS, "caffe")[TRAIN_VAL])
    train, test = layers(net, "Data")
    assert [train.include[0].phase, test.include[0].phase] == [0, 1]
    assert (train.data_param.batch_size, test.data_param.batch_size) == (16, 180)
    assert (train.data_param.backend, list(train.top)) == (1, ["data", "label"])


def test_pixels_are_transformed_as_the_task_says() -> None:
    """(pixel - mean) * scale, one mean per channel."""
    net = parsed(emit(model(task=RGB), RGB, "caffe")[TRAIN_VAL])
    transform = layers(net, "Data")[0].transform_param
    assert list(transform.mean_value) == [125.0, 123.5, 114.0]
    assert transform.scale == pytest.approx(0.017)


def test_hdf5_layers_read_lists_and_transform_nothing() -> None:
    """HDF5Data takes no transform_param: its files hold what the network sees."""
    task = trained_by(RGB, data_layer="hdf5")
    net = parsed(emit(model(task=task), task, "caffe")[TRAIN_VAL])
    train, test = layers(net, "HDF5Data")
    assert (train.hdf5_data_param.source, train.hdf5_data_param.batch_size) == (
        "train.txt",
        16,
    )
    assert not test.HasField("transform_param")


def test_jitter_is_noise_in_training_and_ones_in_tests() -> None:
    """DummyData of the batch's shape, multiplied in; deploy has none of it."""
    files = emit(model(("jitteredData", Jitter(0.03), "")), DIGITS, "caffe")
    train, test = layers(parsed(files[TRAIN_VAL]), "DummyData")
    noise, ones = train.dummy_data_param, test.dummy_data_param
    assert list(noise.shape[0].dim) == [16, 1, 8, 8]
    assert list(ones.shape[0].dim) == [180, 1, 8, 8]
    assert (noise.data_filler[0].type, noise.data_filler[0].mean) == ("gaussian", 1.0)
    assert (ones.data_filler[0].type, ones.data_filler[0].value) == ("constant", 1.0)
    assert "jitter" not in files[DEPLOY]


def test_train_val_ends_in_accuracy_and_loss() -> None:
    """Of the logits and the labels; the accuracy in tests only."""
    net = parsed(emit(model(), DIGITS, "caffe")[TRAIN_VAL])
    accuracy, loss = net.layer[-2:]
    assert list(accuracy.bottom) == list(loss.bottom) == ["finalip", "label"]
    assert (accuracy.type, accuracy.include[0].phase) == ("Accuracy", 1)
    assert (loss.type, len(loss.include)) == ("SoftmaxWithLoss", 0)


def test_deploy_takes_one_image_and_gives_probabilities() -> None:
    """An Input layer with a batch of 1, and a Softmax at the end."""
    net = parsed(emit(model(), DIGITS, "caffe")[DEPLOY])
    assert list(net.layer[0].input_param.shape[0].dim) == [1, 1, 8, 8]
    assert (net.layer[-1].type, list(net.layer[-1].top)) == ("Softmax", ["prob"])


def test_a_softmax_at_the_end_is_the_losses_own() -> None:
    """It stays in deploy, once, and is left out before SoftmaxWithLoss."""
    made = model()
    nodes = made.network.nodes
    end = type(nodes[-1])("prob", Softmax(), ("finalip",), nodes[-1].shape)
    made = replace(made, network=type(made.network)((*nodes, end)))
    files = emit(made, DIGITS, "caffe")
    assert not layers(parsed(files[TRAIN_VAL]), "Softmax")
    assert len(layers(parsed(files[DEPLOY]), "Softmax")) == 1


def test_names_that_a_node_has_are_taken() -> None:
    """A layer called loss or label does not meet ours."""
    pooling = Pooling("MAX", 2, 2, 2, 2)
    made = model(
        ("label", pooling, ""), ("loss", pooling, ""), ("accuracy", pooling, "")
    )
    net = parsed(emit(made, DIGITS, "caffe")[TRAIN_VAL])
    tops = [top for layer in net.layer if not layer.include for top in layer.top]
    assert len(tops) == len(set(tops))
    assert net.layer[-1].name == "loss_"


@pytest.mark.parametrize(
    ("precision", "types"),
    [("single", None), ("auto", (2, 1)), ("mixed", (2, 1)), ("half", (2, 2))],
)
def test_nvcaffe_has_mixed_precision(
    precision: str, types: tuple[int, int] | None
) -> None:
    """Half-precision values, arithmetic in single or half; gradients are scaled up."""
    task = trained_by(DIGITS, precision=precision)
    files = emit(model(), task, "nvcaffe")
    net = parsed(files[TRAIN_VAL], flavour="nvcaffe")
    if types is None:
        assert not net.HasField("default_forward_type")
        return
    assert (net.default_forward_type, net.default_forward_math) == types
    assert (net.default_backward_type, net.default_backward_math) == types
    assert 100 <= net.global_grad_scale <= 1000
    solver = parsed(files[SOLVER], "SolverParameter", "nvcaffe")
    assert (solver.solver_data_type, solver.store_blobs_in_old_format) == (1, True)


@pytest.mark.parametrize("precision", ["single", "mixed", "half"])
def test_accuracy_and_loss_are_never_of_half_precision(precision: str) -> None:
    """There NaN would have a loss of 9.7, and counts above 2048 would be rounded."""
    task = trained_by(DIGITS, precision=precision)
    net = parsed(emit(model(), task, "nvcaffe")[TRAIN_VAL], flavour="nvcaffe")
    for layer in net.layer[-2:]:
        assert (layer.forward_type, layer.backward_type) == (1, 1)
        assert layer.HasField("forward_type") == (precision != "single")


@pytest.mark.parametrize("classes", [2049, 2050])
def test_labels_that_half_precision_cannot_tell_apart_are_read_in_single(
    classes: int,
) -> None:
    """Whole numbers are exact up to 2048; the last label of 2,050 classes is 2049."""
    task = replace(DIGITS, classes=classes)
    made = model(task=task)
    net = parsed(emit(made, task, "nvcaffe")[TRAIN_VAL], flavour="nvcaffe")
    for layer in layers(net, "Data"):
        assert layer.HasField("forward_type") == (classes > 2049)


def test_nvcaffe_keeps_the_images_in_order() -> None:
    """One thread that reads and one that parses."""
    net = parsed(emit(model(), DIGITS, "nvcaffe")[TRAIN_VAL], flavour="nvcaffe")
    data = layers(net, "Data")[0].data_param
    assert (data.threads, data.parser_threads, data.cache, data.shuffle) == (
        1,
        1,
        True,
        False,
    )


def test_the_genome_is_the_networks_name() -> None:
    """It survives whatever rewrites the file; the comments say it too."""
    drawn = random_models(1, RGB)[0]
    for text in list(emit(drawn, RGB, "caffe").values())[:2]:
        assert parsed(text).name == drawn.genome
        assert f"# genome: {drawn.genome}\n" in text


def test_a_network_of_another_task_is_refused() -> None:
    """Shapes and classes must be the task's."""
    with pytest.raises(EmitError, match=r"1, 8, 8.*colour"):
        emit(model(), RGB, "caffe")


def test_deploy_takes_a_network_of_any_output() -> None:
    """A network from a file may end in maps."""
    made = model()
    cut = replace(made, network=type(made.network)(made.network.nodes[:1]))
    assert not layers(parsed(emit_deploy(cut, DIGITS, "caffe")), "Softmax")


@given(st.integers(1, 5000), st.integers(1, 600))
def test_validation_batches_cover_the_images(images: int, at_most: int) -> None:
    """All of them, within the limit, and exactly unless only tiny batches would."""
    batch, iterations = test_batches(images, at_most)
    assert 1 <= batch <= at_most
    extra = batch * iterations - images
    assert 0 <= extra < iterations
    divisors = [d for d in range(1, min(at_most, images) + 1) if images % d == 0]
    if max(divisors) * 8 >= min(at_most, images):
        assert (batch, extra) == (max(divisors), 0)


def test_images_that_are_counted_twice_are_told_of() -> None:
    """A prime number of them has no good batch."""
    task = replace(DIGITS, val=1009)
    text = emit(model(task=task), task, "caffe")[TRAIN_VAL]
    assert (
        "1009 validation images are no multiple of a good batch: 3 are counted" in text
    )


def test_an_unknown_number_of_images_makes_one_batch() -> None:
    """A task that was described by hand has no data folder."""
    assert test_batches(0, 100) == (100, 1)
    task = Task("x", 1, 8, 8, 10, training=Training(test_batch_size=100))
    solver = parsed(emit(model(), task, "caffe")[SOLVER], "SolverParameter")
    assert list(solver.test_iter) == [1]


@pytest.mark.parametrize("file", ["train_val", "deploy", "solver"])
def test_the_frames_are_checked_before_they_are_used(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A field of ours around the layers that Caffe does not know is an error at emit."""
    from ribosome.backends.caffe import frames

    def damaged(name: str, **values: object) -> Frame:
        made = frame(name, **values)
        made._parts[0] += "batch_sise: 3\n" * (f"_{file}." in name)
        return made

    monkeypatch.setattr(frames, "frame", damaged)
    task = replace(DIGITS, name=f"damaged {file}")  # none that is kept
    with pytest.raises(EmitError, match="batch_sise"):
        emit(model(), task, "caffe")
