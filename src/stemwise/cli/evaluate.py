"""`stemwise evaluate`: a model, or stems in files, against songs whose stems are known."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stemwise.cli.data import Names, parse_names
from stemwise.cli.separate import load
from stemwise.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from stemwise.data.tracks import Track
    from stemwise.evaluate import Record, Score

_MEASURE, _OUTPUT, _ENGINE = "What is measured", "Output", "Engine"
REPORT = "report.md"
UNFINISHED = "unfinished.json"  # scores of a run that is under way, or was stopped
DEFAULT_MODEL = "stemwise:4stems"


def evaluate(
    songs: Annotated[
        Path,
        typer.Argument(
            metavar="SONGS",
            help="A folder per song with one file per stem, MUSDB18, MUSDB18-HQ, or Spleeter's CSV.",
            show_default=False,
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            "-p",
            "--model",
            help="Model: a name (see `stemwise models`) or a file.",
            show_default=DEFAULT_MODEL,
        ),
    ] = None,
    estimates: Annotated[
        Path | None,
        typer.Option(
            help="Score the stems in this folder, ESTIMATES/song/stem.wav, instead of a model's:"
            " all that the songs have too, by their names."
        ),
    ] = None,
    subset: Annotated[
        str | None,
        typer.Option(help="Only these songs: train, valid or test.", rich_help_panel=_MEASURE),
    ] = None,
    metrics: Annotated[
        str,
        typer.Option(
            help="Of usdr, csdr, isr, sir, sar, si_sdr, si_sir, si_sar, bleedless, fullness, bleed,"
            " musical_noise and smear; `museval` is csdr, isr, sir and sar; `faults` the last three; `all`.",
            rich_help_panel=_MEASURE,
        ),
    ] = "usdr,csdr,si_sdr",
    group: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PREFIX", help="Report songs whose names begin so apart.", rich_help_panel=_MEASURE
        ),
    ] = None,
    name: Names = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Folder for scores.json, report.md and, with all of museval's metrics, its JSON per song.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw a box plot: a .png, .svg or .pdf file.", rich_help_panel=_OUTPUT),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print every score for machines.", rich_help_panel=_OUTPUT)
    ] = False,
    device: Annotated[
        str | None,
        typer.Option(help="auto, cpu, cuda, cuda:N or mps.", rich_help_panel=_ENGINE, show_default="auto"),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            help="auto, float32, bfloat16 or float16.", rich_help_panel=_ENGINE, show_default="auto"
        ),
    ] = None,
    mwf: Annotated[
        bool, typer.Option("--mwf", help="Multichannel Wiener filter.", rich_help_panel=_ENGINE)
    ] = False,
) -> None:
    """Measure how well a model separates songs whose stems are known."""
    from stemwise.data.folders import file_names
    from stemwise.data.track import MIXTURE
    from stemwise.data.tracks import find_tracks
    from stemwise.evaluate import (
        EvaluationTable,
        Record,
        evaluate_files,
        parse_metrics,
        trained_on,
        write_record,
    )
    from stemwise.evaluate import evaluate as evaluate_model
    from stemwise.evaluate.record import MUSEVAL_SONGS, to_json
    from stemwise.plots import require_matplotlib
    from stemwise.plots.scores import check_suffix
    from stemwise.separate import Separator

    engine = {"-p": model, "--device": device, "--precision": precision, "--mwf": mwf or None}
    given = [option for option, value in engine.items() if value is not None]
    if estimates is not None and given:
        raise ConfigError(f"--estimates takes stems from files: {', '.join(given)} would have no effect")
    chosen = parse_metrics(metrics)
    if plot is not None:
        require_matplotlib()
        check_suffix(plot)
    notes: tuple[str, ...] = ()
    if estimates is None:
        model = model or DEFAULT_MODEL
        loaded = load(model, quiet=as_json)
        separator = Separator(loaded, device=device or "auto", precision=precision or "auto", mwf=mwf)
        known = _known(separator.stems)
    else:
        known = _known([name for name in file_names(estimates) if name != MIXTURE])
    tracks = find_tracks(songs, known, subset=subset, names=parse_names(name or [], known))
    if estimates is None:
        notes = trained_on(loaded.card, tracks)
    for note in notes:
        typer.echo(f"warning: {note}", err=True)
    record = Record(
        model=str(estimates or model), dataset=songs.resolve().name, table=EvaluationTable(()), notes=notes
    )

    def keep(scores: "list[Score]") -> None:
        nonlocal record
        record = replace(record, table=EvaluationTable((*record.table.scores, *scores)))
        if output is not None:
            write_record(record, output, UNFINISHED)

    if output is not None:
        output.mkdir(parents=True, exist_ok=True)  # before hours of work
    museval = output and output / MUSEVAL_SONGS
    with _watching(len(tracks), museval=museval, keep=keep, quiet=as_json) as hooks:
        if estimates is None:
            table = evaluate_model(separator, tracks, metrics=chosen, **hooks)
        else:
            table = evaluate_files(estimates, tracks, metrics=chosen, **hooks)
    record = replace(record, table=table)
    if output is not None:
        write_record(record, output)
        (output / UNFINISHED).unlink()
        _write_report(record, group or [], plot, output)
    if as_json:
        typer.echo(json.dumps(to_json(record), indent=2))
    else:
        _print(record, group or [])
    if plot is not None:
        _draw(record, plot)


def evaluate_as_spleeter(mus_dir: Path, output: Path, params_filename: str, *, mwf: bool) -> None:
    """What `spleeter evaluate` does: stems in output/audio/test, scores in output/metrics/test, medians."""
    from stemwise.data.tracks import find_tracks
    from stemwise.evaluate import evaluate_files, write_estimates
    from stemwise.evaluate.scores import MUSEVAL, median_of_finite
    from stemwise.separate import Separator

    model = load(params_filename, quiet=False, spleeter_layout=True)
    separator = Separator(model, precision="float32", mwf=mwf)
    tracks = find_tracks(mus_dir, _known(separator.stems), subset="test")
    folder = output / "audio" / "test"
    for track in tracks:
        for path in write_estimates(separator, track, folder):
            typer.echo(f"INFO:spleeter:File {path} written succesfully")  # QUIRK(spleeter): the spelling
    typer.echo("INFO:spleeter:Starting musdb evaluation (this could be long) ...")
    with _watching(len(tracks), museval=output / "metrics" / "test", quiet=False) as hooks:
        table = evaluate_files(folder, tracks, stems=separator.stems, metrics=tuple(MUSEVAL), **hooks)
    typer.echo("INFO:spleeter:musdb evaluation done")
    for stem in table.stems:
        typer.echo(f"INFO:spleeter:{stem}:")
        for metric in ("csdr", "sar", "sir", "isr"):
            middle = median_of_finite(table.values(stem, metric).values())
            typer.echo(f"INFO:spleeter:{MUSEVAL[metric]}: {middle:.3f}")


def _known(stems: Sequence[str]) -> tuple[str, ...]:
    """Stems to look for: also those that are not estimated are part of a mixture."""
    from stemwise.types import STEMS

    return tuple(dict.fromkeys((*STEMS, *stems)))


@contextmanager
def _watching(
    n_songs: int, *, museval: Path | None, keep: "Callable[[list[Score]], None] | None" = None, quiet: bool
) -> Iterator[dict[str, Any]]:
    """What `evaluate` and `evaluate_files` call: bars move, and each song's scores and windows are kept."""
    from stemwise.cli.progress import bars
    from stemwise.evaluate import write_museval

    with bars(n_songs, quiet=quiet) as shown:

        def report(_: "Track", scores: "list[Score]") -> None:
            shown.done()
            if keep is not None:
                keep(scores)
            if museval is not None:
                write_museval(scores, museval)

        yield {"begin": shown.begin, "report": report, "progress": shown.update}


