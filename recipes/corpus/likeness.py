"""How like real songs a corpus is: the same statistics of both, what differs most on top.

    python recipes/corpus/likeness.py SONGS -o FOLDER --reference REAL_SONGS

writes a table, `likeness.md`, and a picture of every statistic. Of the real songs nothing but such figures
may be used: a corpus is brought nearer to them by its recipe, for all songs alike.
"""

import argparse
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from measures import CENTRES_HZ, MIXTURE, OCTAVES, SongFigures, measure
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from stemwise.data.tracks import find_tracks
from stemwise.plots import require_matplotlib

STEMS = ("vocals", "drums", "bass", "other")
SIGNALS = (*STEMS, MIXTURE)
BAND_STATISTICS = tuple(f"octave of {octave} (dB)" for octave in OCTAVES)  # in one picture, in thirds
MAX_SONGS = 100  # of a corpus, at 3 s each; more would hardly move a quartile
SIGNIFICANT = 0.05
CORPUS, REFERENCE = ("#3182bd", "#9ecae1"), ("#d94801", "#fdae6b")  # edge and face
LEGEND = (
    "Median (quartiles) over songs. Spread: how far apart the corpus's quartiles are, over that of the real "
    "songs; below 1 the corpus is too uniform. Distance: Kolmogorov-Smirnov, the largest difference of the "
    "two cumulative distributions, 0 to 1; *: p < 0.05. Octaves are relative to the whole signal."
)


class Row(NamedTuple):
    """One statistic of one signal.

    Attributes:
        statistic: with its unit.
        signal: a stem, or "mixture".
        corpus: lower quartile, median, upper quartile.
        reference: likewise, of the real songs.
        distance: of the two distributions, 0 to 1.
        p: how probable so large a distance is for songs of one kind.
    """

    statistic: str
    signal: str
    corpus: tuple[float, float, float]
    reference: tuple[float, float, float]
    distance: float
    p: float

    @property
    def difference(self) -> float:
        """Of the medians."""
        return self.corpus[1] - self.reference[1]

    @property
    def spread(self) -> float:
        """How widely the corpus's songs vary, over how widely real ones do; NaN if those do not."""
        width = self.reference[2] - self.reference[0]
        return (self.corpus[2] - self.corpus[0]) / width if width else math.nan


