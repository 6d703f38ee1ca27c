"""`ribosome export`: kept weights, weights trained again, and what cannot be had."""

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
import pytest

from ribosome.backends.caffe.backend import Caffe
from ribosome.backends.pytorch.trial import load_network
from ribosome.backends.pytorch.weights import save_state
from ribosome.genome.codec import from_text
from ribosome.genome.decode import decode
from ribosome.genome.errors import RunError
from ribosome.genome.space_file import load_space
from ribosome.genome.task import DIGITS
from ribosome.runner.config import BackendConfig, encode_config
from ribosome.runner.records import read_config
from ribosome.tools.export import Trained, emitted, kept, open_trial
from tests.backends.caffe.test_weights import opencv, random_weights


def keep(run: Path, trial: int) -> Path:
    """Put a trial's files where the runner keeps them."""
    folder = run / "trials" / str(trial)
    folder.mkdir(parents=True)
    (source,) = emitted(open_trial(run, trial, "pytorch")).values()
    (folder / "network.py").write_text(source)
    save_state(load_network(folder).state_dict(), folder / "weights")
    return folder


def test_the_best_is_taken_as_it_was_kept(ribosome, run: Path, tmp_path: Path) -> None:
    """Source and weights are copied, a text says how to load them."""
    folder = keep(run, 2)
    out = tmp_path / "out"
    result = ribosome("export", run, "-o", out)
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    assert "Trial 2, validation accuracy 0.7000" in result.stdout
    assert (out / "network.py").read_text() == (folder / "network.py").read_text()
    assert (out / "weights.pt").read_bytes() == (folder / "weights").read_bytes()
    readme = (out / "README.md").read_text()
    assert "network.load_state_dict(" in readme
    assert "logits = network(pixels * 0.0625)" in readme
    assert "accuracy 0.7000 on 360 images of digits" in readme


def test_weights_that_were_not_kept_are_trained_again(
    ribosome, run: Path, tmp_path: Path
) -> None:
    """It is said, and the accuracy given is that of the new weights; torch loads them."""
    import torch

    out = tmp_path / "out"
    result = ribosome("export", run, "--trial", 1, "-o", out)
    assert result.exit_code == 0, result.stderr
    assert "training it again with the same seed" in result.stderr
    assert "in the run it was 0.6000" in result.stderr
    state = torch.load(out / "weights.pt", weights_only=True)
    assert "finalip.weight" in state


def test_a_backend_of_another_name(ribosome, error_of, run: Path, tmp_path) -> None:
    """An unknown one is named with the known ones."""
    result = ribosome("export", run, "--backend", "theano", "-o", tmp_path / "out")
    assert "theano" in error_of(result)


@pytest.mark.parametrize(
    ("trial", "says"),
    [
        (3, r"trial 3 has no weights \(diverged\)"),
        (4, r"trial 4 has no weights \(not at its end yet\)"),
        (9, "no trial 9; there are 1 to 4"),
    ],
)
def test_a_trial_without_weights(run: Path, trial: int, says: str) -> None:
    """Failed, still running, or not there: each is said."""
    with pytest.raises(RunError, match=says):
        open_trial(run, trial, None)


def test_the_best_is_the_default(run: Path) -> None:
    """The highest accuracy."""
    assert open_trial(run, None, None).trial.trial == 2


def test_of_equals_the_one_is_the_default_whose_weights_were_kept(run: Path) -> None:
    """The search keeps those of the first that ended, which need not be the lowest."""
    with closing(sqlite3.connect(run / "journal.sqlite")) as journal:
        journal.execute("UPDATE trials SET fitness = 0.7 WHERE trial = 1")
        journal.commit()
    assert open_trial(run, None, None).trial.trial == 1
    keep(run, 2)
    assert open_trial(run, None, None).trial.trial == 2


