"""Genomes as bytes and text: fixed length, lossless, and damage is noticed."""

import math
import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ribosome.genome.codec import from_text, pack, space_named_by, to_text, unpack
from ribosome.genome.errors import GenomeError
from ribosome.genome.space import Space
from ribosome.genome.space_file import load_space, parse_space, shipped_spaces
from tests.genome.conftest import codes, genomes
from tests.genome.space_files import spaces

MENNDL = load_space("menndl")
LENET = load_space("lenet")
GENOME = to_text(MENNDL, unpack(MENNDL, bytes(MENNDL.genome_bytes)))


@given(codes(MENNDL))
def test_every_code_of_menndl_survives_unpack_and_pack(code: bytes) -> None:
    """Packing what was unpacked gives the same bytes."""
    assert pack(MENNDL, unpack(MENNDL, code)) == code


@given(genomes(MENNDL))
def test_text_form_is_lossless(genes: tuple[tuple[int, ...], ...]) -> None:
    """Reading a genome's text gives the genes it was written from."""
    assert from_text(MENNDL, to_text(MENNDL, genes)) == genes


@given(genomes(MENNDL))
def test_text_form_has_fixed_length_and_is_safe_in_urls(
    genes: tuple[tuple[int, ...], ...],
) -> None:
    """Every genome's text has the same length, of letters, digits and hyphens."""
    text = to_text(MENNDL, genes)
    assert len(text) == len(GENOME)
    assert re.fullmatch(r"[0-9a-z-]+", text)


@given(spaces(), st.data())
def test_a_genome_is_a_mixed_radix_number(space: Space, data: st.DataObject) -> None:
    """The genes' places among those of their groups are its digits, the first in front."""
    genes = unpack(space, data.draw(codes(space)))
    number = 0
    for group, (which, *indices) in zip(space.groups, genes, strict=True):
        place = 0
        for gene, index in zip(group.cases[which].genes, indices, strict=True):
            place = place * len(gene.alleles) + index
        before = sum(case.size for case in group.cases[:which])
        number = number * group.size + before + place
    assert int.from_bytes(pack(space, genes), "big") == number


@given(spaces(), st.data())
def test_text_form_is_base_32(space: Space, data: st.DataObject) -> None:
    """Letter by letter, the digits of the bytes and of their checksum, whatever the length."""
    code = data.draw(codes(space))
    check = zlib.crc32(space.fingerprint + code) % 32**4
    body, tail = to_text(space, unpack(space, code)).split("-")[2:]
    for letters, number in ((body, int.from_bytes(code, "big")), (tail, check)):
        rest = number
        for letter in reversed(letters):
            rest, digit = divmod(rest, 32)
            assert letter == "0123456789abcdefghjkmnpqrstvwxyz"[digit]
        assert rest == 0


@pytest.mark.parametrize("name", shipped_spaces())
def test_genome_is_at_most_a_byte_longer_than_the_space_needs(name: str) -> None:
    """The length is within one byte of log2 of the size of the space."""
    space = load_space(name)
    assert 0 <= space.genome_bytes - math.log2(space.size) / 8 < 1


def test_the_shortest_space_has_one_byte_less_than_one_genome_too_many() -> None:
    """A space of 256 genomes takes one byte, one of 257 takes two."""
    assert _of_size(256).genome_bytes == 1
    assert _of_size(257).genome_bytes == 2


def test_the_only_genome_of_a_space_has_a_text() -> None:
    """A space of one genome needs no byte, but takes one: no genome is empty."""
    space = _of_size(1)
    assert space.genome_bytes == 1
    genes = unpack(space, b"\0")
    assert from_text(space, to_text(space, genes)) == genes


@given(spaces(), st.data())
def test_any_space_has_lossless_genomes(space: Space, data: st.DataObject) -> None:
    """Bytes and text of every code of every space lead back to it."""
    code = data.draw(codes(space))
    genes = unpack(space, code)
    assert pack(space, genes) == code
    assert from_text(space, to_text(space, genes)) == genes


@pytest.mark.parametrize("wrong", [b"", bytes(63), bytes(65)])
def test_bytes_of_a_wrong_length_are_refused(wrong: bytes) -> None:
    """Truncated and padded codes are errors that give both lengths."""
    with pytest.raises(GenomeError, match=r"(truncated|padded).* 64"):
        unpack(MENNDL, wrong)


def test_a_number_beyond_the_space_is_refused() -> None:
    """The code one past the last genome is no valid code."""
    beyond = LENET.size.to_bytes(LENET.genome_bytes, "big")
    with pytest.raises(GenomeError, match="no valid code"):
        unpack(LENET, beyond)


@given(st.data())
def test_one_changed_letter_is_noticed(data: st.DataObject) -> None:
    """Any other letter at any place of the body or the checksum is an error."""
    text = to_text(MENNDL, data.draw(genomes(MENNDL)))
    place = data.draw(st.integers(len("menndl-1-"), len(text) - 1))
    letter = data.draw(st.sampled_from("0123456789abcdefghjkmnpqrstvwxyz"))
    changed = text[:place] + letter + text[place + 1 :]
    if changed == text or text[place] == "-":
        return
    with pytest.raises(GenomeError):
        from_text(MENNDL, changed)


def test_upper_case_and_spaces_around_are_read() -> None:
    """A genome that went through a mail or a file system is still read."""
    assert from_text(MENNDL, f"  {GENOME.upper()}\n") == from_text(MENNDL, GENOME)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GENOME[:-1], "is no genome"),
        (GENOME[:20] + GENOME[21:], "truncated"),
        (GENOME[:20] + "0" + GENOME[20:], "padded"),
        (GENOME[:20] + "u" + GENOME[21:], "base 32"),
        (GENOME[:-4] + "zzzz", "checksum is wrong"),
        (GENOME.replace("menndl-1-", "menndl-2-"), "is of space menndl 2, not of"),
        (GENOME.replace("menndl-1-", "lenet-1-"), "is of space lenet 1, not of"),
        ("", "is no genome"),
        ("x" * 1000, "is no genome"),
    ],
)
def test_a_damaged_genome_says_what_is_wrong(text: str, message: str) -> None:
    """Each kind of damage has an error of one line that names it."""
    with pytest.raises(GenomeError, match=message) as caught:
        from_text(MENNDL, text)
    assert "\n" not in str(caught.value)
    assert ";" in str(caught.value), "says what to do"


def test_a_genome_of_a_changed_space_file_is_refused() -> None:
    """A space of the same name, version and size with other alleles has other checksums."""
    ours, other = _of_size(256), _of_size(256, first=7)
    text = to_text(ours, unpack(ours, b"\x05"))
    with pytest.raises(GenomeError, match="another space file"):
        from_text(other, text)


def test_the_text_names_its_space() -> None:
    """Name and version can be read before the space is known."""
    assert space_named_by(GENOME) == ("menndl", 1)


def _of_size(size: int, first: int = 1):  # type: ignore[no-untyped-def]
    return parse_space(
        f"""
        name = "small"
        version = 1
        [[slot]]
        [slot.inner_product]
        num_output = {{ range = [{first}, {first + size - 1}] }}
        [solver.SGD]
        base_lr = [0.1]
        [training]
        batch_size = [8]
        """,
        source="test",
    )
