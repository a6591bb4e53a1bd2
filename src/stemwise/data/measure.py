"""Figures of a song's files: length, level, clipping, how the stems lie in the mixture and add up to it.

All files of a song are decoded side by side, once and in pieces: memory does not grow with their length.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from stemwise.audio import AudioReader
from stemwise.audio.frames import Block, join
from stemwise.data.alignment import PIECE, Alignment
from stemwise.data.track import MIXTURE, Track, summands
from stemwise.errors import DecodeError

FULL_SCALE = 1 - 2.0**-15  # the largest 16-bit sample
CLIPPED_RUN = 3  # samples at full scale in a row: fewer may be chance


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundFigures:
    """One file of a song.

    Attributes:
        file: its path.
        sample_rate: of the file, Hz.
        n_channels: in the file.
        duration_s: of what could be decoded, seconds.
        missing_s: by how much that is less than the headers say, seconds.
        peak_db: of full scale; None for digital silence.
        level_db: root of the mean square, of full scale; None for digital silence.
        clipped: share of the samples with which three in a row begin at full scale or above, 0 to 1.
        lag_samples: by which it is later than it is in the song's own mixture, at the mixture's sample rate;
            None if there is no such mixture, or it cannot be told.
        digest: of all samples; equal for the same audio in two files.
    """

    file: str
    sample_rate: int
    n_channels: int
    duration_s: float
    missing_s: float
    peak_db: float | None
    level_db: float | None
    clipped: float
    lag_samples: int | None
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SongFigures:
    """A song.

    Attributes:
        name: of the song.
        subset: as in `Track`.
        sounds: by stem, and "mixture" if the song has its own; those that cannot be read are left out.
        failures: by stem, why it cannot be read.
        sum_sdr_db: of the sum of the stems as an estimate of the song's own mixture, at the best gain from 0
            on; None if there is no such mixture, or one of the two is silent.
        sum_gain_db: that gain: how much louder the mixture is than the sum; None if it is 0.
    """

    name: str
    subset: str | None
    sounds: dict[str, SoundFigures]
    failures: dict[str, str]
    sum_sdr_db: float | None
    sum_gain_db: float | None


def measure(track: Track) -> SongFigures:
    """Decode all files of a song; what cannot be read becomes a failure."""
    files = {MIXTURE: track.mixture} if track.mixture else {}
    sounds, failures = dict[str, _Sound](), dict[str, str]()
    total = _Sum(summands(track.files))
    with ExitStack() as stack:
        sample_rate = None  # of the mixture, or of the first stem
        for stem, file in {**files, **track.files}.items():
            try:
                reader = stack.enter_context(file.open(sample_rate))
            except DecodeError as error:
                failures[stem] = str(error)
                continue
            sample_rate, sounds[stem] = reader.sample_rate, _Sound(reader)
        while pieces := _next_pieces(sounds, failures):
            if MIXTURE in pieces:
                total.add(pieces)
    is_whole = MIXTURE in sounds and not failures
    return SongFigures(
        name=track.name,
        subset=track.subset,
        sounds={stem: sound.figures(total.lag(stem)) for stem, sound in sounds.items()},
        failures=failures,
        sum_sdr_db=total.sdr_db() if is_whole else None,
        sum_gain_db=total.gain_db() if is_whole else None,
    )


def _next_pieces(sounds: dict[str, "_Sound"], failures: dict[str, str]) -> dict[str, Block]:
    """A piece of every sound that is not over; a sound that fails is taken out."""
    pieces = {}
    for stem, sound in list(sounds.items()):
        try:
            piece = next(sound.pieces, None)
        except DecodeError as error:
            failures[stem] = str(error)
            del sounds[stem]
            continue
        if piece is not None:
            pieces[stem] = piece
    return pieces


class _Sound:
    """A sound being read, with its figures so far."""

    def __init__(self, reader: AudioReader) -> None:
        self._reader = reader
        self._n_samples = self._n_clipped = 0
        self._peak = self._energy = 0.0
        self._digest = blake2b(digest_size=16)
        self.pieces = self._measured()

    def _measured(self) -> Iterator[Block]:
        """Stereo, `(2, PIECE)`, the last one shorter."""
        ready = np.zeros((2, 0), np.float32)
        for block in self._reader.blocks():
            ready = join([ready, np.broadcast_to(block, (2, block.shape[1]))], 2)
            if ready.shape[1] >= PIECE:
                yield self._add(ready[:, :PIECE])
                ready = ready[:, PIECE:]
        if ready.shape[1]:
            yield self._add(ready)

    def _add(self, piece: Block) -> Block:
        peak = max(float(piece.max()), -float(piece.min()))
        if not math.isfinite(peak):
            at = self._n_samples / self._reader.sample_rate
            raise DecodeError(f"{self._reader.name}: holds NaN or infinity, not before {at:.0f} s")
        if peak >= FULL_SCALE:
            full = np.abs(piece) >= FULL_SCALE
            runs = np.lib.stride_tricks.sliding_window_view(full, min(CLIPPED_RUN, full.shape[1]), axis=1)
            self._n_clipped += int(runs.all(axis=-1).sum())
        self._peak = max(self._peak, peak)
        self._energy += float(np.vdot(piece, piece))
        self._n_samples += piece.shape[1]
        self._digest.update(piece.T.tobytes())  # sample by sample, however it is cut
        return piece

    def figures(self, lag_samples: int | None) -> SoundFigures:
        reader, rate = self._reader, self._reader.sample_rate
        stated = self._n_samples if reader.n_samples is None else reader.n_samples
        return SoundFigures(
            file=reader.name,
            sample_rate=reader.info.sample_rate,
            n_channels=reader.info.n_channels,
            duration_s=self._n_samples / rate,
            missing_s=max(0, stated - self._n_samples) / rate,
            peak_db=_decibels(self._peak**2),
            level_db=_decibels(self._energy / max(1, 2 * self._n_samples)),
            clipped=self._n_clipped / max(1, 2 * self._n_samples),
            lag_samples=lag_samples,
            digest=self._digest.hexdigest(),
        )


class _Sum:
    """The sum of the stems against the mixture, and each stem's place in it."""

    def __init__(self, summed: Sequence[str]) -> None:
        self._summed = summed
        self._mixture = self._stems = self._product = 0.0  # energies, and what the two have in common
        self._alignments: dict[str, Alignment] = {}

    def add(self, pieces: dict[str, Block]) -> None:
        mixture = pieces[MIXTURE]
        n_samples = mixture.shape[1]
        stems = {stem: _fitted(pieces[stem], n_samples) for stem in self._summed if stem in pieces}
        if not stems:
            return
        total = np.sum(list(stems.values()), axis=0)
        self._mixture += float(np.square(mixture, dtype=np.float64).sum())
        self._stems += float(np.square(total, dtype=np.float64).sum())
        self._product += float(np.multiply(total, mixture, dtype=np.float64).sum())
        gain = self._gain()  # as far as it is known yet
        for stem, piece in stems.items():
            # without the other stems, or else a bass is found where the guitar plays the same notes
            rest = mixture - np.float32(gain) * (total - piece)
            self._alignments.setdefault(stem, Alignment()).add(rest, piece)

    def lag(self, stem: str) -> int | None:
        return self._alignments[stem].lag() if stem in self._alignments else None

    def sdr_db(self) -> float | None:
        """Of the sum as an estimate of the mixture, after `gain_db`; None if either is silent."""
        if not self._mixture or not self._stems:
            return None
        explained = self._gain() ** 2 * self._stems
        return _decibels(self._mixture / max(self._mixture - explained, 1e-14 * self._mixture))

    def gain_db(self) -> float | None:
        return _decibels(self._gain() ** 2)

    def _gain(self) -> float:
        """Of the mixture over the sum, by least squares; 0 for a sum that is upside down."""
        return max(0.0, self._product / self._stems) if self._stems else 0.0


def _fitted(piece: Block, n_samples: int) -> Block:
    piece = piece[:, :n_samples]
    return np.pad(piece, ((0, 0), (0, n_samples - piece.shape[1])))


def _decibels(power: float) -> float | None:
    return 10 * math.log10(power) if power > 0 else None
