from pathlib import Path

import pytest

from stemwise.plots.curves import draw_curves, save_curves, smoothed

METRICS = [
    {"step": 10, "loss": 1.0, "learning_rate": 1e-3},
    {"step": 20, "loss": 0.5, "learning_rate": 2e-3},
    {"step": 20, "sdr": 1.0, "sdr_vocals": 2.0, "sdr_drums": 0.0},
    {"step": 30, "loss": 0.25, "learning_rate": 1e-3},
    {"step": 40, "sdr": 2.5, "sdr_vocals": 2.5},
]


def test_every_line_of_the_metrics_is_drawn() -> None:
    loss, sdr, rate = draw_curves(METRICS, title="mine").axes
    raw, thick = loss.lines
    assert list(raw.get_xdata()) == [10, 20, 30]
    assert list(raw.get_ydata()) == [1.0, 0.5, 0.25]
    assert list(thick.get_ydata()) == pytest.approx([1, 0.75, 1.75 / 3])
    assert list(rate.lines[0].get_ydata()) == [1e-3, 2e-3, 1e-3]
    drawn = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in sdr.lines}
    assert drawn == {
        "drums": ([20], [0.0]),
        "vocals": ([20, 40], [2.0, 2.5]),
        "mean": ([20, 40], [1.0, 2.5]),
    }


def test_runs_without_validation_or_without_anything_can_be_drawn(tmp_path: Path) -> None:
    assert len(draw_curves(METRICS[:2]).axes) == 2
    save_curves([], tmp_path / "empty.png", title="a $title$ that is no formula")
    assert (tmp_path / "empty.png").read_bytes().startswith(b"\x89PNG")


def test_smoothing_is_a_mean_over_what_came_before() -> None:
    assert smoothed([4, 2, 0, 2], 2) == [4, 3, 1, 1]
    assert smoothed([], 2) == []
