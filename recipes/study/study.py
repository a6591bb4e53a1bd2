"""The training-data study again: one U-Net, with no augmentation and with each of the paper's seven.

    python recipes/study/study.py --train all=SONGS --test SONGS -o runs/study

Every run is a folder below the output, trained by `stemwise train` and scored by `stemwise evaluate`; what is
finished is not done again, so the command may be stopped and given again. In the end it prints the paper's
tables with its figures beside ours, and writes them to `study.md` in that folder.

Source: Prétet et al., "Singing voice separation: a study on training data", ICASSP 2019 (arXiv 1906.02618).
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

from paper import AUGMENTATIONS, COLUMNS, TRAINING_SETS

from stemwise.evaluate import paired_t_test, read_record

CONFIG = Path(__file__).with_name("study.json")
BASELINE = "baseline"
CELLS = [(stem, metric) for stem in ("vocals", "accompaniment") for metric in ("csdr", "sir", "sar")]
SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A network to train: its folder's name, what it hears, what is done to that, its seed."""

    name: str
    songs: tuple[str, ...]
    augmentation: str | None
    seed: int


def runs(training_sets: dict[str, tuple[str, ...]], n_seeds: int) -> list[Run]:
    """Baselines first; augmentations are tried on all songs together, further sets without any."""
    everything = tuple(dict.fromkeys(path for paths in training_sets.values() for path in paths))
    planned = [
        Run(name=f"{BASELINE}-{seed}", songs=everything, augmentation=None, seed=seed)
        for seed in range(n_seeds)
    ]
    planned += [
        Run(name=name, songs=everything, augmentation=name, seed=0)
        for name in AUGMENTATIONS
        if name != BASELINE
    ]
    if len(training_sets) > 1:
        planned += [
            Run(name=f"set-{name}", songs=songs, augmentation=None, seed=0)
            for name, songs in training_sets.items()
        ]
    return planned


def carry_out(run: Run, output: Path, test: Path, changes: Sequence[str], n_threads: int) -> None:
    """Train and score one network, as far as that is not done yet."""
    folder = output / run.name
    if (folder / "scores" / "scores.json").exists():
        return
    values = [
        f"data.songs={json.dumps(run.songs)}",
        f"data.augmentations={json.dumps([run.augmentation] if run.augmentation else [])}",
        f"data.cache={json.dumps(str(output / 'cache'))}",
        f"seed={run.seed}",
        *changes,
    ]
    resume = ["--resume"] if (folder / "state.safetensors").exists() else []
    train = ["train", str(CONFIG), "-o", str(folder), *resume]
    evaluate = ["evaluate", str(test), "-p", str(folder / "model.safetensors"), "-o", str(folder / "scores")]
    environment = os.environ | {"OMP_NUM_THREADS": str(n_threads)}
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log.txt").open("a") as log:
        for arguments in (
            [*train, *(word for value in values for word in ("--set", value))],
            [*evaluate, "--metrics", "museval,usdr"],
        ):
            command = [sys.executable, "-m", "stemwise", *arguments]
            subprocess.run(command, check=True, env=environment, stdout=log, stderr=log)
    print(f"{run.name}: done", flush=True)


Songs = dict[str, dict[str, float]]  # column -> song -> score, dB


def scores(folder: Path, prefix: str) -> Songs:
    """The scores of one run, of songs whose names begin with `prefix`."""
    table = read_record(folder / "scores").table.select(prefix)
    return {column: table.values(stem, metric) for column, (stem, metric) in zip(COLUMNS, CELLS, strict=True)}


def mean_over_seeds(seeds: Sequence[Songs]) -> Songs:
    return {
        column: {
            song: fmean(seed[column][song] for seed in seeds)
            for song in seeds[0][column]
            if all(song in seed[column] for seed in seeds)
        }
        for column in COLUMNS
    }


