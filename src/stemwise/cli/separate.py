"""`stemwise separate`: songs in, stems out."""

import json
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from stemwise.errors import ConfigError

if TYPE_CHECKING:
    from stemwise.checkpoint import Model
    from stemwise.files import Batch, SongReport
    from stemwise.separate import Separator


class Echo(Protocol):
    """Prints a line on standard output or error, past the bars."""

    def __call__(self, text: str, err: bool = False) -> None: ...


Say = Callable[["SongReport", Echo], None]
STDIN = "-"
_OUTPUT, _STEMS, _READING, _ENGINE = "Output files", "Stems", "Input", "Engine"


def separate(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILES", help="Songs, folders of songs, or - for standard input.", show_default=False
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the stems.")] = Path("separated"),
    model: Annotated[
        str,
        typer.Option(
            "-p", "--model", help="Model: a name (see `stemwise models`), a file, or a Spleeter JSON."
        ),
    ] = "stemwise:4stems",
    codec: Annotated[
        str,
        typer.Option("-c", "--codec", help="wav, flac, mp3, ogg, opus, m4a or wma.", rich_help_panel=_OUTPUT),
    ] = "wav",
    bit_depth: Annotated[
        int | None,
        typer.Option(
            help="16, 24 or 32 (float); wav and flac only.", show_default="16", rich_help_panel=_OUTPUT
        ),
    ] = None,
    bitrate: Annotated[
        str | None,
        typer.Option(
            "-b",
            "--bitrate",
            help="Of lossy codecs, such as 192k.",
            show_default="128k",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    sample_rate: Annotated[
        int | None, typer.Option(help="Hz.", show_default="the input's", rich_help_panel=_OUTPUT)
    ] = None,
    stereo: Annotated[
        bool, typer.Option("--stereo", help="Two channels also for a mono song.", rich_help_panel=_OUTPUT)
    ] = False,
    clip: Annotated[
        str,
        typer.Option(
            help="If a stem would clip: `gain` lowers all stems of the song alike, `clamp` cuts.",
            rich_help_panel=_OUTPUT,
        ),
    ] = "gain",
    template: Annotated[
        str,
        typer.Option(
            "-f", "--filename-format", help="Of each file below the folder.", rich_help_panel=_OUTPUT
        ),
    ] = "{filename}/{stem}.{codec}",
    skip_existing: Annotated[
        bool,
        typer.Option(
            "--skip-existing", help="Leave songs alone whose stems are all there.", rich_help_panel=_OUTPUT
        ),
    ] = False,
    picture: Annotated[
        bool,
        typer.Option(
            "--picture", help="Draw the spectrograms of the mixture and the stems.", rich_help_panel=_OUTPUT
        ),
    ] = False,
    stems: Annotated[
        str | None,
        typer.Option(help="Only these, such as vocals,drums.", show_default="all", rich_help_panel=_STEMS),
    ] = None,
    two_stems: Annotated[
        str | None,
        typer.Option(help="This stem and the sum of the others (accompaniment).", rich_help_panel=_STEMS),
    ] = None,
    residual: Annotated[
        bool,
        typer.Option(
            "--residual", help="Write what the stems leave of the mixture too.", rich_help_panel=_STEMS
        ),
    ] = False,
    recursive: Annotated[
        bool,
        typer.Option(
            "-r", "--recursive", help="Walk folders below folders, and mirror them.", rich_help_panel=_READING
        ),
    ] = False,
    offset: Annotated[
        float,
        typer.Option("-s", "--offset", help="Seconds to leave out at the start.", rich_help_panel=_READING),
    ] = 0.0,
    duration: Annotated[
        float | None,
        typer.Option(
            "-d", "--duration", help="Seconds to separate.", show_default="all", rich_help_panel=_READING
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.", rich_help_panel=_ENGINE)
    ] = "auto",
    precision: Annotated[
        str, typer.Option(help="auto, float32, bfloat16 or float16.", rich_help_panel=_ENGINE)
    ] = "auto",
    mwf: Annotated[
        bool,
        typer.Option(
            "--mwf", help="Multichannel Wiener filter: two passes, fewer artefacts.", rich_help_panel=_ENGINE
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a report for machines.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print errors only.")] = False,
) -> None:
    """Separate songs into stems: vocals, drums, bass and the rest."""
    from stemwise.files import Batch
    from stemwise.outputs import OutputFormat, parse_bitrate
    from stemwise.plots import require_matplotlib
    from stemwise.separate import Separator

    if picture:
        require_matplotlib()
    chosen = Batch(
        output_format=OutputFormat(
            codec=codec,
            bit_depth=bit_depth,
            bitrate=parse_bitrate(bitrate),
            sample_rate=sample_rate,
            stereo=stereo,
            clip=clip,  # type: ignore[arg-type]  # OutputFormat checks it
        ),
        offset_s=offset,
        duration_s=duration,
        skip_existing=skip_existing,
    )

    wanted = [name.strip() for name in stems.split(",")] if stems is not None else None
    separator = Separator(
        load(model, quiet=quiet or as_json),
        device=device,
        precision=precision,
        stems=wanted,
        two_stems=two_stems,
        residual=residual,
        mwf=mwf,
    )
    separate_batch(
        files,
        output,
        separator,
        chosen,
        template=template,
        recursive=recursive,
        picture=picture,
        as_json=as_json,
        quiet=quiet,
    )


def separate_batch(
    files: Iterable[str],
    output: Path,
    separator: "Separator",
    batch: "Batch",
    *,
    template: str,
    recursive: bool = False,
    picture: bool = False,
    portable: bool = True,
    as_json: bool = False,
    quiet: bool = False,
    say: "Say | None" = None,
) -> None:
    """What `stemwise separate` and `spleeter separate` share: plan, separate, report, exit status."""
    from stemwise.cli.progress import bars
    from stemwise.device import keep_freed_memory
    from stemwise.files import separate_files
    from stemwise.naming import PICTURE, Song, find_songs, output_paths

    keep_freed_memory()
    files = list(files)
    songs = find_songs([Path(file) for file in files if file != STDIN], recursive=recursive, output=output)
    if STDIN in files and sys.stdin is None:
        raise ConfigError("standard input is closed: there is nothing to read from -")
    if STDIN in files:
        songs.append(Song(Path("stdin"), stream=sys.stdin.buffer))
    names = (*separator.stems, PICTURE) if picture else separator.stems
    plan = output_paths(
        songs, names, output, codec=batch.output_format.codec, template=template, portable=portable
    )
    say = say or _say
    reports = []
    with bars(len(songs), quiet=quiet or as_json) as shown:
        for report in separate_files(songs, plan, separator, batch, begin=shown.begin, progress=shown.update):
            reports.append(report)
            shown.done()
            if report.error is not None:
                shown.echo(f"error: {report.error}", err=True)
            elif not quiet and not as_json:
                say(report, shown.echo)
    if as_json:
        typer.echo(
            json.dumps(
                {"model": separator.model.card.name, "songs": [_as_json(report) for report in reports]},
                indent=2,
            )
        )
    failed = [report for report in reports if report.error is not None]
    if failed and len(songs) > 1:
        typer.echo(f"error: {len(failed)} of {len(songs)} songs failed", err=True)
    if failed:
        raise typer.Exit(failed[0].exit_code)


def load(name: str, *, quiet: bool, spleeter_layout: bool = False) -> "Model":
    """Load a model, downloading it if need be, and say once what its weights may be used for."""
    from stemwise import hub
    from stemwise.cli.progress import download_bar

    with download_bar(quiet=quiet) as progress:
        model = hub.load_model(name, spleeter_layout=spleeter_layout, progress=progress)
    if quiet:
        return model
    typer.echo(
        f"model {model.card.name}: weights under {model.card.licence or 'an unknown licence'}", err=True
    )
    for note in model.notes:
        typer.echo(f"note: {name}: {note}", err=True)
    return model


def _say(report: "SongReport", echo: "Echo") -> None:
    for note in report.notes:
        echo(f"note: {report.source}: {note}", err=True)
    if report.skipped:
        echo(f"{report.source}: all stems are there already")
        return
    folder = os.path.commonpath([Path(path).parent for path in report.stems.values()])
    echo(
        f"{report.source} → {folder}{os.sep}  ({', '.join(report.stems)};"
        f" {_clock(report.duration_s)} in {report.wall_s:.1f} s,"
        f" {report.duration_s / report.wall_s:.1f}× real time)"
    )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _as_json(report: "SongReport") -> dict[str, Any]:
    return {key: value for key, value in asdict(report).items() if key != "exit_code"}
