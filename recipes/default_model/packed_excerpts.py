"""Training examples out of samples that all lie on the device: batches are drawn, read and mixed as wholes.

The kinds of examples are those of `stemwise.data.dataset.Excerpts`, with its probabilities and ranges, but
drawn in another order: a seed gives other excerpts. Nothing waits for the device, so a GPU learns from one
batch while the next one is being queued.

Left out: plain examples, augmentations by name, and songs that hold more than the network's stems. Whether a
sound is heard is told by the energy of its blocks instead of every 16th sample.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

import torch
from torch import Tensor
from unpack import FULL_SCALE

from stemwise.data.augment import timbre
from stemwise.data.dataset import AUDIBLE, MAX_SPEED, N_TRIES, Batch, MixConfig
from stemwise.data.songs import Lot
from stemwise.data.track import UNSPLIT
from stemwise.errors import ConfigError

BLOCK = 1024  # samples whose energy is known; every sound begins with a new one
SILENCE = 0  # the number of a sound without samples
NEVER = 2**62  # where a piece begins that is not there
MOST_PIECES = 64  # of single files in one excerpt
LAYERED = ("vocals", "other")


class Place(NamedTuple):
    """Where excerpts are: the number of a sound, its first sample, how many are needed; of one shape."""

    sound: Tensor
    start: Tensor
    needed: Tensor


class Line(NamedTuple):
    """Pieces of sounds one after the other, `(batch, pieces)`, and how many samples are needed, `(batch,)`.

    Piece `sound` begins at `begins` in the line with its sample `start`.
    """

    begins: Tensor
    sound: Tensor
    start: Tensor
    needed: Tensor

    @classmethod
    def of(cls, place: Place) -> "Line":
        """One piece each."""
        sound, start, needed = place
        return cls(torch.zeros_like(start)[:, None], sound[:, None], start[:, None], needed)

    def where(self, chosen: Tensor, other: "Line") -> "Line":
        """These lines where `chosen`, `(batch,)`, the others elsewhere."""
        n = max(self.sound.shape[1], other.sound.shape[1])
        ours, theirs = self._padded(n), other._padded(n)
        pieces = [torch.where(chosen[:, None], a, b) for a, b in zip(ours[:3], theirs[:3], strict=True)]
        return Line(*pieces, torch.where(chosen, self.needed, other.needed))

    def _padded(self, n: int) -> "Line":
        fill = (NEVER, SILENCE, 0)
        rest = (0, n - self.sound.shape[1])
        pieces = [torch.nn.functional.pad(x, rest, value=v) for x, v in zip(self[:3], fill, strict=True)]
        return Line(*pieces, self.needed)


class Sounds:
    """All samples on one device, and what is known of them.

    Args:
        lengths: samples of each sound, numbered from 1; sound 0 is there already, and has none.
        device: that holds them.

    Attributes:
        pcm: `(samples, 2)`, int16, in which full scale is `FULL_SCALE`; behind each sound is at least one 0.
        starts: first sample of each sound, `(sounds,)`.
        lengths: of each sound, `(sounds,)`.
        energy: sum of the mean squares of all earlier blocks, `(blocks + 1,)`, float64.
    """

    def __init__(self, lengths: Iterable[int], device: torch.device) -> None:
        self.lengths = torch.tensor([0, *lengths])
        rooms = (self.lengths // BLOCK + 1) * BLOCK
        self.starts = rooms.cumsum(0) - rooms
        self.pcm = torch.zeros(int(rooms.sum()), 2, dtype=torch.int16, device=device)
        self.energy = torch.zeros(len(self.pcm) // BLOCK + 1, dtype=torch.float64, device=device)
        self.starts, self.lengths = self.starts.to(device), self.lengths.to(device)

    def fill(self, sounds: Iterable[Tensor]) -> "Sounds":
        """Put in all samples, int16 `(samples, 1 or 2)`, one sound after the other."""
        for start, sound in zip(self.starts.tolist()[1:], sounds, strict=True):
            self.pcm[start : start + len(sound)] = sound.to(self.pcm.device)
            blocks = self.pcm[start : start + (len(sound) // BLOCK + 1) * BLOCK].view(-1, 2 * BLOCK)
            power = (blocks.float() / FULL_SCALE).square().mean(dim=1)
            self.energy[start // BLOCK + 1 : start // BLOCK + 1 + len(power)] = power
        self.energy = self.energy.cumsum(0)
        return self

    def power(self, place: Place) -> Tensor:
        """Mean square of what is heard there, and of the rest of its first and last block."""
        first = self.starts[place.sound] + place.start
        end = torch.minimum(first + place.needed, self.starts[place.sound] + self.lengths[place.sound])
        first, last = first // BLOCK, (end + BLOCK - 1) // BLOCK
        return (self.energy[last] - self.energy[first]) * BLOCK / place.needed

    def read(self, line: Line, n_samples: int) -> Tensor:
        """`(batch, 2, n_samples)`, float32: what is needed, played so fast that it lasts that long."""
        at = torch.arange(n_samples, dtype=torch.float64, device=self.pcm.device)
        at = at * ((line.needed[:, None] - 1) / (n_samples - 1))
        below = at.long()
        first, second = self._samples(line, below), self._samples(line, below + 1)
        return first.lerp(second, (at - below).float()[..., None]).transpose(1, 2).contiguous()

    def _samples(self, line: Line, at: Tensor) -> Tensor:
        """`(batch, n, 2)` at these samples of the lines, `(batch, n)`; 0 between the sounds."""
        number = torch.searchsorted(line.begins, at, right=True) - 1
        piece = number.clamp(min=0)
        sound = line.sound.gather(1, piece)
        length = self.lengths[sound]
        inside = at - line.begins.gather(1, piece) + line.start.gather(1, piece)
        inside = torch.where(number < 0, length, inside.minimum(length))  # at its length stands a 0
        return self.pcm[self.starts[sound] + inside].float() / FULL_SCALE


@dataclass(frozen=True, slots=True)
class Library:
    """What is to be drawn from.

    Attributes:
        songs: name -> stem -> number of the sound.
        singles: stem -> numbers of the sounds.
    """

    songs: Mapping[str, Mapping[str, int]]
    singles: Mapping[str, tuple[int, ...]]

    def check(self, stems: tuple[str, ...], config: MixConfig) -> None:
        """See that examples for these stems can be made.

        Raises:
            ConfigError: if not.
        """
        if config.plain or config.augmentations:
            raise ConfigError("mix.plain and augmentations are not for packed songs: leave them out")
        known = {*stems, UNSPLIT} if {"bass", "other"} <= set(stems) else set(stems)
        for name, song in self.songs.items():
            if set(song) - known:
                raise ConfigError(
                    f"{name} holds {sorted(set(song) - known)}: the stems are {', '.join(stems)}"
                )
        for stem in stems:
            share = config.pool_shares.get(stem, 0.0)
            is_sung = any(stem in song for song in self.songs.values())
            if (share < 1 and not is_sung) or (share > 0 and not self.singles.get(stem)):
                raise ConfigError(
                    f"there is nothing to draw {stem!r} from; its share of single files is {share}"
                )


class PackedExcerpts:
    """Endless training batches: a `stemwise.data.dataset.BatchSource`.

    Raises:
        ConfigError: for what is left out, and if there is nothing to draw a stem from.
    """

    def __init__(
        self, sounds: Sounds, library: Library, *, stems: tuple[str, ...], config: MixConfig
    ) -> None:
        library.check(stems, config)
        self.sounds, self.stems, self.config, self.device = sounds, stems, config, sounds.pcm.device
        columns = (*stems, UNSPLIT)
        rows = [[song.get(stem, SILENCE) for stem in columns] for song in library.songs.values()]
        self._table = torch.tensor(rows, device=self.device)
        self._song_lengths = sounds.lengths[self._table].amax(dim=1)
        self._has_unsplit = any(UNSPLIT in song for song in library.songs.values())
        weights = Lot(list(library.songs), config.song_weights).weights.to(self.device, torch.float64)
        self._having = (weights[:, None] * (self._table > SILENCE)).cumsum(0).T.contiguous()
        self._any = weights.cumsum(0)
        self._singles = {
            stem: torch.tensor(library.singles[stem], device=self.device)
            for stem, share in config.pool_shares.items()
            if share > 0
        }
        self._n_pieces = {stem: self._pieces(files) for stem, files in self._singles.items()}

    def batch(self, size: int, rng: torch.Generator) -> Batch:
        """That many examples, on the device; they depend on the generator alone (and the kind of device)."""
        rng = torch.Generator(self.device).manual_seed(int(torch.randint(2**62, (), generator=rng)))
        coherent = self._coherent(size, rng)
        sources = self._changed(self._sources(coherent, rng), rng)
        known = torch.ones(size, len(self.stems), device=self.device)
        if self._has_unsplit:
            self._add_unsplit(sources, known, coherent)
        sources *= 10 ** (self._between(rng, (size, 1, 1, 1), -12, 3) / 20)
        return Batch(sources=sources, known=known, mixture=sources.sum(dim=1))

    def _sources(self, coherent: list[Place], rng: torch.Generator) -> Tensor:
        """Stems from here and there, `(batch, stems, 2, samples)`."""
        config, sources = self.config, []
        for s, stem in enumerate(self.stems):
            is_coherent = coherent[s].sound > SILENCE
            size, n = len(is_coherent), config.excerpt_samples
            line = Line.of(coherent[s]).where(is_coherent, self._line(s, size, rng))
            source = self.sounds.read(line, n)
            if stem in LAYERED and config.p_layer:
                second = timbre.gain(
                    self.sounds.read(self._line(s, size, rng), n), rng, low_db=-12, high_db=0
                )
                is_layered = ~is_coherent & self._chance(rng, (size,), config.p_layer)
                source = source + is_layered[:, None, None] * second
            if share := config.drive_shares.get(stem, 0.0):
                is_driven = self._chance(rng, (size, 1, 1), share)
                source = torch.where(is_driven, timbre.drive(source, rng), source)
            sources.append(source * ~self._chance(rng, (size, 1, 1), config.p_silent))
        return torch.stack(sources, dim=1)

    def _changed(self, sources: Tensor, rng: torch.Generator) -> Tensor:
        """Each source in other colours, places, rooms and at another level."""
        config = self.config
        sources = timbre.place(timbre.tilt(sources, rng), rng)
        if "vocals" in self.stems and config.p_reverb:
            voice = sources[:, self.stems.index("vocals")]
            is_in_room = self._chance(rng, (len(voice), 1, 1), config.p_reverb)
            room = timbre.reverb(voice, rng, sample_rate=config.sample_rate)
            voice.copy_(torch.where(is_in_room, room, voice))
        return timbre.gain(sources, rng, low_db=-8, high_db=4)

    def _add_unsplit(self, sources: Tensor, known: Tensor, coherent: list[Place]) -> None:
        """Bass and other in one: it stands in other's place, and neither is scored."""
        bass, other = self.stems.index("bass"), self.stems.index("other")
        is_unsplit = (coherent[-1].sound > SILENCE)[:, None, None]
        both = self.sounds.read(Line.of(coherent[-1]), self.config.excerpt_samples)
        sources[:, bass] *= ~is_unsplit
        sources[:, other] = torch.where(is_unsplit, both, sources[:, other])
        for s in (bass, other):  # one by one: a list of them would be copied to the device, which waits
            known[:, s] *= ~is_unsplit[:, 0, 0]

    def _coherent(self, size: int, rng: torch.Generator) -> list[Place]:
        """Of each stem, and of bass and other in one: its place in a song, silence if it is left there."""
        song = self._drawn(self._any, (size,), rng)
        needed = self._needed((size,), rng)
        start = self._below(rng, self._song_lengths[song] - needed + 1)
        comes = self._chance(rng, (size,), self.config.p_coherent)
        sings = comes & self._chance(rng, (size,), 0.5)
        return [
            Place(self._table[song, s] * (sings if stem == "vocals" else comes), start, needed)
            for s, stem in enumerate((*self.stems, UNSPLIT))
        ]

    def _line(self, s: int, size: int, rng: torch.Generator) -> Line:
        """A stem by itself, out of songs or single files."""
        line, stem = Line.of(self._in_songs(s, size, rng)), self.stems[s]
        if stem not in self._singles:
            return line
        is_single = self._chance(rng, (size,), self.config.pool_shares[stem])
        return self._string(stem, size, rng).where(is_single, line)

    def _in_songs(self, s: int, size: int, rng: torch.Generator) -> Place:
        """A place in which the stem is heard, if one of the first few is such."""
        shape = size, N_TRIES
        sound = self._table[self._drawn(self._having[s], shape, rng), s]
        needed = self._needed((size, 1), rng).expand(shape)
        tries = Place(sound, self._below(rng, self.sounds.lengths[sound] - needed + 1), needed)
        number = torch.arange(N_TRIES, device=self.device)
        first = torch.where(self.sounds.power(tries) > AUDIBLE, number, N_TRIES - 1).amin(1, keepdim=True)
        return Place(*(of_all.gather(1, first)[:, 0] for of_all in tries))

    def _string(self, stem: str, size: int, rng: torch.Generator) -> Line:
        """Files one after the other with random gaps; long ones from anywhere."""
        files, n = self._singles[stem], self._n_pieces[stem]
        sound = files[torch.randint(len(files), (size, n), generator=rng, device=self.device)]
        needed = self._needed((size, 1), rng)
        start = self._below(rng, self.sounds.lengths[sound] - needed + 1)
        lasts = self.sounds.lengths[sound].minimum(needed)
        gap = -torch.log1p(-self._between(rng, (size, n), 0, 1)) * 0.05 * needed
        steps = (lasts + gap.long()).clamp(min=1)
        begins = self._below(rng, needed // 4) + steps.cumsum(1) - steps
        return Line(begins, sound, start, needed[:, 0])

    def _pieces(self, files: Tensor) -> int:
        """So many single files fill an excerpt, but for chance."""
        longest = self.config.excerpt_samples * MAX_SPEED
        mean = self.sounds.lengths[files].clamp(max=int(longest)).double().mean().item()
        return min(MOST_PIECES, 3 + ceil(2 * longest / max(mean, 1)))

    def _needed(self, shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
        """How many samples become an example at a random speed."""
        speed = self._between(rng, shape, 1 / MAX_SPEED, MAX_SPEED)
        return (self.config.excerpt_samples * speed).round().long()

    def _drawn(self, summed: Tensor, shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
        """Numbers of songs, by the running sum of their weights."""
        at = self._between(rng, shape, 0, 1) * summed[-1]
        return torch.searchsorted(summed, at, right=True).clamp(max=len(summed) - 1)

    def _chance(self, rng: torch.Generator, shape: tuple[int, ...], p: float) -> Tensor:
        return self._between(rng, shape, 0, 1) < p

    def _below(self, rng: torch.Generator, stop: Tensor) -> Tensor:
        """One of 0, 1, ... stop - 1; 0 if there is none."""
        return (self._between(rng, tuple(stop.shape), 0, 1) * stop.clamp(min=1)).long()

    def _between(self, rng: torch.Generator, shape: tuple[int, ...], low: float, high: float) -> Tensor:
        drawn = torch.rand(shape, generator=rng, device=self.device, dtype=torch.float64)
        return low + (high - low) * drawn
