"""Random excerpts, mixed anew: the drums of one song with the voice of another.

Step `n` of a run draws from a generator seeded by (seed, n) alone, so a resumed run hears what it would
have heard, and any step can be looked at by itself.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stemwise.data import augment
from stemwise.data.tracks import UNSPLIT, Samples

MAX_SPEED = 1.18  # three semitones, up or down: another voice, still a voice
AUDIBLE = 1e-5  # mean square: -50 dB
N_TRIES = 6  # to find an excerpt in which the stem is heard


@dataclass(frozen=True, slots=True, kw_only=True)
class MixConfig:
    """How examples are put together. Probabilities are per example.

    Attributes:
        excerpt_samples: length of an example.
        p_coherent: accompaniment from one place of one song; the voice comes along half of these times.
        p_silent: per stem, that it is left out.
        p_layer: for vocals and other, that a second one joins in.
        p_reverb: for vocals, that they are put into a room: the single files are dry.
        pool_shares: for a stem, which part of its examples comes from its single files instead of songs.
        drive_shares: for a stem, which part of its examples is overdriven.
        song_weights: for the beginning of a song's name, how much oftener it is drawn than others.
    """

    excerpt_samples: int
    p_coherent: float = 0.4
    p_silent: float = 0.08
    p_layer: float = 0.2
    p_reverb: float = 0.35
    pool_shares: dict[str, float]
    drive_shares: dict[str, float]
    song_weights: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Sources float32 `(batch, stems, channels, samples)`; known `(batch, stems)`: 1, or 0 for a guess."""

    sources: Tensor
    known: Tensor


class Excerpts:
    """Endless training batches over songs, `name -> stem -> samples`, and single files, `stem -> samples`."""

    def __init__(
        self,
        songs: dict[str, dict[str, Samples]],
        singles: dict[str, list[Samples]],
        *,
        stems: tuple[str, ...],
        config: MixConfig,
    ) -> None:
        self.songs, self.singles, self.stems, self.config = songs, singles, stems, config

    def batch(self, size: int, rng: np.random.Generator) -> Batch:
        sources = torch.zeros(size, len(self.stems), 2, self.config.excerpt_samples)
        known = torch.ones(size, len(self.stems))
        for i in range(size):
            self._example(sources[i], known[i], rng)
        return Batch(sources=sources, known=known)

    def _example(self, sources: Tensor, known: Tensor, rng: np.random.Generator) -> None:
        coherent = self._coherent(rng) if rng.random() < self.config.p_coherent else {}
        for s, stem in enumerate(self.stems):
            if rng.random() < self.config.p_silent:
                continue
            if stem in coherent:
                source = coherent[stem]
            else:
                source = self._excerpt(stem, rng)
                if stem in ("vocals", "other") and rng.random() < self.config.p_layer:
                    source = source + augment.gain(self._excerpt(stem, rng), rng, low_db=-12, high_db=0)
            if stem in self.config.drive_shares and rng.random() < self.config.drive_shares[stem]:
                source = augment.drive(source, rng)
            source = augment.place(augment.tilt(source, rng), rng)
            if stem == "vocals" and rng.random() < self.config.p_reverb:
                source = augment.reverb(source, rng)
            sources[s] = augment.gain(source, rng, low_db=-8, high_db=4)
        if UNSPLIT in coherent and {"bass", "other"} <= set(self.stems):
            self._add_unsplit(coherent[UNSPLIT], sources, known)
        sources *= float(10 ** (rng.uniform(-12, 3) / 20))

    def _add_unsplit(self, source: Tensor, sources: Tensor, known: Tensor) -> None:
        """Bass and other in one: it stands in other's place, and neither is scored."""
        bass, other = self.stems.index("bass"), self.stems.index("other")
        sources[bass], sources[other] = 0, source
        known[[bass, other]] = 0

    def _coherent(self, rng: np.random.Generator) -> dict[str, Tensor]:
        """The stems of one place of one song, the voice only half of the times; at one common speed."""
        song = self.songs[self._song(list(self.songs), rng)]
        n_samples = min(source.shape[1] for source in song.values())
        speed = rng.uniform(1 / MAX_SPEED, MAX_SPEED)
        needed = self._needed(speed)
        start = int(rng.integers(0, max(n_samples - needed, 1)))
        keep_voice = rng.random() < 0.5
        return {
            stem: augment.change_speed(_cut(source, start, needed), self.config.excerpt_samples)
            for stem, source in song.items()
            if stem != "vocals" or keep_voice
        }

    def _excerpt(self, stem: str, rng: np.random.Generator) -> Tensor:
        speed = rng.uniform(1 / MAX_SPEED, MAX_SPEED)
        needed = self._needed(speed)
        if rng.random() < self.config.pool_shares.get(stem, 0.0):
            source = self._string(self.singles[stem], needed, rng)
        else:
            source = self._cut_from_song(stem, needed, rng)
        return augment.change_speed(source, self.config.excerpt_samples)

    def _cut_from_song(self, stem: str, needed: int, rng: np.random.Generator) -> Tensor:
        names = [name for name, song in self.songs.items() if stem in song]
        for _ in range(N_TRIES):
            whole = self.songs[self._song(names, rng)][stem]
            cut = _cut(whole, int(rng.integers(0, max(whole.shape[1] - needed, 1))), needed)
            if cut[:, ::16].square().mean() > AUDIBLE:
                break
        return cut

    def _string(self, files: list[Samples], needed: int, rng: np.random.Generator) -> Tensor:
        """Files one after the other with random gaps, as many as it takes; long ones from anywhere."""
        line = torch.zeros(2, needed)
        at = int(rng.integers(0, needed // 4))
        while at < needed:
            file = files[int(rng.integers(len(files)))]
            piece = _cut(
                file, int(rng.integers(0, max(file.shape[1] - needed, 1))), min(needed - at, file.shape[1])
            )
            line[:, at : at + piece.shape[1]] = piece
            at += piece.shape[1] + int(rng.exponential(0.05) * needed)
        return line

    def _song(self, names: list[str], rng: np.random.Generator) -> str:
        weights = np.ones(len(names))
        for prefix, weight in self.config.song_weights.items():
            weights[[name.startswith(prefix) for name in names]] = weight
        return names[int(rng.choice(len(names), p=weights / weights.sum()))]

    def _needed(self, speed: float) -> int:
        return round(self.config.excerpt_samples * speed)


def _cut(source: Samples, start: int, n_samples: int) -> Tensor:
    """`n_samples` from `start`, zeros after the end."""
    cut = torch.from_numpy(source[:, start : start + n_samples].astype(np.float32))
    return torch.nn.functional.pad(cut, (0, n_samples - cut.shape[1]))