def test_nothing_is_overwritten(ribosome, run: Path, tmp_path: Path) -> None:
    """Another network in the same folder stays."""
    keep(run, 2)
    (tmp_path / "network.py").write_text("# mine\n")
    result = ribosome("export", run, "-o", tmp_path)
    assert result.exit_code == 1
    assert "network.py: exists and differs" in result.stderr
    assert not (tmp_path / "weights.pt").exists()
    assert result.stdout == ""


def test_nothing_is_trained_for_a_folder_that_is_taken(
    ribosome, error_of, run: Path, tmp_path: Path
) -> None:
    """Training may take hours: the folder is looked at before it."""
    for name, says in (("weights.pt", "exists"), ("network.py", "exists and differs")):
        (tmp_path / name).write_text("mine")
        said = error_of(ribosome("export", run, "--trial", 1, "-o", tmp_path))
        assert f"{name}: {says}; move it away" in said
        (tmp_path / name).unlink()


def test_what_decode_has_written_is_no_obstacle(
    ribosome, run: Path, tmp_path: Path, lenet_genomes: list[str]
) -> None:
    """A search ends with both commands, and the same folder for both."""
    ribosome("decode", lenet_genomes[0], "-o", tmp_path)
    result = ribosome("export", run, "--trial", 1, "-o", tmp_path)
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "weights.pt").is_file()


@pytest.mark.parametrize("change", [lambda held: held[:60], lambda _: b""])
def test_weights_that_were_cut_off_are_not_passed_on(run: Path, change) -> None:
    """A disk that ran full: such weights count as not kept."""
    weights = keep(run, 2) / "weights"
    assert kept(open_trial(run, None, None)) is not None
    weights.write_bytes(change(weights.read_bytes()))
    assert kept(open_trial(run, None, None)) is None


