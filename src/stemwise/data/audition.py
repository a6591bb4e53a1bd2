"""What a network would hear of a song after augmentations: for listening, not for training.

In training, changes of waveforms come first and changes of magnitudes after the transform. Magnitudes alone
cannot be heard: here they get the phases that the mixture has after the same stretch or shift of its
waveform.
Each change is made for certain, also those that training makes to some examples only.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from stemwise.data.augment import AUGMENTATIONS, expand, margin, select, vocoder
from stemwise.data.augment.axis import draw_factors, scale_frequency, scale_time
from stemwise.data.track import MIXTURE, Track, read_mixture, read_sources, summands
from stemwise.errors import ConfigError
from stemwise.stft import STFTConfig, istft, stft

TRANSFORM = STFTConfig()  # 4096 samples: that of our own models and Spleeter's
# how each is made to magnitudes, and to the waveform whose phases they get
SCALED = {
    "stretch": (scale_time, vocoder.time_stretch),
    "shift": (scale_frequency, vocoder.pitch_shift),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Audition:
    """An excerpt of a song before and after augmentations.

    Attributes:
        before: the mixture, then every stem, `(2, samples)`.
        after: the same names.
        sample_rate: Hz, the highest of the song's files.
        start_s: where in the song the excerpt begins, seconds.
    """

    before: dict[str, Tensor]
    after: dict[str, Tensor]
    sample_rate: int
    start_s: float

    @property
    def duration_s(self) -> float:
        return self.after[MIXTURE].shape[-1] / self.sample_rate


def audition(
    track: Track, names: Sequence[str], rng: torch.Generator, *, offset_s: float | None, duration_s: float
) -> Audition:
    """An excerpt of a song with augmentations, the stems summing to the mixture as far as they did before.

    Args:
        track: the song.
        names: of augmentations, made in this order, those of magnitudes last.
        rng: what is drawn depends on it alone.
        offset_s: where the excerpt begins, seconds; None for the middle of the song.
        duration_s: how long it is at most, seconds.

    Raises:
        ConfigError: for a name that is not known or needs more than one song, or an excerpt without samples.
        DecodeError: for a file that holds no sound that can be read.
    """
    for name, seconds in (("offset_s", offset_s), ("duration_s", duration_s)):
        if seconds is not None and not 0 <= seconds < math.inf:
            raise ConfigError(f"{name} is {seconds}: it must be 0 or more seconds")
    sample_rate = _sample_rate(track)
    sources = _read(track, sample_rate)
    length = sources.shape[-1]
    n_samples = min(round(duration_s * sample_rate), length)
    start = (length - n_samples) // 2 if offset_s is None else round(offset_s * sample_rate)
    n_samples = min(n_samples, length - start)
    if n_samples < 1:
        raise ConfigError(
            f"the excerpt is empty: {track.name} lasts {length / sample_rate:.1f} s, the excerpt"
            f" begins at {start / sample_rate:.1f} s and lasts {duration_s} s"
        )
    needed = n_samples * margin(names, "waveform") * margin(names, "magnitude")
    around = math.ceil((needed - n_samples) / 2)
    longer = F.pad(sources, (around, around))[..., start : start + n_samples + 2 * around]
    after = hear(longer, names, rng, sample_rate=sample_rate, n_samples=n_samples)
    before = longer[..., around : around + n_samples]
    labels = (MIXTURE, *track.files)
    return Audition(
        before=dict(zip(labels, [before.sum(dim=0), *before], strict=False)),
        after=dict(zip(labels, after, strict=False)),
        sample_rate=sample_rate,
        start_s=start / sample_rate,
    )


def hear(
    sources: Tensor, names: Sequence[str], rng: torch.Generator, *, sample_rate: int, n_samples: int
) -> Tensor:
    """One excerpt after augmentations.

    Args:
        sources: stems that sum to the mixture, `(stems, 2, samples)`.
        names: of augmentations, made in this order, those of magnitudes last.
        rng: what is drawn depends on it alone.
        sample_rate: Hz.
        n_samples: of the result: the middle of what was given.

    Returns:
        The mixture, then the stems: `(1 + stems, 2, n_samples)`. The stems sum to the mixture, unless
        magnitudes were changed: then each has the mixture's phases, as a masked mixture has.

    Raises:
        ConfigError: for a name that is not known, or that needs more than one song.
    """
    names = expand(names)
    if "cross_song" in names:
        raise ConfigError("cross_song deals out the stems of several songs anew: it does nothing to one song")
    changed = sources[None]
    for change in select(names, "waveform", sample_rate=sample_rate, always=True):
        changed = change(changed, rng)
    heard = torch.cat([changed[0].sum(dim=0, keepdim=True), changed[0]])
    spectral = [name for name in names if AUGMENTATIONS[name].domain == "magnitude"]
    if spectral:
        heard = _scaled(heard, spectral, rng, sample_rate=sample_rate)
    start = (heard.shape[-1] - n_samples) // 2
    return heard[..., start : start + n_samples]


def _scaled(heard: Tensor, names: list[str], rng: torch.Generator, *, sample_rate: int) -> Tensor:
    """Mixture and stems with the axes of their magnitudes scaled."""
    edges = (TRANSFORM.n_fft, TRANSFORM.n_fft + -heard.shape[-1] % TRANSFORM.hop_length)
    magnitudes = stft(F.pad(heard, edges), TRANSFORM).abs()[None]
    mixture = heard[None, :1]
    for name in names:
        factors = draw_factors(magnitudes, rng)
        scale_axis, change_waveform = SCALED[name]
        magnitudes = scale_axis(magnitudes, factors)
        mixture = change_waveform(mixture, factors, sample_rate=sample_rate)
    phases = stft(F.pad(mixture[0], edges), TRANSFORM).angle()
    whole = istft(torch.polar(magnitudes[0], phases.expand(magnitudes[0].shape)), TRANSFORM)
    return whole[..., TRANSFORM.n_fft : TRANSFORM.n_fft + heard.shape[-1]]


def _read(track: Track, sample_rate: int) -> Tensor:
    """All stems, and as one more what the mixture differs by from their sum, `(stems, 2, samples)`."""
    read = read_sources(track, sample_rate=sample_rate)
    sources = torch.stack([torch.tensor(read[stem]) for stem in track.files])
    if track.mixture is None and len(summands(read)) == len(read):
        return sources
    mixture = torch.tensor(read_mixture(track, sample_rate=sample_rate))
    mixture = F.pad(mixture, (0, sources.shape[-1] - mixture.shape[-1]))
    return torch.cat([sources, (mixture - sources.sum(dim=0))[None]])


def _sample_rate(track: Track) -> int:
    rates = []
    for file in track.files.values():
        with file.open() as reader:
            rates.append(reader.sample_rate)
    return max(rates)
