"""What happens to a finished mixture, shared out so that the stems still sum to it.

Clipping, compression and codecs are no linear maps: of the stems alone they would make something else than of
their sum. So one gain curve is computed from the mixture - over time, or over time and frequency - and every
stem is multiplied with it: the stems sum to the changed mixture, and each keeps its share at every moment.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from stemwise.audio import round_trip
from stemwise.data.augment.draws import from_db, loudness, per_example, sometimes
from stemwise.stft import STFTConfig, istft, stft

BLOCK_S = 0.005  # one value of the compressor's gain
ATTACK_S, RELEASE_S = 0.01, 0.2  # in which it comes within 1 / e of a new value
RATIO = 4.0  # dB above the threshold that become one
LOSSY = ("mp3", "m4a", "opus")
BITRATES = (32_000, 64_000, 96_000, 128_000, 192_000, 256_000, 320_000)  # bit/s
MAX_CODEC_GAIN = 2.0  # what a codec puts where there was next to nothing is left out
CODEC_STFT = STFTConfig(n_fft=2048, hop_length=512)


def soft_clip(sources: Tensor, rng: torch.Generator, *, max_depth_db: float = 9.0, p: float = 0.5) -> Tensor:
    """The mixture's peaks rounded off by a hyperbolic tangent, the stems with it.

    Args:
        sources: `(batch, stems, channels, samples)`.
        rng: draws two numbers per example.
        max_depth_db: the ceiling is drawn evenly between the mixture's peak and this far below it, dB.
        p: probability, per example.
    """

    def clip(chosen: Tensor) -> Tensor:
        mixture = chosen.sum(dim=1, keepdim=True)
        ceiling = mixture.abs().amax(dim=(-2, -1), keepdim=True)
        return chosen * clip_gain(mixture, ceiling * from_db(-per_example(rng, chosen, 0, max_depth_db)))

    return sometimes(clip, sources, rng, p)


def clip_gain(mixture: Tensor, ceiling: Tensor) -> Tensor:
    """The factor that makes `ceiling · tanh(mixture / ceiling)` of the mixture; 1 in silence."""
    level = mixture / ceiling.clamp(min=1e-20)
    return torch.where(level == 0, 1, level.tanh() / level)


def compress(
    sources: Tensor,
    rng: torch.Generator,
    *,
    sample_rate: int,
    low_db: float = -12.0,
    high_db: float = 0.0,
    p: float = 0.5,
) -> Tensor:
    """The mixture's loud moments held down by a compressor, 4 : 1, the stems with it.

    Args:
        sources: `(batch, stems, channels, samples)`.
        rng: draws two numbers per example.
        sample_rate: Hz.
        low_db: the threshold is drawn evenly from this ...
        high_db: ... to this, dB above the mixture's root mean square.
        p: probability, per example.
    """

    def hold_down(chosen: Tensor) -> Tensor:
        mixture = chosen.sum(dim=1, keepdim=True)
        threshold = loudness(mixture) * from_db(per_example(rng, chosen, low_db, high_db))
        return chosen * compression_gain(mixture, threshold, sample_rate=sample_rate)

    return sometimes(hold_down, sources, rng, p)


def compression_gain(mixture: Tensor, threshold: Tensor, *, sample_rate: int) -> Tensor:
    """The compressor's factor `(..., 1, samples)`, one for all channels.

    Args:
        mixture: `(..., channels, samples)`.
        threshold: amplitude from which it is held down, `(..., 1, 1)`, > 0.
        sample_rate: Hz.
    """
    n_samples, per_block = mixture.shape[-1], max(1, round(BLOCK_S * sample_rate))
    loudest = mixture.abs().amax(dim=-2, keepdim=True)
    blocks = F.pad(loudest, (0, -n_samples % per_block)).unflatten(-1, (-1, per_block)).amax(dim=-1)
    too_loud = (20 * torch.log10(blocks.clamp(min=1e-20) / threshold)).clamp(min=0) * (1 - 1 / RATIO)
    rise, fall = 1 - torch.exp(-BLOCK_S / torch.tensor([ATTACK_S, RELEASE_S], device=mixture.device))
    reduction, at = [], torch.zeros_like(too_loud[..., 0])
    for wanted in too_loud.unbind(dim=-1):
        at = at + (wanted - at) * torch.where(wanted > at, rise, fall)
        reduction.append(at)
    # drawn straight from the middle of one block to that of the next
    line = torch.stack(reduction, dim=-1).flatten(0, -2)
    line = F.interpolate(line[None], scale_factor=per_block, mode="linear", align_corners=False)
    return from_db(-line[..., :n_samples]).reshape(*mixture.shape[:-2], 1, n_samples)


def codec(
    sources: Tensor,
    rng: torch.Generator,
    *,
    sample_rate: int,
    codecs: tuple[str, ...] = LOSSY,
    p: float = 0.05,
) -> Tensor:
    """The mixture through a lossy codec and back, aligned to the sample; the stems by the codec's gain.

    What is heard is the sum of the stems, as everywhere: the decoded mixture, but for what the codec has
    added where there was next to nothing.

    Args:
        sources: `(batch, stems, 2, samples)`.
        rng: draws three numbers per example.
        sample_rate: Hz.
        codecs: names in `stemwise.audio.CODECS`, one of which is drawn; with a bitrate from 32 to 320 kbit/s.
        p: probability, per example.
    """

    def code(chosen: Tensor) -> Tensor:
        mixtures = chosen.sum(dim=1)
        kind, rate = (
            (per_example(rng, chosen, 0, 1).flatten() * n).long() for n in (len(codecs), len(BITRATES))
        )
        decoded = [
            round_trip(
                mixture.cpu().numpy(),
                codec=codecs[min(k, len(codecs) - 1)],
                sample_rate=sample_rate,
                bitrate=BITRATES[min(r, len(BITRATES) - 1)],
            )
            for mixture, k, r in zip(mixtures, kind.tolist(), rate.tolist(), strict=True)
        ]
        heard = torch.stack([torch.from_numpy(samples) for samples in decoded]).to(sources)
        return follow(chosen, heard)

    return sometimes(code, sources, rng, p)


def follow(sources: Tensor, heard: Tensor) -> Tensor:
    """Stems with the gains, bin by bin, that lead from their sum to what is heard of it.

    Args:
        sources: `(batch, stems, channels, samples)`.
        heard: the changed mixture, `(batch, channels, samples)`.

    Returns:
        As sources. They sum to `heard` wherever the gain is at most `MAX_CODEC_GAIN`.
    """
    n_samples, edge = sources.shape[-1], CODEC_STFT.n_fft
    edges = (edge, edge + -n_samples % CODEC_STFT.hop_length)
    spectra = stft(F.pad(sources, edges), CODEC_STFT)
    mixture = spectra.sum(dim=1)
    power = mixture.abs().square().clamp(min=1e-20)
    gain = stft(F.pad(heard, edges), CODEC_STFT) * mixture.conj() / power
    gain = gain * (MAX_CODEC_GAIN / gain.abs().clamp(min=MAX_CODEC_GAIN))
    return istft(spectra * gain[:, None], CODEC_STFT)[..., edge : edge + n_samples]
