"""Separate a file of hours into four wav stems and say how much memory that took.

The peak is to be the same for an hour and for three: compare `--hours 0.1` with `--hours 3`. The mixture is
written as flac by streaming and deleted afterwards, as are the stems. Prints a table and appends the run to
a file of JSON lines.

Usage: python benchmarks/memory.py [--hours 3] [--model stemwise:4stems] [--precision auto]
"""

import argparse
import shutil
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import soundfile

from material import SAMPLE_RATE, write_mixture
from measure import (
    REPOSITORY,
    STEMWISE,
    append_json_lines,
    machine,
    run_program,
    spleeter_environment,
    table,
    warn_if_busy,
)

OUTPUT = REPOSITORY / "benchmarks" / "results" / "memory.jsonl"
N_STEMS = 4
BYTES_PER_SECOND = SAMPLE_RATE * 2 * 2  # 16-bit stereo
MARGIN = 1.2  # of the disk space reckoned: the encoder may write a stem twice before it renames it


def check_space(folder: Path, seconds: int) -> None:
    """Refuse to start what the disk cannot hold: the mixture and four stems as 16-bit samples."""
    needed = int(seconds * BYTES_PER_SECOND * (1 + N_STEMS) * MARGIN)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SystemExit(
            f"{folder} has {free / 1e9:.1f} GB free: {needed / 1e9:.1f} GB are needed (see --folder)"
        )


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=3.0, help="length of the file (default 3)")
    model_help = "a model of four stems; spleeter:4stems is the random one of spleeter_environment.sh"
    parser.add_argument("--model", default="stemwise:4stems", help=model_help)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--folder", type=Path, help="where to put the files (default: the temporary folder)")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="file of JSON lines to append to")
    options = parser.parse_args()
    if options.hours * 3600 < 1:
        parser.error(f"--hours is {options.hours}: at least one second is needed")
    return options


def main() -> None:
    options = parse_options()
    seconds = round(options.hours * 3600)
    warn_if_busy()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        check_space(folder, seconds)
        mixture = folder / "mixture.flac"
        write_mixture(mixture, seconds)
        command = [*STEMWISE, "separate", str(mixture), "-o", name, "-c", "wav"]
        command += ["-p", options.model, "--precision", options.precision]
        cost = run_program(command, spleeter_environment(), folder / "log")
        stems = sorted((folder / "mixture").glob("*.wav"))
        lengths = {stem.stem: soundfile.info(stem).frames for stem in stems}
    if list(lengths.values()) != [seconds * SAMPLE_RATE] * N_STEMS:
        raise SystemExit(
            f"the stems have {lengths} samples, not {seconds * SAMPLE_RATE}: this run does not count"
        )
    header = ["model", "precision", "hours", "wall s", "x real time", "peak GB"]
    row = [options.model, options.precision, f"{options.hours:g}", f"{cost.wall_s:.0f}"]
    print(table(header, [[*row, f"{seconds / cost.wall_s:.1f}", f"{cost.peak_rss_bytes / 1e9:.2f}"]]))
    record = {"benchmark": "memory", "time": time.strftime("%FT%TZ", time.gmtime()), "machine": machine()}
    record |= {"model": options.model, "precision": options.precision, "seconds": seconds, **asdict(cost)}
    append_json_lines(options.output, [record])


if __name__ == "__main__":
    main()
