"""What is compared: the references, the mixture and the estimates of one song, paired by their names."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stemwise.checkpoint import ModelCard
from stemwise.data.track import ACCOMPANIMENT, MIXTURE, accompaniment
from stemwise.data.tracks import Track, read_mixture, read_sources
from stemwise.errors import ConfigError, NonFiniteError, ShapeError

SILENCE = 1e-6  # mean square, -60 dB: softer references count as silent, what leaks there is no music
OTHER = "other"
PARTS_OF_OTHER = ("piano",)  # what a model may tell apart and a data set leaves in `other`


@dataclass(frozen=True, slots=True)
class Song:
    """References by stem and the mixture, all `(2, samples)`; those without an estimate can interfere."""

    name: str
    references: dict[str, Tensor]
    mixture: Tensor


def read_song(track: Track, stems: Sequence[str], *, sample_rate: int) -> Song:
    """Read what the estimates of these stems are compared with.

    Args:
        track: where `accompaniment` is estimated and has no file, it is what the other estimates leave: see
            `stemwise.data.track.accompaniment`.
        stems: that there are estimates of.
        sample_rate: Hz.

    Raises:
        ConfigError: if stems of the song overlap.
        ShapeError: if its mixture has another length than its stems.
        NonFiniteError: for a file with samples that are no numbers.
        DecodeError: for a file that cannot be read.
    """
    inside = [stem for stem in track.files if stem not in (ACCOMPANIMENT, "vocals")]
    if ACCOMPANIMENT in track.files and inside:
        raise ConfigError(
            f"{track.name} has files of {ACCOMPANIMENT} and of {inside[0]}, which is a part of it: "
            "its stems must not overlap, leave one of them away"
        )
    sources = {
        stem: torch.from_numpy(source)
        for stem, source in read_sources(track, sample_rate=sample_rate).items()
    }
    for stem, source in sources.items():
        check_signal(f"{track.name}: {track.files[stem].path}", source, source)
    mixture = torch.stack(list(sources.values())).sum(dim=0)
    if track.mixture is not None:
        mixture = torch.tensor(read_mixture(track, sample_rate=sample_rate))
        check_signal(f"{track.name}: {track.mixture.path}", mixture, next(iter(sources.values())))
    if ACCOMPANIMENT in stems and ACCOMPANIMENT not in sources:
        sounds = sources if track.mixture is None else {**sources, MIXTURE: mixture}
        terms = accompaniment(sounds, stems)
        if terms is not None:
            nothing = torch.zeros_like(mixture)
            added, taken = (sum((sounds[name] for name in part), nothing) for part in terms)
            apart = terms.taken if MIXTURE in terms.added else set(sources) - set(terms.added)
            sources = {stem: source for stem, source in sources.items() if stem in apart}
            sources[ACCOMPANIMENT] = added - taken
    return Song(track.name, sources, mixture)


def comparable(song: Song, estimates: dict[str, Tensor]) -> dict[str, Tensor]:
    """The estimates of stems that the song has, and that are not silent in it.

    Where a song's `other` holds what the estimates tell apart (piano), these are added up.

    Raises:
        ShapeError, NonFiniteError: if an estimate has not the shape of its reference, or is not finite.
    """
    for part in PARTS_OF_OTHER:
        if part in estimates and part not in song.references and OTHER in estimates:
            estimates = {**estimates, OTHER: estimates[OTHER] + estimates[part]}
    found = {
        stem: estimate
        for stem, estimate in estimates.items()
        if stem in song.references and song.references[stem].square().mean() > SILENCE
    }
    for stem, estimate in found.items():
        check_signal(f"{song.name}: the estimate of {stem}", estimate, song.references[stem])
    return found


def trained_on(card: ModelCard, tracks: Sequence[Track]) -> tuple[str, ...]:
    """A sentence that names the songs which the model was trained on, if any; else nothing."""
    known = {name.casefold() for name in card.training_tracks}
    heard = [track.name for track in tracks if track.name.casefold() in known]
    if not heard:
        return ()
    named = ", ".join(heard[:3]) + (", …" if len(heard) > 3 else "")
    return (
        f"the model was trained on {len(heard)} of these {len(tracks)} songs ({named}): "
        "scores on them say nothing about new songs",
    )


def check_signal(what: str, signal: Tensor, reference: Tensor) -> None:
    """See that a signal has the shape of what it is compared with.

    Raises:
        ShapeError, NonFiniteError: if not, or if samples are NaN or infinite; it names `what`.
    """
    if not torch.isfinite(signal).all():
        raise NonFiniteError(f"{what} has NaN or infinite samples: they cannot be scored")
    if signal.shape != reference.shape:
        raise ShapeError(
            f"{what} has {signal.shape[-1]} samples and {len(signal)} channels: "
            f"it must have the {reference.shape[-1]} samples and {len(reference)} channels of the references"
        )
