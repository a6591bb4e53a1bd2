"""A run in words: the cells of its tables, for the terminal and as Markdown."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from stemwise import __version__
from stemwise.evaluate.record import Record
from stemwise.evaluate.scores import ENDS, METRICS, SDRS
from stemwise.evaluate.statistics import PairedTest
from stemwise.evaluate.table import EvaluationTable

LEGEND = (
    "95 %: where the figure would lie had other songs been drawn (bootstrap). mixture, oracle: medians of "
    "the mixture given back and of ideal ratio masks; gap: where between the two the median stands; n: songs."
)
COMPARISON_LEGEND = (
    "Means over the songs that both have. *: p < 0.05 by Student's paired t-test, two-sided, not corrected "
    "for the number of comparisons. Trainings that differ by their seed alone differ by 0.1 to 0.3 dB."
)
SIGNIFICANT = 0.05
Rows = list[list[str]]  # the first is the header


def groups(table: EvaluationTable, prefixes: Sequence[str]) -> dict[str, EvaluationTable]:
    """Songs apart by the beginnings of their names, and the rest; all in one if there are no prefixes."""
    found = {f"{prefix}…": table.select(prefix) for prefix in prefixes}
    rest = tuple(score for score in table.scores if not score.track.startswith(tuple(prefixes)))
    if rest:
        found["other songs" if prefixes else "all songs"] = EvaluationTable(rest)
    return {name: part for name, part in found.items() if part.scores}


def title(metric: str) -> str:
    """As `uSDR (dB)`."""
    label, _, unit = METRICS[metric]
    return f"{label} ({unit})" if unit else label


def summary_rows(table: EvaluationTable, metric: str) -> Rows:
    """What the songs come to, a row per stem; with the ends of the scale where the metric has them."""
    ends = ["mixture", "oracle"] * (metric in ENDS) + ["gap"] * (metric in SDRS)
    rows = [[title(metric), "median", "95 %", "mean", "95 %", *ends, "n"]]
    for stem in table.stems:
        summary = table.summary(stem, metric)
        if summary is None:
            continue
        cells = [figure(summary.median), interval(summary.median_interval)]
        cells += [figure(summary.mean), interval(summary.mean_interval)]
        share = f"{summary.gap_closed:.0%}" if math.isfinite(summary.gap_closed) else ""
        cells += [figure(summary.mixture), figure(summary.oracle), share][: len(ends)]
        rows.append([stem, *cells, str(summary.n_songs)])
    return rows


def song_rows(table: EvaluationTable, metric: str) -> Rows:
    """Every song, a column per stem; empty where a stem is not known or silent."""
    columns = [table.values(stem, metric) for stem in table.stems]
    rows = [[title(metric), *table.stems]]
    for track in table.tracks:
        rows.append([track, *(figure(column.get(track, math.nan)) for column in columns)])
    return rows


def comparison_rows(tests: Mapping[str, PairedTest], metric: str) -> Rows:
    """Two runs side by side, a row per stem; a star marks what chance explains in less than 5 % of cases."""
    rows = [[title(metric), "first", "second", "difference", "95 %", "p", "songs"]]
    for stem, test in tests.items():
        p = "" if math.isnan(test.p) else "< 0.001" if test.p < 0.001 else f"{test.p:.3f}"
        star = " *" if test.p < SIGNIFICANT else "  "
        cells = [figure(test.first), figure(test.second), f"{test.difference:+.2f}", interval(test.interval)]
        rows.append([stem, *cells, p + star, str(test.n_pairs)])
    return rows


def figure(value: float) -> str:
    """Two decimals; nothing for what is not finite."""
    return f"{value:.2f}" if math.isfinite(value) else ""


def interval(ends: tuple[float, float]) -> str:
    """As `3.91…6.20`; nothing where there is none."""
    return f"{figure(ends[0])}…{figure(ends[1])}" if all(map(math.isfinite, ends)) else ""


def markdown(record: Record, *, prefixes: Sequence[str] = (), picture: Path | None = None) -> str:
    """The report of a run.

    Args:
        record: the run.
        prefixes: songs whose names begin so are reported apart.
        picture: path of the box plot as the report is to name it; None for none.
    """
    return "\n".join(_lines(record, prefixes, picture))


def _lines(record: Record, prefixes: Sequence[str], picture: Path | None) -> Iterator[str]:
    table = record.table
    yield from [f"# {record.model} on {record.dataset}", ""]
    yield f"{len(table.tracks)} songs, scored by stemwise {__version__}."
    for note in record.notes:
        yield from ["", f"> {note}"]
    if picture is not None:
        yield from ["", f"![Scores of every song]({picture.as_posix()})"]
    for name, part in groups(table, prefixes).items():
        yield from ["", f"## {name}: {len(part.tracks)}"]
        for metric in table.metrics:
            yield from ["", f"**{METRICS[metric].label}**: {METRICS[metric].meaning}", ""]
            yield from _markdown_table(summary_rows(part, metric))
    yield from ["", LEGEND, "", "## Songs"]
    for metric in table.metrics:
        yield ""
        yield from _markdown_table(song_rows(table, metric))
    yield ""


def _markdown_table(rows: Rows) -> Iterator[str]:
    header, *body = rows
    ruler = ["---"] + ["---:"] * (len(header) - 1)
    for row in [header, ruler, *body]:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
