"""How a catalogue went: songs an hour over time, and how many were done and failed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stemwise.plots import new_figure, save_figure

BARS, SONGS_A_BAR = 60, 5


def draw_throughput(done: Sequence[float], failed: Sequence[float], *, title: str = "") -> Any:
    """Songs an hour above, sums below, over the hours since the first; a matplotlib `Figure`.

    Args:
        done: when each song was done, seconds since 1970; not empty together with `failed`.
        failed: when each failed.
        title: of the picture.

    Raises:
        ConfigError: if matplotlib is not installed.
    """
    figure = new_figure(9, 6, title)
    first, last = min([*done, *failed]), max([*done, *failed])
    unit_s, unit = (3600.0, "hours") if last - first > 2 * 3600 else (60.0, "minutes")
    above, below = figure.subplots(2, 1, sharex=True)
    width = max(last - first, 1.0) / min(BARS, max(1, len(done) // SONGS_A_BAR))
    good, bad = _binned(done, first, width), _binned(failed, first, width)
    n_bars = max(len(good), len(bad))
    edges = [n * width / unit_s for n in range(n_bars)]
    per_hour = 3600 / width
    good, bad = ([n * per_hour for n in bars + [0] * (n_bars - len(bars))] for bars in (good, bad))
    above.bar(edges, good, width / unit_s, align="edge", color="tab:blue", label="done")
    above.bar(edges, bad, width / unit_s, bottom=good, align="edge", color="tab:red", label="failed")
    above.set_ylabel("songs an hour")
    for times, color, label in ((done, "tab:blue", "done"), (failed, "tab:red", "failed")):
        steps = [(time - first) / unit_s for time in [first, *sorted(times), last]]
        sums = [*range(len(times) + 1), len(times)]
        below.step(steps, sums, where="post", color=color, label=f"{label}: {len(times)}")
    below.set_ylabel("songs")
    below.set_xlabel(f"{unit} since the first song ended")
    below.set_ylim(bottom=0)
    below.legend(loc="upper left")
    return figure


def save_throughput(done: Sequence[float], failed: Sequence[float], path: Path, *, title: str = "") -> None:
    """`draw_throughput` in a file, of the format that its suffix says."""
    save_figure(draw_throughput(done, failed, title=title), path, format=path.suffix[1:].lower())


def _binned(times: Sequence[float], first: float, width: float) -> list[float]:
    counts = [0.0] * (1 + max((int((time - first) / width) for time in times), default=0))
    for time in times:
        counts[int((time - first) / width)] += 1
    return counts
