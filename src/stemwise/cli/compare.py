"""`stemwise compare`: runs of `stemwise evaluate` side by side, song by song."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stemwise.errors import ConfigError

if TYPE_CHECKING:
    from stemwise.evaluate import PairedTest

DIGITS = 6  # significant ones, of JSON's numbers: probabilities may be tiny
Tests = dict[str, dict[str, "PairedTest"]]  # by metric and stem


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUNS",
            help="Folders that `stemwise evaluate -o` wrote, or museval. The first is what the others are"
            " compared with.",
            show_default=False,
        ),
    ],
    metrics: Annotated[
        str | None, typer.Option(help="Only these, such as usdr,sir.", show_default="all that there are")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparisons for machines.")] = False,
) -> None:
    """Compare runs on the songs that they share, with a paired t-test for every stem and metric."""
    from stemwise.evaluate import compare as compare_tables
    from stemwise.evaluate import parse_metrics, read_record

    if len(runs) < 2:
        raise ConfigError("there is one run: a comparison needs two or more")
    first, *others = [read_record(run) for run in runs]
    chosen = parse_metrics(metrics) if metrics else first.table.metrics
    found: list[tuple[str, Tests]] = []
    for path, record in zip(runs[1:], others, strict=True):
        tests = compare_tables(first.table, record.table, chosen)
        if not tests:
            raise ConfigError(f"{runs[0]} and {path} have no score of a common song, stem and metric")
        found.append((f"{path} ({record.model})", tests))
        if first.dataset and record.dataset and first.dataset != record.dataset:  # museval names none
            typer.echo(
                f"warning: {runs[0]} was scored on {first.dataset}, {path} on {record.dataset}:"
                " songs of one name may not be the same",
                err=True,
            )
    if as_json:
        typer.echo(json.dumps([_as_json(name, tests) for name, tests in found], indent=2))
    else:
        _print(f"{runs[0]} ({first.model})", found)


def _print(first: str, found: list[tuple[str, Tests]]) -> None:
    from rich.console import Console

    from stemwise.cli.evaluate import print_rows
    from stemwise.evaluate.report import COMPARISON_LEGEND, comparison_rows

    console = Console(highlight=False, markup=False)
    console.print(f"first:  {first}")
    for second, tests in found:
        console.print(f"second: {second}")
        for metric, by_stem in tests.items():
            console.print()
            print_rows(console, comparison_rows(by_stem, metric))
        console.print()
    console.print(COMPARISON_LEGEND, style="dim")


def _as_json(second: str, tests: Tests) -> dict[str, Any]:
    from dataclasses import asdict

    from stemwise.evaluate.record import without_nan

    return {
        "second": second,
        "tests": [
            {"metric": metric, "stem": stem, **without_nan(asdict(test), digits=DIGITS)}
            for metric, by_stem in tests.items()
            for stem, test in by_stem.items()
        ],
    }
