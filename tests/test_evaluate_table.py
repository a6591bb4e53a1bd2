import math

import pytest

from stemwise.checkpoint import ModelCard
from stemwise.data.tracks import Track
from stemwise.errors import ConfigError
from stemwise.evaluate import EvaluationTable, Score, compare, parse_metrics, trained_on
from stemwise.evaluate.scores import METRICS, MIXTURE, MODEL, ORACLE, median_of_finite


def table(values: dict[str, float], *, method: str = MODEL, metric: str = "usdr") -> EvaluationTable:
    return EvaluationTable(
        tuple(
            Score(track=track, stem="vocals", method=method, values={metric: value})
            for track, value in values.items()
        )
    )


def test_medians_and_means_are_over_songs_of_a_selection() -> None:
    songs = table({"a_1": 1.0, "a_2": 2.0, "a_3": 9.0, "b_1": 100.0})
    assert songs.median("vocals") == pytest.approx(5.5)
    assert songs.select("a_").median("vocals") == 2.0
    assert songs.select("a_").tracks == ("a_1", "a_2", "a_3")
    summary = songs.select("a_").summary("vocals", "usdr")
    assert (summary.n_songs, summary.median, summary.mean) == (3, 2.0, 4.0)
    with pytest.raises(ConfigError, match="no song has usdr of 'bass'"):
        songs.median("bass")


def test_what_is_not_finite_is_left_out_as_in_museval() -> None:
    songs = table({"1": 1.0, "2": math.nan, "3": math.inf, "4": 3.0})
    assert songs.median("vocals") == 2.0
    assert songs.values("vocals", "usdr") == {"1": 1.0, "4": 3.0}
    assert table({"1": math.nan}).summary("vocals", "usdr") is None
    assert median_of_finite([1.0, math.inf, 5.0, math.nan, 2.0]) == 2.0
    assert math.isnan(median_of_finite([math.nan]))


def test_the_gap_is_from_the_mixture_to_the_oracle() -> None:
    ends = table({"1": -4.0, "2": -6.0}, method=MIXTURE), table({"1": 10.0, "2": 20.0}, method=ORACLE)
    songs = EvaluationTable(table({"1": 4.0, "2": 6.0}).scores + ends[0].scores + ends[1].scores)
    summary = songs.summary("vocals", "usdr")
    assert (summary.mixture, summary.oracle) == (-5.0, 15.0)
    assert summary.gap_closed == pytest.approx(0.5)
    assert math.isnan(table({"1": 4.0}).summary("vocals", "usdr").gap_closed)


def test_intervals_hold_the_figure_and_are_the_same_every_time() -> None:
    songs = table({str(i): float(i * i) for i in range(20)})
    first, second = songs.summary("vocals", "usdr"), songs.summary("vocals", "usdr")
    assert (first.median_interval, first.mean_interval) == (second.median_interval, second.mean_interval)
    assert first.median_interval[0] < first.median < first.median_interval[1]
    assert first.mean_interval[0] < first.mean < first.mean_interval[1]


def test_runs_are_compared_on_the_songs_they_share() -> None:
    first = table({"1": 1.0, "2": 2.0, "3": 3.0, "only": 50.0, "nan": math.nan})
    second = table({"3": 5.0, "2": 3.0, "1": 2.0, "nan": 7.0})
    (test,) = compare(first, second, ["usdr", "csdr"])["usdr"].values()
    assert (test.n_pairs, test.first, test.second) == (3, 2.0, pytest.approx(10 / 3))
    assert compare(first, table({"x": 1.0}), ["usdr"]) == {}


def test_metrics_are_named_in_any_order_and_come_in_one() -> None:
    assert parse_metrics("si_sdr, usdr") == ("usdr", "si_sdr")
    assert parse_metrics("museval,usdr") == ("usdr", "csdr", "isr", "sir", "sar")
    assert parse_metrics("all") == tuple(METRICS)
    for wrong in ("sdr", "", "usdr,nonsense"):
        with pytest.raises(ConfigError, match=f"metrics are '{wrong}': they must be of usdr, csdr"):
            parse_metrics(wrong)


def test_songs_of_the_training_are_named() -> None:
    tracks = [Track(name=name, files={}) for name in ("A - Song", "B", "C", "D", "E")]
    card = ModelCard(training_tracks=("a - song", "C", "D", "E", "elsewhere"))
    (note,) = trained_on(card, tracks)
    assert note.startswith("the model was trained on 4 of these 5 songs (A - Song, C, D, …)")
    assert trained_on(ModelCard(), tracks) == ()
