import numpy as np
import pytest
import torch

from stemwise.data.dataset import Excerpts, MixConfig

STEMS = ("vocals", "drums", "bass", "other")
N = 2000  # samples of an excerpt


def constant(value: float, n_samples: int = 10_000) -> np.ndarray:
    """A source that can be told from others by its level; no change of speed alters it."""
    return np.full((2, n_samples), value, dtype=np.float16)


def excerpts(songs: dict, singles: dict | None = None, **options: object) -> Excerpts:
    defaults = {"p_coherent": 0.0, "p_silent": 0.0, "p_layer": 0.0, "p_reverb": 0.0}
    config = MixConfig(
        **{
            "excerpt_samples": N,
            "pool_shares": {},
            "drive_shares": {},
            "song_weights": {},
            **defaults,
            **options,
        }
    )
    return Excerpts(songs, singles or {}, stems=STEMS, config=config)


def song(level: float) -> dict[str, np.ndarray]:
    return {stem: constant(level * (1 + i)) for i, stem in enumerate(STEMS)}


def levels(batch: torch.Tensor) -> torch.Tensor:
    return batch.abs().mean(dim=(2, 3))


def test_a_batch_is_what_its_generator_says_and_nothing_else() -> None:
    data = excerpts({"a": song(0.1), "b": song(0.2)}, p_coherent=0.5, p_silent=0.2, p_layer=0.5, p_reverb=0.5)
    first, again, other = (data.batch(4, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first.sources, again.sources)
    assert not torch.equal(first.sources, other.sources)
    assert first.sources.shape == (4, 4, 2, N)
    assert first.sources.dtype == torch.float32
    assert torch.equal(first.known, torch.ones(4, 4))


def test_songs_are_mixed_anew_unless_coherent() -> None:
    """Every song is heard in one stem only, so a coherent example has three silent stems."""
    songs = {stem: {name: constant(0.3 if name == stem else 0.0) for name in STEMS} for stem in STEMS}
    mixed = levels(excerpts(songs).batch(16, np.random.default_rng(0)).sources) > 0
    assert mixed.sum() > 2 * 16  # from six tries each, most stems find a song in which they are heard
    coherent = levels(excerpts(songs, p_coherent=1.0).batch(16, np.random.default_rng(0)).sources) > 0
    assert (coherent[:, 1:].sum(dim=1) <= 1).all()


def test_a_coherent_example_keeps_its_time() -> None:
    ramp = np.tile(np.linspace(0.01, 1, 20_000, dtype=np.float16), (2, 1))
    batch = excerpts({"a": dict.fromkeys(STEMS, ramp)}, p_coherent=1.0).batch(8, np.random.default_rng(0))
    accompaniment = batch.sources[:, 1:, :, 10:]  # the first samples show the tilt's delay
    shape = accompaniment / accompaniment.mean(dim=-1, keepdim=True)
    torch.testing.assert_close(shape[:, 0], shape[:, 1], rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(shape[:, 0], shape[:, 2], rtol=1e-2, atol=1e-2)


def test_bass_and_other_in_one_serves_vocals_and_drums_only() -> None:
    unsplit = {"vocals": constant(0.1), "drums": constant(0.1), "bass_and_other": constant(0.7)}
    split = song(0.05)
    data = excerpts({"evr_x": unsplit, "y": split}, p_coherent=1.0, song_weights={"evr_": 1e6})
    batch = data.batch(8, np.random.default_rng(0))
    assert torch.equal(batch.known, torch.tensor([1.0, 1.0, 0.0, 0.0]).expand(8, 4))
    assert (levels(batch.sources)[:, 2] == 0).all()
    assert (levels(batch.sources)[:, 3] > 0).all()


def test_silent_stems_come_as_often_as_asked() -> None:
    silent = (
        levels(excerpts({"a": song(0.1)}, p_silent=0.25).batch(200, np.random.default_rng(0)).sources) == 0
    )
    assert silent.float().mean().item() == pytest.approx(0.25, abs=0.05)


def test_single_files_serve_their_share() -> None:
    singles = {"vocals": [constant(0.9, n_samples=700)] * 3}
    songs = {"a": {**song(0.1), "vocals": constant(0.001)}}
    data = excerpts(songs, singles, pool_shares={"vocals": 0.5})
    vocals = data.batch(100, np.random.default_rng(0)).sources[:, 0]
    from_pool = vocals.abs().amax(dim=(1, 2)) > 0.02
    assert from_pool.float().mean().item() == pytest.approx(0.5, abs=0.12)
    gaps = (vocals[from_pool].abs() < 1e-4).float().mean(dim=(1, 2))
    assert 0.02 < gaps.mean() < 0.5  # strung together, with gaps


def test_stems_are_overdriven_as_often_as_asked() -> None:
    """Only an overdrive makes the wave of a sine flat at its top."""
    sine = np.tile(np.sin(np.arange(10_000) / 20).astype(np.float16), (2, 1))
    data = excerpts({"a": dict.fromkeys(STEMS, sine)}, drive_shares={"bass": 0.5})
    left = data.batch(100, np.random.default_rng(0)).sources[:, :, 0, 10:]
    crest = left.abs().amax(dim=2) / left.square().mean(dim=2).sqrt()
    plain = crest[:, [0, 1, 3]].min()
    assert (crest[:, 2] < 0.995 * plain).float().mean().item() == pytest.approx(0.5, abs=0.12)


def test_some_songs_are_drawn_oftener() -> None:
    songs = {"evr_a": {"drums": constant(0.9)}, "b": {**song(0.01), "drums": constant(0.01)}}
    batch = excerpts(songs, song_weights={"evr_": 3.0}).batch(200, np.random.default_rng(0))
    often = levels(batch.sources)[:, 1] > 0.05
    assert often.float().mean().item() == pytest.approx(0.75, abs=0.1)


def test_files_shorter_than_an_excerpt_are_filled_up_with_silence() -> None:
    batch = excerpts({"a": {stem: constant(0.3, n_samples=50) for stem in STEMS}}, p_coherent=1.0).batch(
        4, np.random.default_rng(0)
    )
    assert batch.sources[..., :30].abs().min() > 0
    assert (batch.sources[..., 100:] == 0).all()
