"""How well a separator does on songs whose stems are known: tracks in, a table out.

The mixture of a song is the plain sum of its stems. A stem is scored where its reference is known and not
silent. Scores are over the whole excerpt; a column's figure is the median over songs, as is the custom.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch

from stemwise.data.tracks import Track, read_sources
from stemwise.errors import ConfigError
from stemwise.metrics import sdr, si_sdr
from stemwise.separate import ACCOMPANIMENT, Separator

SILENCE = (
    1e-6  # mean square below which a reference is taken for silent, -60 dB: what leaks there is not music
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One stem of one song, dB; `mixture_sdr` is what giving back the mixture would score."""

    track: str
    stem: str
    sdr: float
    si_sdr: float
    mixture_sdr: float


@dataclass(frozen=True, slots=True)
class EvaluationTable:
    """Scores of every song and stem."""

    scores: tuple[Score, ...]

    @property
    def stems(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(score.stem for score in self.scores))

    @property
    def tracks(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(score.track for score in self.scores))

    def select(self, prefix: str) -> "EvaluationTable":
        """Only the songs whose names begin so."""
        return EvaluationTable(tuple(score for score in self.scores if score.track.startswith(prefix)))

    def median(self, stem: str, metric: str = "sdr") -> float:
        """Over songs, of "sdr", "si_sdr" or "mixture_sdr", dB.

        Raises:
            ConfigError: if no song has that stem.
        """
        values = [getattr(score, metric) for score in self.scores if score.stem == stem]
        if not values:
            raise ConfigError(f"no song has a score for {stem!r}: the stems are {', '.join(self.stems)}")
        return float(median(values))


def evaluate(
    separator: Separator, tracks: Iterable[Track], *, report: Callable[[Track], None] = lambda _: None
) -> EvaluationTable:
    """Separate the mixture of every track and score each stem.

    Args:
        separator: it hears the tracks at its model's sample rate.
        tracks: see `stemwise.data.tracks.find_tracks`. What the separator gives as accompaniment is scored
            against the sum of the stems that it does not give, unless the track has one of its own.
        report: called after each track.
    """
    scores: list[Score] = []
    for track in tracks:
        scores += _scores(separator, track)
        report(track)
    return EvaluationTable(tuple(scores))


def _scores(separator: Separator, track: Track) -> list[Score]:
    sample_rate = separator.config.sample_rate
    sources = {
        stem: torch.from_numpy(np.ascontiguousarray(source))
        for stem, source in read_sources(track, sample_rate=sample_rate).items()
    }
    mixture = torch.stack(list(sources.values())).sum(dim=0)
    if ACCOMPANIMENT in separator.stems and ACCOMPANIMENT not in sources:
        rest = [source for stem, source in sources.items() if stem not in separator.stems]
        sources[ACCOMPANIMENT] = torch.stack([torch.zeros_like(mixture), *rest]).sum(dim=0)
    estimates = separator.separate(mixture, sample_rate)
    return [
        Score(
            track=track.name,
            stem=stem,
            sdr=sdr(sources[stem], estimate).item(),
            si_sdr=si_sdr(sources[stem], estimate).item(),
            mixture_sdr=sdr(sources[stem], mixture).item(),
        )
        for stem, estimate in estimates.items()
        if stem in sources and sources[stem].square().mean() > SILENCE
    ]
