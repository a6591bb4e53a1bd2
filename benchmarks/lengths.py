"""How time and memory grow with the length of the song: a table and a plot.

Whole processes as in `speed.py`, a flac into four 16-bit wav files, one run for each length; Spleeter
joins in up to its own limit of ten minutes, its network in float32 up to an hour. Every length is rendered
and deleted again.

Usage: python benchmarks/lengths.py [--seconds 30 60 ... 10800] [--plot docs/lengths.png]
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from material import SAMPLE_RATE, write_mixture
from measure import (
    REPOSITORY,
    SPLEETER,
    append_json_lines,
    machine,
    run_program,
    spleeter_environment,
    table,
    warn_if_busy,
)
from memory import check_space
from speed import check_stems, contenders

OUTPUT = REPOSITORY / "benchmarks" / "results" / "lengths.jsonl"
LENGTHS = (30, 60, 120, 300, 600, 1800, 3600, 10800)
# Spleeter's command reads no more of a song; its network would take six minutes for three hours.
LIMITS_S = {"spleeter": 600, "stemwise float32": 3600}
COLOURS = {"spleeter": "#9aa0a6", "stemwise float32": "#2a6fdb", "stemwise, its own model": "#d9480f"}


def measure(seconds: int, folder: Path | None) -> list[dict[str, Any]]:
    """Every program once on a song of that length."""
    records = []
    with tempfile.TemporaryDirectory(dir=folder) as name:
        song = Path(name) / "song.flac"
        check_space(song.parent, seconds)
        write_mixture(song, seconds)
        for program, command in contenders(("spleeter", "stemwise", "embedded"), ("float32",)).items():
            if seconds > LIMITS_S.get(program, seconds) or (program == "spleeter" and not SPLEETER.exists()):
                continue
            stems = song.parent / "stems"
            log = song.parent / "log"
            cost = run_program([*command, "-o", str(stems), str(song)], spleeter_environment(), log)
            check_stems(stems / song.stem, seconds * SAMPLE_RATE)
            for stem in (stems / song.stem).iterdir():
                stem.unlink()
            records.append({"program": program, "seconds": seconds, **asdict(cost)})
            print(
                f"{seconds} s  {program}: {cost.wall_s:.1f} s, {cost.peak_rss_bytes / 1e9:.2f} GB", flush=True
            )
    return records


def draw(records: Sequence[dict[str, Any]], path: Path) -> None:
    """Time and memory over the length, both axes in powers of ten."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.4), constrained_layout=True)
    for program in dict.fromkeys(record["program"] for record in records):
        own = [record for record in records if record["program"] == program]
        minutes = [record["seconds"] / 60 for record in own]
        style: dict[str, Any] = {"marker": "o", "label": program, "color": COLOURS[program]}
        left.plot(minutes, [record["wall_s"] for record in own], **style)
        right.plot(minutes, [record["peak_rss_bytes"] / 1e9 for record in own], **style)
    for axes, what in ((left, "wall time (s)"), (right, "peak memory (GB)")):
        axes.set(xscale="log", yscale="log", xlabel="length of the song (minutes)", title=what)
        axes.grid(True, which="major", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    left.legend(frameon=False)
    figure.savefig(path, dpi=110)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, nargs="+", default=LENGTHS, help="lengths of the songs")
    parser.add_argument("--folder", type=Path, help="where to put the files (default: the temporary folder)")
    parser.add_argument("--plot", type=Path, help="PNG file to draw (needs matplotlib)")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="file of JSON lines to append to")
    options = parser.parse_args()
    if min(options.seconds) < 1:
        parser.error(f"--seconds has {min(options.seconds)}: at least one second is needed")
    return options


def main() -> None:
    options = parse_options()
    warn_if_busy()
    records = [record for seconds in sorted(options.seconds) for record in measure(seconds, options.folder)]
    header = ["program", "song s", "wall s", "x real time", "peak GB"]
    rows = [
        [
            record["program"],
            f"{record['seconds']}",
            f"{record['wall_s']:.1f}",
            f"{record['seconds'] / record['wall_s']:.1f}",
            f"{record['peak_rss_bytes'] / 1e9:.2f}",
        ]
        for record in records
    ]
    print("\n" + table(header, rows))
    if options.plot:
        draw(records, options.plot)
    shared = {"benchmark": "lengths", "time": time.strftime("%FT%TZ", time.gmtime()), "machine": machine()}
    append_json_lines(options.output, [{**shared, **record} for record in records])


if __name__ == "__main__":
    main()
