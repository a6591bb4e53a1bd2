"""The scores of all songs, and what they come to: medians, means, intervals, the share of the gap closed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

import torch

from stemwise.errors import ConfigError
from stemwise.evaluate.scores import METRICS, MIXTURE, MODEL, ORACLE, Score
from stemwise.evaluate.statistics import SEED, PairedTest, bootstrap_interval, paired_t_test


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What the songs' values of one stem and one metric come to.

    Attributes:
        n_songs: that have a finite value.
        median: over songs, what the field reports of cSDR.
        median_interval: 95 %, by bootstrap over songs; NaN for fewer than five songs.
        mean: over songs, what the field reports of uSDR.
        mean_interval: likewise.
        mixture: median of the mixture given back as estimate; NaN where that makes no scale.
        oracle: median of the ratio-mask oracle; likewise.
        gap_closed: where the median stands between mixture (0) and oracle (1).
    """

    n_songs: int
    median: float
    median_interval: tuple[float, float]
    mean: float
    mean_interval: tuple[float, float]
    mixture: float
    oracle: float
    gap_closed: float


@dataclass(frozen=True, slots=True)
class EvaluationTable:
    """Scores of every song, stem and method."""

    scores: tuple[Score, ...]

    @property
    def stems(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(score.stem for score in self.scores))

    @property
    def tracks(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(score.track for score in self.scores))

    @property
    def metrics(self) -> tuple[str, ...]:
        found = {metric for score in self.scores for metric in score.values}
        return tuple(metric for metric in METRICS if metric in found)

    def select(self, prefix: str) -> "EvaluationTable":
        """Only the songs whose names begin so."""
        return EvaluationTable(tuple(score for score in self.scores if score.track.startswith(prefix)))

    def values(self, stem: str, metric: str, method: str = MODEL) -> dict[str, float]:
        """By song, where finite."""
        return {
            score.track: score.values[metric]
            for score in self.scores
            if (score.stem, score.method) == (stem, method)
            and math.isfinite(score.values.get(metric, math.nan))
        }

    def median(self, stem: str, metric: str = "usdr", method: str = MODEL) -> float:
        """Over the songs that have a finite value.

        Raises:
            ConfigError: if no song has one.
        """
        values = self.values(stem, metric, method)
        if not values:
            raise ConfigError(f"no song has {metric} of {stem!r}: the stems are {', '.join(self.stems)}")
        return median(values.values())

    def summary(self, stem: str, metric: str) -> Summary | None:
        """None if no song has a finite value."""
        values = list(self.values(stem, metric).values())
        if not values:
            return None
        ends = (list(self.values(stem, metric, method).values()) for method in (MIXTURE, ORACLE))
        mixture, oracle = (median(end) if end else math.nan for end in ends)
        middle = median(values)
        return Summary(
            n_songs=len(values),
            median=middle,
            median_interval=bootstrap_interval(values, lambda x: x.quantile(0.5, dim=-1), rng=_rng()),
            mean=fmean(values),
            mean_interval=bootstrap_interval(values, lambda x: x.mean(dim=-1), rng=_rng()),
            mixture=mixture,
            oracle=oracle,
            gap_closed=(middle - mixture) / (oracle - mixture) if oracle != mixture else math.nan,
        )


def compare(
    first: EvaluationTable, second: EvaluationTable, metrics: Sequence[str]
) -> dict[str, dict[str, PairedTest]]:
    """Second against first, by metric and stem, on the songs where both have a finite value."""
    found: dict[str, dict[str, PairedTest]] = {}
    for metric in metrics:
        for stem in first.stems:
            before, after = first.values(stem, metric), second.values(stem, metric)
            common = [track for track in before if track in after]
            if common:
                pairs = [before[track] for track in common], [after[track] for track in common]
                found.setdefault(metric, {})[stem] = paired_t_test(*pairs)
    return found


def _rng() -> torch.Generator:
    return torch.Generator().manual_seed(SEED)
