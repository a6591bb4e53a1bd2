"""`stemwise separate`: songs in, stems out."""

import json
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from stemwise.cli.options import (
    OUTPUT,
    READING,
    BitDepth,
    Bitrate,
    Clip,
    Codec,
    Device,
    Duration,
    Model,
    Mwf,
    Offset,
    Precision,
    Quiet,
    Residual,
    SampleRate,
    Stems,
    Stereo,
    Template,
    TwoStems,
)
from stemwise.cli.tables import clock
from stemwise.errors import ConfigError

if TYPE_CHECKING:
    from stemwise import checkpoint
    from stemwise.files import Batch, SongReport
    from stemwise.separate import Separator


class Echo(Protocol):
    """Prints a line on standard output or error, past the bars."""

    def __call__(self, text: str, err: bool = False) -> None: ...


Say = Callable[["SongReport", Echo], None]
STDIN = "-"


def separate(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILES", help="Songs, folders of songs, or - for standard input.", show_default=False
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the stems.")] = Path("separated"),
    model: Model = "stemwise:4stems",
    codec: Codec = "wav",
    bit_depth: BitDepth = None,
    bitrate: Bitrate = None,
    sample_rate: SampleRate = None,
    stereo: Stereo = False,
    clip: Clip = "gain",
    template: Template = "{filename}/{stem}.{codec}",
    skip_existing: Annotated[
        bool,
        typer.Option(
            "--skip-existing", help="Leave songs alone whose stems are all there.", rich_help_panel=OUTPUT
        ),
    ] = False,
    picture: Annotated[
        bool,
        typer.Option(
            "--picture", help="Draw the spectrograms of the mixture and the stems.", rich_help_panel=OUTPUT
        ),
    ] = False,
    stems: Stems = None,
    two_stems: TwoStems = None,
    residual: Residual = False,
    recursive: Annotated[
        bool,
        typer.Option(
            "-r", "--recursive", help="Walk folders below folders, and mirror them.", rich_help_panel=READING
        ),
    ] = False,
    offset: Offset = 0.0,
    duration: Duration = None,
    device: Device = "auto",
    precision: Precision = "auto",
    mwf: Mwf = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a report for machines.")] = False,
    quiet: Quiet = False,
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
    left_out: list[str] = []
    named = [Path(file) for file in files if file != STDIN]
    songs = find_songs(named, recursive=recursive, output=output, left_out=left_out)
    for note in left_out:
        typer.echo(f"note: {note}", err=True)
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


def load(name: str, *, quiet: bool, spleeter_layout: bool = False) -> "checkpoint.Model":
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
    folder = os.path.commonpath([Path(path).parent for path in report.stems.values()]) or os.curdir
    echo(
        f"{report.source} → {folder}{os.sep}  ({', '.join(report.stems)};"
        f" {clock(report.duration_s)} in {report.wall_s:.1f} s,"
        f" {report.duration_s / report.wall_s:.1f}× real time)"
    )


def _as_json(report: "SongReport") -> dict[str, Any]:
    return {key: value for key, value in asdict(report).items() if key != "exit_code"}
