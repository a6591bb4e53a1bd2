"""`stemwise data`: look at a data set before training, and make one of mixtures and instrumentals."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stemwise.cli.tables import clock
from stemwise.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from stemwise.data.check import DataReport
    from stemwise.data.measure import SongFigures

app = typer.Typer(
    help="Check a data set, or make one of mixtures and instrumentals.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Names = Annotated[
    list[str] | None,
    typer.Option(
        "--name",
        metavar="FILE=STEM",
        help="What a file holds that is not named after it, such as 'lead vox=vocals'; may be repeated.",
    ),
]


@app.command()
def check(
    source: Annotated[
        Path,
        typer.Argument(
            help="A folder per song with a file per stem; MUSDB18 or MUSDB18-HQ; Spleeter's .csv file.",
            show_default=False,
        ),
    ],
    name: Names = None,
    singles: Annotated[
        str | None,
        typer.Option(
            "--singles", metavar="STEM", help="The folder holds single files of this stem instead of songs."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A machine-readable report.")] = False,
) -> None:
    """Show what a data set holds and what is wrong with it; the exit status is 1 if there are errors.

    Every file is decoded.

    Errors: files that cannot be read, are empty, or out of time with the mixture; the same audio in two
    subsets, or twice in a song.

    Warnings: silence, clipping, files that are cut off, lengths or sample rates that differ, stems that do
    not add up to the mixture, the same audio in two songs, songs of MUSDB18's test set, files that are not
    used.
    """
    from dataclasses import asdict

    from stemwise.data.check import check as run
    from stemwise.data.singles import find_singles
    from stemwise.data.tracks import Track, find_tracks
    from stemwise.types import STEMS

    if singles and name:
        raise ConfigError("--name is for songs with several files: with --singles it would have no effect")
    if singles:
        files = find_singles(source)
        tracks = [Track(name=str(file.path.relative_to(source)), files={singles: file}) for file in files]
    else:
        tracks = find_tracks(source, STEMS, names=parse_names(name or [], STEMS))
    hidden = not sys.stderr.isatty()
    with typer.progressbar(length=len(tracks), label="songs", file=sys.stderr, hidden=hidden) as bar:
        report = run(tracks, source=source, report=lambda _: bar.update(1))
    if as_json:
        typer.echo(json.dumps(asdict(report), indent=2))
    else:
        _print(report, "file" if singles else "song")
    if report.n_errors:
        raise typer.Exit(1)


@app.command()
def catalogue(
    manifest: Annotated[
        Path,
        typer.Argument(
            help="A .csv table of recordings, with the columns path and, if not in the files' tags, artist,"
            " title and kind (mixture or instrumental).",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="Folder for the songs, made if need be.", show_default=False),
    ],
) -> None:
    """Make training songs out of recordings and their instrumental versions.

    Recordings of one artist and title are aligned and made equally loud; the voice is what the mixture has
    more in every bin of the spectrogram.

    What cannot be used is dropped, with the reason in catalogue.csv.
    """
    from stemwise.data.catalogue import find_pairs, make_songs, write_report

    pairs, outcomes = find_pairs(manifest)
    hidden = not sys.stderr.isatty()
    with typer.progressbar(length=len(pairs), label="songs", file=sys.stderr, hidden=hidden) as bar:
        for outcome in make_songs(pairs, output):
            outcomes.append(outcome)
            bar.update(1)
    made = [outcome for outcome in outcomes if not outcome.dropped]
    for outcome in outcomes:
        if outcome.dropped:
            typer.echo(f"dropped {outcome.song}: {outcome.dropped}")
    typer.echo(
        f"{_count(len(made), 'song')} in {output}; {write_report(output, outcomes)} says what became of all"
    )


def parse_names(options: list[str], stems: tuple[str, ...]) -> dict[str, str]:
    """What `--name` says: stem by file name."""
    from stemwise.data.track import MIXTURE, UNSPLIT

    known = (*stems, UNSPLIT, MIXTURE)
    names = {}
    for option in options:
        file, equals, stem = option.rpartition("=")
        if not equals or not file or not stem:
            raise ConfigError(f"--name is {option!r}: it must be FILE=STEM, such as 'lead vox=vocals'")
        if stem not in known:
            raise ConfigError(f"--name is {option!r}, but {stem} is none of {', '.join(known)}")
        names[file] = stem
    return names


def _print(report: "DataReport", noun: str) -> None:
    from rich.console import Console
    from rich.text import Text

    from stemwise.cli.tables import print_table

    console = Console(highlight=False)
    print_table(console, _table(report.songs))
    note = "Levels are in dB of full scale, root of the mean square."
    if any(song.sum_sdr_db is not None for song in report.songs):
        note += " Sum: how well the stems add up to the mixture, SDR in dB."
    console.print(f"\n{note}\n", style="dim")
    for problem in report.problems:
        place = problem.song if problem.stem is None else f"{problem.song}, {problem.stem}"
        style = "bold red" if problem.level == "error" else "yellow"
        console.print(
            Text.assemble((f"{problem.level:8}", style), f"{place}: {problem.text}"), soft_wrap=True
        )
    seconds = sum(_length(song) for song in report.songs)
    n_warnings = len(report.problems) - report.n_errors
    console.print(
        f"{_count(len(report.songs), noun)}, {clock(seconds)}:"
        f" {_count(report.n_errors, 'error')}, {_count(n_warnings, 'warning')}"
    )


def _table(songs: "Sequence[SongFigures]") -> "Table":
    from rich.table import Table
    from rich.text import Text

    from stemwise.data.track import MIXTURE, UNSPLIT
    from stemwise.types import STEMS

    found = dict.fromkeys(stem for song in songs for stem in (*song.sounds, *song.failures))
    order = {stem: number for number, stem in enumerate((*STEMS, UNSPLIT, MIXTURE))}
    stems = sorted(found, key=lambda stem: order.get(stem, 0))
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("song")
    table.add_column("subset")
    for title in ("length", "kHz", *stems, "sum"):
        table.add_column(title, justify="right")
    for song in songs:
        rates = sorted({sound.sample_rate for sound in song.sounds.values()})
        table.add_row(
            Text(song.name),  # which may hold what rich takes for markup
            song.subset,
            clock(_length(song)),
            "/".join(f"{rate / 1000:g}" for rate in rates),
            *(_level(song, stem) for stem in stems),
            None if song.sum_sdr_db is None else f"{song.sum_sdr_db:.0f}",
        )
    # what no song has needs no column
    table.columns = [column for column in table.columns if any(column.cells)]
    return table


def _level(song: "SongFigures", stem: str) -> str:
    from stemwise.data.check import is_silent

    if stem in song.failures:
        return "[bold red]unreadable[/]"
    sound = song.sounds.get(stem)
    if sound is None:
        return "[dim]–[/]"
    if is_silent(sound) or sound.level_db is None:
        return "[yellow]silent[/]"
    return f"{sound.level_db:.0f}"


def _length(song: "SongFigures") -> float:
    return max((sound.duration_s for sound in song.sounds.values()), default=0.0)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
