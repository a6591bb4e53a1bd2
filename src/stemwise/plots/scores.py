"""Box plots of scores: how the songs are spread, and between which ends."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from stemwise.errors import ConfigError
from stemwise.plots import new_figure, save_figure

SUFFIXES = (".png", ".svg", ".pdf")
Columns = Mapping[str, Sequence[float]]  # values of songs, by stem


def draw_scores(
    panels: Mapping[str, Columns], *, marks: Mapping[str, Mapping[str, Columns]], title: str = ""
) -> Any:
    """A box per stem, every song a dot; a panel per metric that has a value. A matplotlib `Figure`.

    Boxes reach from quartile to quartile, whiskers over all songs.

    Args:
        panels: by the metric's title, what is drawn as boxes.
        marks: by name and the metric's title, of what only the median is drawn, as a line across the box.
        title: of the picture.

    Raises:
        ConfigError: if matplotlib is not installed.
    """
    panels = {metric: columns for metric, columns in panels.items() if any(map(len, columns.values()))}
    width = sum(1.2 + 0.75 * len(columns) for columns in panels.values())
    figure = new_figure(max(width, 4), 4, title)
    if not panels:
        return figure
    widths = [1 + len(columns) for columns in panels.values()]
    axes = figure.subplots(1, len(panels), squeeze=False, width_ratios=widths)[0]
    for axis, (metric, columns) in zip(axes, panels.items(), strict=True):
        _draw_boxes(axis, columns)
        for (name, by_metric), style in zip(marks.items(), ((0, (1, 1)), (0, (4, 1))), strict=False):
            _draw_medians(axis, [by_metric.get(metric, {}).get(stem, ()) for stem in columns], name, style)
        axis.set_title(metric, loc="left", fontsize=10)
        axis.grid(axis="y", alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    handles, labels = axes[0].get_legend_handles_labels()
    if handles:
        figure.legend(
            handles, labels, loc="outside upper right", ncols=len(handles), frameon=False, fontsize=9
        )
    return figure


def save_scores(
    panels: Mapping[str, Columns], path: Path, *, marks: Mapping[str, Mapping[str, Columns]], title: str = ""
) -> None:
    """`draw_scores` as a file of the kind that its suffix says.

    Raises:
        ConfigError: for another suffix than .png, .svg or .pdf, or if matplotlib is not installed.
    """
    check_suffix(path)
    figure = draw_scores(panels, marks=marks, title=title)
    save_figure(figure, path, format=path.suffix[1:].lower(), dpi=130)


def check_suffix(path: Path) -> None:
    """Refuse what cannot be drawn before hours of work."""
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"{path} has the suffix {path.suffix!r}: a picture must have {', '.join(SUFFIXES)}")


def _draw_boxes(axis: Any, columns: Columns) -> None:
    positions = range(1, len(columns) + 1)
    axis.boxplot(
        list(columns.values()),
        positions=positions,
        widths=0.5,
        whis=(0, 100),
        showfliers=False,
        patch_artist=True,
        boxprops={"facecolor": "#9ecae1", "edgecolor": "#3182bd"},
        medianprops={"color": "#08519c", "linewidth": 2},
        whiskerprops={"color": "#3182bd"},
        capprops={"color": "#3182bd"},
    )
    for position, values in zip(positions, columns.values(), strict=True):
        axis.plot([position] * len(values), values, "o", color="#08306b", markersize=3, alpha=0.5)
    axis.set_xticks(list(positions), list(columns), fontsize=9, parse_math=False)


def _draw_medians(axis: Any, columns: Sequence[Sequence[float]], name: str, style: Any) -> None:
    heights = [median(values) if values else math.nan for values in columns]
    starts, ends = ([position + side for position in range(1, len(columns) + 1)] for side in (-0.35, 0.35))
    axis.hlines(heights, starts, ends, linestyles=[style], colors="#d94801", label=name)
