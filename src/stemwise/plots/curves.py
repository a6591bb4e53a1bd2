"""The course of a training run: loss and learning rate, and the SDR of held-out songs, over its steps."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from stemwise.plots import new_figure, save_figure

SMOOTHED_LINES = 20  # of the loss, in the thick line
SDR = "sdr"


def draw_curves(metrics: Sequence[Mapping[str, float]], *, title: str = "") -> Any:
    """Loss above, SDR of every stem below if there was a validation; a matplotlib `Figure`.

    Args:
        metrics: lines of a run's `metrics.jsonl`: `step`, and either `loss` and `learning_rate`, or `sdr` and
            those of the stems, `sdr_vocals` and so on.
        title: of the picture.

    Raises:
        ConfigError: if matplotlib is not installed.
    """
    figure = new_figure(9, 6, title)
    training = [line for line in metrics if "loss" in line]
    validation = [line for line in metrics if SDR in line]
    axes = figure.subplots(2 if validation else 1, 1, sharex=True, squeeze=False)[:, 0]
    _draw_loss(axes[0], training)
    if validation:
        _draw_sdr(axes[1], validation)
    axes[-1].set_xlabel("step")
    return figure


def save_curves(metrics: Sequence[Mapping[str, float]], path: Path, *, title: str = "") -> None:
    """`draw_curves` as a PNG file."""
    save_figure(draw_curves(metrics, title=title), path)


def smoothed(values: Sequence[float], width: int) -> list[float]:
    """The mean of each value and up to `width - 1` before it."""
    return [fmean(values[max(0, i + 1 - width) : i + 1]) for i in range(len(values))]


def _draw_loss(axis: Any, lines: Sequence[Mapping[str, float]]) -> None:
    steps, losses = [line["step"] for line in lines], [line["loss"] for line in lines]
    axis.plot(steps, losses, color="tab:blue", alpha=0.3, linewidth=1)
    axis.plot(steps, smoothed(losses, SMOOTHED_LINES), color="tab:blue")
    axis.set_ylabel("loss", color="tab:blue")
    rate = axis.twinx()
    rate.plot(steps, [line["learning_rate"] for line in lines], color="tab:gray", linestyle=":")
    rate.set_ylabel("learning rate", color="tab:gray")
    rate.set_ylim(bottom=0)


def _draw_sdr(axis: Any, lines: Sequence[Mapping[str, float]]) -> None:
    names = sorted({name for line in lines for name in line if name.startswith(f"{SDR}_")})
    for name in names:
        there = [line for line in lines if name in line]
        label = name.removeprefix(f"{SDR}_")
        axis.plot([line["step"] for line in there], [line[name] for line in there], marker=".", label=label)
    steps, means = [line["step"] for line in lines], [line[SDR] for line in lines]
    axis.plot(steps, means, color="black", linewidth=2, marker=".", label="mean")
    axis.set_ylabel("SDR (dB)")
    axis.legend(loc="lower right", fontsize=8, ncols=max(1, (len(names) + 1) // 3))
