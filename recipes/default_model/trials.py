"""Networks trained alike but for one thing, and what each scores.

    python recipes/default_model/trials.py recipes/default_model/data_trials.json -o runs/data --test EVAL

A list of trials is a JSON file: `base`, a training configuration beside it; `set`, changes for all of
them; `trials`, changes for each. Every trial is a folder, trained by `stemwise train` and scored by
`stemwise evaluate`; what is finished is not done again, and what was under way resumes. In the end the table
is printed, and written to `trials.md`.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean

from stemwise.evaluate import EvaluationTable, read_record
from stemwise.types import STEMS


def carry_out(folder: Path, config: Path, test: Path, changes: Sequence[str], n_threads: int) -> None:
    """Train and score one network, as far as that is not done yet."""
    if (folder / "scores" / "scores.json").exists():
        return
    resume = ["--resume"] if (folder / "state.safetensors").exists() else []
    train = ["train", str(config), "-o", str(folder), *resume]
    model = str(folder / "last.safetensors")  # the length was fixed before: nothing is chosen by validation
    evaluate = ["evaluate", str(test), "-p", model, "-o", str(folder / "scores"), "--metrics", "usdr"]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log.txt").open("a") as log:
        for arguments in ([*train, *(word for change in changes for word in ("--set", change))], evaluate):
            subprocess.run(
                [sys.executable, "-m", "stemwise", *arguments],
                check=True,
                env=os.environ | {"OMP_NUM_THREADS": str(n_threads)},
                stdout=log,
                stderr=log,
            )


def report(output: Path, names: Sequence[str], prefix: str) -> Iterator[str]:
    """A row a trial: median uSDR of each stem over the songs of that prefix, and the gap closed."""
    yield "| trial | " + " | ".join(STEMS[:4]) + " | gap, mean of stems | gap, all songs |"
    yield "|---" * 7 + "|"
    for name in names:
        table = read_record(output / name / "scores").table
        part = table.select(prefix)
        medians = [f"{part.median(stem):.2f} ({_gap(part, stem):.0%})" for stem in STEMS[:4]]
        gaps = [fmean(_gap(songs, stem) for stem in STEMS[:4]) for songs in (part, table)]
        yield f"| {name} | " + " | ".join([*medians, *(f"{gap:.1%}" for gap in gaps)]) + " |"


def _gap(table: EvaluationTable, stem: str) -> float:
    summary = table.summary(stem, "usdr")
    return float("nan") if summary is None else summary.gap_closed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("trials", type=Path, help="the list of trials")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True, help="songs to score on")
    parser.add_argument("--prefix", default="mdb_", help="report songs apart whose names begin so")
    parser.add_argument("--only", action="append", default=[], metavar="TRIAL", help="may be repeated")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for all of them")
    given = parser.parse_args()
    plan = json.loads(given.trials.read_text(encoding="utf-8"))
    unknown = set(given.only) - set(plan["trials"])
    if unknown:
        parser.error(
            f"no trial is called {', '.join(sorted(unknown))}: there are {', '.join(plan['trials'])}"
        )
    names = given.only or list(plan["trials"])
    for name in names:
        changes = [*plan["set"], *plan["trials"][name], *given.set]
        carry_out(given.output / name, given.trials.parent / plan["base"], given.test, changes, given.threads)
        print(f"{name}: done", flush=True)
    text = "\n".join(report(given.output, names, given.prefix))
    (given.output / "trials.md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