def measure_songs(folder: Path) -> list[SongFigures]:
    """The figures of a folder of songs, of evenly spread ones if there are very many.

    Raises:
        ConfigError: if it holds no songs.
        DecodeError: if one cannot be read.
    """
    tracks = find_tracks(folder, STEMS)
    n_songs = min(len(tracks), MAX_SONGS)
    return [measure(tracks[index * len(tracks) // n_songs]) for index in range(n_songs)]


def column(songs: Sequence[SongFigures], statistic: str, signal: str) -> NDArray[np.float64]:
    """What the songs have of it."""
    found = (song.values.get(statistic, {}) for song in songs)
    return np.array([values[signal] for values in found if signal in values])


def compare(corpus: Sequence[SongFigures], reference: Sequence[SongFigures]) -> list[Row]:
    """A row for every statistic and signal that both have; the largest distance first."""
    rows = []
    for statistic in corpus[0].values:
        for signal in SIGNALS:
            ours, theirs = column(corpus, statistic, signal), column(reference, statistic, signal)
            if len(ours) and len(theirs):
                test = ks_2samp(ours, theirs)
                quartiles = _quartiles(ours), _quartiles(theirs)
                rows.append(Row(statistic, signal, *quartiles, float(test.statistic), float(test.pvalue)))
    return sorted(rows, key=lambda row: -row.distance)


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Lines of Markdown."""
    yield "| statistic | signal | corpus | real songs | difference | spread | distance |"
    yield "|---|---|--:|--:|--:|--:|--:|"
    for row in rows:
        mark = "*" if row.p < SIGNIFICANT else ""
        spread = "" if math.isnan(row.spread) else f"{row.spread:.2f}"
        yield (
            f"| {row.statistic} | {row.signal} | {_cell(row.corpus)} | {_cell(row.reference)} "
            f"| {row.difference:+.2f} | {spread} | {row.distance:.2f}{mark} |"
        )


def write(corpus: Sequence[SongFigures], reference: Sequence[SongFigures], folder: Path) -> list[Row]:
    """The table and the pictures; returns the rows of the table."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = compare(corpus, reference)
    counts = f"{len(corpus)} songs of the corpus, {len(reference)} real songs."
    lines = ["# Corpus and real songs", "", f"{counts} {LEGEND}", "", *table(rows)]
    (folder / "likeness.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for statistic in dict.fromkeys(row.statistic for row in rows if row.statistic not in BAND_STATISTICS):
        figure = draw_distributions(corpus, reference, statistic)
        figure.savefig(folder / f"{_file_name(statistic)}.png", format="png", dpi=110)
    draw_spectra(corpus, reference).savefig(folder / "spectrum.png", format="png", dpi=110)
    return rows


def draw_distributions(
    corpus: Sequence[SongFigures], reference: Sequence[SongFigures], statistic: str
) -> Any:
    """A pair of boxes per signal, every song a dot; a matplotlib `Figure`.

    Boxes reach from quartile to quartile, whiskers over all songs.
    """
    figure = require_matplotlib()(figsize=(8, 4), layout="constrained")
    figure.suptitle(statistic, x=0.01, ha="left", fontsize=11, fontweight="bold")
    axis = figure.subplots()
    signals = [signal for signal in SIGNALS if len(column(corpus, statistic, signal))]
    for songs, side, colours, name in (
        (corpus, -0.2, CORPUS, "corpus"),
        (reference, 0.2, REFERENCE, "real songs"),
    ):
        columns = [column(songs, statistic, signal) for signal in signals]
        positions = [place + side for place in range(len(signals))]
        _draw_boxes(axis, columns, positions, colours, name)
    axis.set_xticks(range(len(signals)), signals)
    axis.grid(axis="y", alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper right", ncols=2, frameon=False, fontsize=9)
    return figure


def draw_spectra(corpus: Sequence[SongFigures], reference: Sequence[SongFigures]) -> Any:
    """Long-term spectra in third octaves, a panel per signal: median and quartiles; a `Figure`."""
    figure = require_matplotlib()(figsize=(13, 6.5), layout="constrained")
    title = "long-term spectrum: third octaves relative to the whole signal (dB)"
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    panels = figure.subplots(2, 3, sharex=True, sharey=True).ravel()
    for axis, signal in zip(panels, SIGNALS, strict=False):
        for songs, (edge, face), name in ((corpus, CORPUS, "corpus"), (reference, REFERENCE, "real songs")):
            found = [song.bands[signal] for song in songs if signal in song.bands]
            heard = np.array([levels for levels in found if np.isfinite(levels).all()])
            if len(heard):
                low, middle, high = np.quantile(heard, (0.25, 0.5, 0.75), axis=0)
                axis.fill_between(CENTRES_HZ, low, high, color=face, alpha=0.5, linewidth=0)
                axis.plot(CENTRES_HZ, middle, color=edge, label=name)
        axis.set_title(signal, loc="left", fontsize=10)
        axis.set(xscale="log", ylim=(-60, 0))
        axis.grid(alpha=0.25)
    panels[-1].set_axis_off()
    panels[-1].legend(*panels[0].get_legend_handles_labels(), loc="center", frameon=False)
    panels[-2].set_xlabel("frequency (Hz)")
    return figure


def _draw_boxes(
    axis: Any,
    columns: Sequence[NDArray[np.float64]],
    positions: Sequence[float],
    colours: tuple[str, str],
    name: str,
) -> None:
    edge, face = colours
    boxes = axis.boxplot(
        columns,
        positions=positions,
        widths=0.3,
        whis=(0, 100),
        showfliers=False,
        patch_artist=True,
        boxprops={"facecolor": face, "edgecolor": edge},
        medianprops={"color": edge, "linewidth": 2},
        whiskerprops={"color": edge},
        capprops={"color": edge},
    )
    boxes["boxes"][0].set_label(name)
    for position, values in zip(positions, columns, strict=True):
        spread = np.linspace(-0.1, 0.1, len(values))  # side by side, in the order of the songs
        axis.plot(position + spread, values, "o", color=edge, markersize=2.5, alpha=0.5)


def _quartiles(values: NDArray[np.float64]) -> tuple[float, float, float]:
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    return float(low), float(middle), float(high)


def _cell(quartiles: tuple[float, float, float]) -> str:
    low, middle, high = quartiles
    decimals = 2 if max(map(abs, quartiles)) < math.sqrt(10) else 1
    return f"{middle:.{decimals}f} ({low:.{decimals}f} to {high:.{decimals}f})"


def _file_name(statistic: str) -> str:
    return statistic.partition(" (")[0].replace(" ", "_").lower()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("songs", type=Path, help="the corpus: a folder per song, a file per stem")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the table and pictures")
    parser.add_argument("--reference", type=Path, required=True, help="real songs, in folders likewise")
    arguments = parser.parse_args()
    rows = write(measure_songs(arguments.songs), measure_songs(arguments.reference), arguments.output)
    print("\n".join(table(rows[:20])))


if __name__ == "__main__":
    main()
