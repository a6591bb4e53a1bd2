import itertools
import json
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from conftest import song
from random_models import spleeter_like, stemwise_like
from stemwise.audio import AudioReader
from stemwise.checkpoint import Model
from stemwise.convert import convert, read_configuration
from stemwise.device import at_precision, has_bfloat16, inference_network
from stemwise.errors import ConfigError, NonFiniteError, ShapeError
from stemwise.hub import load_model
from stemwise.metrics import sdr
from stemwise.separate import Separator
from tolerances import FLOAT_ROUNDING, SPLEETER_PARITY, STEMS_SUM

SEPARATORS = {
    "spleeter": Separator(spleeter_like(), precision="float32"),
    "stemwise": Separator(stemwise_like(), precision="float32"),
}
CHUNK = 64 * 1024  # samples that a chunk of the small models advances by, without overlap


@pytest.fixture(scope="module")
def trained() -> Separator:
    """The embedded model: identity-like masks would hide seams."""
    return Separator("stemwise:4stems", precision="float32")


def example() -> torch.Tensor:
    with AudioReader(Path(__file__).parents[1] / "examples" / "example_song.mp3") as reader:
        return torch.from_numpy(np.concatenate(list(reader.blocks()), axis=1))


def cut(mixture: torch.Tensor, sizes: list[int]) -> Iterator[torch.Tensor]:
    start = 0
    for size in itertools.cycle(sizes):
        if start >= mixture.shape[-1]:
            return
        yield mixture[:, start : start + size]
        start += size


def joined(stream: Iterator[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    blocks = list(stream)
    return {name: torch.cat([block[name] for block in blocks], dim=-1) for name in blocks[0]}


def assert_same(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    assert list(ours) == list(theirs)
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], atol=FLOAT_ROUNDING, rtol=0)


@pytest.mark.parametrize(
    "folder",
    ["unet_2stems", "unet_4stems_elu", "softmax_5stems_average", "unet_2stems_16kHz", "unet_2stems_mwf"],
)
def test_parity_with_the_real_spleeter(folder: str, parity_folder: Path) -> None:
    configuration = read_configuration(parity_folder / folder / "config.json")
    model = convert(parity_folder / folder / "model", configuration)
    vectors = np.load(parity_folder / folder / "vectors.npz")
    separator = Separator(model, precision="float32", mwf=configuration.mwf)
    stems = separator.separate(
        torch.from_numpy(vectors["mixture"].T.copy()), 44100
    )  # (samples, channels) to ours
    assert list(stems) == json.loads((parity_folder / folder / "config.json").read_text())["instrument_list"]
    for name, stem in stems.items():
        np.testing.assert_allclose(stem.numpy().T, vectors[name], atol=SPLEETER_PARITY, rtol=0)


@pytest.mark.parametrize("kind", SEPARATORS)
@pytest.mark.parametrize("n_samples", [0, 1, 4095, 4097, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK - 4096])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_stems_have_the_mixtures_shape(kind: str, n_samples: int, n_channels: int) -> None:
    mixture = song(n_samples, n_channels=n_channels)
    for stem in SEPARATORS[kind].separate(mixture, 44100).values():
        assert stem.shape == mixture.shape
        assert stem.dtype == torch.float32


@pytest.mark.parametrize("kind", SEPARATORS)
@settings(max_examples=6, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 50_000), min_size=1, max_size=4).filter(
        lambda sizes: sum(sizes) > 200 * len(sizes)
    )
)
def test_a_stream_cut_anywhere_is_the_whole(kind: str, sizes: list[int]) -> None:
    mixture = song(CHUNK + 20_000)
    separator = SEPARATORS[kind]
    assert_same(joined(separator.stream(cut(mixture, sizes), 44100)), separator.separate(mixture, 44100))


def test_a_resampled_stream_cut_anywhere_is_the_whole() -> None:
    mixture = song(70_000, sample_rate=48000)
    separator = SEPARATORS["stemwise"]
    whole = separator.separate(mixture, 48000)
    for sizes in ([1000], [333, 47, 20_000], [69_999, 1]):
        assert_same(joined(separator.stream(cut(mixture, sizes), 48000)), whole)


@pytest.mark.parametrize("n_frames", [-1, 0, 1])
def test_trained_stream_is_the_whole_around_a_chunk(trained: Separator, n_frames: int) -> None:
    config = trained.config
    n_samples = config.chunk_frames * config.stft.hop_length + n_frames
    mixture = song(n_samples)
    assert_same(joined(trained.stream(cut(mixture, [44100]), 44100)), trained.separate(mixture, 44100))


