import numpy as np
import pytest
import torch

from stemwise.data.dataset import Excerpts, MixConfig, step_rng
from stemwise.errors import ConfigError

STEMS = ("vocals", "drums", "bass", "other")
N = 2000  # samples of an excerpt
RATE = 8000


def constant(value: float, n_samples: int = 10_000) -> np.ndarray:
    """A source that can be told from others by its level; no change of speed alters it."""
    return np.full((2, n_samples), value, dtype=np.float16)


def numbered(stem: int, n_samples: int = 2000) -> np.ndarray:
    """Every sample says where it is from: half precision holds these numbers exactly."""
    return np.stack([np.arange(n_samples), np.full(n_samples, stem)]).astype(np.float16)


def excerpts(songs: dict, singles: dict | None = None, stems: tuple[str, ...] = STEMS, **options) -> Excerpts:
    defaults = {"p_coherent": 0.0, "p_silent": 0.0, "p_layer": 0.0, "p_reverb": 0.0}
    config = MixConfig(**{"excerpt_samples": N, "sample_rate": RATE, **defaults, **options})
    return Excerpts(songs, singles or {}, stems=stems, config=config)


def song(level: float) -> dict[str, np.ndarray]:
    return {stem: constant(level * (1 + i)) for i, stem in enumerate(STEMS)}


def levels(batch: torch.Tensor) -> torch.Tensor:
    return batch.abs().mean(dim=(2, 3))


# --- the generator


def test_a_step_has_one_generator_and_every_index_counts() -> None:
    arguments = [(1,), (1, 0), (1, 1), (1, 1, 0), (1, 2, 1), (1, 1, 2), (2, 1), (10**12, 10**9)]
    drawn = [torch.rand(4, generator=step_rng(*indices)).tolist() for indices in arguments]
    assert drawn == [torch.rand(4, generator=step_rng(*indices)).tolist() for indices in arguments]
    assert len({tuple(numbers) for numbers in drawn}) == len(arguments)


