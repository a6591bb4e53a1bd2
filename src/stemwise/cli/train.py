"""`stemwise train`: a network of one's own, from songs whose stems are known."""

import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from stemwise.errors import ConfigError

if TYPE_CHECKING:
    from stemwise.train.config import TrainConfig

DEFAULT_OUTPUT = Path("runs/train")
IS_FIRST = os.environ.get("RANK", "0") == "0"  # of the processes that torchrun starts; the others are silent
SECONDS_BETWEEN_LINES = 10.0
INTERRUPTED = 130  # the exit status after Ctrl-C, by the shells' convention


def train(
    run: Annotated[
        Path | None,
        typer.Argument(
            help="Songs: a folder with a folder of stems for each, MUSDB18, or a CSV of Spleeter's."
            " Or a JSON file that describes the run.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder for the run.", show_default=str(DEFAULT_OUTPUT)),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MODEL",
            help="Train this model further, any that separate -p takes; none: start from random weights.",
            show_default="stemwise:4stems",
        ),
    ] = None,
    stems: Annotated[
        str | None,
        typer.Option(
            "--stems",
            help="Stems to separate into, as vocals,drums,accompaniment: one should be for the rest.",
            show_default="all",
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the run, as steps=500."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where the run in the folder stopped.")
    ] = False,
    params_filename: Annotated[
        Path | None,
        typer.Option(
            "-p", "--params_filename", help="A configuration of Spleeter's; needs -d.", show_default=False
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("-d", "--data", help="Folder of the paths in Spleeter's CSV.", show_default=False),
    ] = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Say only where the model is.")] = False,
) -> None:
    """Train a network on songs whose stems are known.

    The folder receives the model, the state that --resume goes on from, and the metrics. Ctrl-C stops a run
    at any time; nothing of it is lost.
    """
    quiet = quiet or not IS_FIRST
    if params_filename is not None:
        if run or start or stems:
            raise ConfigError("-p describes a whole run: it goes with -d, -o, --set and --resume alone")
        train_as_spleeter(params_filename, data, output, changes or [], resume=resume, quiet=quiet)
        return
    if data is not None:
        raise ConfigError("-d goes with -p: the songs are named by themselves")
    folder = output or DEFAULT_OUTPUT
    config, recipe = _described(run, folder, start, stems, changes or [], resume=resume)
    path = run_training(config, folder, resume=resume, recipe=recipe, quiet=quiet, again=["-o", str(folder)])
    if IS_FIRST:
        typer.echo(f"The model is {path}: stemwise separate -p {path} SONG")


def train_as_spleeter(
    params_filename: Path,
    data: Path | None,
    output: Path | None,
    changes: list[str],
    *,
    resume: bool | None,
    quiet: bool,
) -> None:
    """The run of a Spleeter configuration, and a checkpoint of it that Spleeter reads, in the same folder.

    With `resume=None` it goes on where there is something to go on from, as the original does.
    """
    from stemwise.checkpoint import read_model, read_tensors
    from stemwise.train.export import save_spleeter_checkpoint
    from stemwise.train.folder import RunFolder
    from stemwise.train.spleeter import spleeter_config

    if data is None:
        raise ConfigError("the folder that the paths of train_csv are relative to must be given: -d FOLDER")
    config, folder, notes = spleeter_config(params_filename, data, changes)
    folder = output or folder
    for note in () if quiet else notes:
        typer.echo(f"note: {note}", err=True)
    files = RunFolder(folder)
    resume = files.state.exists() if resume is None else resume
    again = ["-p", str(params_filename), "-d", str(data), "-o", str(folder)]
    for change in changes:
        again += ["--set", change]
    run_training(config, folder, resume=resume, recipe=params_filename, quiet=quiet, again=again)
    if IS_FIRST:
        step = int(read_tensors(files.state)["step"])
        prefix = save_spleeter_checkpoint(read_model(files.last), folder, step)
        typer.echo(f"The model is {prefix}: spleeter separate -p {params_filename} SONG")


