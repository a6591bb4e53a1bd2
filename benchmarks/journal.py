"""What the journal costs a driver: seconds for taking a song and for writing down that it is done.

A journal of `--songs` rows on the disk of `--folder`, of which `--samples` are taken and finished one by one,
each a transaction that is synced to disk. Printed are medians and the songs per second that a driver can do.
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import mean, median

from measure import append_json_lines, machine, table, warn_if_busy
from stemwise.journal import Journal, Row

QUEUE = "batch"
STEMS = ("vocals", "drums", "bass", "other")
RESULTS = Path(__file__).parent / "results" / "journal.jsonl"


def rows(n: int) -> list[Row]:
    """Songs with as much to say as those of `stemwise batch`."""
    return [
        Row(
            id=f"album {k // 12:06}/song {k:09}.flac",
            queue=QUEUE,
            source=f"/music/album {k // 12:06}/song {k:09}.flac",
            title=f"song {k:09}",
            parameters={
                "model": "stemwise:4stems",
                "stems": STEMS,
                "codec": "flac",
                "model_sha256": "0" * 64,
            },
            details={"paths": {stem: f"album {k // 12:06}/song {k:09}/{stem}.flac" for stem in STEMS}},
        )
        for k in range(n)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--songs", type=int, default=100_000)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    warn_if_busy()
    claims, ends = [], []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        journal = Journal(Path(folder, "journal.db"))
        start = time.perf_counter()
        journal.add(rows(arguments.songs))
        added = time.perf_counter() - start
        for _ in range(arguments.samples):
            begin = time.perf_counter()
            row = journal.claim("worker", QUEUE)
            between = time.perf_counter()
            assert row is not None
            outputs = {
                stem: {"path": path, "sha256": "0" * 64, "bytes": 42_000_000}
                for stem, path in row.details["paths"].items()
            }
            journal.finish(
                row.id,
                "worker",
                outputs=outputs,
                model_sha256="0" * 64,
                input_sha256="0" * 64,
                details=row.details,
            )
            claims.append(between - begin)
            ends.append(time.perf_counter() - between)
        journal.close()
    result = {
        "songs": arguments.songs,
        "add_s": added,
        "claim_s": median(claims),
        "finish_s": median(ends),
        "songs_per_s": 1 / (mean(claims) + mean(ends)),
    }
    append_json_lines(RESULTS, [{**result, "machine": machine()}])
    cells = [[name, f"{value:.6g}"] for name, value in result.items()]
    print(table(["", "value"], cells))


if __name__ == "__main__":
    main()
