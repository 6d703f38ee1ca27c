"""Numbers and lists as people read them."""

from collections.abc import Mapping, Sequence

from ribosome.genome.space import Allele, Gene


def count(value: float) -> str:
    """A number with a letter for thousands: 950, 12.3k, 4.56M, 7.8G, 1.2T."""
    if value < 1000:
        return f"{value:.0f}"
    return _scaled(value, 1000, ("k", "M", "G", "T", "P"))


def size(octets: float) -> str:
    """A number of bytes: 950 B, 12.3 KiB, 4.56 MiB."""
    if octets < 1024:
        return f"{octets:.0f} B"
    return _scaled(octets, 1024, (" KiB", " MiB", " GiB", " TiB"))


def duration(seconds: float) -> str:
    """A time: 8 s, 3 min 05 s, 2 h 07 min."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def counts(of: Mapping[str, int]) -> str:
    """How many of each kind, the most first: "55 ok, 3 diverged, 2 out of memory"."""
    ordered = sorted(of.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{n} {kind.replace('_', ' ')}" for kind, n in ordered if n)


def number(value: float) -> str:
    """A number with at most five digits that mean something: 0.01, 0.9, 1e-05."""
    return f"{value:.5g}"


def alleles(gene: Gene) -> str:
    """What a gene may be, and how likely each is where they are few and not even."""
    values = gene.alleles
    if len(values) == 1:
        return f"always {allele(values[0])}"
    if len(set(gene.weights)) == 1:
        return listed(values)
    total = sum(gene.weights)
    shares = [weight / total for weight in gene.weights]
    if len(values) <= 12:
        return ", ".join(
            f"{allele(value)} {percent(share)}"
            for value, share in zip(values, shares, strict=True)
        )
    top = max(range(len(values)), key=shares.__getitem__)
    likeliest = f"likeliest {allele(values[top])} {percent(shares[top])}"
    return f"{listed(values)}; {likeliest}"


def listed(values: Sequence[Allele]) -> str:
    """Alleles, the middle of a long list left out: 1, 2, 3, ..., 128 (128 values)."""
    words = [allele(value) for value in values]
    if len(words) <= 12:
        return ", ".join(words)
    return f"{', '.join(words[:4])}, ..., {words[-1]} ({len(words)} values)"


def percent(share: float) -> str:
    """A share of 1 in per cent: 38%, 0.4%."""
    return f"{100 * share:.0f}%" if share >= 0.00995 else f"{100 * share:.1g}%"


def allele(value: Allele) -> str:
    """An allele: a word as it is, a number as `number` writes it."""
    return value if isinstance(value, str) else number(value)


def _scaled(value: float, step: int, units: Sequence[str]) -> str:
    power = 1
    while power < len(units) and value / step**power >= 999.5:
        power += 1
    return f"{value / step**power:.3g}{units[power - 1]}"
