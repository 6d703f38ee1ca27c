"""--task and --data: what a network is for."""

from pathlib import Path

import click
import pytest

from ribosome.genome.errors import ConfigError, GenomeError, RibosomeError
from ribosome.genome.task import DIGITS, Task
from ribosome.tools.options import read_genome, resolve_task


def task_file(folder: Path, text: str) -> str:
    """A task file with that text."""
    path = folder / "nova.toml"
    path.write_text(text)
    return str(path)


SHAPE = "channels = 2\nheight = 100\nwidth = 80\nclasses = 8\n"


def test_the_default_is_the_digits() -> None:
    """Without either option a command works on shapes of the digits, without data."""
    assert resolve_task(None, None) is DIGITS


def test_a_task_file_gives_shape_and_classes(tmp_path: Path) -> None:
    """Every key of [task] arrives; the name is the file's unless given."""
    text = f"[task]\n{SHAPE}mean = [1, 2.5]\nscale = 0.5\n"
    task = resolve_task(task_file(tmp_path, text), None)
    assert task == Task("nova", 2, 100, 80, 8, mean=(1.0, 2.5), scale=0.5)


def test_the_config_of_a_search_is_a_task_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A [task] with data gives the task of that data set; other tables are left alone."""
    monkeypatch.setenv("RIBOSOME_CACHE", str(tmp_path))
    task = resolve_task(
        task_file(tmp_path, '[task]\ndata = "digits"\n[search]\nseed = 1'), None
    )
    assert task.shape == DIGITS.shape
    assert Path(task.data).is_dir()


def test_both_options_are_a_usage_error() -> None:
    """--task and --data contradict each other."""
    with pytest.raises(click.UsageError, match="not both"):
        resolve_task("a.toml", "digits")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[task", "not TOML"),
        ("[search]\nseed = 1", r"no \[task\]"),
        ("[task]\nchannels = 1\nclasses = 2", "lacks height, width"),
        (f"[task]\n{SHAPE}heigh_ = 3", r"no key 'heigh_'; did you mean 'height'\?"),
        (f"[task]\n{SHAPE}".replace("= 80", "= 0"), "width is 0"),
        (f"[task]\n{SHAPE}".replace("= 80", "= true"), "width is True"),
        (f"[task]\n{SHAPE}mean = [1]", "mean has 1 numbers for 2 channels"),
        (f"[task]\n{SHAPE}mean = 1", "mean is 1, but must list numbers"),
        (f"[task]\n{SHAPE}mean = [1, nan]", "mean is .*, but must list numbers"),
        (f'[task]\n{SHAPE}scale = "big"', "scale is 'big', but must be a number"),
        (f"[task]\n{SHAPE}scale = 0", "scale is 0, but must be a number above 0"),
        (f"[task]\n{SHAPE}scale = inf", "scale is inf, but must be a number"),
    ],
)
def test_a_wrong_task_file_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    """What is wrong with a task file is said with its path."""
    with pytest.raises(ConfigError, match=says) as caught:
        resolve_task(task_file(tmp_path, text), None)
    assert "nova.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_task_file_is_named() -> None:
    """A path that does not exist."""
    with pytest.raises(ConfigError, match=r"nowhere\.toml: No such file"):
        resolve_task("nowhere.toml", None)


def test_a_genome_finds_its_shipped_space(lenet_genomes: list[str]) -> None:
    """The text names the space."""
    space, _ = read_genome(lenet_genomes[0])
    assert space.name == "lenet"


def test_a_genome_of_an_unknown_space_asks_for_the_file() -> None:
    """A space of the user's own must be named."""
    with pytest.raises(GenomeError, match=r"'mine'.*--space"):
        read_genome("mine-1-0000-0000")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text[:-1] + ("0" if text[-1] != "0" else "1"), "checksum"),
        (lambda text: text.replace("-1-", "-7-"), "of space lenet 7, not of"),
        (lambda text: text[:10] + text[12:], "truncated"),
        (lambda text: text.replace("-1-", "-1-00"), "padded"),
        (lambda _: "hello", "no genome"),
    ],
)
def test_a_damaged_genome_is_one_line(lenet_genomes: list[str], change, says) -> None:
    """Wrong checksum, version, length or form: each says which, on one line."""
    with pytest.raises(RibosomeError, match=says) as caught:
        read_genome(change(lenet_genomes[0]))
    assert "\n" not in str(caught.value)
