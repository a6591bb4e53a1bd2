"""`stemwise evaluate`: a model against songs whose stems are known."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from stemwise.evaluate import EvaluationTable


def evaluate(
    folder: Annotated[Path, typer.Argument(help="A folder per song, one file per stem.", show_default=False)],
    model: Annotated[str, typer.Option("-p", "--model", help="Model: a name or a file.")] = "stemwise:4stems",
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[
        str, typer.Option("--precision", help="auto, float32, bfloat16 or float16.")
    ] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="A machine-readable table.")] = False,
) -> None:
    """Score a model on songs whose stems are known: SDR in dB per song and stem, and medians."""
    from stemwise.data.tracks import find_tracks
    from stemwise.evaluate import evaluate as run
    from stemwise.separate import Separator
    from stemwise.types import STEMS

    separator = Separator(model, device=device, precision=precision)
    tracks = find_tracks(folder, STEMS)
    with typer.progressbar(length=len(tracks), label="songs", hidden=as_json) as bar:
        table = run(separator, tracks, report=lambda _: bar.update(1))
    if as_json:
        from dataclasses import asdict

        typer.echo(json.dumps([asdict(score) for score in table.scores], indent=2))
    else:
        _print(table)


def _print(table: "EvaluationTable") -> None:
    from rich.console import Console
    from rich.table import Table

    by_place = {(score.track, score.stem): score for score in table.scores}
    shown = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    shown.add_column("SDR, dB")
    for stem in table.stems:
        shown.add_column(stem, justify="right")
    for track in table.tracks:
        scores = [by_place.get((track, stem)) for stem in table.stems]
        shown.add_row(track, *("" if score is None else f"{score.sdr:.2f}" for score in scores))
    shown.add_section()
    for title, metric in (("median", "sdr"), ("mixture as estimate", "mixture_sdr")):
        shown.add_row(title, *(f"{table.median(stem, metric):.2f}" for stem in table.stems), style="bold")
    Console().print(shown)