def run_training(
    config: "TrainConfig", folder: Path, *, resume: bool, recipe: Path | None, quiet: bool, again: list[str]
) -> Path:
    """Train, with a line on the terminal; after Ctrl-C say with which options it goes on."""
    from stemwise.train.folder import RunFolder
    from stemwise.train.loop import train as run

    try:
        with _progress(config.steps, quiet=quiet) as report:
            return run(config, folder, resume=resume, recipe=recipe, report=report)
    except KeyboardInterrupt:
        if IS_FIRST:
            is_saved = RunFolder(folder).state.exists()
            to_go_on = f"stopped; to go on: {shlex.join(['stemwise', 'train', '--resume', *again])}"
            typer.echo(to_go_on if is_saved else "stopped before the first step", err=True)
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def _progress(steps: int, *, quiet: bool) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """On a terminal one line that changes; elsewhere a line for every validation and now and then between."""
    console = Console(file=sys.stderr)
    if quiet or not console.is_terminal:
        yield (lambda _: None) if quiet else _Lines(steps)
        return
    columns = (
        TextColumn("step {task.completed}/{task.total}"),
        BarColumn(bar_width=None),
        TextColumn("{task.description}"),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
    )
    with Progress(*columns, console=console, expand=True) as progress:
        task = progress.add_task("preparing the songs", total=steps)
        known: dict[str, Any] = {}

        def report(line: Mapping[str, Any]) -> None:
            known.update(line)
            progress.update(task, completed=line["step"], description=_summary(known))

        yield report


class _Lines:
    """Lines for a log file: validations, the last step, and one every few seconds."""

    def __init__(self, steps: int) -> None:
        self.steps, self.printed = steps, float("-inf")

    def __call__(self, line: Mapping[str, Any]) -> None:
        is_due = "sdr" in line or line["step"] == self.steps
        if is_due or time.monotonic() - self.printed > SECONDS_BETWEEN_LINES:
            self.printed = time.monotonic()
            typer.echo(f"step {line['step']}/{self.steps}  {_summary(line)}")


def _summary(line: Mapping[str, Any]) -> str:
    """Loss, SDR and speed, as far as they are known."""
    stems = " ".join(f"{name[4:]} {line[name]:.1f}" for name in line if name.startswith("sdr_"))
    parts = {
        "loss": "loss {:.4f}",
        "sdr": "SDR {:.2f} dB" + (f" ({stems})" if stems else ""),
        "excerpts_per_s": "{:.1f} excerpts/s",
        "audio_s_per_s": "{:.0f}× real time",
    }
    return "  ".join(text.format(line[name]) for name, text in parts.items() if name in line)


def _described(
    run: Path | None, folder: Path, start: str | None, stems: str | None, changes: list[str], *, resume: bool
) -> "tuple[TrainConfig, Path | None]":
    """The run, and the file that describes it, if one does."""
    from stemwise.train.compose import EMBEDDED, folder_config, read_config

    if run is None and not resume:
        raise ConfigError("what to train on is missing: stemwise train SONGS, or stemwise train --resume")
    is_table = run is not None and run.suffix.lower() == ".csv"
    if run is None or (resume and (is_table or not run.is_file())):
        if start or stems:
            raise ConfigError(f"--from and --stems cannot change the run that is resumed, in {folder}")
        return _resumed(run, folder, changes), None
    if is_table or run.is_dir():
        chosen = tuple(name.strip() for name in (stems or "").split(",") if name.strip())
        model = EMBEDDED if start is None else "" if start == "none" else start
        return folder_config(run, changes, start=model, stems=chosen), None
    if start or stems:
        raise ConfigError("--from and --stems go with songs; in a file it is start.model and model.stems")
    if not resume and not run.exists():
        raise ConfigError(
            f"{run} is no training configuration, nor a folder of songs: there is nothing of that name"
        )
    return read_config(run, changes), run if run != folder / "config.json" else None


def _resumed(songs: Path | None, folder: Path, changes: list[str]) -> "TrainConfig":
    from stemwise.train.compose import read_config

    config = read_config(folder / "config.json", changes)
    if songs is not None and songs.resolve() not in [Path(known).resolve() for known in config.data.songs]:
        raise ConfigError(
            f"{folder} is a run on {', '.join(config.data.songs)}, not on {songs}: leave that out to go on,"
            " or take another folder for a new run"
        )
    return config
