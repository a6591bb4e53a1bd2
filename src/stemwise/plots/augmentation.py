"""A picture of augmentations: spectrograms of the mixture and of every stem, before and after."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from stemwise.plots import new_figure, save_figure
from stemwise.plots.spectrograms import draw_sketch, sketch_of


def draw_before_and_after(
    before: Mapping[str, Tensor], after: Mapping[str, Tensor], sample_rate: int, *, title: str = ""
) -> Any:
    """Side by side on the same axes and one colour scale, so that what differs was changed; a `Figure`.

    Args:
        before: waveforms `(channels, samples)`, the mixture first.
        after: the same names.
        sample_rate: Hz.
        title: above everything.

    Raises:
        ConfigError: if matplotlib is not installed.
    """
    figure = new_figure(13, 1.0 + 1.5 * len(before), title)
    rows = figure.subplots(len(before), 2, sharex=True, sharey=True, squeeze=False)
    columns = [[sketch_of(waveforms[name], sample_rate) for name in before] for waveforms in (before, after)]
    top = max(float(sketch.power_db().max()) for sketches in columns for sketch in sketches)
    image = None
    for column, (heading, sketches) in enumerate(zip(("before", "after"), columns, strict=True)):
        for row, (name, sketch) in enumerate(zip(before, sketches, strict=True)):
            image = draw_sketch(rows[row, column], sketch, top_db=top)
            rows[row, column].set_title(name, loc="left", fontsize=10, pad=3, parse_math=False)
        rows[0, column].set_title(heading, fontsize=11, fontweight="bold", pad=3)
        rows[-1, column].set_xlabel("time (s)")
    figure.colorbar(image, ax=rows.ravel().tolist(), label="level (dB)", fraction=0.02, pad=0.01)
    return figure


def save_before_and_after(
    before: Mapping[str, Tensor],
    after: Mapping[str, Tensor],
    sample_rate: int,
    path: Path,
    *,
    title: str = "",
) -> None:
    """`draw_before_and_after` as a PNG file."""
    save_figure(draw_before_and_after(before, after, sample_rate, title=title), path)
