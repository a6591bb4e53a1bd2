import math

import pytest
import torch

from stemwise.errors import ConfigError
from stemwise.evaluate.statistics import bootstrap_interval, paired_t_test, student_quantile, student_tails


# Two-sided tails and 97.5 % points as printed in any table of Student's distribution.
@pytest.mark.parametrize(
    ("freedom", "point"), [(1, 12.7062), (2, 4.3027), (5, 2.5706), (11, 2.2010), (49, 2.0096), (1000, 1.9623)]
)
def test_students_points_are_those_of_the_tables(freedom: int, point: float) -> None:
    assert student_quantile(0.975, freedom) == pytest.approx(point, abs=6e-5)
    assert student_tails(point, freedom) == pytest.approx(0.05, abs=1e-5)


def test_tails_have_their_closed_forms() -> None:
    for t in (0.0, 1e-3, 0.7, 3.0, 50.0):
        assert student_tails(t, 1) == pytest.approx(1 - 2 / math.pi * math.atan(t), abs=1e-12)
        assert student_tails(-t, 2) == pytest.approx(1 - t / math.sqrt(2 + t * t), abs=1e-12)
    assert student_tails(math.inf, 5) == 0


def test_the_paired_test_of_student_s_own_example() -> None:
    # hours of sleep gained by ten patients with two drugs: t = 4.06, p = 0.0028 (Student 1908; "sleep" in R)
    first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    test = paired_t_test(first, second)
    assert (test.n_pairs, test.first, test.second) == (10, pytest.approx(0.75), pytest.approx(2.33))
    assert test.t == pytest.approx(4.0621, abs=1e-4)
    assert test.p == pytest.approx(0.002833, abs=1e-6)
    assert test.difference == pytest.approx(1.58)
    assert test.interval == pytest.approx((0.7001142, 2.4598858), abs=1e-6)


def test_pairs_without_spread_are_decided() -> None:
    same = paired_t_test([1.0, 2.0], [1.0, 2.0])
    assert (same.difference, same.t, same.p, same.interval) == (0, 0, 1, (0, 0))
    shifted = paired_t_test([1.0, 2.0], [1.5, 2.5])
    assert (shifted.difference, shifted.t, shifted.p) == (0.5, math.inf, 0)


def test_one_pair_says_nothing_and_no_pair_is_refused() -> None:
    one = paired_t_test([1.0], [2.0])
    assert one.difference == 1
    assert all(map(math.isnan, (one.t, one.p, *one.interval)))
    with pytest.raises(ConfigError, match="2 and 1 values"):
        paired_t_test([1.0, 2.0], [1.0])
    with pytest.raises(ConfigError, match="0 and 0 values"):
        paired_t_test([], [])


def mean(values: torch.Tensor) -> torch.Tensor:
    return values.mean(dim=-1)


def test_the_bootstrap_of_a_mean_is_as_wide_as_its_error(rng: torch.Generator) -> None:
    values = torch.randn(200, generator=rng, dtype=torch.float64)
    low, high = bootstrap_interval(values.tolist(), mean, rng=rng)
    error = float(values.std() / 200**0.5)
    assert low == pytest.approx(float(values.mean()) - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(float(values.mean()) + 1.96 * error, abs=0.15 * error)


def test_the_bootstrap_is_repeatable_and_needs_a_few_values() -> None:
    values = [1.0, 2.0, 4.0, 8.0, 16.0]
    first, second = (
        bootstrap_interval(values, mean, rng=torch.Generator().manual_seed(seed)) for seed in (3, 3)
    )
    assert first == second
    assert all(map(math.isnan, bootstrap_interval(values[:4], mean, rng=torch.Generator())))
