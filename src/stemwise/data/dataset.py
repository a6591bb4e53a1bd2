"""Random excerpts, mixed anew: the drums of one song with the voice of another; or songs just as they are.

Step `n` of a run draws from a generator seeded by (seed, n) alone, so a resumed run hears what it would
have heard, and any step can be looked at by itself.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from stemwise.data.augment import expand, margin, select, timbre
from stemwise.data.cache import Samples
from stemwise.data.songs import REST, Lot, Parts, cut, length, parts_of
from stemwise.data.track import MIXTURE, UNSPLIT
from stemwise.errors import ConfigError

MAX_SPEED = 1.18  # three semitones, up or down: another voice, still a voice
AUDIBLE = 1e-5  # mean square: -50 dB
N_TRIES = 6  # to find an excerpt in which the stem is heard

_Place: TypeAlias = tuple[Parts, int, int]  # a source, from which sample on, and how many


@dataclass(frozen=True, slots=True, kw_only=True)
class MixConfig:
    """How examples are put together. Probabilities are per example.

    Attributes:
        excerpt_samples: length of an example.
        sample_rate: Hz.
        plain: one place of one song after the other, untouched; only song_weights and augmentations count.
        p_coherent: accompaniment from one place of one song; the voice comes along half of these times.
        p_silent: per stem, that it is left out; so may the rest be, what songs hold beside the stems.
        p_layer: for vocals and other, that a second one joins in.
        p_reverb: for vocals, that they are put into a room: the single files are dry.
        pool_shares: for a stem, which part of its examples comes from its single files instead of songs.
        drive_shares: for a stem, which part of its examples is overdriven.
        song_weights: for the beginning of a song's name, how much oftener it is drawn than others.
        augmentations: names in `stemwise.data.augment`, made to the examples in this order; those of
            magnitudes are left to whoever computes magnitudes.
    """

    excerpt_samples: int
    sample_rate: int
    plain: bool = False
    p_coherent: float = 0.4
    p_silent: float = 0.08
    p_layer: float = 0.2
    p_reverb: float = 0.35
    pool_shares: Mapping[str, float] = field(default_factory=dict)
    drive_shares: Mapping[str, float] = field(default_factory=dict)
    song_weights: Mapping[str, float] = field(default_factory=dict)
    augmentations: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("excerpt_samples", "sample_rate"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}: it must be at least 1")
        for name in ("p_coherent", "p_silent", "p_layer", "p_reverb"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)}: it must be 0 to 1")
        for table in ("pool_shares", "drive_shares"):
            for stem, share in getattr(self, table).items():
                if not 0 <= share <= 1:
                    raise ConfigError(f"{table} gives {stem!r} {share}: it must be 0 to 1")
        for prefix, weight in self.song_weights.items():
            if not 0 < weight < math.inf:
                raise ConfigError(f"song_weights gives {prefix!r} {weight}: it must be positive")
        expand(self.augmentations)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Training examples, float32.

    Attributes:
        sources: `(batch, stems, channels, samples)`.
        known: `(batch, stems)`: 1, or 0 where the source is a guess and must not be scored.
        mixture: `(batch, channels, samples)`: sum of the sources and the rest, or what the song brought.
    """

    sources: Tensor
    known: Tensor
    mixture: Tensor


class BatchSource(Protocol):
    """Endless training examples: `Excerpts`, or what else draws them from the generator alone."""

    def batch(self, size: int, rng: torch.Generator) -> Batch:
        """That many examples, on any device."""


def step_rng(seed: int, *indices: int) -> torch.Generator:
    """The generator of one step of one run (and one process): the same arguments, the same numbers.

    Any difference in seed or indices (step, rank and the like) makes an independent stream; only that PyTorch
    seeds a generator with 32 bits, so that of a million steps some hundred repeat the draws of another.
    """
    digest = sha256(repr((seed, *indices)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:4], "little"))


