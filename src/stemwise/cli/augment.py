"""`stemwise augment`: hear and see what an augmentation makes of a song."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stemwise.errors import ConfigError

if TYPE_CHECKING:
    from stemwise.data.audition import Audition
    from stemwise.data.tracks import Track

PICTURE = "spectrograms.png"


def _list(value: bool) -> None:
    if not value:
        return
    from rich.console import Console
    from rich.table import Table

    from stemwise.data.augment import AUGMENTATIONS, COMBINATIONS

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("name", "changes", "what it does"):
        table.add_column(heading)
    for name, augmentation in AUGMENTATIONS.items():
        table.add_row(name, augmentation.domain, augmentation.summary)
    for name, parts in COMBINATIONS.items():
        table.add_row(name, "both", f"{', '.join(parts)} at once.")
    Console().print(table)
    raise typer.Exit


def augment(
    song: Annotated[
        Path, typer.Argument(help="A folder with a file per stem, or a .stem.mp4 file.", show_default=False)
    ],
    names: Annotated[
        list[str],
        typer.Option(
            "--with",
            metavar="NAME",
            help="An augmentation (see --list). May be repeated: they are made in this order.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the files.")] = Path("augmented"),
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Another seed, another random change.")] = 0,
    offset: Annotated[
        float | None,
        typer.Option(
            "-s", "--offset", min=0, help="Where the excerpt begins, seconds.", show_default="the middle"
        ),
    ] = None,
    duration: Annotated[
        float, typer.Option("-d", "--duration", min=0, help="How long it is, seconds.")
    ] = 12.0,
    picture: Annotated[bool, typer.Option(help="Draw the spectrograms before and after.")] = True,
    _: Annotated[
        bool, typer.Option("--list", callback=_list, is_eager=True, help="List the augmentations.")
    ] = False,
) -> None:
    """Write what a network would hear of an augmented song: the mixture, every stem, and a picture.

    Augmentations of magnitudes (stretch, shift) leave no phases to listen to:
    here they get those of the mixture, stretched or shifted alike.
    In training, some are made to a part of the examples; here they all are made.
    """
    import torch

    from stemwise.data.audition import audition
    from stemwise.plots import require_matplotlib

    if picture:
        require_matplotlib()
    if output.resolve() == song.resolve():
        raise ConfigError(f"output is {output}, the song's own folder: its files would be written over")
    track = _find(song)
    rng = torch.Generator().manual_seed(seed)
    heard = audition(track, names, rng, offset_s=offset, duration_s=duration)
    title = f"{track.name}: {', '.join(names)}, seed {seed}"
    _write(heard, output, title=title, picture=picture)
    typer.echo(
        f"{song} → {output}{os.sep}  ({', '.join(heard.after)};"
        f" {heard.duration_s:.1f} s from {heard.start_s:.1f} s on)"
    )


def _find(song: Path) -> "Track":
    """The song, recognised among those beside it as `stemwise train` does."""
    from stemwise.data.folders import find_songs
    from stemwise.types import STEMS

    whole = song.resolve()
    for track in find_songs(whole.parent, STEMS, {}):
        if any(whole in (file.path.resolve(), file.path.resolve().parent) for file in track.files.values()):
            return track
    raise ConfigError(
        f"{song} is no song: it must be a folder with files named {', '.join(STEMS)}, or a .stem.mp4 file"
    )


def _write(heard: "Audition", output: Path, *, title: str, picture: bool) -> None:
    """All files of the excerpt, or none."""
    from stemwise.outputs import OutputFormat, StemFiles
    from stemwise.plots.augmentation import save_before_and_after

    files = StemFiles(
        {name: output / f"{name}.wav" for name in heard.after},
        OutputFormat(bit_depth=32),  # float: what exceeds full scale is kept, and the stems still sum
        sample_rate=heard.sample_rate,
        n_channels=2,
    )
    try:
        files.open()
        for name, waveform in heard.after.items():
            files.write(name, waveform.numpy())
        files.finish()
        if picture:
            files.write_beside(
                output / PICTURE,
                lambda path: save_before_and_after(
                    heard.before, heard.after, heard.sample_rate, path, title=title
                ),
            )
        files.publish()
    except BaseException:
        files.discard()
        raise
