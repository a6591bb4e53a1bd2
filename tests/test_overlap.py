from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stemwise.overlap import OverlapAdd, SampleQueue, chunked, crossfaded, spectra
from stemwise.stft import STFTConfig
from tolerances import FLOAT_ROUNDING

SMALL = STFTConfig(n_fft=64, hop_length=16)


def cut(waveform: torch.Tensor, sizes: list[int]) -> Iterator[torch.Tensor]:
    start = 0
    while start < waveform.shape[-1]:
        for size in sizes:
            yield waveform[:, start : start + size]
            start += size


@settings(max_examples=40, deadline=None)
@given(
    n_samples=st.integers(0, 700),
    n_frames=st.integers(1, 9),
    sizes=st.lists(st.integers(1, 200), min_size=1, max_size=4),
)
def test_every_sample_comes_back_at_its_place(n_samples: int, n_frames: int, sizes: list[int]) -> None:
    waveform = torch.rand(2, n_samples, generator=torch.Generator().manual_seed(n_samples)) - 0.5
    inverse = OverlapAdd(SMALL)
    pieces = list(spectra(cut(waveform, sizes), SMALL, n_frames))
    assert all(piece.shape[-1] == n_frames for piece in pieces[:-1])
    assert sum(piece.shape[-1] for piece in pieces) == (-(-(n_samples + 64) // 16) if n_samples else 0)
    blocks = [inverse.push(piece) for piece in pieces]
    restored = torch.cat([torch.zeros(2, 0), *blocks], dim=-1)[:, 64:]
    if n_samples:
        assert inverse.tail is not None
        restored = torch.cat([restored, inverse.tail], dim=-1)
    assert restored.shape[-1] >= n_samples
    torch.testing.assert_close(restored[:, :n_samples], waveform, atol=FLOAT_ROUNDING, rtol=0)


def test_spectra_do_not_depend_on_the_blocks(rng: torch.Generator) -> None:
    waveform = torch.rand(2, 1000, generator=rng)
    whole = list(spectra([waveform], SMALL, 5))
    for sizes in ([1], [7, 130], [999, 1]):
        for ours, theirs in zip(spectra(cut(waveform, sizes), SMALL, 5), whole, strict=True):
            assert torch.equal(ours, theirs)


@settings(max_examples=60, deadline=None)
@given(n_frames=st.integers(1, 60), overlap_frames=st.integers(0, 4))
def test_crossfade_gives_every_frame_once_and_is_exact_for_an_estimate_without_context(
    n_frames: int, overlap_frames: int
) -> None:
    sizes = {"chunk_frames": 9, "overlap_frames": overlap_frames}
    frames = torch.arange(1.0, n_frames + 1).expand(2, 3, -1)
    chunks = list(chunked(frames.split(9 - overlap_frames, dim=-1), **sizes))
    results = list(crossfaded([(chunk, 2 * chunk[None]) for chunk in chunks], **sizes))
    assert [chunk.shape[-1] for chunk in chunks[:-1]] == [9] * (len(chunks) - 1)
    assert torch.equal(torch.cat([spectrum for spectrum, _ in results], dim=-1), frames)
    estimates = torch.cat([estimate for _, estimate in results], dim=-1)
    torch.testing.assert_close(estimates, 2 * frames[None])


def test_crossfade_goes_from_the_old_chunk_to_the_new_without_a_step() -> None:
    sizes = {"chunk_frames": 8, "overlap_frames": 2}
    chunks = chunked(torch.zeros(1, 1, 24).split(6, dim=-1), **sizes)
    estimated = ((chunk, torch.full((1, 1, 1, 8), float(n))) for n, chunk in enumerate(chunks))
    estimates = torch.cat([estimate for _, estimate in crossfaded(estimated, **sizes)], dim=-1).flatten()
    assert estimates[:10].tolist() == [0, 0, 0, 0, 0, 0, 0.25, 0.75, 1, 1]
    assert estimates.diff().abs().max() <= 0.5


def test_no_chunk_brings_only_what_another_had() -> None:
    for n_frames, expected in ((8, [8]), (14, [8, 8]), (15, [8, 8, 3]), (1, [1]), (2, [2])):
        pieces = torch.zeros(1, 1, n_frames).split(6, dim=-1)
        chunks = chunked(pieces, chunk_frames=8, overlap_frames=2)
        assert [chunk.shape[-1] for chunk in chunks] == expected


def test_queue_keeps_order_over_any_cuts(rng: torch.Generator) -> None:
    waveform = torch.rand(1, 50, generator=rng)
    queue = SampleQueue()
    for block in waveform.split(7, dim=-1):
        queue.push(block)
    first, second = queue.take(20, keep=5), queue.take(35)
    assert torch.equal(first, waveform[:, :20])
    assert torch.equal(second, waveform[:, 15:])
    assert len(queue) == 0


@pytest.mark.parametrize("n_frames", [1, 4])
def test_overlap_add_needs_no_more_than_one_piece(n_frames: int) -> None:
    inverse = OverlapAdd(SMALL)
    assert inverse.push(torch.zeros(1, 33, n_frames, dtype=torch.complex64)).shape[-1] == n_frames * 16
    assert inverse.tail is not None
    assert inverse.tail.shape[-1] == 64 - 16