@pytest.mark.parametrize("n_samples", [0, 1, 4095, 4097])
def test_trained_stream_is_the_whole_at_short_lengths(trained: Separator, n_samples: int) -> None:
    mixture = song(n_samples)
    whole = trained.separate(mixture, 44100)
    assert all(stem.shape == mixture.shape for stem in whole.values())
    blocks = list(cut(mixture, [1000])) or [mixture]
    assert_same(joined(trained.stream(blocks, 44100)), whole)


def seam_change(overlap: float) -> float:
    """How much the stems change around the seam when the same music falls on other chunks; relative."""
    model = load_model("stemwise:4stems")
    model = replace(model, config=replace(model.config, overlap=overlap))
    separator, config = Separator(model, precision="float32"), model.config
    mixture = example()[:, : 14 * 44100]
    advance = round(config.chunk_frames * (1 - overlap)) * config.stft.hop_length
    delay = config.stft.hop_length * (config.chunk_frames // 3)
    here = torch.stack(list(separator.separate(mixture, 44100).values()))
    delayed = torch.nn.functional.pad(mixture, (delay, 0))
    there = torch.stack(list(separator.separate(delayed, 44100).values()))[..., delay:]
    seams = range(advance, mixture.shape[1] - 4096, advance)
    around = torch.cat([torch.arange(seam - 4096, seam + 4096) for seam in seams])
    return float((here - there)[..., around].square().sum() / mixture[..., around].square().sum())


def test_seams_are_faded(trained: Separator) -> None:
    assert seam_change(trained.config.overlap) < 0.5 * seam_change(0.0)


@pytest.mark.parametrize("sample_rate", [44100, 48000, 96000, 22050, 8000])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_stems_add_up_to_the_mixture(trained: Separator, sample_rate: int, n_channels: int) -> None:
    mixture = song(3 * sample_rate, sample_rate=sample_rate, n_channels=n_channels)
    stems = trained.separate(mixture, sample_rate)
    torch.testing.assert_close(sum(stems.values()), mixture, atol=STEMS_SUM, rtol=0)


def test_spleeters_stems_and_the_residual_add_up_to_the_mixture() -> None:
    mixture = song(50_000) + 0.01 * torch.randn(2, 50_000, generator=torch.Generator().manual_seed(1))
    stems = Separator(spleeter_like(), precision="float32", residual=True).separate(mixture, 44100)
    assert list(stems) == ["vocals", "accompaniment", "residual"]
    assert stems["residual"].square().mean() > 1e-6  # Spleeter leaves out what lies above 11 kHz
    torch.testing.assert_close(sum(stems.values()), mixture, atol=STEMS_SUM, rtol=0)


def test_masks_that_sum_to_one_restore_the_mixture_in_its_place() -> None:
    mixture = song(CHUNK + 5000)
    stems = Separator(spleeter_like(mask_extension="average"), precision="float32").separate(mixture, 44100)
    torch.testing.assert_close(sum(stems.values()), mixture, atol=STEMS_SUM, rtol=0)


@pytest.mark.parametrize("kind", SEPARATORS)
def test_silence_stays_silence(kind: str) -> None:
    for stem in SEPARATORS[kind].separate(torch.zeros(2, 30_000), 44100).values():
        assert stem.abs().max() < 1e-6


@pytest.mark.parametrize("kind", SEPARATORS)
def test_channels_keep_their_side(kind: str) -> None:
    mixture = song(30_000)
    mixture[1] = 0
    for stem in SEPARATORS[kind].separate(mixture, 44100).values():
        assert stem[1].abs().max() < 1e-4
        assert stem[0].abs().max() > 1e-4


@pytest.mark.parametrize("kind", SEPARATORS)
def test_mono_is_two_equal_channels_and_their_mean(kind: str) -> None:
    mono = song(30_000, n_channels=1)
    one, two = (SEPARATORS[kind].separate(mixture, 44100) for mixture in (mono, mono.expand(2, -1)))
    for name, stem in one.items():
        torch.testing.assert_close(stem, two[name].mean(dim=0, keepdim=True), atol=FLOAT_ROUNDING, rtol=0)


@pytest.mark.usefixtures("two_threads")
def test_nothing_is_random_and_the_input_is_left_alone() -> None:
    mixture = song(40_000)
    before = mixture.clone()
    first, second = (SEPARATORS["stemwise"].separate(mixture, 44100) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert torch.equal(mixture, before)


def test_wanted_stems_are_those_of_the_whole() -> None:
    mixture = song(40_000)
    every = SEPARATORS["stemwise"].separate(mixture, 44100)
    for wanted in (["drums"], ["other"], ["bass", "vocals"]):
        some = Separator(stemwise_like(), precision="float32", stems=wanted).separate(mixture, 44100)
        assert set(some) == set(wanted)
        for name in wanted:
            torch.testing.assert_close(some[name], every[name], atol=FLOAT_ROUNDING, rtol=0)


@pytest.mark.parametrize("stem", ["vocals", "other"])
@pytest.mark.parametrize("make", [stemwise_like, lambda: spleeter_like(("vocals", "drums", "other"))])
def test_two_stems_are_one_and_the_sum_of_the_others(stem: str, make: object) -> None:
    mixture = song(40_000)
    every = Separator(make(), precision="float32").separate(mixture, 44100)  # type: ignore[operator]
    two = Separator(make(), precision="float32", two_stems=stem).separate(mixture, 44100)  # type: ignore[operator]
    assert list(two) == [stem, "accompaniment"]
    torch.testing.assert_close(two[stem], every[stem], atol=FLOAT_ROUNDING, rtol=0)
    rest = sum(value for name, value in every.items() if name != stem)
    torch.testing.assert_close(two["accompaniment"], rest, atol=STEMS_SUM, rtol=0)


def test_mwf_streams_only_what_can_be_read_again() -> None:
    separator = Separator(spleeter_like(), precision="float32", mwf=True)
    mixture = song(CHUNK + 5000)
    with pytest.raises(ConfigError, match="two passes"):
        separator.stream([mixture], 44100)
    assert_same(
        joined(separator.restream(lambda: cut(mixture, [7000]), 44100)), separator.separate(mixture, 44100)
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_mixture_that_is_not_finite_is_refused(value: float) -> None:
    mixture = song(5000)
    mixture[0, 4999] = value
    with pytest.raises(NonFiniteError, match="NaN or infinite"):
        SEPARATORS["stemwise"].separate(mixture, 44100)


@pytest.mark.parametrize("kind", SEPARATORS)
def test_no_chunk_is_kept_while_the_network_computes_the_next(kind: str) -> None:
    given: list[weakref.ref[np.ndarray]] = []

    class Watched(nn.Module):
        def forward(self, magnitude: torch.Tensor) -> torch.Tensor:
            assert not any(earlier() is not None for earlier in given)
            n_stems = len(SEPARATORS[kind].model.config.stems)
            estimates = np.ones((1, n_stems, *magnitude.shape[1:]), np.float32)
            given.append(weakref.ref(estimates))  # dies with the last tensor that looks at it
            return torch.from_numpy(estimates)

    separator = Separator(replace(SEPARATORS[kind].model, network=Watched()), precision="float32")
    mixture = song(4 * CHUNK)
    for _ in separator.stream(cut(mixture, [CHUNK // 2]), 44100):
        pass
    assert len(given) >= 4


def test_a_network_that_gives_nan_is_an_error() -> None:
    model = spleeter_like()
    next(model.network.parameters()).data.fill_(float("nan"))
    with pytest.raises(NonFiniteError, match="the network gave NaN"):
        Separator(model, precision="float32").separate(song(5000), 44100)


@pytest.mark.parametrize("shape", [(3, 100), (100,), (1, 2, 100), (0, 100)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="channels, samples"):
        SEPARATORS["stemwise"].separate(torch.zeros(shape), 44100)


def test_a_change_of_channels_in_a_stream_is_refused() -> None:
    with pytest.raises(ShapeError, match="1 channels where those before had 2"):
        list(SEPARATORS["stemwise"].stream([torch.zeros(2, 10), torch.zeros(1, 10)], 44100))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"stems": ["piano"]}, "this model has vocals, drums, bass, other"),
        ({"stems": []}, "this model has"),
        ({"two_stems": "piano"}, "two_stems is 'piano'"),
        ({"residual": True}, "add up"),
        ({"device": "toaster"}, "device is 'toaster'"),
        ({"precision": "float64"}, "precision is 'float64'"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, object], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        Separator(stemwise_like(), **options)  # type: ignore[arg-type]


@pytest.mark.skipif(not has_bfloat16(torch.device("cpu")), reason="this processor has no bfloat16")
def test_auto_precision_stays_close_to_float32(trained: Separator) -> None:
    automatic = Separator("stemwise:4stems")
    mixture = example()  # all of it: nobody sings at first, and of a stem of next to nothing all is error
    exact, reduced = trained.separate(mixture, 44100), automatic.separate(mixture, 44100)
    for name in exact:
        assert sdr(exact[name], reduced[name]) > 45, name
    assert automatic.precision == "bfloat16"


def test_rounding_weights_once_is_rounding_them_for_every_chunk(rng: torch.Generator) -> None:
    network = inference_network(spleeter_like(), torch.device("cpu"))
    magnitude = torch.rand(1, 2, 1024, 64, generator=rng)
    with torch.inference_mode():
        with torch.autocast("cpu", torch.bfloat16):
            each_time = network(magnitude).float()
        once = at_precision(network, torch.device("cpu"), "bfloat16")(magnitude)
    assert torch.equal(once, each_time)
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


@pytest.mark.parametrize(("model", "n_exact"), [(stemwise_like(), 3), (spleeter_like(), 2)])
def test_ends_of_networks_keep_float32(model: Model, n_exact: int, rng: torch.Generator) -> None:
    """The first two layers and the last of our own; the last of each of Spleeter's."""
    network = inference_network(model, torch.device("cpu"))
    magnitude = torch.rand(1, 2, model.config.n_bins, 64, generator=rng)
    dtypes: list[torch.dtype] = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.register_forward_hook(lambda _, __, output: dtypes.append(output.dtype))
    for training, n_expected in ((False, n_exact), (True, 0)):
        dtypes.clear()
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            network.train(training)(magnitude)
        assert (dtypes[-1] == torch.float32) is not training
        assert dtypes.count(torch.float32) == n_expected
        assert dtypes.count(torch.bfloat16) == len(dtypes) - n_expected > 0


def test_loud_samples_are_no_infinite_ones() -> None:
    mixture = torch.full((2, 1000), 1e36)
    separator = Separator(stemwise_like(), precision="float32", stems=["vocals"])
    with pytest.raises(NonFiniteError, match="the network gave"):  # not: the mixture has
        separator.separate(torch.cat([mixture, mixture * 100], dim=-1), 44100)


def test_auto_precision_falls_back_where_bfloat16_would_be_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemwise.device.has_bfloat16", lambda device: True)
    monkeypatch.setattr("stemwise.device.MIN_PROBE_SDR_DB", 200.0)
    assert Separator(stemwise_like()).precision == "float32"
    monkeypatch.setattr("stemwise.device.MIN_PROBE_SDR_DB", 0.0)
    assert Separator(stemwise_like()).precision == "bfloat16"


def test_the_model_is_any_that_is_loaded() -> None:
    model: Model = stemwise_like()
    assert Separator(model, precision="float32").stems == model.config.stems


def test_folding_batch_norm_changes_nothing_but_rounding_and_leaves_the_model_alone() -> None:
    model = stemwise_like()
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    magnitude = 10 * torch.rand(1, 2, 2048, 64, generator=torch.Generator().manual_seed(5))
    folded = inference_network(model, torch.device("cpu"))
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    with torch.inference_mode():
        torch.testing.assert_close(folded(magnitude), model.network(magnitude), atol=1e-4, rtol=1e-4)
    assert all(torch.equal(before[name], value) for name, value in model.network.state_dict().items())


def test_what_is_given_may_be_changed() -> None:
    for block in SEPARATORS["stemwise"].stream([song(5000)], 44100):
        for stem in block.values():
            stem.mul_(0.5)


@pytest.mark.parametrize("kind", SEPARATORS)
def test_a_stream_may_come_in_one_buffer(kind: str) -> None:
    mixture = song(2 * CHUNK)

    def refilled() -> Iterator[torch.Tensor]:
        buffer = torch.empty(2, CHUNK // 8)
        for block in mixture.split(CHUNK // 8, dim=-1):
            yield buffer.copy_(block)

    assert_same(joined(SEPARATORS[kind].stream(refilled(), 44100)), SEPARATORS[kind].separate(mixture, 44100))


def test_two_stems_cannot_both_be_the_accompaniment() -> None:
    with pytest.raises(ConfigError, match="accompaniment"):
        Separator(spleeter_like(), two_stems="accompaniment")


def test_integers_are_refused() -> None:
    with pytest.raises(ShapeError, match="int16"):
        SEPARATORS["stemwise"].separate(torch.ones(2, 100, dtype=torch.int16), 44100)


@pytest.mark.parametrize("sample_rate", [100, 1000, 12345, 192000])
def test_any_sample_rate_keeps_the_length(sample_rate: int) -> None:
    stems = SEPARATORS["stemwise"].separate(song(777, sample_rate=sample_rate), sample_rate)
    assert {stem.shape for stem in stems.values()} == {(2, 777)}
