"""The options that `stemwise batch plan` and `run` share, and what they make."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from stemwise.batch.settings import Settings

_OUTPUT, _STEMS, _READING, _ENGINE = "Output files", "Stems", "Input", "Engine"
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
Model = Annotated[str, typer.Option("-p", "--model", help="Model: a name (see `stemwise models`) or a file.")]
Codec = Annotated[
    str, typer.Option("-c", "--codec", help="wav, flac, mp3, ogg, opus, m4a or wma.", rich_help_panel=_OUTPUT)
]
BitDepth = Annotated[
    int | None,
    typer.Option(help="16, 24 or 32 (float); wav and flac only.", show_default="16", rich_help_panel=_OUTPUT),
]
Bitrate = Annotated[
    str | None,
    typer.Option(
        "-b", "--bitrate", help="Of lossy codecs, such as 192k.", show_default="128k", rich_help_panel=_OUTPUT
    ),
]
SampleRate = Annotated[
    int | None, typer.Option(help="Hz.", show_default="the input's", rich_help_panel=_OUTPUT)
]
Stereo = Annotated[
    bool, typer.Option("--stereo", help="Two channels also for a mono song.", rich_help_panel=_OUTPUT)
]
Clip = Annotated[
    str,
    typer.Option(
        help="If a stem would clip: `gain` lowers all stems of the song alike, `clamp` cuts.",
        rich_help_panel=_OUTPUT,
    ),
]
Template = Annotated[
    str,
    typer.Option(
        "-f", "--filename-format", help="Of each file below the song's folder.", rich_help_panel=_OUTPUT
    ),
]
Stems = Annotated[
    str | None,
    typer.Option(help="Only these, such as vocals,drums.", show_default="all", rich_help_panel=_STEMS),
]
TwoStems = Annotated[
    str | None,
    typer.Option(help="This stem and the sum of the others (accompaniment).", rich_help_panel=_STEMS),
]
Residual = Annotated[
    bool,
    typer.Option("--residual", help="Write what the stems leave of the mixture too.", rich_help_panel=_STEMS),
]
Offset = Annotated[
    float,
    typer.Option("-s", "--offset", help="Seconds to leave out at each start.", rich_help_panel=_READING),
]
Duration = Annotated[
    float | None,
    typer.Option(
        "-d", "--duration", help="Seconds to separate.", show_default="all", rich_help_panel=_READING
    ),
]
Mwf = Annotated[
    bool,
    typer.Option(
        "--mwf", help="Multichannel Wiener filter: two passes, fewer artefacts.", rich_help_panel=_ENGINE
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.", rich_help_panel=_ENGINE)]
Precision = Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.", rich_help_panel=_ENGINE)]
Workers = Annotated[
    int | None,
    typer.Option(
        "-w",
        "--workers",
        min=1,
        help="Songs at a time.",
        show_default="one per core or GPU",
        rich_help_panel=_ENGINE,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(min=1, help="Of each worker.", show_default="cores / workers", rich_help_panel=_ENGINE),
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
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print errors only.")]

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
