"""`ribosome export`: kept weights, weights trained again, and what cannot be had."""

import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from ribosome.genome.errors import RunError
from ribosome.tools.export import kept, open_trial


def keep(run: Path, trial: int) -> Path:
    """Put a trial's files where the runner keeps them."""
    folder = run / "trials" / str(trial)
    folder.mkdir(parents=True)
    (folder / "network.py").write_text("# the network\n")
    with zipfile.ZipFile(folder / "weights", "w") as archive:
        archive.writestr("data", b"the weights")
    return folder


def test_the_best_is_taken_as_it_was_kept(ribosome, run: Path, tmp_path: Path) -> None:
    """Source and weights are copied, a text says how to load them."""
    folder = keep(run, 2)
    out = tmp_path / "out"
    result = ribosome("export", run, "-o", out)
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    assert "Trial 2, validation accuracy 0.7000" in result.stdout
    assert (out / "network.py").read_text() == "# the network\n"
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
    weights.write_bytes(weights.read_bytes().replace(b"the weights", b"thy weights"))
    assert kept(open_trial(run, None, None)) is None


def test_a_run_without_any_accuracy(ribosome, error_of, run: Path, tmp_path) -> None:
    """It may be running still, or all have failed: where to look is said."""
    with closing(sqlite3.connect(run / "journal.sqlite")) as journal:
        journal.execute("UPDATE trials SET ending = 'timeout', fitness = NULL")
        journal.commit()
    said = error_of(ribosome("export", run, "-o", tmp_path / "out"))
    assert f"ribosome results {run} --failures" in said
