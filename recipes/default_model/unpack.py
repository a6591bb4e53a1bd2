"""The shards of `pack.py` as samples: `python recipes/default_model/unpack.py packed -o pcm`.

As many shards as have arrived: what is unpacked already is not unpacked again, and its shard may be deleted.
Every sound becomes `NAME.npy`, int16 `(samples, channels)` at 44.1 kHz, in which full scale is `FULL_SCALE`.
Needs numpy and stemwise's `audio`, which brings no torch.
"""

import argparse
import io
import json
import os
import sys
import tarfile
from concurrent.futures import Executor, ProcessPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from stemwise.audio import AudioReader
from stemwise.errors import ConfigError, StemwiseError

SAMPLE_RATE = 44_100  # Hz
FULL_SCALE = 1 << 14  # leaves 6 dB for stems that exceed it
MANIFEST = "manifest.json"


def read_manifest(folder: Path) -> list[dict[str, Any]]:
    """The shards: name, sha256 and names of the sounds of each.

    Raises:
        ConfigError: if there is no manifest, or it is none.
    """
    try:
        shards: list[dict[str, Any]] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["shards"]
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"{folder} holds no {MANIFEST} of a packed corpus: {error}") from error
    return shards


def decode(opus: bytes, path: Path) -> None:
    """One sound into its file, whole or not at all."""
    with AudioReader(io.BytesIO(opus), sample_rate=SAMPLE_RATE) as reader:
        samples = np.concatenate([np.zeros((reader.n_channels, 0), np.float32), *reader.blocks()], axis=1)
    limits = np.iinfo(np.int16)
    whole = (samples.T * FULL_SCALE).round().clip(limits.min, limits.max).astype(np.int16)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    with part.open("wb") as file:
        np.save(file, np.ascontiguousarray(whole))
    part.replace(path)


def missing_sounds(shard: dict[str, Any], output: Path) -> list[str]:
    """Names of what is not unpacked yet."""
    return [name for name in shard["sounds"] if not sound_path(output, name).exists()]


def sound_path(folder: Path, name: str) -> Path:
    return folder / f"{name}.npy"


def unpack_shard(shard: dict[str, Any], packed: Path, output: Path, pool: Executor) -> None:
    """All of its sounds that are missing.

    Raises:
        ConfigError: if the shard is not what was packed.
    """
    path = packed / shard["name"]
    content = path.read_bytes()
    if sha256(content).hexdigest() != shard["sha256"]:
        raise ConfigError(f"{path} is damaged: its sha256 is not that of the manifest; copy it again")
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        waiting = []
        for name in missing_sounds(shard, output):
            member = archive.extractfile(f"{name}.opus")
            assert member is not None, name
            waiting.append(pool.submit(decode, member.read(), sound_path(output, name)))
    for one in waiting:
        one.result()


def unpack(packed: Path, output: Path, n_workers: int) -> str:
    """Every shard that is there; says which are not."""
    shards, absent = read_manifest(packed), []
    output.mkdir(parents=True, exist_ok=True)
    (output / MANIFEST).write_bytes((packed / MANIFEST).read_bytes())
    with ProcessPoolExecutor(n_workers) as pool:
        for shard in shards:
            if not missing_sounds(shard, output):
                continue
            if (packed / shard["name"]).exists():
                unpack_shard(shard, packed, output, pool)
            else:
                absent.append(shard["name"])
    return f"{len(shards) - len(absent)} of {len(shards)} shards unpacked" + (
        f"; still to come: {', '.join(absent)}" if absent else ""
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("packed", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    try:
        print(unpack(given.packed, given.output, given.workers))
    except StemwiseError as error:
        sys.exit(f"unpack: {error}")


if __name__ == "__main__":
    main()
