"""The files that describe systems: what they may say, and how errors read."""

from pathlib import Path

import pytest

from ribosome.genome.errors import ConfigError
from ribosome.runner.system import (
    System,
    load_system,
    parse_system,
    shipped_systems,
    system_text,
)


def test_the_shipped_systems() -> None:
    """Each of them is read."""
    assert shipped_systems() == ("frontier", "local", "perlmutter", "slurm", "summit")
    for name in shipped_systems():
        assert isinstance(load_system(name), System)


@pytest.mark.parametrize(
    ("name", "gpus", "cores"), [("summit", 6, 42), ("frontier", 8, 56)]
)
def test_every_core_of_a_node_is_beside_one_gpu(
    name: str, gpus: int, cores: int
) -> None:
    """Seven cores for each GPU, none of them twice."""
    ranges = [entry.split("-") for entry in load_system(name).cores_of_gpus]
    listed = [core for a, b in ranges for core in range(int(a), int(b) + 1)]
    assert len(ranges) == load_system(name).gpus_per_node == gpus
    assert len(listed) == len(set(listed)) == cores


def test_a_file_of_the_user(tmp_path: Path) -> None:
    """What is printed to start from is read back as the same system."""
    path = tmp_path / "own.toml"
    path.write_text(system_text("frontier"))
    assert load_system(str(path)) == load_system("frontier")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("gpus_per_node = 4", "scheduler is missing"),
        ('scheduler = "slurn"', "scheduler: take one of slurm, lsf, none"),
        (
            "gpus_per_nod = 4",
            "unknown key 'gpus_per_nod'; did you mean 'gpus_per_node'",
        ),
        ("zebra = 4", "unknown key 'zebra'; known: scheduler, description"),
        ('gpus_per_node = "4"', "gpus_per_node: expected a whole number"),
        ("gpus_per_node = -1", "gpus_per_node: expected a whole number >= 0"),
        ('setup = ["a\\nrm -r /"]', "setup[0]: one line, without control"),
        ('setup = ["a\\u2028b"]', "setup[0]: one line, without control"),
        ('directives = ["mem=0"]', "directives[0]: one line that begins with -"),
        ('directives = ["-x\\n#SBATCH -y"]', "directives[0]: one line"),
        ('launcher_options = ["rm"]', "launcher_options[0]: one line that begins"),
        ('queue = "a b"', "queue: letters, digits"),
        ('queue = "-q"', "queue: letters, digits"),
        ('mpi = "$(id)"', "mpi: letters, digits"),
        ('description = "a\\nb"', "description: one line"),
        ('cores_of_gpus = ["0"]', 'the first and the last core, as in "0-6"'),
        ('cores_of_gpus = ["0-6"]', "has 1 entries for 0 GPUs a node"),
        ('gpus_per_node = 1\ncores_of_gpus = ["6-6"]', "is not two cores or more"),
        (
            'scheduler = "lsf"\ngpus_per_node = 2\ncores_of_gpus = ["0-6", "0-6"]',
            "cores_of_gpus: '0-6' and '0-6' share core 0; give each GPU cores of its own",
        ),
        (
            'gpus_per_node = 2\ncores_of_gpus = ["0-6", "6-9"]',
            "cores_of_gpus: '0-6' and '6-9' share core 6; give each GPU cores of its own",
        ),
        ("warning_s = 1", "warning_s: expected a whole number >= 60"),
        ("limits = [{nodes = 2}]", "hours is missing in limits[0]"),
        ("limits = [{nods = 2, hours = 1}]", "unknown key 'nods' in [[limits]]"),
        (
            "limits = [{nodes = 2, hours = 1}, {nodes = 1, hours = 1}]",
            "write [[limits]] by ascending nodes",
        ),
        ("gpus_per_node = ", "not valid TOML"),
    ],
)
def test_what_is_wrong_with_a_file(text: str, says: str) -> None:
    """One line with the file, the key, and what to write."""
    given = text if "scheduler" in text else f'scheduler = "slurm"\n{text}'
    given = text if says == "scheduler is missing" else given
    with pytest.raises(ConfigError) as caught:
        parse_system(given, source="own.toml")
    assert str(caught.value).startswith("system file own.toml: ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_lsf_needs_the_cores_of_its_gpus() -> None:
    """A resource file of jsrun names them."""
    with pytest.raises(ConfigError, match="cores_of_gpus is missing"):
        parse_system('scheduler = "lsf"\ngpus_per_node = 4', source="own.toml")


def test_a_misspelt_system_gets_the_nearest() -> None:
    """And the list of what there is."""
    with pytest.raises(
        ConfigError, match=r"there are frontier, .*did you mean 'summit'"
    ):
        load_system("sumit")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """The error names it."""
    with pytest.raises(
        ConfigError, match=r"none\.toml: the system file cannot be read"
    ):
        load_system(str(tmp_path / "none.toml"))


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    """The error names it."""
    path = tmp_path / "own.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"own\.toml: .*is this a system file"):
        load_system(str(path))
