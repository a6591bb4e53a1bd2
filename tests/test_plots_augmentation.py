import sys
from pathlib import Path

import pytest
import torch

from stemwise.errors import ConfigError
from stemwise.plots.augmentation import draw_before_and_after, save_before_and_after


def sounds(hz: float, n_samples: int = 44_100) -> dict[str, torch.Tensor]:
    tone = torch.sin(2 * torch.pi * hz * torch.arange(n_samples) / 44_100).expand(2, n_samples)
    return {"mixture": tone, "vocals": tone}


def test_before_and_after_stand_side_by_side_on_one_scale() -> None:
    figure = draw_before_and_after(
        sounds(300), {k: 0.01 * v for k, v in sounds(3000).items()}, 44_100, title="x"
    )
    axes = figure.axes[:4]
    assert [axis.get_title(loc="left") for axis in axes] == ["mixture", "mixture", "vocals", "vocals"]
    assert [axis.get_title() for axis in axes[:2]] == ["before", "after"]
    assert len({axis.get_xlim() for axis in axes}) == len({axis.get_ylim() for axis in axes}) == 1
    images = [axis.collections[0] for axis in axes]
    assert len({image.get_clim() for image in images}) == 1
    before, after = (image.get_array() for image in images[:2])
    assert before.max() - after.max() == pytest.approx(40, abs=6)  # dB
    rows = [int(levels.mean(axis=1).argmax()) for levels in (before, after)]
    assert rows[1] > rows[0] + 50  # a decade higher


@pytest.mark.parametrize("n_samples", [0, 1, 5000])
def test_a_picture_of_any_length(tmp_path: Path, n_samples: int) -> None:
    path = tmp_path / "picture.png"
    save_before_and_after(sounds(300, n_samples), sounds(500, n_samples), 44_100, path, title="歌")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ConfigError, match=r"stemwise\[plot\]"):
        draw_before_and_after(sounds(300), sounds(300), 44_100)
