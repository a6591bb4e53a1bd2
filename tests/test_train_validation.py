from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from random_models import random_model
from stemwise.data.cache import Samples
from stemwise.data.songs import Parts
from stemwise.metrics import sdr
from stemwise.separate import Separator
from stemwise.stft import istft, stft
from stemwise.train.validation import Passage, passages, scores, separate
from training import tiny_model, tiny_run

CPU = torch.device("cpu")


def noise(n_samples: int, seed: int, level: float = 0.1) -> Samples:
    rng = np.random.default_rng(seed)
    return (level * rng.standard_normal((2, n_samples))).astype(np.float16)


def test_passages_are_spread_evenly_over_all_songs() -> None:
    songs = {"a": {"vocals": noise(1000, 0)}, "b": {"vocals": noise(100, 1)}}
    found = passages(songs, ("vocals",), n_samples=100, count=6)
    assert [(p.song, p.start) for p in found] == [("a", 150), ("a", 450), ("a", 750), ("b", 0)]
    assert len(passages(songs, ("vocals",), n_samples=100, count=1)) == 2
    assert passages({}, ("vocals",), n_samples=100, count=4) == []


def test_a_passage_is_read_with_its_mixture() -> None:
    vocals, drums = noise(50, 0), noise(40, 1)
    mixture, sources = Passage("a", 10, {"vocals": Parts((vocals,)), "drums": Parts((drums,))}).read(45)
    assert set(sources) == {"vocals", "drums"}
    assert sources["drums"].shape == (2, 45)
    expected = np.pad(vocals.astype(np.float32), ((0, 0), (0, 5)))[:, 10:]
    expected = expected + np.pad(drums.astype(np.float32), ((0, 0), (0, 15)))[:, 10:]
    np.testing.assert_allclose(mixture, expected, atol=1e-6)
    own = noise(50, 2)
    mixture, sources = Passage("a", 0, {"vocals": Parts((vocals,)), "mixture": Parts((own,))}).read(50)
    assert set(sources) == {"vocals"}
    np.testing.assert_allclose(mixture, own.astype(np.float32))


def test_what_is_not_known_is_not_scored() -> None:
    song = {stem: noise(50, seed) for seed, stem in enumerate(("vocals", "bass_and_other"))}

    def heard(*stems: str) -> tuple[Tensor, dict[str, Tensor]]:
        return passages({"a": song}, stems, n_samples=50, count=1)[0].read(50)

    mixture, sources = heard("vocals", "bass", "other")
    assert set(sources) == {"vocals"}
    np.testing.assert_allclose(mixture, sum(s.astype(np.float32) for s in song.values()), atol=1e-6)
    mixture, sources = heard("vocals", "accompaniment")
    np.testing.assert_allclose(sources["accompaniment"], song["bass_and_other"].astype(np.float32))
    np.testing.assert_allclose(mixture, sum(s.astype(np.float32) for s in song.values()), atol=1e-6)


def test_what_is_not_asked_for_is_heard_in_the_mixture() -> None:
    song = {stem: noise(50, seed) for seed, stem in enumerate(("vocals", "drums", "bass"))}
    whole = sum(source.astype(np.float32) for source in song.values())
    (passage,) = passages({"a": song}, ("vocals", "drums"), n_samples=50, count=1)
    mixture, sources = passage.read(50)
    assert set(sources) == {"vocals", "drums"}
    np.testing.assert_allclose(mixture, whole, atol=1e-6)
    (passage,) = passages({"a": {**song, "mixture": 2 * song["bass"]}}, ("vocals",), n_samples=50, count=1)
    np.testing.assert_allclose(passage.read(50)[0], 2 * song["bass"].astype(np.float32))


def test_a_passage_is_separated_as_the_engine_separates() -> None:
    """In the middle, where all frames are there; the engine has zeros around, a passage ends."""
    model = random_model(tiny_model("blstm", exponent=1.0, mask_extension="average"))
    mixture = torch.from_numpy(noise(256 + 63 * 64, 3).astype(np.float32))
    estimates = separate(model.network, mixture, model.config)
    faded = istft(stft(mixture, model.config.stft), model.config.stft)
    torch.testing.assert_close(estimates.sum(dim=0), faded, atol=1e-5, rtol=0)
    whole = Separator(model, device="cpu", precision="float32").separate(mixture, 8000)
    middle = slice(1000, 3000)
    for stem, estimate in zip(model.config.stems, estimates, strict=True):
        assert sdr(whole[stem][:, middle], estimate[:, middle]) > 15


class Halves(nn.Module):
    """Gives every stem the same."""

    def forward(self, magnitude: Tensor) -> Tensor:
        return torch.stack([magnitude, magnitude], dim=1)


def test_scores_are_medians_over_the_passages_in_which_a_stem_is_heard(tmp_path: Path) -> None:
    config = tiny_run(tmp_path, "blstm")
    n = config.excerpt_samples

    def passage(drums: Samples) -> Passage:
        return Passage("a", 0, {"vocals": Parts((noise(n, 0),)), "drums": Parts((drums,))})

    loud, softer, silent = (passage(noise(n, 1, level)) for level in (0.2, 0.05, 0.0))
    found = scores(Halves(), [loud, softer, silent], config, CPU)
    # the error of (v + d) / 2 from v is (v − d) / 2, and no stem's energy matters but these two
    assert found["sdr_vocals"] == pytest.approx(10 * np.log10(4 / (1 + 0.5**2)), abs=0.3)
    pair = [10 * np.log10(4 / (1 + (0.1 / level) ** 2)) for level in (0.2, 0.05)]
    assert found["sdr_drums"] == pytest.approx(np.mean(pair), abs=0.3)
    assert found["sdr"] == pytest.approx((found["sdr_vocals"] + found["sdr_drums"]) / 2)
    assert scores(Halves(), [passage(noise(n, 1, 0.001))], config, CPU).keys() == {"sdr", "sdr_vocals"}
    assert scores(Halves(), [], config, CPU) == {}