class Excerpts:
    """Endless training batches over songs, `name -> stem -> samples`, and single files, `stem -> samples`.

    Args:
        songs: a song's stems may differ in length (the shorter ones end in silence) and be missing; those not
            asked for are the rest, heard in the mixture. Its own mixture may stand under "mixture": it is
            heard in plain examples, and says that a stem which the song lacks is unknown, not silent.
        singles: files of one stem each, strung together.
        stems: of the examples. "accompaniment" is, where a song does not have it, all that the others leave:
            see `stemwise.data.track.accompaniment`.
        config: how they are mixed.

    Raises:
        ConfigError: if there is nothing to draw a stem from, or stems of songs are to be dealt out anew that
            cannot be told apart.
    """

    def __init__(
        self,
        songs: Mapping[str, Mapping[str, Samples]],
        singles: Mapping[str, Sequence[Samples]],
        *,
        stems: tuple[str, ...],
        config: MixConfig,
    ) -> None:
        self.singles, self.stems, self.config = singles, stems, config
        self.songs = {name: parts_of(song, stems) for name, song in songs.items()}
        self._all = Lot(list(songs), config.song_weights)
        self._having = {
            stem: Lot([name for name, song in self.songs.items() if stem in song], config.song_weights)
            for stem in (*stems, REST)
        }
        self._drawn = (*stems, REST) if self._having[REST].names else stems
        self._changes = select(config.augmentations, "waveform", sample_rate=config.sample_rate)
        self._drawn_samples = math.ceil(config.excerpt_samples * margin(config.augmentations, "waveform"))
        self._check()

    def _check(self) -> None:
        if (self.config.plain or self.config.p_coherent) and not self.songs:
            raise ConfigError("there are no songs to draw coherent examples from")
        for stem in self.stems:
            share = 0.0 if self.config.plain else self.config.pool_shares.get(stem, 0.0)
            if (share < 1 and not self._having[stem].names) or (share > 0 and not self.singles.get(stem)):
                raise ConfigError(
                    f"there is nothing to draw {stem!r} from; its share of single files is {share}"
                )
        if "cross_song" in self.config.augmentations:
            for name, song in self.songs.items():
                self._check_apart(name, song)

    def _check_apart(self, name: str, song: Mapping[str, Parts]) -> None:
        """See that nothing of a song comes to another one, in which it would pass for silence."""
        reason = ""
        missing = [stem for stem in self.stems if stem not in song]
        if UNSPLIT in song:
            reason = f"{UNSPLIT} instead of two"
        elif self.config.plain and MIXTURE in song and missing:
            reason = f"no {missing[0]} but what its mixture holds of it"
        if reason:
            raise ConfigError(f"cross_song deals out the stems of songs anew, but {name} has {reason}")

    def batch(self, size: int, rng: torch.Generator) -> Batch:
        """That many examples, which depend on the generator alone."""
        sources = torch.zeros(size, len(self.stems), 2, self._drawn_samples)
        known = torch.ones(size, len(self.stems))
        example = self._plain if self.config.plain else self._mixed
        own = {i: mixture for i in range(size) if (mixture := example(sources[i], known[i], rng)) is not None}
        mixture = sources.sum(dim=1)
        for i, brought in own.items():
            mixture[i] = brought
        if self._changes:
            sources, mixture = self._changed(sources, mixture if own else None, rng)
        return Batch(sources=sources, known=known, mixture=mixture)

    def _changed(
        self, sources: Tensor, mixture: Tensor | None, rng: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Sources and mixture after all augmentations, the middle of what was drawn."""
        if mixture is not None:
            # what a mixture holds beside the stems goes through everything as one more stem
            sources = torch.cat([sources, (mixture - sources.sum(dim=1))[:, None]], dim=1)
        for change in self._changes:
            sources = change(sources, rng)
        start = (self._drawn_samples - self.config.excerpt_samples) // 2
        sources = sources[..., start : start + self.config.excerpt_samples]
        return sources[:, : len(self.stems)], sources.sum(dim=1)

    def _plain(self, sources: Tensor, known: Tensor, rng: torch.Generator) -> Tensor | None:
        """One place of one song, as it is; returns its mixture if that is not the sum of the sources."""
        song = self.songs[self._all.draw(rng)]
        start = self._start(song, self._drawn_samples, rng)
        for s, stem in enumerate(self.stems):
            if stem in song:
                sources[s] = cut(song[stem], start, self._drawn_samples)
            elif MIXTURE in song:
                known[s] = 0
        if UNSPLIT in song:
            self._add_unsplit(cut(song[UNSPLIT], start, self._drawn_samples), sources, known)
        if MIXTURE in song:
            return cut(song[MIXTURE], start, self._drawn_samples)
        return sources.sum(dim=0) + cut(song[REST], start, self._drawn_samples) if REST in song else None

    def _mixed(self, sources: Tensor, known: Tensor, rng: torch.Generator) -> Tensor | None:
        """Stems from here and there; returns their mixture if it has a rest, which is one more of them."""
        drawn = sources.new_zeros(len(self._drawn), *sources.shape[1:])
        self._draw(drawn, known, rng)
        sources[:] = drawn[: len(sources)]
        return drawn.sum(dim=0) if REST in self._drawn else None

    def _draw(self, sources: Tensor, known: Tensor, rng: torch.Generator) -> None:
        config = self.config
        coherent = self._coherent(rng) if _chance(rng, config.p_coherent) else {}
        for s, stem in enumerate(self._drawn):
            if _chance(rng, config.p_silent):
                continue
            if stem in coherent:
                sources[s] = self._heard(*coherent[stem])
            else:
                sources[s] = self._excerpt(stem, rng)
                if stem in ("vocals", "other") and _chance(rng, config.p_layer):
                    sources[s] += timbre.gain(self._excerpt(stem, rng), rng, low_db=-12, high_db=0)
            if _chance(rng, config.drive_shares.get(stem, 0.0)):
                sources[s] = timbre.drive(sources[s], rng)
        placed = timbre.place(timbre.tilt(sources, rng), rng)
        for s, stem in enumerate(self.stems):
            if stem == "vocals" and _chance(rng, config.p_reverb):
                placed[s] = timbre.reverb(placed[s], rng, sample_rate=config.sample_rate)
        sources[:] = timbre.gain(placed, rng, low_db=-8, high_db=4)
        if UNSPLIT in coherent:
            self._add_unsplit(self._heard(*coherent[UNSPLIT]), sources, known)
        sources *= 10 ** (_between(rng, -12, 3) / 20)

    def _add_unsplit(self, source: Tensor, sources: Tensor, known: Tensor) -> None:
        """Bass and other in one: it stands in other's place, and neither is scored."""
        bass, other = self.stems.index("bass"), self.stems.index("other")
        sources[bass], sources[other] = 0, source
        known[[bass, other]] = 0

    def _coherent(self, rng: torch.Generator) -> dict[str, _Place]:
        """The stems at one place of one song, the voice only half of the times; at one common speed."""
        song = self.songs[self._all.draw(rng)]
        needed = self._needed(rng)
        start = self._start(song, needed, rng)
        keep_voice = _chance(rng, 0.5)
        return {
            stem: (parts, start, needed) for stem, parts in song.items() if stem != "vocals" or keep_voice
        }

    def _excerpt(self, stem: str, rng: torch.Generator) -> Tensor:
        needed = self._needed(rng)
        if _chance(rng, self.config.pool_shares.get(stem, 0.0)):
            source = self._string(self.singles[stem], needed, rng)
        else:
            source = self._cut_from_song(stem, needed, rng)
        return timbre.change_speed(source, self._drawn_samples)

    def _cut_from_song(self, stem: str, needed: int, rng: torch.Generator) -> Tensor:
        for _ in range(N_TRIES):
            parts = self.songs[self._having[stem].draw(rng)][stem]
            excerpt = cut(parts, _below(rng, length(parts) - needed + 1), needed)
            if excerpt[:, ::16].square().mean() > AUDIBLE:
                break
        return excerpt

    def _string(self, files: Sequence[Samples], needed: int, rng: torch.Generator) -> Tensor:
        """Files one after the other with random gaps, as many as it takes; long ones from anywhere."""
        line = torch.zeros(2, needed)
        at = _below(rng, needed // 4)
        while at < needed:
            file = files[_below(rng, len(files))]
            start = _below(rng, file.shape[1] - needed + 1)
            piece = cut(Parts((file,)), start, min(needed - at, file.shape[1]))
            line[:, at : at + piece.shape[1]] = piece
            gap = -math.log1p(-_between(rng, 0, 1)) * 0.05 * needed
            at += max(1, piece.shape[1] + int(gap))
        return line

    def _heard(self, parts: Parts, start: int, needed: int) -> Tensor:
        return timbre.change_speed(cut(parts, start, needed), self._drawn_samples)

    def _needed(self, rng: torch.Generator) -> int:
        """How many samples become an example at a random speed."""
        return round(self._drawn_samples * _between(rng, 1 / MAX_SPEED, MAX_SPEED))

    def _start(self, song: Mapping[str, Parts], needed: int, rng: torch.Generator) -> int:
        return _below(rng, max(map(length, song.values())) - needed + 1)


def _between(rng: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * torch.rand((), generator=rng, dtype=torch.float64).item()


def _below(rng: torch.Generator, stop: int) -> int:
    """One of 0, 1, ... stop - 1; 0 if there is none."""
    return int(torch.randint(max(stop, 1), (), generator=rng))


def _chance(rng: torch.Generator, p: float) -> bool:
    return _between(rng, 0, 1) < p