def test_a_batch_is_what_its_generator_says_and_nothing_else() -> None:
    data = excerpts(
        {"a": song(0.1), "b": song(0.2)},
        {"vocals": [constant(0.1)]},
        p_coherent=0.5,
        p_silent=0.2,
        p_layer=0.5,
        p_reverb=0.5,
        pool_shares={"vocals": 0.5},
        drive_shares={"bass": 0.5},
        augmentations=("swap", "tempo", "drop"),
    )
    first, again, other = (data.batch(4, step_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first.sources, again.sources)
    assert torch.equal(first.mixture, again.mixture)
    assert not torch.equal(first.sources, other.sources)
    assert first.sources.shape == (4, 4, 2, N)
    assert first.mixture.shape == (4, 2, N)
    assert first.sources.dtype == first.mixture.dtype == torch.float32
    assert torch.equal(first.known, torch.ones(4, 4))
    torch.testing.assert_close(first.mixture, first.sources.sum(dim=1))


# --- plain excerpts


def test_plain_excerpts_are_exact_slices_of_one_song_at_random_places() -> None:
    songs = {"a": {stem: numbered(s) for s, stem in enumerate(STEMS)}}
    batch = excerpts(songs, plain=True, excerpt_samples=100).batch(300, step_rng(0))
    starts = batch.sources[:, 0, 0, 0]
    expected = starts[:, None, None] + torch.arange(100)
    assert torch.equal(batch.sources[:, :, 0], expected.expand(300, 4, 100))
    assert torch.equal(batch.sources[:, :, 1, 0], torch.arange(4.0).expand(300, 4))
    assert torch.equal(batch.mixture, batch.sources.sum(dim=1))
    assert starts.min() < 30
    assert starts.max() > 1870
    assert len(starts.unique()) > 250


def test_the_last_place_is_drawn_too() -> None:
    songs = {"a": {stem: numbered(s, 102) for s, stem in enumerate(STEMS)}}
    batch = excerpts(songs, plain=True, excerpt_samples=100).batch(60, step_rng(0))
    assert set(batch.sources[:, 0, 0, 0].tolist()) == {0, 1, 2}


def test_a_song_shorter_than_an_excerpt_ends_in_silence_as_do_its_shorter_stems() -> None:
    songs = {"a": {"vocals": constant(0.5, 30), "drums": constant(0.25, 70)}}
    data = excerpts(songs, stems=("vocals", "drums"), plain=True, excerpt_samples=100)
    sources = data.batch(2, step_rng(0)).sources
    assert (sources[:, 0, :, :30] == 0.5).all()
    assert (sources[:, 0, :, 30:] == 0).all()
    assert (sources[:, 1, :, :70] == 0.25).all()
    assert (sources[:, 1, :, 70:] == 0).all()


def test_places_behind_the_end_of_a_short_stem_are_drawn_too() -> None:
    song = {"vocals": constant(0.5, 100), "drums": constant(0.25, 100), "bass": constant(0.25, 4000)}
    for stems in (("vocals", "bass"), ("vocals", "accompaniment")):
        data = excerpts({"a": song}, stems=stems, plain=True, excerpt_samples=100)
        silent = levels(data.batch(50, step_rng(0)).sources) == 0
        assert silent[:, 0].float().mean() > 0.8
        assert not silent[:, 1].any()


def test_a_songs_own_mixture_is_the_mixture_and_makes_missing_stems_unknown() -> None:
    own = {"vocals": numbered(1), "mixture": numbered(7)}
    batch = excerpts(own_and_other(own), stems=("vocals", "drums"), plain=True, excerpt_samples=100).batch(
        40, step_rng(0)
    )
    brought = batch.mixture[:, 1, 0] == 7
    assert 10 < brought.sum() < 30
    assert torch.equal(batch.mixture[brought, 0], batch.sources[brought, 0, 0])
    assert torch.equal(batch.mixture[~brought], batch.sources[~brought].sum(dim=1))
    assert torch.equal(batch.known[brought], torch.tensor([1.0, 0.0]).expand(brought.sum(), 2))
    assert torch.equal(batch.known[~brought], torch.ones((~brought).sum(), 2))


def own_and_other(own: dict) -> dict:
    return {"own": own, "other": {"vocals": numbered(1), "drums": numbered(2)}}


def test_what_a_mixture_holds_beside_its_stems_is_changed_with_them() -> None:
    rest = constant(0.25)
    songs = {"a": {"vocals": constant(0.5), "drums": constant(-0.5), "mixture": rest}}
    data = excerpts(songs, stems=("vocals", "drums"), plain=True, augmentations=("scale",))
    batch = data.batch(10, step_rng(0))
    gain = batch.sources[:, 0] / 0.5
    assert gain.std(dim=0).min() > 0.1
    torch.testing.assert_close(batch.sources[:, 1], -0.5 * gain)
    torch.testing.assert_close(batch.mixture, 0.25 * gain)


def test_accompaniment_is_all_but_the_voice_where_a_song_has_none() -> None:
    stems = ("vocals", "accompaniment")
    songs = {
        "split": {
            "vocals": constant(0.5),
            "drums": constant(0.125),
            "bass": constant(0.125),
            "other": constant(0.125),
            "mixture": constant(9),
        },
        "whole": {"vocals": constant(0.5), "accompaniment": constant(0.0625)},
        "pair": {"vocals": constant(0.5), "drums": constant(0.03125), "bass_and_other": constant(0.03125)},
    }
    batch = excerpts(songs, stems=stems, plain=True).batch(60, step_rng(0))
    found = set(batch.sources[:, 1, 0, 0].tolist())
    assert found == {0.375, 0.0625}
    assert torch.equal(batch.known, torch.ones(60, 2))


def test_accompaniment_is_the_mixture_less_the_voice_where_stems_are_missing() -> None:
    stems = ("vocals", "accompaniment")
    songs = {
        "some": {"vocals": constant(0.5), "drums": constant(0.125), "mixture": constant(0.75)},
        "voice": {"vocals": constant(0.5), "mixture": constant(0.625)},
    }
    for plain in (True, False):
        batch = excerpts(songs, stems=stems, plain=plain).batch(40, step_rng(0))
        torch.testing.assert_close(batch.mixture, batch.sources.sum(dim=1))
        assert torch.equal(batch.known, torch.ones(40, 2))
    batch = excerpts(songs, stems=stems, plain=True).batch(40, step_rng(0))
    assert set(batch.sources[:, 1, 0, 0].tolist()) == {0.25, 0.125}
    voiceless = {**songs, "unknown": {"drums": constant(0.125), "mixture": constant(0.75)}}
    batch = excerpts(voiceless, stems=stems, plain=True).batch(60, step_rng(0))
    unknown = batch.known.sum(dim=1) == 0
    assert 10 < unknown.sum() < 30
    assert (batch.mixture[unknown] == 0.75).all()


# --- stems that no example is made of


def test_stems_that_are_not_asked_for_are_in_the_mixture_of_plain_excerpts() -> None:
    songs = {"a": {stem: constant(0.125 * (1 + i)) for i, stem in enumerate(STEMS)}}
    for names in ((), ("scale",)):
        data = excerpts(songs, stems=("vocals", "drums"), plain=True, augmentations=names)
        batch = data.batch(10, step_rng(0))
        gain = batch.sources[:, 0] / 0.125
        torch.testing.assert_close(batch.sources[:, 1], 0.25 * gain)
        torch.testing.assert_close(batch.mixture, 1.25 * gain)
        assert torch.equal(batch.known, torch.ones(10, 2))


def test_songs_mixed_anew_have_a_rest_too() -> None:
    """It is drawn like a stem: of one song, at another speed and level, left out as often."""
    rests = {
        "stems": {
            "vocals": constant(0.1),
            "drums": constant(0.1),
            "bass": constant(0.5),
            "other": constant(-0.4),
        },
        "mixture": {"vocals": constant(0.1), "drums": constant(0.1), "mixture": constant(0.3)},
        "file": {"vocals": constant(0.1), "drums": constant(0.1), "accompaniment": constant(0.2)},
    }
    for name, one in rests.items():
        songs = {"a": one, "bare": {"vocals": constant(0.1), "drums": constant(0.1)}}
        for p_coherent in (0.0, 1.0):
            data = excerpts(songs, stems=("vocals", "drums"), p_coherent=p_coherent, p_silent=0.25)
            batch = data.batch(100, step_rng(0))
            rest = levels((batch.mixture - batch.sources.sum(dim=1))[:, None])[:, 0]
            heard = rest > 1e-3
            assert heard.float().mean().item() == pytest.approx(0.75, abs=0.1), name
            stems = levels(batch.sources)
            assert (stems == 0).float().mean().item() == pytest.approx(0.25, abs=0.1)
            # all of these are 0.1, so their levels after gain, tilt and place are alike
            typical = stems[stems > 0].median().item()
            assert rest[heard].median().item() == pytest.approx(typical, rel=0.4), name


def test_the_rest_of_a_coherent_example_keeps_time_with_its_stems() -> None:
    ramp = np.tile(np.linspace(0.01, 1, 20_000, dtype=np.float16), (2, 1))
    data = excerpts({"a": dict.fromkeys(STEMS, ramp)}, stems=("drums", "bass"), p_coherent=1.0)
    batch = data.batch(8, step_rng(0))
    rest = batch.mixture - batch.sources.sum(dim=1)
    shapes = [
        (heard / heard.mean(dim=-1, keepdim=True))[..., 10:] for heard in (*batch.sources.unbind(dim=1), rest)
    ]
    torch.testing.assert_close(shapes[2], shapes[0], rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(shapes[2], shapes[1], rtol=1e-2, atol=1e-2)


def test_a_stem_that_may_be_hidden_in_another_is_unknown() -> None:
    songs = {
        "a": {"vocals": constant(0.5), "accompaniment": constant(0.125)},
        "b": {"vocals": constant(0.25), "drums": constant(0.25), "bass": constant(0.125)},
    }
    data = excerpts(songs, stems=("vocals", "drums"), plain=True)
    batch = data.batch(40, step_rng(0))
    hidden = batch.sources[:, 0, 0, 0] == 0.5
    assert 10 < hidden.sum() < 30
    assert (batch.mixture == 0.625).all()
    assert torch.equal(batch.known[hidden], torch.tensor([1.0, 0.0]).expand(hidden.sum(), 2))
    assert torch.equal(batch.known[~hidden], torch.ones((~hidden).sum(), 2))
    # mixed anew, the rest is that of the other song: beside true drums, an accompaniment's would be no part
    batch = excerpts(songs, stems=("vocals", "drums"), p_coherent=0.5).batch(40, step_rng(0))
    assert torch.equal(batch.known, torch.ones(40, 2))


def test_silent_songs_are_no_trouble() -> None:
    for plain in (True, False):
        data = excerpts(
            {"a": {stem: constant(0.0) for stem in STEMS}}, plain=plain, drive_shares={"bass": 1.0}
        )
        assert data.batch(3, step_rng(0)).sources.abs().max() == 0


# --- augmentations


def test_augmentations_are_made_to_sources_and_mixture_in_their_order() -> None:
    songs = {"a": {stem: numbered(s) for s, stem in enumerate(STEMS)}}
    options = {"plain": True, "excerpt_samples": 100}
    plain = excerpts(songs, **options).batch(50, step_rng(0))
    swapped = excerpts(songs, augmentations=("swap",), **options).batch(50, step_rng(0))
    changed = (swapped.sources == plain.sources.flip(2)).flatten(1).all(dim=1)
    assert 15 < changed.sum() < 35
    assert torch.equal(swapped.sources[~changed], plain.sources[~changed])
    assert torch.equal(swapped.mixture, swapped.sources.sum(dim=1))
    # remixed before it is clipped, a stem is not above the ceiling; the other way round it may be
    loud = {"a": {stem: constant(0.5) for stem in STEMS}}
    one, other = (
        excerpts(loud, augmentations=names, **options).batch(20, step_rng(0)).mixture
        for names in (("remix", "soft_clip"), ("soft_clip", "remix"))
    )
    assert not torch.allclose(one, other)


def test_magnitudes_are_left_to_whoever_computes_them() -> None:
    songs = {"a": {stem: numbered(s) for s, stem in enumerate(STEMS)}}
    plain, with_shift = (
        excerpts(songs, plain=True, augmentations=names).batch(4, step_rng(0))
        for names in ((), ("shift", "stretch"))
    )
    assert torch.equal(plain.sources, with_shift.sources)


def test_no_silence_comes_in_with_a_faster_tempo() -> None:
    data = excerpts({"a": song(0.1)}, plain=True, augmentations=("tempo",), excerpt_samples=1000)
    batch = data.batch(60, step_rng(0))
    assert batch.sources.shape == (60, 4, 2, 1000)
    assert batch.sources[..., [0, -1]].abs().min() > 0.05


def test_dealing_out_stems_that_cannot_be_told_apart_is_an_error() -> None:
    songs = {"a": song(0.1), "b": {"vocals": constant(0.1), "bass_and_other": constant(0.1)}}
    with pytest.raises(ConfigError, match=r"cross_song .* but b has bass_and_other instead of two"):
        excerpts(songs, augmentations=("cross_song",))
    unknown = {"a": song(0.1), "b": {"vocals": constant(0.1), "mixture": constant(0.1)}}
    with pytest.raises(ConfigError, match=r"cross_song .* but b has no drums but what its mixture holds"):
        excerpts(unknown, plain=True, augmentations=("cross_song",))
    excerpts(unknown, augmentations=("cross_song",)).batch(3, step_rng(0))  # no song's mixture is heard
    excerpts({"a": song(0.1)}, augmentations=("cross_song",)).batch(3, step_rng(0))


# --- configurations that cannot be


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"excerpt_samples": 0}, "excerpt_samples is 0: it must be at least 1"),
        ({"sample_rate": -1}, "sample_rate is -1"),
        ({"p_silent": 1.5}, "p_silent is 1.5: it must be 0 to 1"),
        ({"pool_shares": {"vocals": -0.1}}, r"pool_shares gives 'vocals' -0\.1: it must be 0 to 1"),
        ({"drive_shares": {"bass": 2}}, "drive_shares gives 'bass' 2"),
        ({"song_weights": {"evr_": 0}}, "song_weights gives 'evr_' 0: it must be positive"),
        ({"augmentations": ("stretsch",)}, "augmentation is 'stretsch'"),
        ({"p_coherent": 0.5, "songs": {}}, "no songs to draw coherent examples from"),
        ({"songs": {"a": {"drums": constant(1)}}}, "nothing to draw 'vocals' from"),
        ({"pool_shares": {"vocals": 0.5}}, "nothing to draw 'vocals' from; its share of single files is 0.5"),
    ],
)
def test_what_cannot_be_is_an_error(options: dict, message: str) -> None:
    songs = options.pop("songs", {"a": song(0.1)})
    with pytest.raises(ConfigError, match=message):
        excerpts(songs, **options)


