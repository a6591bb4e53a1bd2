"""How far a figure over few songs can be trusted: bootstrap over songs, and the paired t-test.

Student's distribution is computed from its continued fraction, so that no further library is needed.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev

import torch
from torch import Tensor

from stemwise.errors import ConfigError

CONFIDENCE = 0.95
N_RESAMPLES = 10_000
MIN_VALUES = 5  # fewer cannot stand for all that might have been drawn
SEED = 0  # of the resampling: the same scores give the same interval


def bootstrap_interval(
    values: Sequence[float], statistic: Callable[[Tensor], Tensor], *, rng: torch.Generator
) -> tuple[float, float]:
    """Percentile interval of a statistic of `values`, were other songs drawn from the same many.

    Args:
        values: one per song; finite.
        statistic: from `(resamples, songs)` to `(resamples,)`.
        rng: draws the songs, with replacement.

    Returns:
        The ends of the 95 % interval; NaN for fewer than five values.

    Source: Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    """
    if len(values) < MIN_VALUES:
        return math.nan, math.nan
    chosen = torch.randint(len(values), (N_RESAMPLES, len(values)), generator=rng)
    resampled = statistic(torch.tensor(values, dtype=torch.float64)[chosen])
    tail = (1 - CONFIDENCE) / 2
    low, high = torch.quantile(resampled, torch.tensor([tail, 1 - tail], dtype=torch.float64)).tolist()
    return low, high


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedTest:
    """Whether two runs differ on the same songs.

    Attributes:
        n_pairs: songs that both have.
        first: mean of the first run.
        second: mean of the second.
        difference: second minus first.
        interval: 95 % confidence interval of the difference; NaN for one pair.
        t: Student's t; NaN for one pair.
        p: how probable so large a difference, of either sign, is by chance; NaN for one pair.
    """

    n_pairs: int
    first: float
    second: float
    difference: float
    interval: tuple[float, float] = (math.nan, math.nan)
    t: float = math.nan
    p: float = math.nan


def paired_t_test(first: Sequence[float], second: Sequence[float]) -> PairedTest:
    """Student's t-test of paired values, two-sided.

    Raises:
        ConfigError: if there are no pairs.

    Source: Student, "The probable error of a mean", Biometrika 6, 1908.
    """
    if len(first) != len(second) or not first:
        raise ConfigError(f"there are {len(first)} and {len(second)} values: they must be pairs")
    differences = [b - a for a, b in zip(first, second, strict=True)]
    difference = fmean(differences)
    outcome = PairedTest(n_pairs=len(first), first=fmean(first), second=fmean(second), difference=difference)
    if len(differences) == 1:
        return outcome
    freedom = len(differences) - 1
    error = stdev(differences) / math.sqrt(len(differences))
    margin = student_quantile(1 - (1 - CONFIDENCE) / 2, freedom) * error
    t = difference / error if error else math.copysign(math.inf, difference) if difference else 0.0
    return replace(
        outcome, interval=(difference - margin, difference + margin), t=t, p=student_tails(t, freedom)
    )


def student_tails(t: float, freedom: int) -> float:
    """Probability that |T| >= |t|, for Student's distribution with so many degrees of freedom.

    Source: NIST Digital Library of Mathematical Functions, 8.17: it is I_x(ν/2, 1/2) with x = ν / (ν + t²).
    """
    return _incomplete_beta(freedom / (freedom + t * t), freedom / 2, 0.5)


def student_quantile(probability: float, freedom: int) -> float:
    """The t that T stays below with a probability from 0.5 to 1, by halving an interval."""
    low, high = 0.0, 1.0
    while 1 - student_tails(high, freedom) / 2 < probability:
        low, high = high, 2 * high
    for _ in range(60):  # more than the bits of a float
        middle = (low + high) / 2
        if 1 - student_tails(middle, freedom) / 2 < probability:
            low = middle
        else:
            high = middle
    return high


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """Regularised: I_x(a, b). Source: DLMF 8.17.22, a continued fraction, for x < (a + 1) / (a + b + 2)."""
    if x in (0.0, 1.0):
        return x
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(1 - x, b, a)
    fraction = 1.0
    for m in range(200, 0, -1):  # from the inside out; so many terms suffice for every a and b used here
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        fraction = 1 + even / (1 + odd / fraction)
    fraction = 1 - (a + b) * x / ((a + 1) * fraction)
    logarithm = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(logarithm) / (a * fraction)
