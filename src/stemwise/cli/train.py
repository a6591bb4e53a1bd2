"""`stemwise train`: a network from a configuration file and songs whose stems are known."""

from pathlib import Path
from typing import Annotated, Any

import typer


def train(
    config: Annotated[Path, typer.Argument(help="The run: a JSON file.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the run.")] = Path("runs/train"),
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a value, as data.cache=/tmp/c."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where the run in the folder stopped.")
    ] = False,
) -> None:
    """Train a network. The folder receives the model, the state of the run and its log."""
    from stemwise.train.config import read_config
    from stemwise.train.loop import train as run

    path = run(read_config(config, changes or []), output, resume=resume, report=_print)
    typer.echo(f"The model is {path}.")


def _print(values: dict[str, Any]) -> None:
    typer.echo("  ".join(f"{name} {value}" for name, value in values.items()))
