"""BSS Eval v4: against museval's own figures, and against its definition written out."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor

from stemwise.errors import ShapeError
from stemwise.metrics import bleeding, bss_eval, bsseval, sdr, window_sdr
from tolerances import MUSEVAL_DB

ROOT = Path(__file__).parents[1]
GOLDEN = json.loads((ROOT / "tests" / "vectors" / "museval.json").read_text())
RATE = 44100
TAPS = 8  # where the definition is written out: as many delays as a dense matrix can hold


@pytest.fixture(scope="module")
def song() -> tuple[Tensor, Tensor]:
    """True stems of the example song, and what imperfect masks make of their mixture."""
    tool = ROOT / "tools" / "make_museval_vectors.py"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tool.parent))
        spec = importlib.util.spec_from_file_location("make_museval_vectors", tool)
        assert spec is not None
        assert spec.loader is not None
        module: ModuleType = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module.material()


@pytest.fixture
def few_taps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bsseval, "FILTER_LENGTH", TAPS)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_every_window_is_museval_s(song: tuple[Tensor, Tensor]) -> None:
    found = bss_eval(*song, window_samples=RATE)
    for name in ("SDR", "ISR", "SIR", "SAR"):
        ours, theirs = getattr(found, name.lower()).numpy(), np.array(GOLDEN[name], dtype=np.float64)
        np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs), err_msg=name)
        assert np.nanmax(np.abs(ours - theirs)) < MUSEVAL_DB, name
    assert 0 < np.isnan(theirs).sum() < theirs.size


def test_bleedless_and_fullness_are_those_of_the_reference_implementation(
    song: tuple[Tensor, Tensor],
) -> None:
    found = [bleeding(*pair, sample_rate=RATE) for pair in zip(*song, strict=True)]
    assert [x.bleedless.item() for x in found] == pytest.approx(GOLDEN["bleedless"], abs=1e-3)
    assert [x.fullness.item() for x in found] == pytest.approx(GOLDEN["fullness"], abs=1e-3)


def delayed(signals: Tensor) -> Tensor:
    """Every channel of `(stems, channels, samples)` with every delay, `(columns, samples + TAPS - 1)`."""
    padded = torch.nn.functional.pad(signals.flatten(0, 1), (0, TAPS - 1))
    return torch.stack([padded.roll(delay, -1) for delay in range(TAPS)], dim=1).flatten(0, 1)


def by_definition(references: Tensor, estimates: Tensor, j: int, window: slice) -> list[float]:
    """ISR, SIR and SAR with least squares on all delayed signals, for filters of the whole excerpt."""
    wanted = torch.nn.functional.pad(estimates[j], (0, TAPS - 1))
    projections = []
    for sources in (references[j : j + 1], references):
        taps = torch.linalg.lstsq(delayed(sources).T, wanted.T, driver="gelsd").solution
        projections.append((delayed(sources[..., window]).T @ taps).T)
    own, explained = projections
    s, e = (torch.nn.functional.pad(x[j][:, window], (0, TAPS - 1)) for x in (references, estimates))
    pairs = (s, own - s), (own, explained - own), (explained, e - explained)
    return [float(10 * torch.log10(a.square().sum() / b.square().sum())) for a, b in pairs]


@pytest.mark.parametrize("n_channels", [1, 2])
def test_ratios_are_those_of_the_definition(few_taps: None, n_channels: int) -> None:
    references = noise(3, n_channels, 330)
    estimates = references + 0.3 * references.flip(0).roll(2, -1) + 0.1 * noise(3, n_channels, 330, seed=1)
    found = bss_eval(references, estimates, window_samples=100)
    assert found.sdr.shape == (3, 3)  # the unfinished window is left out
    for j in range(3):
        for t in range(3):
            expected = by_definition(references, estimates, j, slice(100 * t, 100 * t + 100))
            assert [ratio[j, t].item() for ratio in found[1:]] == pytest.approx(expected, abs=1e-6)


def test_sdr_of_a_window_is_its_plain_sdr() -> None:
    references, estimates = noise(2, 2, 250), noise(2, 2, 250, seed=1)
    found = window_sdr(references, estimates, window_samples=100)
    expected = [sdr(references[..., cut], estimates[..., cut]) for cut in (slice(100), slice(100, 200))]
    torch.testing.assert_close(found, torch.stack(expected, dim=1))


def test_correlations_do_not_depend_on_the_blocks(few_taps: None, monkeypatch: pytest.MonkeyPatch) -> None:
    signals = noise(2, 2, 1000), noise(2, 2, 1000, seed=1)
    whole = bss_eval(*signals, window_samples=500)
    monkeypatch.setattr(bsseval, "BLOCK_LENGTH", 64)
    for ours, expected in zip(bss_eval(*signals, window_samples=500), whole, strict=True):
        torch.testing.assert_close(ours, expected)


def test_references_without_an_estimate_interfere(few_taps: None) -> None:
    references, estimates = noise(3, 2, 300), noise(3, 2, 300, seed=1)
    all_three = bss_eval(references, estimates, window_samples=100)
    alone = bss_eval(references, estimates[:1], window_samples=100)
    for ours, expected in zip(alone, all_three, strict=True):
        torch.testing.assert_close(ours, expected[:1])


@pytest.mark.parametrize("which", [0, 1])
def test_one_silent_signal_silences_a_window_for_all(few_taps: None, which: int) -> None:
    signals = noise(2, 2, 400), noise(2, 2, 400, seed=1)
    signals[which][1, :, 100:200] = 0
    signals[which][0, 1, 200:300] = -signals[which][0, 0, 200:300]  # museval sums the channels first
    for ratio in bss_eval(*signals, window_samples=100):
        assert ratio.isnan().tolist() == [[False, True, True, False]] * 2


def test_silence_throughout_has_no_ratio_and_no_error(few_taps: None) -> None:
    found = bss_eval(torch.zeros(2, 2, 300), noise(2, 2, 300).float(), window_samples=100)
    assert all(ratio.isnan().all() for ratio in found)


def test_equal_channels_count_as_one(few_taps: None) -> None:
    references, estimates = noise(2, 1, 300), noise(2, 1, 300, seed=1)
    mono = bss_eval(references, estimates, window_samples=100)
    stereo = bss_eval(references.expand(2, 2, 300), estimates.expand(2, 2, 300), window_samples=100)
    for ours, expected in zip(stereo, mono, strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-4, rtol=0)


def test_what_is_shorter_than_a_window_is_one(few_taps: None) -> None:
    references, estimates = noise(2, 2, 90), noise(2, 2, 90, seed=1)
    short, exact = (bss_eval(references, estimates, window_samples=n) for n in (100, 90))
    for ours, expected in zip(short, exact, strict=True):
        torch.testing.assert_close(ours, expected)
    assert bss_eval(references[..., :1], estimates[..., :1], window_samples=100).sdr.shape == (2, 1)


def test_signals_are_not_changed(few_taps: None) -> None:
    signals = noise(2, 2, 300), noise(2, 2, 300, seed=1)
    copies = [signal.clone() for signal in signals]
    bss_eval(*signals, window_samples=100)
    assert all(torch.equal(*pair) for pair in zip(signals, copies, strict=True))


def test_transforms_are_of_the_next_length_that_is_fast() -> None:
    smooth = sorted(2**a * 3**b * 5**c for a in range(1, 18) for b in range(11) for c in range(8))
    for n in [1, 2, 7, 1001, 44611, 65537]:
        assert bsseval.fft_length(n) == next(length for length in smooth if length >= n)


def test_shapes_must_fit() -> None:
    with pytest.raises(ShapeError, match=r"\(2, 2, 9\) and estimates \(2, 2, 8\)"):
        bss_eval(torch.ones(2, 2, 9), torch.ones(2, 2, 8), window_samples=4)
    with pytest.raises(ShapeError, match="a reference for each"):
        bss_eval(torch.ones(1, 2, 9), torch.ones(2, 2, 9), window_samples=4)
    with pytest.raises(ShapeError, match="at least one sample"):
        window_sdr(torch.ones(1, 2, 0), torch.ones(1, 2, 0), window_samples=4)
    with pytest.raises(ShapeError, match="window_samples is 0"):
        window_sdr(torch.ones(1, 2, 9), torch.ones(1, 2, 9), window_samples=0)
