import sys
from pathlib import Path

import pytest

from stemwise.errors import ConfigError
from stemwise.plots.scores import draw_scores, save_scores

PANELS = {"uSDR (dB)": {"vocals": [1.0, 2.0, 9.0], "bass": [3.0]}, "cSDR (dB)": {"vocals": [0.5], "bass": []}}
MARKS = {"mixture": {"uSDR (dB)": {"vocals": [-4.0, -2.0, -3.0], "bass": []}}, "oracle": {}}


def test_every_song_is_a_dot_and_every_stem_a_box() -> None:
    figure = draw_scores(PANELS, marks=MARKS, title="a_b $x$ on songs")
    first, second = figure.axes
    assert (first.get_title(loc="left"), second.get_title(loc="left")) == tuple(PANELS)
    assert [label.get_text() for label in first.get_xticklabels()] == ["vocals", "bass"]
    dots = [line.get_ydata() for line in first.lines if line.get_marker() == "o"]
    assert [list(heights) for heights in dots] == [[1.0, 2.0, 9.0], [3.0]]
    assert first.collections[0].get_segments()[0][0][1] == -3.0  # the mixture's median


def test_the_name_of_a_stem_is_no_formula(tmp_path: Path) -> None:
    save_scores({"uSDR (dB)": {"a$_$b": [1.0]}}, tmp_path / "scores.png", marks={})
    assert (tmp_path / "scores.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".SVG", b"<?xml"), (".pdf", b"%PDF")])
def test_the_suffix_chooses_the_format(tmp_path: Path, suffix: str, start: bytes) -> None:
    path = tmp_path / f"scores{suffix}"
    save_scores(PANELS, path, marks=MARKS, title="名 on songs")
    assert path.read_bytes().startswith(start)


def test_other_suffixes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"suffix '.gif': a picture must have .png, .svg, .pdf"):
        save_scores(PANELS, tmp_path / "scores.gif", marks=MARKS)


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ConfigError, match=r"stemwise\[plot\]"):
        draw_scores(PANELS, marks={})


def test_what_no_song_has_is_not_drawn(tmp_path: Path) -> None:
    panels = {"uSDR (dB)": PANELS["uSDR (dB)"], "smear": {}, "bleed": {"vocals": []}}
    (axis,) = draw_scores(panels, marks=MARKS).axes
    assert axis.get_title(loc="left") == "uSDR (dB)"
    save_scores({"smear": {}}, tmp_path / "scores.png", marks=MARKS, title="nothing")
    assert (tmp_path / "scores.png").read_bytes().startswith(b"\x89PNG")
