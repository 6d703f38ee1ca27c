"""Tables in Markdown: what each method reached, and whether the goals are."""

from collections.abc import Mapping, Sequence
from math import inf

from bench.search.cells import GOAL_CELLS, Cell
from bench.search.measures import Summary, p_value, summary
from bench.search.results import Results

Table = Mapping[Cell, Mapping[str, Results]]
"""By cell and method."""

OURS = "ours"
LOWER = 0.2
"""How much lower than the best of the peers a mean regret should be in five cells."""

SIGNIFICANT = 0.01
BEATS, WINS = 0.8, 0.75
"""The goals of the SVM phase."""


def values(results: Results, field: str) -> list[float]:
    """A field of all seeds, in their order; never is inf."""
    found = [results[seed][field] for seed in sorted(results)]
    return [inf if value is None else value for value in found]


def verdict(good: bool) -> str:
    """In a word."""
    return "reached" if good else "**MISSED**"


def means_of(methods: Mapping[str, Results], field: str) -> dict[str, float]:
    """The mean of a field per method."""
    return {name: summary(values(r, field)).mean for name, r in methods.items() if r}


def table(cell: Cell, methods: Mapping[str, Results]) -> list[str]:
    """The table of one cell: a row per method."""
    ours = methods.get(OURS, {})
    lines = [
        f"### {cell.problem}, {cell.evaluations} evaluations, {cell.workers} workers",
        "",
        "| method | seeds | oracle regret: mean | median (quartiles) | p against ours "
        "| named winner: mean | hours to target: median (quartiles) | arrived |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, results in methods.items():
        if not results:
            continue
        regret = summary(values(results, "regret"))
        hours = [seconds / 3600 for seconds in values(results, "seconds")]
        both = name != OURS and ours
        p = (
            f"{p_value(values(ours, 'regret'), values(results, 'regret')):.2g}"
            if both
            else ""
        )
        share = sum(hour < inf for hour in hours) / len(hours)
        named = summary(values(results, "named")).mean
        lines.append(
            f"| {name} | {len(results)} | {regret.mean:.4f} | {spread(regret, 4)} | {p} "
            f"| {named:.4f} | {spread(summary(hours), 1)} | {share:.0%} |"
        )
    return [*lines, ""]


def spread(figures: Summary, digits: int) -> str:
    """Median and quartiles; - for never."""
    texts = [
        "-" if figure == inf else f"{figure:.{digits}f}"
        for figure in (figures.median, figures.lower, figures.upper)
    ]
    return f"{texts[0]} ({texts[1]} to {texts[2]})"


def nas_goals(found: Table, peers: Sequence[str]) -> list[str]:
    """The goals on NAS-Bench-201, of the cells that are measured."""
    lines = [
        "| cell | ours | best of the peers | ratio | not worse |",
        "|---|---|---|---|---|",
    ]
    lower = worse = measured = 0
    for cell in GOAL_CELLS:
        means = means_of(found.get(cell, {}), "regret")
        others = {name: mean for name, mean in means.items() if name in peers}
        if OURS not in means or not others:
            continue
        best = min(others, key=lambda name: others[name])
        ours, theirs = means[OURS], others[best]
        ratio = ours / theirs if theirs else (1.0 if ours == 0.0 else inf)
        measured += 1
        lower += ratio <= 1.0 - LOWER
        worse += ours > theirs
        lines.append(
            f"| {cell.name} | {ours:.4f} | {theirs:.4f} ({best}) | {ratio:.2f} "
            f"| {verdict(ours <= theirs)} |"
        )
    lines += [
        "",
        f"- Mean oracle regret not worse in any cell: {verdict(worse == 0 < measured)} "
        f"({worse} worse of {measured})",
        f"- At least 20 % lower in five cells: {verdict(lower >= 5)} ({lower} lower)",
    ]
    for cell in GOAL_CELLS:
        if cell.workers == 64 and cell in found:
            lines.append(_times(cell, found[cell], peers))
    return [*lines, ""]


def _times(cell: Cell, methods: Mapping[str, Results], peers: Sequence[str]) -> str:
    medians = {
        name: summary(values(results, "seconds")).median / 3600
        for name, results in methods.items()
        if results and (name in peers or name == OURS)
    }
    others = {name: hours for name, hours in medians.items() if name != OURS}
    if OURS not in medians or not others:
        return f"- Time to target, {cell.name}: not measured"
    best = min(others, key=lambda name: others[name])
    return (
        f"- Median hours to target lowest, {cell.name}: "
        f"{verdict(medians[OURS] <= others[best])} "
        f"(ours {medians[OURS]:.2f}, {best} {others[best]:.2f})"
    )


def nk_goals(cell: Cell, methods: Mapping[str, Results]) -> list[str]:
    """The goal on the landscapes; the measure is the best fitness, negated."""
    lines = []
    for peer in ("tpe", "regularized"):
        if methods.get(peer) and methods.get(OURS):
            ours, theirs = (values(methods[name], "regret") for name in (OURS, peer))
            p = p_value(ours, theirs)
            good = summary(ours).mean < summary(theirs).mean and p < SIGNIFICANT
            lines.append(
                f"- {cell.name}: better than {peer}: {verdict(good)}, p {p:.2g}"
            )
    return [*lines, ""]


def svm_goals(found: Table) -> list[str]:
    """The goals of the SVM phase on FCNet, of the tables that are measured.

    ``better than random`` compares the best of both searches by true fitness, seed by seed,
    a tie counting a half; ``named`` compares the best by what was observed.
    """
    lines = [
        "| table | seeds | drawn by the SVM beat the median random one "
        "| its best better than random's | named |",
        "|---|---|---|---|---|",
    ]
    for name in ("svm", "svm-paper"):
        for cell, methods in found.items():
            ours, theirs = methods.get(name, {}), methods.get("random", {})
            if not (seeds := sorted(ours.keys() & theirs.keys())):
                continue
            beats = summary([ours[seed]["later"] for seed in seeds]).mean
            won, named = (
                sum(
                    (ours[seed][field] < theirs[seed][field])
                    + 0.5 * (ours[seed][field] == theirs[seed][field])
                    for seed in seeds
                )
                / len(seeds)
                for field in ("regret", "named")
            )
            lines.append(
                f"| {cell.problem}, {name} | {len(seeds)} "
                f"| {beats:.1%} (goal {BEATS:.0%}: {verdict(beats >= BEATS)}) "
                f"| {won:.1%} (goal {WINS:.0%}: {verdict(won >= WINS)}) | {named:.1%} |"
            )
    return [*lines, ""]
