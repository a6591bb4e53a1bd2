import math

import pytest
import torch
from torch import Tensor

from stemwise.evaluate.scores import METRICS, Score, score_song
from stemwise.metrics import bsseval, sdr

RATE = 100


@pytest.fixture(autouse=True)
def few_taps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bsseval, "FILTER_LENGTH", 8)


def noise(seed: int, n_samples: int = 350) -> Tensor:
    return 0.1 * torch.randn(2, n_samples, generator=torch.Generator().manual_seed(seed))


def scored(references: dict[str, Tensor], estimates: dict[str, Tensor], *metrics: str) -> dict[str, Score]:
    found = score_song("song", "model", references, estimates, metrics=metrics, sample_rate=RATE)
    return {score.stem: score for score in found}


def test_the_value_of_a_song_is_the_median_of_its_seconds() -> None:
    reference = noise(0)
    estimate = reference + torch.tensor([0.1, 0.01, 0.001, 1.0]).repeat_interleave(100)[:350] * noise(1)
    score = scored({"vocals": reference}, {"vocals": estimate}, "csdr")["vocals"]
    assert len(score.windows["csdr"]) == 3  # the unfinished second is left out
    seconds = [sdr(reference[:, t : t + 100], estimate[:, t : t + 100]).item() for t in (0, 100, 200)]
    assert score.windows["csdr"] == pytest.approx(seconds, abs=0.1)
    assert score.values["csdr"] == score.windows["csdr"][1]


def test_stems_are_paired_by_name_whatever_their_order() -> None:
    references = {name: noise(seed) for seed, name in enumerate(("bass", "drums", "vocals"))}
    estimates = {name: references[name] + 0.1 * noise(9) for name in ("vocals", "drums")}
    found = scored(references, estimates, *METRICS)
    assert list(found) == ["vocals", "drums"]
    for score in found.values():
        assert set(score.values) == set(METRICS)
        for metric in ("usdr", "csdr", "isr", "sir", "sar", "si_sdr", "si_sir", "si_sar"):
            assert score.values[metric] > 15


def test_windows_are_scored_in_16_bits_and_whole_songs_are_not() -> None:
    reference = (noise(0) * 32768).round() / 32768
    score = scored({"vocals": reference}, {"vocals": reference + 1e-5}, "usdr", "csdr")["vocals"]
    assert 70 < score.values["usdr"] < 90
    assert set(score.windows["csdr"]) == {math.inf}  # the difference is rounded away
    assert math.isnan(score.values["csdr"])


def test_what_16_bits_cannot_hold_leaves_the_others_their_windows() -> None:
    references = {"vocals": noise(0), "drums": noise(1), "bass": noise(2)}
    cancelling = noise(4)[:1] * torch.tensor([[1.0], [-1.0]])  # silent to museval, which sums the channels
    estimates = {"vocals": noise(0) + noise(3), "drums": 1e-6 * noise(1), "bass": cancelling}
    found = scored(references, estimates, "csdr", "sir")
    assert math.isfinite(found["vocals"].values["sir"])
    for stem in ("drums", "bass"):
        assert math.isnan(found[stem].values["csdr"])
        assert found[stem].windows == {}


def test_signals_are_not_changed() -> None:
    signals = {"vocals": noise(0)}, {"vocals": noise(1)}
    copies = [values["vocals"].clone() for values in signals]
    scored(*signals, *METRICS)
    assert all(torch.equal(values["vocals"], copy) for values, copy in zip(signals, copies, strict=True))
