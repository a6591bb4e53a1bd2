"""What a person watches while songs are separated: a bar for the batch, a bar for the song."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text


class SpeedColumn(ProgressColumn):
    """Seconds of audio per second, as `28.1× real time`."""

    def render(self, task: Task) -> Text:
        speed = task.fields.get("speed")
        return Text(f"{speed:5.1f}× real time" if speed else " " * 16, style="cyan")


class Bars:
    """One bar for the song at hand, and one for the batch if there is more than one song."""

    def __init__(self, progress: Progress, n_songs: int) -> None:
        self._progress = progress
        self._batch = progress.add_task("songs", total=n_songs, speed=None, visible=n_songs > 1)
        self._song = progress.add_task("", total=None, speed=None)
        self._name, self._stage, self._start = "", "", 0.0

    def begin(self, name: str) -> None:
        self._name, self._stage = name, ""

    def update(self, stage: str, done_s: float, total_s: float | None) -> None:
        """See `stemwise.types.Progress`."""
        now = time.perf_counter()
        if stage != self._stage:
            self._stage, self._start = stage, now
            self._progress.reset(self._song, description=self._label(), total=total_s)
        speed = done_s / (now - self._start) if now > self._start + 0.2 else None
        self._progress.update(self._song, completed=done_s, total=total_s, speed=speed)

    def done(self) -> None:
        self._progress.advance(self._batch)

    def echo(self, text: str, err: bool = False) -> None:
        """Print a line, above the bars where it goes to the same terminal."""
        if self._progress.disable or not (err or sys.stdout.isatty()):
            typer.echo(text, err=err)
        else:
            self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _label(self) -> str:
        name = self._name if len(self._name) <= 32 else f"{self._name[:30]}…"
        return name if self._stage == "separating" else f"{name} ({self._stage})"


@contextmanager
def bars(n_songs: int, *, quiet: bool) -> Iterator[Bars]:
    """Bars on standard error, which a terminal shows and a file or pipe does not hold."""
    console = Console(file=sys.stderr)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        SpeedColumn(),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
    )
    with Progress(
        *columns,
        console=console,
        disable=quiet or not console.is_terminal,
        expand=True,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as progress:
        yield Bars(progress, n_songs)


@contextmanager
def download_bar(*, quiet: bool) -> Iterator[Callable[[int, int | None], None]]:
    """A bar for a model on its way here; shown only once something comes."""
    console = Console(file=sys.stderr)
    columns = (
        TextColumn("downloading the model"),
        BarColumn(bar_width=None),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, disable=quiet or not console.is_terminal, expand=True, transient=True
    ) as progress:
        task = progress.add_task("", total=None, visible=False)
        yield lambda done, total: progress.update(task, completed=done, total=total, visible=True)
