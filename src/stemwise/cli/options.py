"""The options that `stemwise separate` and `stemwise batch` share."""

from typing import Annotated

import typer

OUTPUT, STEMS, READING, ENGINE = "Output files", "Stems", "Input", "Engine"  # panels of --help

Model = Annotated[
    str,
    typer.Option("-p", "--model", help="Model: a name (see `stemwise models`), a file, or a Spleeter JSON."),
]
Codec = Annotated[
    str, typer.Option("-c", "--codec", help="wav, flac, mp3, ogg, opus, m4a or wma.", rich_help_panel=OUTPUT)
]
BitDepth = Annotated[
    int | None,
    typer.Option(help="16, 24 or 32 (float); wav and flac only.", show_default="16", rich_help_panel=OUTPUT),
]
Bitrate = Annotated[
    str | None,
    typer.Option(
        "-b", "--bitrate", help="Of lossy codecs, such as 192k.", show_default="128k", rich_help_panel=OUTPUT
    ),
]
SampleRate = Annotated[
    int | None, typer.Option(help="Hz.", show_default="the input's", rich_help_panel=OUTPUT)
]
Stereo = Annotated[
    bool, typer.Option("--stereo", help="Two channels also for a mono song.", rich_help_panel=OUTPUT)
]
Clip = Annotated[
    str,
    typer.Option(
        help="If a stem would clip: `gain` lowers all stems of the song alike, `clamp` cuts.",
        rich_help_panel=OUTPUT,
    ),
]
Template = Annotated[
    str,
    typer.Option("-f", "--filename-format", help="Of each file below the folder.", rich_help_panel=OUTPUT),
]
Stems = Annotated[
    str | None,
    typer.Option(help="Only these, such as vocals,drums.", show_default="all", rich_help_panel=STEMS),
]
TwoStems = Annotated[
    str | None,
    typer.Option(help="This stem and the sum of the others (accompaniment).", rich_help_panel=STEMS),
]
Residual = Annotated[
    bool,
    typer.Option("--residual", help="Write what the stems leave of the mixture too.", rich_help_panel=STEMS),
]
Offset = Annotated[
    float,
    typer.Option("-s", "--offset", help="Seconds to leave out at the start.", rich_help_panel=READING),
]
Duration = Annotated[
    float | None,
    typer.Option(
        "-d", "--duration", help="Seconds to separate.", show_default="all", rich_help_panel=READING
    ),
]
Mwf = Annotated[
    bool,
    typer.Option(
        "--mwf", help="Multichannel Wiener filter: two passes, fewer artefacts.", rich_help_panel=ENGINE
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.", rich_help_panel=ENGINE)]
Precision = Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.", rich_help_panel=ENGINE)]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print errors only.")]
