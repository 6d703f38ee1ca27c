"""`ribosome export`: kept weights, weights trained again, and what cannot be had."""

from pathlib import Path

import pytest

from ribosome.genome.errors import RunError
from ribosome.tools.export import open_trial


def keep(run: Path, trial: int) -> Path:
    """Put a trial's files where the runner keeps them."""
    folder = run / "trials" / str(trial)
    folder.mkdir(parents=True)
    (folder / "network.py").write_text("# the network\n")
    (folder / "weights").write_bytes(b"the weights")
    return folder


def test_the_best_is_taken_as_it_was_kept(ribosome, run: Path, tmp_path: Path) -> None:
    """Source and weights are copied, a text says how to load them."""
    keep(run, 2)
    out = tmp_path / "out"
    result = ribosome("export", run, "-o", out)
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    assert "Trial 2, validation accuracy 0.7000" in result.stdout
    assert (out / "network.py").read_text() == "# the network\n"
    assert (out / "weights.pt").read_bytes() == b"the weights"
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
