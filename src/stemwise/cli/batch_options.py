"""The options that `stemwise batch plan` and `run` share, and what they make."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stemwise.cli.options import ENGINE

if TYPE_CHECKING:
    from stemwise.batch.settings import Settings

_CLUSTER = "Cluster"

Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="INPUTS",
        help="Folders (with all below), patterns, songs, URLs, or manifests (.csv, .jsonl, .parquet with a"
        " column path, and id, offset, duration or model if need be). None: go on with the journal.",
        show_default=False,
    ),
]
Output = Annotated[str, typer.Option("-o", "--output", help="Folder or URL for the stems.")]
Workers = Annotated[
    int | None,
    typer.Option(
        "-w",
        "--workers",
        min=1,
        help="Songs at a time.",
        show_default="one per core or GPU",
        rich_help_panel=ENGINE,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(min=1, help="Of each worker.", show_default="cores / workers", rich_help_panel=ENGINE),
]
Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Separate on a Ray cluster: HOST:PORT, auto for the one that this machine belongs to, or local"
        " to start one here. Its workers have one thread if --threads does not say otherwise.",
        show_default=False,
        rich_help_panel=_CLUSTER,
    ),
]
Gpus = Annotated[
    float,
    typer.Option(min=0.0, help="Of each worker on the cluster, such as 1 or 0.25.", rich_help_panel=_CLUSTER),
]

SETTINGS = (
    "model", "codec", "bit_depth", "bitrate", "sample_rate", "stereo", "clip", "template", "stems",
    "two_stems", "residual", "offset", "duration", "mwf", "device", "precision",
)  # fmt: skip


def settings_of(**options: Any) -> "Settings":
    """The settings that the options of `SETTINGS` make."""
    from stemwise.batch.settings import Settings
    from stemwise.outputs import OutputFormat, parse_bitrate

    stems = options["stems"]
    written = "codec", "bit_depth", "sample_rate", "stereo", "clip"
    as_they_are = "model", "two_stems", "residual", "mwf", "device", "precision", "template"
    return Settings(
        stems=tuple(name.strip() for name in stems.split(",")) if stems is not None else None,
        output_format=OutputFormat(
            bitrate=parse_bitrate(options["bitrate"]),
            **{name: options[name] for name in written},
        ),
        offset_s=options["offset"],
        duration_s=options["duration"],
        **{name: options[name] for name in as_they_are},
    )