# --- songs mixed anew


def test_songs_are_mixed_anew_unless_coherent() -> None:
    """Every song is heard in one stem only, so a coherent example has three silent stems."""
    songs = {stem: {name: constant(0.3 if name == stem else 0.0) for name in STEMS} for stem in STEMS}
    mixed = levels(excerpts(songs).batch(16, step_rng(0)).sources) > 0
    assert mixed.sum() > 2 * 16  # from six tries each, most stems find a song in which they are heard
    coherent = levels(excerpts(songs, p_coherent=1.0).batch(16, step_rng(0)).sources) > 0
    assert (coherent[:, 1:].sum(dim=1) <= 1).all()


def test_the_voice_comes_along_half_of_the_times() -> None:
    """The other half it is one that can be heard, while half of the songs are too soft for that."""
    batch = excerpts({"a": song(0.5), "b": song(0.0005)}, p_coherent=1.0).batch(200, step_rng(0)).sources
    loud = levels(batch) > 0.02
    assert loud[:, 3].float().mean().item() == pytest.approx(0.5, abs=0.1)
    assert (loud[:, 0] & ~loud[:, 3]).float().mean().item() == pytest.approx(0.25, abs=0.08)


def test_a_coherent_example_keeps_its_time() -> None:
    ramp = np.tile(np.linspace(0.01, 1, 20_000, dtype=np.float16), (2, 1))
    batch = excerpts({"a": dict.fromkeys(STEMS, ramp)}, p_coherent=1.0).batch(8, step_rng(0))
    accompaniment = batch.sources[:, 1:, :, 10:]  # the first samples show the tilt's delay
    shape = accompaniment / accompaniment.mean(dim=-1, keepdim=True)
    torch.testing.assert_close(shape[:, 0], shape[:, 1], rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(shape[:, 0], shape[:, 2], rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("p_coherent", [0.0, 1.0])
def test_speeds_are_three_semitones_either_way(p_coherent: float) -> None:
    tone = np.tile(np.sin(np.arange(40_000) * 2 * np.pi / 20).astype(np.float16), (2, 1))
    data = excerpts({"a": dict.fromkeys(STEMS, tone)}, p_coherent=p_coherent)
    accompaniment = data.batch(30, step_rng(0)).sources[:, 1:]
    cycles = torch.fft.rfft(accompaniment[:, :, 0]).abs().argmax(dim=-1).float() / (N / 20)
    assert 0.83 < cycles.min() < 0.9
    assert 1.12 < cycles.max() < 1.2


def test_bass_and_other_in_one_serves_vocals_and_drums_only() -> None:
    unsplit = {"vocals": constant(0.1), "drums": constant(0.1), "bass_and_other": constant(0.7)}
    songs, weights = {"evr_x": unsplit, "y": song(0.05)}, {"evr_": 1e6}
    for plain in (False, True):
        data = excerpts(songs, p_coherent=1.0, song_weights=weights, plain=plain)
        batch = data.batch(8, step_rng(0))
        assert torch.equal(batch.known, torch.tensor([1.0, 1.0, 0.0, 0.0]).expand(8, 4))
        assert (levels(batch.sources)[:, 2] == 0).all()
        assert (levels(batch.sources)[:, 3] > 0).all()


def test_silent_stems_come_as_often_as_asked() -> None:
    batch = excerpts({"a": song(0.1)}, p_silent=0.25).batch(200, step_rng(0))
    assert (levels(batch.sources) == 0).float().mean().item() == pytest.approx(0.25, abs=0.05)


def test_single_files_serve_their_share() -> None:
    singles = {"vocals": [constant(0.9, n_samples=700)] * 3}
    songs = {"a": {**song(0.1), "vocals": constant(0.001)}}
    data = excerpts(songs, singles, pool_shares={"vocals": 0.5})
    vocals = data.batch(100, step_rng(0)).sources[:, 0]
    from_pool = vocals.abs().amax(dim=(1, 2)) > 0.02
    assert from_pool.float().mean().item() == pytest.approx(0.5, abs=0.12)
    gaps = (vocals[from_pool].abs() < 1e-4).float().mean(dim=(1, 2))
    assert 0.02 < gaps.mean() < 0.5  # strung together, with gaps


def test_gaps_between_single_files_are_a_twentieth_of_an_excerpt() -> None:
    singles = {"vocals": [constant(0.5, n_samples=100)]}  # as long as a gap in the mean
    data = excerpts({"a": song(0.1)}, singles, pool_shares={"vocals": 1.0})
    vocals = data.batch(60, step_rng(0)).sources[:, 0]
    assert (vocals.abs() < 1e-4).float().mean().item() == pytest.approx(0.125 + 0.875 / 2, abs=0.06)


@pytest.mark.parametrize("n_samples", [0, 1])
@pytest.mark.parametrize("excerpt_samples", [1, 50])
def test_single_files_may_be_empty_or_tiny(n_samples: int, excerpt_samples: int) -> None:
    singles = {stem: [constant(0.5, n_samples)] for stem in STEMS}
    data = excerpts({}, singles, pool_shares=dict.fromkeys(STEMS, 1.0), excerpt_samples=excerpt_samples)
    assert data.batch(2, step_rng(0)).sources.isfinite().all()


def test_stems_are_overdriven_as_often_as_asked() -> None:
    """Only an overdrive makes the wave of a sine flat at its top."""
    sine = np.tile(np.sin(np.arange(10_000) / 20).astype(np.float16), (2, 1))
    data = excerpts({"a": dict.fromkeys(STEMS, sine)}, drive_shares={"bass": 0.5})
    left = data.batch(100, step_rng(0)).sources[:, :, 0, 10:]
    crest = left.abs().amax(dim=2) / left.square().mean(dim=2).sqrt()
    plain = crest[:, [0, 1, 3]].min()
    assert (crest[:, 2] < 0.995 * plain).float().mean().item() == pytest.approx(0.5, abs=0.12)


def test_some_songs_are_drawn_oftener() -> None:
    songs = {"evr_a": {"drums": constant(0.9)}, "b": {**song(0.01), "drums": constant(0.01)}}
    batch = excerpts(songs, song_weights={"evr_": 3.0}).batch(200, step_rng(0))
    often = levels(batch.sources)[:, 1] > 0.05
    assert often.float().mean().item() == pytest.approx(0.75, abs=0.1)


def test_files_shorter_than_an_excerpt_are_filled_up_with_silence() -> None:
    songs = {"a": {stem: constant(0.3, n_samples=50) for stem in STEMS}}
    batch = excerpts(songs, p_coherent=1.0).batch(4, step_rng(0))
    assert batch.sources[..., :30].abs().min() > 0
    assert (batch.sources[..., 100:] == 0).all()


def test_sources_mapped_from_disk_are_read_and_not_written(tmp_path) -> None:
    np.save(tmp_path / "x.npy", constant(0.3))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    for plain in (True, False):
        excerpts({"a": dict.fromkeys(STEMS, mapped)}, plain=plain).batch(2, step_rng(0))
    assert (np.load(tmp_path / "x.npy") == np.float16(0.3)).all()
