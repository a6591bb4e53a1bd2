"""What a person sees of a batch: bars while it runs, tables before and after."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from stemwise.cli.progress import SpeedColumn
from stemwise.cli.tables import clock, print_table

if TYPE_CHECKING:
    from stemwise.batch.enlist import Examined
    from stemwise.batch.plan import Plan
    from stemwise.batch.run import Summary
    from stemwise.batch.song import Outcome
    from stemwise.batch.trial import Speed
    from stemwise.journal import Journal, Row
    from stemwise.worker import Progress as SongProgress

NAME_CHARS = 36
SHOWN = 5  # songs of each reason in a report; `--csv` has all


@contextmanager
def working(what: str, *, total: int | None = None, quiet: bool = False) -> Iterator[Callable[[], None]]:
    """A spinner, or a bar if the number of steps is known, on standard error and on terminals only."""
    console = Console(file=sys.stderr)
    columns = [SpinnerColumn(), TextColumn("{task.description}")]
    if total is not None:
        columns += [BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(compact=True)]
    shown = console.is_terminal and not quiet and total != 0
    with Progress(*columns, console=console, disable=not shown, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)


class Watching:
    """A bar for the catalogue by its hours, and one for every song that runs; see `batch.run.Watch`."""

    def __init__(self, progress: Progress, rows: "Sequence[Row]", *, lines: bool) -> None:
        from stemwise.batch.report import duration_s

        self._progress, self._lines, self._duration_s = progress, lines, duration_s
        self._ended, self._n_songs = 0, len(rows)
        self._done_s, self._begin = 0.0, time.monotonic()
        self._audio_s = sum(map(duration_s, rows))
        self._all = progress.add_task(self._label(), total=self._audio_s or None, speed=None)
        self._songs: dict[str, TaskID] = {}
        self._parts: dict[str, float] = {}

    def begin(self, row: "Row") -> None:
        name = row.title or row.id
        name = name.replace("\n", " ")
        name = name if len(name) <= NAME_CHARS else f"{name[: NAME_CHARS - 1]}…"
        total = self._duration_s(row) or None
        self._songs[row.id] = self._progress.add_task(f"  {name}", total=total, speed=None)

    def progress(self, progress: "SongProgress") -> None:
        if progress.id in self._songs and progress.stage.startswith("separating"):
            self._parts[progress.id] = progress.done
            self._progress.update(self._songs[progress.id], completed=progress.done, total=progress.total)
            self._move()

    def end(self, row: "Row", outcome: "Outcome", retry_at: float | None) -> None:
        self._progress.remove_task(self._songs.pop(row.id))
        self._parts.pop(row.id, None)
        if outcome.error is None or retry_at is None:
            self._ended += 1
        if outcome.error is None:
            self._done_s += self._duration_s(row)
        elif retry_at is None:
            self._audio_s -= self._duration_s(row)
        self._move()
        self._say(row, outcome, retry_at)

    def wait(self, reason: str) -> None:
        self._progress.update(self._all, description=f"waiting: {reason}")

    def _move(self) -> None:
        seconds = time.monotonic() - self._begin
        done_s = self._done_s + sum(self._parts.values())
        self._progress.update(
            self._all,
            description=self._label(),
            total=self._audio_s or None,
            completed=done_s,
            speed=done_s / seconds if seconds > 1 else None,
        )

    def _label(self) -> str:
        return f"{self._ended} of {self._n_songs} songs"

    def _say(self, row: "Row", outcome: "Outcome", retry_at: float | None) -> None:
        if outcome.error is not None:
            again = f" (again in {max(0.0, retry_at - time.time()):.0f} s)" if retry_at is not None else ""
            what = outcome.error if row.source in outcome.error else f"{row.id}: {outcome.error}"
            self._echo(f"{'retry' if again else 'error'}: {what}{again}", err=True)
            return
        for note in outcome.report.get("notes", ()):
            self._echo(f"note: {row.id}: {note}", err=True)
        if self._lines:
            audio_s, wall_s = outcome.report["duration_s"], outcome.report["wall_s"]
            self._echo(f"[{self._ended}/{self._n_songs}] {row.id}  ({clock(audio_s)} in {wall_s:.1f} s)")

    def _echo(self, text: str, err: bool = False) -> None:
        text = text.replace("\n", "\\n")  # which a name may have
        if self._progress.disable:
            typer.echo(text, err=err)
        else:
            self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def watching(rows: "Sequence[Row]", *, quiet: bool) -> Iterator[Watching]:
    """Bars on a terminal, a line per song elsewhere, errors only if quiet."""
    console = Console(file=sys.stderr)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        SpeedColumn(),
        TimeRemainingColumn(compact=True),
    )
    shown = console.is_terminal and not quiet
    with Progress(*columns, console=console, disable=not shown, expand=True, transient=True) as progress:
        yield Watching(progress, rows, lines=not quiet and not shown)


def print_plan(
    examined: "Examined",
    plan: "Plan | None",
    speed: "Speed | None",
    devices: Sequence[str],
    threads: int,
    precision: Mapping[str, str],
) -> None:
    """A plan as a list of what it will take."""
    rows = [("done already", _songs(examined.n_done))] if examined.n_done else []
    if examined.n_failed:
        rows.append(("failed before", f"{_songs(examined.n_failed)} (stemwise batch retry --failed)"))
    if plan is None:
        _print_facts([*rows, ("to do", "nothing")])
        return
    rows.append(("to do", f"{_songs(plan.n_songs)}, {hours(plan.audio_s)} of audio"))
    if plan.n_unreadable:
        rows.append(("unreadable", f"{_songs(plan.n_unreadable)}: the run will say why"))
    kinds = ", ".join(f"{n} × {device}" for device, n in Counter(devices).items())
    each = f" with {threads} {'thread' if threads == 1 else 'threads'}"
    rows.append(("workers", f"{kinds}{each}, {', '.join(sorted(set(precision.values())))}"))
    if speed is None:
        rows.append(("time", "unknown: no song that can be read lies on this machine, to be tried"))
    else:
        wall_s = plan.wall_s(speed, len(devices))
        pace = f"{plan.audio_s / wall_s:.1f}× real time, {_rate(plan.n_songs, wall_s)}"
        rows.append(("time", f"{hours(wall_s)}: {pace}"))
        rows.append(("memory", f"{speed.worker_bytes * len(devices) / 1e9:.1f} GB"))
    if plan.guessed_bytes:
        rows.append(("lengths", "guessed from their sizes, of songs in storage"))
    share = 1.0 if speed is None else speed.stem_share
    free = f", {_bytes(plan.free_bytes)} are free" if plan.free_bytes is not None else ""
    rows.append(("disk", f"{_bytes(plan.output_bytes * share)}{free}"))
    _print_facts(rows)


def print_summary(summary: "Summary", journal: "Journal", output: str) -> None:
    """What a run has done, in a line or three."""
    if summary.n_done:
        speed = f"{summary.audio_s / summary.wall_s:.1f}× real time, {_rate(summary.n_done, summary.wall_s)}"
        took = f"{hours(summary.audio_s)} of audio in {hours(summary.wall_s)}: {speed}"
        typer.echo(f"{_songs(summary.n_done)} done now, {took}")
    typer.echo(f"{output}: {standing(journal, output)}")


def standing(journal: "Journal", output: str) -> str:
    """`3 done, 2 to do, 1 failed`."""
    from stemwise.batch.enlist import QUEUE

    counts = journal.counts(QUEUE)
    left = counts["queued"] + counts["running"]
    words = [f"{counts['done']} done", *([f"{left} to do"] if left else [])]
    if counts["failed"]:
        words.append(f"{counts['failed']} failed (stemwise batch report {output})")
    return ", ".join(words)


def print_status(rows: "Sequence[Row]") -> None:
    """How far a catalogue is."""
    from stemwise.batch.report import duration_s, total

    totals = total(rows)
    running = [row for row in rows if row.state == "running"]
    _print_facts(_sums(rows))
    if totals.remaining_s is not None and totals.left_s and running:
        _print_facts([("time left", f"{hours(totals.remaining_s)}, at the speed of the last minutes")])
    if running:
        table = _table("running", "length", "since", "worker")
        for row in running:
            since_s = time.time() - (row.started or 0.0)
            table.add_row(row.id, clock(duration_s(row)), clock(since_s), row.worker or "")
        print("")
        print_table(Console(highlight=False, markup=False), table)


def print_report(rows: "Sequence[Row]") -> None:
    """What has come of a catalogue."""
    from stemwise.batch.report import failures, total

    totals = total(rows)
    facts = _sums(rows)
    if totals.output_bytes:
        facts.append(("stems", _bytes(totals.output_bytes)))
    if totals.songs_per_hour and totals.audio_per_s:
        speed = f"{totals.audio_per_s:.1f}× real time, {totals.songs_per_hour:.0f} songs an hour"
        facts.append(("speed", f"{speed}, in the last minutes of work"))
    _print_facts(facts)
    failed = failures(rows)
    if failed:
        table = _table("failed for", "songs", "such as")
        for why, songs in failed:
            table.add_row(why, str(len(songs)), ", ".join(row.id for row in songs[:SHOWN]))
        print("")
        print_table(Console(highlight=False, markup=False), table)


def _sums(rows: "Sequence[Row]") -> list[tuple[str, str]]:
    from stemwise.batch.report import duration_s

    found = []
    for state in ("done", "running", "queued", "failed", "cancelled"):
        songs = [row for row in rows if row.state == state]
        if songs or state == "done":
            found.append((state, f"{_songs(len(songs))}, {hours(sum(map(duration_s, songs)))} of audio"))
    return found


def _print_facts(rows: Sequence[tuple[str, str]]) -> None:
    for name, value in rows:
        typer.echo(f"{name:14}{value}")


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right" if name in ("songs", "length", "since") else "left")
    return table


def _songs(n: int) -> str:
    return f"{n} song" if n == 1 else f"{n} songs"


def _rate(n_songs: int, seconds: float) -> str:
    return f"{3600 * n_songs / seconds:.0f} songs an hour"


def _bytes(n: float) -> str:
    return f"{n / 1e9:.1f} GB" if n >= 1e8 else f"{n / 1e6:.1f} MB"


def hours(seconds: float) -> str:
    """`12 s`, `5 min`, `3.2 h` or `4.1 days`."""
    for unit, length_s, digits in (("days", 48 * 3600, 1), ("h", 2 * 3600, 1), ("min", 120, 0)):
        if seconds >= length_s:
            return f"{seconds / {'days': 86400, 'h': 3600, 'min': 60}[unit]:.{digits}f} {unit}"
    return f"{seconds:.0f} s"