def report(output: Path, n_seeds: int, training_sets: Sequence[str], prefix: str) -> Iterator[str]:
    """Both tables as Markdown."""
    seeds = [scores(output / f"{BASELINE}-{seed}", prefix) for seed in range(n_seeds)]
    baseline = mean_over_seeds(seeds)
    n_songs = len(baseline[COLUMNS[0]])
    yield f"## Augmentations ({n_songs} songs; median over songs of the median over seconds, dB)\n"
    yield (
        f"The baseline is the mean of {n_seeds} seeds, ± half of what lies between largest and smallest."
        " In brackets the mean difference from it over songs, * for p < "
        f"{SIGNIFICANT} in a paired t-test; none if it is within the spread of the seeds.\n"
    )
    yield from head("", COLUMNS)
    yield row("baseline, paper", [f"{value:.2f}" for value in AUGMENTATIONS[BASELINE]])
    yield row("baseline, here", [seeds_cell(seeds, column) for column in COLUMNS])
    for name, published in AUGMENTATIONS.items():
        if name == BASELINE:
            continue
        ours = scores(output / name, prefix)
        differences = (a - b for a, b in zip(published, AUGMENTATIONS[BASELINE], strict=True))
        yield row(
            f"{name}, paper", [f"{a:.2f} ({d:+.2f})" for a, d in zip(published, differences, strict=True)]
        )
        yield row(f"{name}, here", [cell(ours, baseline, seeds, column) for column in COLUMNS])
    yield "\n## Training sets\n"
    yield from head("", COLUMNS)
    for name, published in TRAINING_SETS.items():
        yield row(f"{name}, paper", [f"{value:.2f}" for value in published])
    yield row("all, here", [seeds_cell(seeds, column) for column in COLUMNS])
    for name in training_sets if len(training_sets) > 1 else []:
        ours = scores(output / f"set-{name}", prefix)
        yield row(f"{name}, here", [cell(ours, baseline, seeds, column) for column in COLUMNS])


def seeds_cell(seeds: Sequence[Songs], column: str) -> str:
    medians = [median(seed[column].values()) for seed in seeds]
    return f"{fmean(medians):.2f} ± {(max(medians) - min(medians)) / 2:.2f}"


def cell(ours: Songs, baseline: Songs, seeds: Sequence[Songs], column: str) -> str:
    """The median, and the difference of the mean over songs if it is one."""
    songs = [song for song in baseline[column] if song in ours[column]]
    test = paired_t_test([baseline[column][s] for s in songs], [ours[column][s] for s in songs])
    means = [fmean(seed[column].values()) for seed in seeds]
    shown = f"{median(ours[column].values()):.2f}"
    if abs(test.difference) <= max(means) - min(means):
        return f"{shown} (none)"
    return f"{shown} ({test.difference:+.2f}{'*' if test.p < SIGNIFICANT else ''})"


def head(title: str, columns: Sequence[str]) -> Iterator[str]:
    yield row(title, list(columns))
    yield "|---" * (len(columns) + 1) + "|"


def row(title: str, cells: Sequence[str]) -> str:
    return f"| {title} | " + " | ".join(cells) + " |"


def named_songs(text: str) -> tuple[str, tuple[str, ...]]:
    name, equals, paths = text.partition("=")
    if not equals or not name or not paths:
        raise argparse.ArgumentTypeError(f"{text!r} must be NAME=FOLDER or NAME=FOLDER,FOLDER")
    return name, tuple(paths.split(","))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--train",
        type=named_songs,
        action="append",
        required=True,
        metavar="NAME=FOLDERS",
        help="a training set; with several, the study is made on all together, and each alone is a row too",
    )
    parser.add_argument("--test", type=Path, required=True, help="songs to score on")
    parser.add_argument("--prefix", default="", help="report songs only whose names begin so")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/study"))
    parser.add_argument("--seeds", type=int, default=3, help="of the baseline")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time; they share the cores")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="as for stemwise train"
    )
    given = parser.parse_args()
    sets = dict(given.train)
    n_threads = max(1, (os.cpu_count() or 1) // given.jobs)
    with ThreadPoolExecutor(given.jobs) as pool:
        futures = [
            pool.submit(carry_out, run, given.output, given.test, given.set, n_threads)
            for run in runs(sets, given.seeds)
        ]
        for future in futures:
            future.result()
    text = "\n".join(report(given.output, given.seeds, list(sets), given.prefix))
    (given.output / "study.md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