def test_weights_with_a_wrong_byte_are_not_passed_on(run: Path) -> None:
    """The checksums in the file tell."""
    weights = keep(run, 2) / "weights"
    held = bytearray(weights.read_bytes())
    held[len(held) // 2] ^= 1
    weights.write_bytes(held)
    assert kept(open_trial(run, None, None)) is None


def test_a_run_without_any_accuracy(ribosome, error_of, run: Path, tmp_path) -> None:
    """It may be running still, or all have failed: where to look is said."""
    with closing(sqlite3.connect(run / "journal.sqlite")) as journal:
        journal.execute("UPDATE trials SET ending = 'timeout', fitness = NULL")
        journal.commit()
    said = error_of(ribosome("export", run, "-o", tmp_path / "out"))
    assert f"ribosome results {run} --failures" in said


IMAGES = np.random.default_rng(5).uniform(0.0, 16.0, (6, 1, 8, 8)).astype(np.float32)
"""Pixels as the digits have them."""


def keep_by_caffe(run: Path, genome: str, *, backend: str = "caffe") -> Path:
    """Make a run look as if caffe had trained trial 2: its weights, which are returned."""
    config = msgspec.structs.replace(read_config(run), backend=BackendConfig(backend))
    with closing(sqlite3.connect(run / "journal.sqlite")) as journal:
        text = encode_config(config).decode()
        journal.execute("UPDATE meta SET value = ? WHERE key = 'config'", (text,))
        journal.commit()
    space = load_space("lenet")
    network = decode(space, from_text(space, genome), DIGITS).network
    weights = run / "trials" / "2" / "weights"
    weights.parent.mkdir(parents=True)
    Caffe().write_weights(weights, network, random_weights(network))
    return weights


def as_the_readme_says(folder: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """The classes that the code in README.md finds, run in its folder."""
    code = (folder / "README.md").read_text().split("```python\n")[1].split("```")[0]
    pixels: object = IMAGES
    if (folder / "network.py").exists():
        import torch

        pixels = torch.from_numpy(IMAGES)
        source = (folder / "network.py").read_text()
        scope: dict[str, object] = {"__name__": "network"}
        exec(source, scope)  # noqa: S102 - our own text
        code = code.replace("from network import Network", "")
        names = {"pixels": pixels, "Network": scope["Network"]}
    else:
        pytest.importorskip("cv2")
        names = {"pixels": pixels}
    with monkeypatch.context() as context:
        context.chdir(folder)
        exec(code, names)  # noqa: S102 - our own text
    return np.asarray(names["classes"])


@pytest.mark.parametrize("backend", ["caffe", "nvcaffe"])
def test_what_torch_has_trained_goes_to_caffe(
    ribosome, run: Path, tmp_path: Path, backend: str
) -> None:
    """OpenCV computes from the files for Caffe what torch computes from its own."""
    import torch

    network = load_network(keep(run, 2)).eval()
    network.load_state_dict(torch.load(run / "trials" / "2" / "weights"))
    out = tmp_path / "out"
    result = ribosome("export", run, "--backend", backend, "-o", out)
    assert result.exit_code == 0, result.stderr
    assert {path.name for path in out.iterdir()} == {
        "deploy.prototxt",
        "weights.caffemodel",
        "README.md",
    }
    images = IMAGES * np.float32(0.0625)
    with torch.no_grad():
        wanted = network(torch.from_numpy(images)).softmax(1).numpy()
    text = (out / "deploy.prototxt").read_text()
    found = opencv(text, out / "weights.caffemodel", images, "prob")
    assert np.allclose(found, wanted, rtol=1e-4, atol=1e-6)


def test_what_caffe_has_trained_goes_to_torch(
    ribosome, run: Path, tmp_path: Path, lenet_genomes, monkeypatch
) -> None:
    """Both READMEs, followed to the letter, find the same classes."""
    weights = keep_by_caffe(run, lenet_genomes[1])
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    result = ribosome("export", run, "--backend", "pytorch", "-o", ours)
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    result = ribosome("export", run, "-o", theirs)
    assert (theirs / "weights.caffemodel").read_bytes() == weights.read_bytes()
    found = as_the_readme_says(ours, monkeypatch)
    assert np.array_equal(found, as_the_readme_says(theirs, monkeypatch))
    assert len(set(found.tolist())) > 1


def test_a_run_of_nvcaffe_is_exported_anywhere(
    ribosome, run: Path, tmp_path: Path, lenet_genomes
) -> None:
    """Its weights are in the form that every Caffe reads."""
    keep_by_caffe(run, lenet_genomes[1], backend="nvcaffe")
    result = ribosome("export", run, "--backend", "pytorch", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "out" / "weights.pt").is_file()


def test_caffes_weights_of_another_network_count_as_not_kept(
    run: Path, lenet_genomes
) -> None:
    """Shapes are compared."""
    weights = keep_by_caffe(run, lenet_genomes[1])
    assert kept(open_trial(run, 2, None)) is not None
    weights.unlink()
    weights.parent.rmdir()
    keep_by_caffe(run, lenet_genomes[2])
    assert kept(open_trial(run, 2, None)) is None


def test_an_iteration_is_shown_once(
    ribosome, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Caffe's log has the last one twice."""
    held = (keep(run, 2) / "weights").read_bytes()

    def train_again(_: object, progress) -> Trained:
        for iteration in (0, 50, 100, 100):
            progress(iteration, 100)
        return Trained(held, 0.6)

    monkeypatch.setattr("ribosome.tools.export.train_again", train_again)
    monkeypatch.setattr("ribosome.tools.export.kept", lambda _: None)
    result = ribosome("export", run, "-o", tmp_path / "out")
    shown = [line for line in result.stderr.splitlines() if "  iteration" in line]
    assert shown == [f"  iteration {n} of 100" for n in (0, 50, 100)]


@pytest.mark.caffe
def test_caffe_trains_again_what_was_not_kept(
    ribosome, run: Path, tmp_path: Path, lenet_genomes
) -> None:
    """It is told how far it is, and torch gets the weights."""
    keep_by_caffe(run, lenet_genomes[1]).unlink()
    result = ribosome("export", run, "--backend", "pytorch", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    assert "\n  iteration 4 of 4\nAccuracy 0." in result.stderr
    assert (tmp_path / "out" / "weights.pt").is_file()