def print_rows(console: "Console", rows: list[list[str]]) -> None:
    """Print a table; the first row is the header, all columns but the first are figures."""
    from rich.table import Table

    from stemwise.cli.tables import print_table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for index, cell in enumerate(rows[0]):
        table.add_column(cell, justify="right" if index else "left")
    for row in rows[1:]:
        table.add_row(*row)
    print_table(console, table)


def _print(record: "Record", prefixes: Sequence[str]) -> None:
    from rich.console import Console

    from stemwise.evaluate.report import LEGEND, groups, song_rows, summary_rows

    console = Console(highlight=False, markup=False)
    metrics = record.table.metrics
    print_rows(console, song_rows(record.table, metrics[0]))
    for name, part in groups(record.table, prefixes).items():
        console.print(f"\n{name}: {len(part.tracks)}", style="bold underline")
        for metric in metrics:
            console.print()
            print_rows(console, summary_rows(part, metric))
    console.print(f"\n{LEGEND}", style="dim")


def _draw(record: "Record", path: Path) -> None:
    from stemwise.evaluate.report import title
    from stemwise.evaluate.scores import MIXTURE, MODEL, ORACLE
    from stemwise.plots.scores import save_scores

    table = record.table
    panels = {
        method: {
            title(metric): {
                stem: list(table.values(stem, metric, method).values())
                for stem in table.stems
                if table.values(stem, metric)
            }
            for metric in table.metrics
        }
        for method in (MODEL, MIXTURE, ORACLE)
    }
    boxes = panels.pop(MODEL)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_scores(boxes, path, marks=panels, title=f"{record.model} on {record.dataset}")
    typer.echo(f"The box plot is {path}.", err=True)


def _write_report(record: "Record", prefixes: Sequence[str], plot: Path | None, folder: Path) -> None:
    from stemwise.evaluate.report import markdown

    picture = Path(os.path.relpath(plot, folder)) if plot is not None else None
    (folder / REPORT).write_text(markdown(record, prefixes=prefixes, picture=picture), encoding="utf-8")
    typer.echo(f"The report is {folder / REPORT}.", err=True)
