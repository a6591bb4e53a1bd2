"""Trains on what `unpack.py` has made, with all samples on the device, for a stated time.

    python recipes/default_model/train_packed.py recipes/default_model/train.json pcm \
        -o runs/default --minutes 9 --pieces pieces

The run is that of the configuration, but for `data.songs` and `data.singles`: the songs are those that were
packed. It goes on from the state in its folder, if there is one. When the time is over it ends after the step
at hand, and with `--pieces` it is ready to be brought back by `pieces.py`.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from packed_excerpts import Library, PackedExcerpts, Sounds
from pieces import split
from torch import Tensor
from unpack import FULL_SCALE, SAMPLE_RATE, missing_sounds, read_manifest, sound_path

from stemwise.data.cache import Samples
from stemwise.device import choose_device
from stemwise.errors import ConfigError, StemwiseError
from stemwise.train.compose import read_config
from stemwise.train.config import TrainConfig
from stemwise.train.loop import train
from stemwise.train.sources import Sources


def load_packed(folder: Path, config: TrainConfig, device: torch.device) -> Sources:
    """All that is trained on, on the device; held-out songs in memory.

    Raises:
        ConfigError: if sounds are missing, or the configuration does not fit them.
    """
    model, data = config.model, config.data
    if model.sample_rate != SAMPLE_RATE:
        raise ConfigError(f"model.sample_rate is {model.sample_rate}: packed songs have {SAMPLE_RATE} Hz")
    songs, held_out, singles = _sorted(_names(folder), set(data.validation))
    missing = set(data.validation) - set(held_out)
    if missing:
        raise ConfigError(f"validation names {sorted(missing)}: they are not among the packed songs")
    names = [name for song in songs.values() for name in song.values()]
    names += [name for files in singles.values() for name in files]
    number = {name: n for n, name in enumerate(names, start=1)}
    library = Library(
        {song: {stem: number[name] for stem, name in stems.items()} for song, stems in songs.items()},
        {stem: tuple(number[name] for name in files) for stem, files in singles.items()},
    )
    mix = data.mix_config(config.drawn_samples, model.sample_rate)
    library.check(model.stems, mix)
    sounds = Sounds((len(_mapped(folder, name)) for name in names), device).fill(_read(folder, names))
    return Sources(
        excerpts=PackedExcerpts(sounds, library, stems=model.stems, config=mix),
        songs=tuple(songs),
        n_singles=sum(map(len, singles.values())),
        held_out={
            song: {stem: _samples(folder, name) for stem, name in stems.items()}
            for song, stems in held_out.items()
        },
    )


def _names(folder: Path) -> list[str]:
    """Of all sounds, every one of which must be there."""
    shards = read_manifest(folder)
    for shard in shards:
        if n := len(missing_sounds(shard, folder)):
            raise ConfigError(f"{folder} lacks {n} sounds of {shard['name']}: copy it here and unpack it")
    return [name for shard in shards for name in shard["sounds"]]


_Songs = dict[str, dict[str, str]]  # name -> stem -> name of the sound


def _sorted(names: list[str], validation: set[str]) -> tuple[_Songs, _Songs, dict[str, list[str]]]:
    """The songs to train on, those held out, and the single files of each stem."""
    songs: _Songs = {}
    held_out: _Songs = {}
    singles: dict[str, list[str]] = {}
    for name in names:
        place, owner, last = name.split("/", 2)
        if place == "singles":
            singles.setdefault(owner, []).append(name)
        else:
            is_held_out = place == "held_out" or owner in validation
            (held_out if is_held_out else songs).setdefault(owner, {})[last] = name
    return songs, held_out, singles


def _mapped(folder: Path, name: str) -> np.ndarray:
    mapped: np.ndarray = np.load(sound_path(folder, name), mmap_mode="r")
    return mapped


def _read(folder: Path, names: list[str]) -> Iterator[Tensor]:
    return (torch.from_numpy(np.load(sound_path(folder, name))) for name in names)


def _samples(folder: Path, name: str) -> Samples:
    """`(2, samples)`, as validation reads them."""
    samples = (np.load(sound_path(folder, name)).T / FULL_SCALE).astype(np.float16)
    return np.ascontiguousarray(np.broadcast_to(samples, (2, samples.shape[1])))


def main() -> None:
    started = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("pcm", type=Path, help="what unpack.py has made")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the run")
    parser.add_argument("--minutes", type=float, default=math.inf, help="from the start of this program")
    parser.add_argument("--pieces", type=Path, help="where to put the run for the way back")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    given = parser.parse_args()
    torch.backends.cudnn.benchmark = True  # all batches have one shape
    try:
        config = read_config(given.config, given.set)
        sources = load_packed(given.pcm, config, choose_device(config.hardware.device))
        print(f"{len(sources.songs)} songs loaded after {time.monotonic() - started:.0f} s", flush=True)
        train(
            config,
            given.output,
            resume=(given.output / "state.safetensors").exists(),
            recipe=given.config,
            report=lambda line: print(json.dumps(line), flush=True),
            sources=sources,
            deadline=started + 60 * given.minutes,
        )
        print("the run is complete")
    except KeyboardInterrupt:
        print(f"stopped after {(time.monotonic() - started) / 60:.1f} min; the same command goes on")
    except StemwiseError as error:
        sys.exit(f"train_packed: {error}")
    if given.pieces and (given.output / "state.safetensors").exists():
        print(f"{len(split(given.output, given.pieces))} pieces in {given.pieces}")


if __name__ == "__main__":
    main()
