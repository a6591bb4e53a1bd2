"""What decoding and encoding cost: processor seconds and bytes for a minute of stereo at 44.1 kHz.

The song is written in every codec with the settings of `stemwise separate` and read again, in turn, `--runs`
times after one round that does not count. Times are the process's own, of all its threads.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

import numpy as np

from measure import REPOSITORY, append_json_lines, machine, table, warn_if_busy
from stemwise.audio import AudioReader, AudioWriter

CODECS = {"wav": None, "flac": None, "mp3": 128_000, "mp3 320k": 320_000}
RESULTS = Path(__file__).parent / "results" / "codecs.jsonl"


def minute(song: Path) -> tuple[np.ndarray, int]:
    """A minute of the song, from its start again if it is shorter: `(2, samples)` and Hz."""
    with AudioReader(song) as reader:
        samples = np.concatenate(list(reader.blocks()), axis=1)
        rate = reader.sample_rate
    repeats = -(-60 * rate // samples.shape[1])
    return np.tile(samples, (1, repeats))[:, : 60 * rate], rate


def encode(samples: np.ndarray, rate: int, path: Path, codec: str, bitrate: int | None) -> float:
    start = time.process_time()
    writer = AudioWriter(path, codec=codec, sample_rate=rate, n_channels=2, bitrate=bitrate)
    for at in range(0, samples.shape[1], rate):
        writer.write(samples[:, at : at + rate])
    writer.finish()
    writer.publish()
    return time.process_time() - start


def decode(path: Path) -> float:
    start = time.process_time()
    with AudioReader(path) as reader:
        for _ in reader.blocks():
            pass
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--song", type=Path, default=REPOSITORY / "examples" / "example_song.mp3")
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    warn_if_busy()
    samples, rate = minute(arguments.song)
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    sizes: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        for run in range(arguments.runs + 1):
            for name, bitrate in CODECS.items():
                codec = name.split()[0]
                path = Path(folder, f"{name.replace(' ', '_')}.{codec}")
                spent = {"encode": encode(samples, rate, path, codec, bitrate), "decode": decode(path)}
                sizes[name] = path.stat().st_size
                for what, seconds in spent.items():
                    if run:
                        times[name, what].append(seconds)
    rows = [
        {"codec": name, "bytes": sizes[name]}
        | {f"{what}_s": median(times[name, what]) for what in ("encode", "decode")}
        for name in CODECS
    ]
    append_json_lines(RESULTS, [{**row, "song": arguments.song.name, "machine": machine()} for row in rows])
    cells = [
        [row["codec"], f"{row['encode_s']:.3f}", f"{row['decode_s']:.3f}", f"{row['bytes'] / 1e6:.2f}"]
        for row in rows
    ]
    print(table(["a minute of", "encode, s", "decode, s", "MB"], cells))


if __name__ == "__main__":
    main()
