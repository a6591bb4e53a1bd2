import errno
from pathlib import Path

import pytest

from stemwise.plots.throughput import draw_throughput, save_throughput


def test_bars_add_up_to_the_songs_and_lines_end_at_them() -> None:
    done, failed = [1000.0 + 36.0 * n for n in range(100)], [1500.0, 1600.0]
    above, below = draw_throughput(done, failed, title="$x$").axes
    width_h = above.patches[0].get_width() / 60
    bars = [bar.get_height() * width_h for bar in above.patches]
    assert sum(bars) == pytest.approx(102)
    assert [line.get_ydata()[-1] for line in below.lines] == [100, 2]
    assert [line.get_ydata()[0] for line in below.lines] == [0, 0]
    assert below.lines[0].get_xdata()[-1] == pytest.approx(99 * 36 / 60)


def test_long_runs_are_drawn_in_hours() -> None:
    assert draw_throughput([0.0, 7300.0], []).axes[1].get_xlabel() == "hours since the first song ended"


@pytest.mark.parametrize(("done", "failed"), [([5.0], []), ([], [5.0])])
def test_one_song_is_enough(tmp_path: Path, done: list[float], failed: list[float]) -> None:
    save_throughput(done, failed, tmp_path / "x.svg")
    assert (tmp_path / "x.svg").read_text().startswith("<?xml")


def test_a_picture_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.png").write_text("old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        save_throughput([5.0], [], tmp_path / "x.png", title="\N{MUSICAL NOTE}")
    assert caught.value.filename == str(tmp_path / "x.png")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("x.png", "old")]
