"""`stemwise export`: a network for other runtimes."""

from pathlib import Path
from typing import Annotated

import typer

from stemwise.cli.separate import load


def export(
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", help="The file: .onnx, .pt or .xml (with .bin beside it).", show_default=False
        ),
    ],
    format: Annotated[
        str, typer.Option("--format", help="onnx, torchscript or openvino.", show_default=False)
    ],
    model: Annotated[
        str, typer.Option("-p", "--model", help="Model: a name (see `stemwise models`) or a file.")
    ] = "stemwise:4stems",
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print errors only.")] = False,
) -> None:
    """Write a model's network for ONNX Runtime, LibTorch or OpenVINO.

    The file has the network, from magnitudes to magnitudes of every stem, and in its metadata what belongs
    around it. What that is, and a program that separates a song with it: docs/export.md.
    """
    from stemwise.export import check_export, export_model

    check_export(output, format)
    paths = export_model(load(model, quiet=quiet), output, format)
    if not quiet:
        sizes = (f"{path} ({path.stat().st_size / 1e6:.1f} MB)" for path in paths)
        typer.echo(f"{model} → {', '.join(sizes)}")
