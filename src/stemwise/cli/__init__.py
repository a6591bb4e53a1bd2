"""The commands. Each file here is one; what they do lives below, in `files`, `hub`, `train` and the rest.

Nothing heavy is imported before a command runs, so that `--help` answers at once.
"""

import gc
import io
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from stemwise import __version__
from stemwise.cli import (
    augment,
    batch,
    compare,
    data,
    doctor,
    evaluate,
    export,
    models,
    separate,
    serve,
    train,
)
from stemwise.errors import StemwiseError

COLLECT_AFTER = 100_000  # new objects; importing PyTorch makes about a million, none of which is garbage
INTERRUPTED = 130  # the exit status after Ctrl-C, by the shells' convention; typer sets it

app = typer.Typer(
    name="stemwise",
    help="Separate recorded music into its stems, and train and measure the networks that do it.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
app.command("separate")(separate.separate)
app.command("serve")(serve.serve)
app.add_typer(batch.app, name="batch")
app.add_typer(models.app, name="models")
app.add_typer(data.app, name="data")
app.command("augment")(augment.augment)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("export")(export.export)
app.command("doctor")(doctor.doctor)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"stemwise {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    run(app)


def run(command: Callable[..., Any]) -> None:
    """The one place where errors become a line and an exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of files are not always text
    gc.set_threshold(COLLECT_AFTER)
    try:
        command()
    except StemwiseError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
    except SystemExit as stop:
        if stop.code == INTERRUPTED:
            sys.stderr.write("interrupted: no half-written file is left behind\n")
        raise
    except BrokenPipeError:
        # The reader of our output went away; Python would complain once more while flushing at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        sys.stderr.write(f"error: {error.filename or 'the system'}: {error.strerror or error}\n")
        sys.exit(1)
    finally:
        gc.freeze()  # Python looks for garbage once more before it ends: in PyTorch's objects for a long time
