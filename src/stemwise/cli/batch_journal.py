"""`stemwise batch status`, `retry`, `report` and `verify`: what the journal of a catalogue knows."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stemwise.errors import ConfigError

if TYPE_CHECKING:
    from stemwise.journal import Journal, State

JOURNAL = "batch.sqlite"
ENDS = "done", "failed"

Folder = Annotated[
    str,
    typer.Argument(metavar="OUTPUT", help="The folder or URL of the run.", show_default=False),
]
Journalled = Annotated[
    str | None,
    typer.Option(
        help="The journal: a file, or postgresql://… for many machines.", show_default=f"OUTPUT/{JOURNAL}"
    ),
]


def journal_of(output: str, journal: str | None, *, create: bool = False) -> "Journal":
    """The journal of an output folder.

    Raises:
        ConfigError: as `place_of`.
        JournalError: if there is none, or it cannot be opened.
    """
    from stemwise.journal import Journal

    place = place_of(output, journal)
    if create and journal is None:
        Path(output).mkdir(parents=True, exist_ok=True)
    return Journal(place, create=create)


def place_of(output: str, journal: str | None) -> str:
    """Where the journal of an output folder is, a path or a URL.

    Raises:
        ConfigError: if the output is in object storage, which cannot hold one, and none is named, or a path
            is no text.
    """
    for place in filter(None, (output, journal)):
        path = place if "://" in place else os.path.abspath(place)
        if any("\ud800" <= char <= "\udfff" for char in path):  # bytes that are not UTF-8
            shown = os.fsencode(path).decode("utf-8", "backslashreplace")
            raise ConfigError(f"{shown}: a path must be UTF-8 text: choose another")
    if journal is None and "://" in output:
        raise ConfigError(f"{output} cannot hold the journal: say where it is, --journal FILE")
    return journal or str(Path(output) / JOURNAL)


def status(output: Folder, journal: Journalled = None) -> None:
    """Show how far a catalogue is, what runs, and how long the rest will take."""
    from stemwise.batch.enlist import QUEUE
    from stemwise.cli.batch_view import print_status

    with journal_of(output, journal) as opened:
        print_status(opened.rows(QUEUE))


def retry(
    output: Folder,
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="SONGS", help="Ids, as the report has them.", show_default=False),
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="All songs that have failed.")] = False,
    journal: Journalled = None,
) -> None:
    """Queue songs again; the next `stemwise batch run` does them."""
    from stemwise.batch.enlist import QUEUE

    if failed == bool(ids):
        raise ConfigError("retry needs either --failed or the ids of songs")
    with journal_of(output, journal) as opened:
        ended: list[State] = ["failed"] if failed else ["failed", "done"]
        n_songs = opened.requeue(QUEUE, states=ended, ids=ids)
    if ids and n_songs < len(ids):
        raise ConfigError(f"{len(ids) - n_songs} of {len(ids)} ids are not in the journal, or have not ended")
    typer.echo(f"queued again: {n_songs}; to do them: stemwise batch run -o {output}")


def report(
    output: Folder,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write a line per song to this file.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw throughput and failures: a .png, .svg or .pdf file.")
    ] = None,
    journal: Journalled = None,
) -> None:
    """Sum up a catalogue: songs, hours, speed, and failures by their reasons."""
    from stemwise.batch.enlist import QUEUE
    from stemwise.batch.report import write_csv
    from stemwise.cli.batch_view import print_report
    from stemwise.plots.scores import check_suffix

    if plot is not None:
        check_suffix(plot)
    with journal_of(output, journal) as opened:
        rows = opened.rows(QUEUE)
    print_report(rows)
    if csv is not None:
        write_csv(rows, csv)
        typer.echo(f"The songs are in {csv}.", err=True)
    if plot is not None:
        from stemwise.plots.throughput import save_throughput

        times = {
            state: [row.ended or 0.0 for row in rows if row.state == state] for state in ("done", "failed")
        }
        if not any(times.values()):
            raise ConfigError(f"{output}: no song has ended yet: there is nothing to draw")
        save_throughput(times["done"], times["failed"], plot, title=output)
        typer.echo(f"The plot is {plot}.", err=True)


def verify(output: Folder, journal: Journalled = None) -> None:
    """Read every stem again and compare its hash with the journal's."""
    from stemwise.batch.enlist import QUEUE
    from stemwise.batch.verify import find_faults
    from stemwise.cli.batch_view import working

    with journal_of(output, journal) as opened:
        rows = opened.rows(QUEUE, ["done"])
    n_stems = sum(len(row.outputs) for row in rows)
    with working("reading stems", total=n_stems) as step:
        faults = list(find_faults(rows, output, done=lambda _: step()))
    for fault in faults:
        typer.echo(f"error: {fault.path}: {fault.what}", err=True)
    if faults:
        songs = len({fault.id for fault in faults})
        raise ConfigError(
            f"{len(faults)} of {n_stems} stems ({songs} of {len(rows)} songs) are not as they were;"
            f" to make them anew: stemwise batch retry {output} SONGS, and then run"
        )
    typer.echo(f"{n_stems} stems of {len(rows)} songs are as they were")
