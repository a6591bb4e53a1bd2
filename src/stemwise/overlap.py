"""From blocks of samples to chunks of frames and back, in constant memory.

Four stages, each of which holds at most one chunk: `spectra` (samples to frames), `chunked` (frames to
chunks that may overlap, for the network), `crossfaded` (chunks to frames again) and `OverlapAdd` (frames
to samples). What they yield does not depend on how the samples were cut into blocks: they cut for themselves.

The signal is padded by one frame of zeros in front and by as many behind as the last frame needs, so that
every sample lies in `n_fft / hop_length` frames and the inverse is exact everywhere.
Source: deezer/spleeter 2.4.2 has the same framing since its release 1.5.4 (docs/numerics.md#framing).
"""

from collections.abc import Iterable, Iterator
from math import ceil

import torch
from torch import Tensor

from stemwise.stft import STFTConfig, istft, stft


class SampleQueue:
    """Samples `(channels, samples)` that wait for their turn; pushing is cheap, however small the blocks."""

    def __init__(self) -> None:
        self._blocks: list[Tensor] = []
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def push(self, block: Tensor) -> None:
        self._blocks.append(block)
        self._length += block.shape[-1]

    def take(self, n_samples: int, *, keep: int = 0) -> Tensor:
        """The first `n_samples` (at most what there is); the last `keep` of them stay in the queue too."""
        joined = self._blocks[0] if len(self._blocks) == 1 else torch.cat(self._blocks, dim=-1)
        rest = joined[:, n_samples - keep :]
        self._blocks, self._length = [rest], rest.shape[-1]
        return joined[:, :n_samples]


def spectra(blocks: Iterable[Tensor], config: STFTConfig, n_frames: int) -> Iterator[Tensor]:
    """The padded signal's spectrum in pieces of `n_frames` frames; the last piece has 1 to `n_frames`.

    Args:
        blocks: `(channels, samples)` each, of any lengths, together N samples.
        config: frame length and step.
        n_frames: frames in a piece.

    Yields:
        Complex `(channels, bins, frames)`; together `ceil((N + n_fft) / hop_length)` frames.
    """
    advance = n_frames * config.hop_length
    needed = advance - config.hop_length + config.n_fft
    queue = SampleQueue()
    for block in blocks:
        if not len(queue):
            queue.push(block.new_zeros(block.shape[0], config.n_fft))
        queue.push(block)
        while len(queue) >= needed:
            yield stft(queue.take(needed, keep=needed - advance), config)
    if not len(queue):
        return
    # A frame starts at every hop until the samples end; the last ones reach into zeros.
    left = ceil(len(queue) / config.hop_length)
    padded = (left - 1) * config.hop_length + config.n_fft
    pending = queue.take(len(queue))
    pending = torch.nn.functional.pad(pending, (0, padded - pending.shape[-1]))
    yield from stft(pending, config).split(n_frames, dim=-1)


def chunked(pieces: Iterable[Tensor], *, chunk_frames: int, overlap_frames: int) -> Iterator[Tensor]:
    """Join pieces to chunks that share frames with the next one.

    Args:
        pieces: spectra `(channels, bins, frames)` of `chunk_frames - overlap_frames` frames each; the last
            may have fewer.
        chunk_frames: frames in a chunk.
        overlap_frames: frames that two chunks share, at most half of a chunk.

    Yields:
        Spectra of `chunk_frames` frames; the last one has more than `overlap_frames`, or is the only one.
    """
    pending: Tensor | None = None
    n_shared = 0  # frames of `pending` that a chunk has had already
    for piece in pieces:
        pending = piece if pending is None else torch.cat([pending, piece], dim=-1)
        if pending.shape[-1] >= chunk_frames:
            yield pending[..., :chunk_frames]
            pending, n_shared = pending[..., chunk_frames - overlap_frames :], overlap_frames
    if pending is not None and pending.shape[-1] > n_shared:
        yield pending


def crossfaded(
    chunks: Iterable[tuple[Tensor, Tensor]], *, chunk_frames: int, overlap_frames: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Fade from one chunk's estimates to the next where they overlap.

    Args:
        chunks: what `chunked` gives, `(channels, bins, frames)`, each with its estimates, `(stems, channels,
            lowest bins, chunk_frames)`. These are changed in place.
        chunk_frames: frames in a chunk.
        overlap_frames: frames that two chunks share.

    Yields:
        Spectrum and estimates of the same frames; each frame once, in order.
    """
    spectrum = fading = None  # the last chunk's frames that the next one shares
    for chunk, estimates in chunks:
        if fading is not None and overlap_frames:
            rise = (torch.arange(overlap_frames, device=estimates.device) + 0.5) / overlap_frames
            estimates[..., :overlap_frames] = torch.lerp(fading, estimates[..., :overlap_frames], rise)
        n_frames = chunk.shape[-1]
        n_finished = n_frames - overlap_frames if n_frames == chunk_frames else n_frames
        yield chunk[..., :n_finished], estimates[..., :n_finished]
        # Copies: views would keep all of this chunk alive while the network computes the next.
        spectrum, fading = chunk[..., n_finished:].clone(), estimates[..., n_finished:n_frames].clone()
        del chunk, estimates
    if spectrum is not None and fading is not None and spectrum.shape[-1]:
        yield spectrum, fading  # no new frame came: nothing to fade to


class OverlapAdd:
    """The inverse transform of frames that arrive in pieces: push spectra, get the finished samples."""

    def __init__(self, config: STFTConfig) -> None:
        self.config = config
        self.tail: Tensor | None = None

    def push(self, spectrum: Tensor) -> Tensor:
        """`(channels, bins, frames)` to the `frames * hop_length` samples that no later frame reaches."""
        waveform = istft(spectrum, self.config)
        if self.tail is not None:
            waveform[..., : self.tail.shape[-1]] += self.tail
        finished = spectrum.shape[-1] * self.config.hop_length
        self.tail = waveform[..., finished:]
        return waveform[..., :finished]
