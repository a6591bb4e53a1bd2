"""Every stem of a corpus as Opus, in shards small enough to be copied one by one.

    python recipes/default_model/pack.py corpus/rendered corpus/songs -o packed
        --singles vocals=corpus/voices

For a machine that is reached by copying files: `unpack.py` turns the shards into samples there. A stem is one
file, mono where both its channels are equal; files keep their length and their place in time, so that the
stems of a song still add up. What is encoded already is not encoded again, unless its source is newer.
"""

import argparse
import json
import os
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from unpack import MANIFEST

from stemwise.audio import AudioReader, AudioWriter
from stemwise.data.singles import find_singles
from stemwise.data.tracks import StemFile, find_tracks
from stemwise.errors import StemwiseError
from stemwise.replacing import replacing
from stemwise.types import STEMS

BITRATE = 64_000  # bit/s of a stereo stem
MONO = 0.75  # of it for a stem in mono
SHARD_BYTES = 60 * 2**20


@dataclass(frozen=True, slots=True)
class Sound:
    """One stem of a song, or a single file.

    Attributes:
        name: songs/SONG/STEM, held_out/SONG/STEM or singles/STEM/FILE.
        file: where it is.
    """

    name: str
    file: StemFile


def find_sounds(corpora: Sequence[Path], singles: Mapping[str, Path], n_songs: int | None) -> list[Sound]:
    """Songs in the order of the corpora, then single files; songs of the subset "test" are left out.

    Args:
        corpora: what `stemwise.data.tracks.find_tracks` takes.
        singles: per stem, a folder of single files of it.
        n_songs: at most so many of each corpus; None for all.
    """
    sounds = []
    for corpus in corpora:
        tracks = [track for track in find_tracks(corpus, STEMS) if track.subset != "test"]
        for track in tracks[:n_songs]:
            place = "held_out" if track.subset == "valid" else "songs"
            sounds += [Sound(f"{place}/{track.name}/{stem}", file) for stem, file in track.files.items()]
    for stem, folder in singles.items():
        for file in find_singles(folder):
            sounds.append(Sound(f"singles/{stem}/{file.path.relative_to(folder)}", file))
    return sounds


def encode(sound: Sound, folder: Path, bitrate: int = BITRATE) -> float:
    """Write `folder / NAME.opus`, if it is not there; returns its length in seconds."""
    path = folder / f"{sound.name}.opus"
    if not path.exists() or path.stat().st_mtime < sound.file.path.stat().st_mtime:
        path.parent.mkdir(parents=True, exist_ok=True)
        with sound.file.open() as reader:
            rate, n_channels = reader.sample_rate, reader.n_channels
            samples = np.concatenate([np.zeros((n_channels, 0), np.float32), *reader.blocks()], axis=1)
        if n_channels == 2 and np.array_equal(samples[0], samples[1]):
            samples, n_channels = samples[:1], 1
        share = MONO if n_channels == 1 else 1
        with AudioWriter(
            path, codec="opus", sample_rate=rate, n_channels=n_channels, bitrate=round(bitrate * share)
        ) as writer:
            writer.write(samples)
            writer.finish()
            writer.publish()
    with AudioReader(path) as reader:
        return (reader.n_samples or 0) / reader.sample_rate


def write_shards(folder: Path, names: Sequence[str], shard_bytes: int = SHARD_BYTES) -> list[dict[str, Any]]:
    """`folder / shard-0000.tar` and so on of what lies in `folder / sounds`, and the manifest of them."""
    shards = []
    for number, part in enumerate(_parts(folder / "sounds", names, shard_bytes)):
        path = folder / f"shard-{number:04}.tar"
        with replacing(path) as file, tarfile.open(fileobj=file, mode="w") as archive:
            for name in part:
                archive.add(folder / "sounds" / f"{name}.opus", f"{name}.opus", filter=_anonymous)
        digest = sha256(path.read_bytes()).hexdigest()
        shards.append({"name": path.name, "sha256": digest, "sounds": part})
    for path in folder.glob("shard-*.tar"):  # of a larger corpus
        if path.name not in {shard["name"] for shard in shards}:
            path.unlink()
    with replacing(folder / MANIFEST) as file:
        file.write(json.dumps({"shards": shards}, indent=1).encode())
    return shards


def _parts(folder: Path, names: Sequence[str], limit: int) -> Iterator[list[str]]:
    """The names in order, so many at a time as fit into a shard."""
    part: list[str] = []
    n_bytes = room = limit - 2 * tarfile.RECORDSIZE
    for name in names:
        # a header, perhaps two more for a long name, and the last block filled up
        size = (folder / f"{name}.opus").stat().st_size + 4 * tarfile.BLOCKSIZE
        if part and size > n_bytes:
            yield part
            part, n_bytes = [], room
        part.append(name)
        n_bytes -= size
    if part:
        yield part


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """The same corpus makes the same shards, whoever packs it and when."""
    member.mtime, member.uid, member.gid, member.uname, member.gname = 0, 0, 0, "", ""
    return member


def pack(sounds: Sequence[Sound], folder: Path, n_workers: int, bitrate: int = BITRATE) -> str:
    """Encode, write the shards, and say what they hold."""
    with ProcessPoolExecutor(n_workers) as pool:
        lasts = list(
            pool.map(partial(encode, folder=folder / "sounds", bitrate=bitrate), sounds, chunksize=4)
        )
    shards = write_shards(folder, [sound.name for sound in sounds])
    songs: dict[str, float] = {}
    for sound, seconds in zip(sounds, lasts, strict=True):
        song = sound.name.rpartition("/")[0]
        if not song.startswith("singles"):
            songs[song] = max(seconds, songs.get(song, 0))
    mib = sum((folder / shard["name"]).stat().st_size for shard in shards) / 2**20
    return (
        f"{len(songs)} songs, {sum(songs.values()) / 3600:.2f} hours; {len(sounds)} sounds,"
        f" {sum(lasts) / 3600:.2f} hours; {len(shards)} shards, {mib:.1f} MiB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpora", type=Path, nargs="+", metavar="CORPUS", help="a data set of songs")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--singles", action="append", default=[], metavar="STEM=FOLDER")
    parser.add_argument("--songs", type=int, metavar="N", help="at most so many of each corpus")
    parser.add_argument("--bitrate", type=int, default=BITRATE, help=f"bit/s of stereo, {BITRATE}")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    for text in given.singles:
        if not all(text.partition("=")):
            parser.error(f"--singles is {text!r}: it must be STEM=FOLDER")
    singles = {stem: Path(path) for stem, _, path in (text.partition("=") for text in given.singles)}
    try:
        sounds = find_sounds(given.corpora, singles, given.songs)
        print(pack(sounds, given.output, given.workers, given.bitrate))
    except StemwiseError as error:
        sys.exit(f"pack: {error}")


if __name__ == "__main__":
    main()
