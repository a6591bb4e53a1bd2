import os
import sys
from pathlib import Path

import pytest
import torch

from stemwise.errors import ConfigError
from stemwise.plots.spectrograms import MAX_COLUMNS, N_ROWS, SpectrogramSketch, plot_stems, save_picture


def sine(hz: float, seconds: float, sample_rate: int = 44100) -> torch.Tensor:
    return torch.sin(2 * torch.pi * hz * torch.arange(int(seconds * sample_rate)) / sample_rate)[None]


def test_a_full_scale_sine_stands_in_its_band() -> None:
    sketch = SpectrogramSketch(44100)
    sketch.push(sine(1000, 2))
    levels = sketch.power_db()
    row = int(levels[:, 20].argmax())
    edges = torch.logspace(torch.tensor(30.0).log10(), torch.tensor(22050.0).log10(), N_ROWS + 1)
    assert edges[row] * 0.95 < 1000 < edges[row + 1] * 1.05
    assert levels.max() == pytest.approx(-1, abs=4)


def test_a_sketch_does_not_depend_on_the_blocks() -> None:
    tone = sine(500, 3)
    whole, cut = SpectrogramSketch(44100), SpectrogramSketch(44100)
    whole.push(tone)
    for block in tone.split(777, dim=-1):
        cut.push(block)
    torch.testing.assert_close(cut.power_db(), whole.power_db(), atol=0.01, rtol=0)


def test_hours_fit_into_the_same_picture() -> None:
    sketch = SpectrogramSketch(8000)
    minute = sine(1000, 60, 8000)
    for number in range(20):
        sketch.push(minute * (number >= 10))
    levels = sketch.power_db()
    assert MAX_COLUMNS / 2 - 1 <= levels.shape[1] <= MAX_COLUMNS
    loud = (levels.max(dim=0).values > -20).float()
    assert loud[: len(loud) * 48 // 100].sum() == 0
    assert loud[len(loud) * 52 // 100 :].mean() > 0.99


@pytest.mark.parametrize("n_samples", [0, 1, 44100])
def test_a_picture_of_any_length(tmp_path: Path, n_samples: int) -> None:
    sketches = {name: SpectrogramSketch(44100) for name in ("mixture", "vocals")}
    for sketch in sketches.values():
        sketch.push(torch.zeros(2, n_samples))
    save_picture(sketches, tmp_path / "picture.png", title="silence")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_a_title_may_be_the_name_of_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    sketches = {"mixture": SpectrogramSketch(44100)}
    save_picture(sketches, tmp_path / "picture.png", title=os.fsdecode(b"caf\xe9.wav"))
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_the_name_of_a_stem_is_no_formula(tmp_path: Path) -> None:
    save_picture({"a$_$b": SpectrogramSketch(44100)}, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_stems_share_one_time_axis() -> None:
    figure = plot_stems({"mixture": sine(300, 2), "vocals": sine(300, 2)}, 44100)
    limits = {axis.get_xlim() for axis in figure.axes[:2]}
    assert limits == {(0.0, 2.0)}


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ConfigError, match=r"stemwise\[plot\]"):
        plot_stems({"mixture": sine(300, 1)}, 44100)
