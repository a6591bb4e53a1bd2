"""The `spleeter` command: the original's flags, old and new, over the same engine.

It writes what Spleeter 2.4.2 writes: 44.1 kHz, stereo, 16-bit wav, 128 kbit/s, clamped, overwriting. Where
the original is wrong (exit status 0 after an error, a silent cut at 600 s, one bad file ending the batch)
it does what is right: docs/numerics.md#the-spleeter-command.
"""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stemwise import __version__
from stemwise.cli import run
from stemwise.cli.separate import Echo, load, separate_batch
from stemwise.errors import ConfigError

if TYPE_CHECKING:
    from stemwise.files import SongReport

SPLEETER_VERSION = "2.4.2"  # whose behaviour this is
# Of Spleeter before 1.4.1: which name the folder of a song takes.
NAMINGS = {"filename": "{filename}/{instrument}.{codec}", "directory": "{foldername}/{instrument}.{codec}"}
CODECS = ("wav", "mp3", "ogg", "m4a", "wma", "flac")
DEFAULT_ADAPTER = "spleeter.audio.ffmpeg.FFMPEGProcessAudioAdapter"

app = typer.Typer(
    name="spleeter",
    help="Spleeter's commands, by stemwise: no TensorFlow, no ffmpeg program.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"Spleeter Version: {SPLEETER_VERSION} (stemwise {__version__})")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command("separate", no_args_is_help=True)
def separate(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="FILES", help="Audio files.", show_default=False)
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "-i",
            "--inputs",
            "--audio_filenames",
            help="Audio files, as before Spleeter 2.1.",
            show_default=False,
        ),
    ] = None,
    output_path: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output_path",
            help="Folder for the stems.",
            show_default="separated_audio in the temporary folder",
        ),
    ] = None,
    params_filename: Annotated[
        str,
        typer.Option(
            "-p", "--params_filename", help="spleeter:2stems, 4stems or 5stems (-16kHz), or a JSON file."
        ),
    ] = "spleeter:2stems",
    filename_format: Annotated[
        str,
        typer.Option(
            "-f",
            "--filename_format",
            help="With {filename}, {instrument}, {foldername}, {codec}.",
        ),
    ] = "{filename}/{instrument}.{codec}",
    output_naming: Annotated[
        str | None,
        typer.Option("-n", "--output_naming", help="Of Spleeter 1.4.0: filename or directory.", hidden=True),
    ] = None,
    codec: Annotated[
        str, typer.Option("-c", "--codec", "--audio_codec", help=f"{', '.join(CODECS)}.")
    ] = "wav",
    bitrate: Annotated[str, typer.Option("-b", "--bitrate", "--birate", help="Of lossy codecs.")] = "128k",
    duration: Annotated[
        float | None,
        typer.Option("-d", "--duration", "--max_duration", help="Seconds to separate.", show_default="all"),
    ] = None,
    offset: Annotated[float, typer.Option("-s", "--offset", help="Seconds to leave out at the start.")] = 0.0,
    adapter: Annotated[
        str, typer.Option("-a", "--adapter", help="Only the original's default is known.")
    ] = DEFAULT_ADAPTER,
    mwf: Annotated[bool, typer.Option("-m", "--mwf", help="Multichannel Wiener filter.")] = False,
    stft_backend: Annotated[
        str | None,
        typer.Option("-B", "--stft-backend", help="Of Spleeter 1.5 to 2.3; changes nothing.", hidden=True),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Of no effect: what there is to say is said.")
    ] = False,
) -> None:
    """Separate audio files into stems."""
    from stemwise.files import Batch
    from stemwise.outputs import OutputFormat
    from stemwise.separate import Separator

    if output_naming and output_naming not in NAMINGS:
        raise ConfigError(f"output_naming is {output_naming!r}: it must be one of {', '.join(NAMINGS)}")
    songs = [*(inputs or []), *(files or [])]
    if not songs:
        raise ConfigError("no audio file is named: spleeter separate song.mp3 -o output")
    if codec not in CODECS:
        raise ConfigError(f"codec is {codec!r}: it must be one of {', '.join(CODECS)}")
    _check_adapter(adapter)

    separator = Separator(
        load(params_filename, quiet=False, spleeter_layout=True), precision="float32", mwf=mwf
    )
    sample_rate = separator.config.sample_rate
    batch = Batch(
        output_format=OutputFormat.spleeters(codec, bitrate, sample_rate),
        offset_s=offset,
        duration_s=duration,
        read_rate=sample_rate,
    )
    output = output_path or _default_output()
    template = NAMINGS[output_naming] if output_naming else filename_format
    separate_batch(songs, output, separator, batch, template=template, portable=False, say=_say)


@app.command("train", no_args_is_help=True)
def train(
    data: Annotated[Path, typer.Option("-d", "--data", help="Folder of the paths in train_csv.")],
    params_filename: Annotated[
        Path, typer.Option("-p", "--params_filename", help="JSON file that describes the training.")
    ],
    adapter: Annotated[
        str, typer.Option("-a", "--adapter", help="Only the original's default is known.")
    ] = DEFAULT_ADAPTER,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Of no effect: what there is to say is said.")
    ] = False,
) -> None:
    """Train a model; where its folder holds a run that was stopped, go on with that."""
    from stemwise.cli.train import train_as_spleeter

    _check_adapter(adapter)
    typer.echo("INFO:spleeter:Start model training")
    train_as_spleeter(params_filename, data, None, [], resume=None, quiet=False)
    typer.echo("INFO:spleeter:Model training done")


@app.command("evaluate", no_args_is_help=True)
def evaluate(
    mus_dir: Annotated[
        Path, typer.Option("--mus_dir", help="MUSDB18 or MUSDB18-HQ: its songs are in the folder `test`.")
    ],
    output_path: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output_path",
            help="Folder for the stems and the scores.",
            show_default="separated_audio in the temporary folder",
        ),
    ] = None,
    params_filename: Annotated[
        str,
        typer.Option(
            "-p", "--params_filename", help="spleeter:2stems, 4stems or 5stems (-16kHz), or a JSON file."
        ),
    ] = "spleeter:2stems",
    adapter: Annotated[
        str, typer.Option("-a", "--adapter", help="Only the original's default is known.")
    ] = DEFAULT_ADAPTER,
    mwf: Annotated[bool, typer.Option("-m", "--mwf", help="Multichannel Wiener filter.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Of no effect: what there is to say is said.")
    ] = False,
) -> None:
    """Separate MUSDB's test songs and print the medians of museval's scores."""
    from stemwise.cli.evaluate import evaluate_as_spleeter

    _check_adapter(adapter)
    evaluate_as_spleeter(mus_dir, output_path or _default_output(), params_filename, mwf=mwf)


def _default_output() -> Path:
    return Path(tempfile.gettempdir()) / "separated_audio"


def _check_adapter(adapter: str) -> None:
    if adapter != DEFAULT_ADAPTER:
        raise ConfigError(
            f"adapter is {adapter!r}: stemwise decodes by itself and knows only {DEFAULT_ADAPTER}"
        )


def _say(report: "SongReport", echo: Echo) -> None:
    for note in report.notes:
        echo(f"WARNING:spleeter:{report.source}: {note}")
    for path in report.stems.values():
        echo(
            f"INFO:spleeter:File {path} written succesfully"
        )  # QUIRK(spleeter): other tools look for this spelling


def main() -> None:
    run(app)
