"""Random changes to training examples: pure functions of (sources, generator), batched, on any device.

    levels.py    swap, remix, scale, polarity, drop            one factor per stem or example
    timing.py    delay, cross_song                             when, and beside which others
    filters.py   inverse_gaussian_filter, equalise             linear filters
    bus.py       soft_clip, compress, codec                    what a finished mixture goes through
    vocoder.py   tempo, pitch                                  a phase vocoder
    axis.py      stretch, shift                                the axes of magnitudes scaled, as in the study
    timbre.py    change_speed, gain, place, tilt, drive, ...   to single sources, before they are mixed

"The study" is Prétet, Hennequin, Royo-Letelier and Vaglio 2019, "Singing voice separation: a study on
training data" (arXiv 1906.02618); its seven augmentations have its ranges as defaults. A mixture is the sum
of its stems, before and after every change of waveforms.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from inspect import signature
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from stemwise.data.augment import axis, bus, filters, levels, timing, vocoder
from stemwise.errors import ConfigError

Change: TypeAlias = Callable[[Tensor, torch.Generator], Tensor]
Domain: TypeAlias = Literal["waveform", "magnitude"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """A change that a configuration or the command can name.

    Attributes:
        domain: what it is made to: waveforms `(batch, stems, channels, samples)`, or magnitudes
            `(batch, ..., bins, frames)` of mixture and targets alike.
        function: of (values, rng) and keywords with defaults; only `sample_rate` has none where it is needed.
        margin: how many times as long as its result an excerpt must be, that no silence comes in at its ends.
    """

    domain: Domain
    function: Callable[..., Tensor]
    margin: float = 1.0

    @property
    def summary(self) -> str:
        """The first line of the function's documentation."""
        return (self.function.__doc__ or "").partition("\n")[0]


def _waveform(function: Callable[..., Tensor], margin: float = 1.0) -> Augmentation:
    return Augmentation(domain="waveform", function=function, margin=margin)


AUGMENTATIONS: dict[str, Augmentation] = {
    # the study's
    "swap": _waveform(levels.swap),
    "stretch": Augmentation(domain="magnitude", function=axis.stretch, margin=1 / 0.7),
    "shift": Augmentation(domain="magnitude", function=axis.shift),
    "remix": _waveform(levels.remix),
    "filter": _waveform(filters.inverse_gaussian_filter),
    "scale": _waveform(levels.scale),
    # those of later work
    "tempo": _waveform(vocoder.tempo, margin=1 / 0.88),
    "pitch": _waveform(vocoder.pitch),
    "cross_song": _waveform(timing.cross_song),
    "delay": _waveform(timing.delay),
    "polarity": _waveform(levels.polarity),
    "drop": _waveform(levels.drop),
    "equalise": _waveform(filters.equalise),
    "soft_clip": _waveform(bus.soft_clip),
    "compress": _waveform(bus.compress),
    "codec": _waveform(bus.codec),
}
# Names that stand for several; the study's "combined" is four at once.
COMBINATIONS = {"combined": ("swap", "remix", "shift", "stretch")}


def expand(names: Iterable[str]) -> tuple[str, ...]:
    """The names with every combination replaced by its parts.

    Raises:
        ConfigError: for a name that is not known.
    """
    expanded: list[str] = []
    for name in names:
        if name not in AUGMENTATIONS and name not in COMBINATIONS:
            known = ", ".join([*AUGMENTATIONS, *COMBINATIONS])
            raise ConfigError(f"augmentation is {name!r}: it must be one of {known}")
        expanded += COMBINATIONS.get(name, (name,))
    return tuple(expanded)


def select(
    names: Iterable[str], domain: Domain, *, sample_rate: int, always: bool = False
) -> tuple[Change, ...]:
    """The changes of one domain among the names, in their order, ready to be made.

    Args:
        names: in `AUGMENTATIONS` or `COMBINATIONS`.
        domain: those of the other one are left out.
        sample_rate: Hz, for those that must know it.
        always: make each change to every example, also those that training makes to some only.

    Raises:
        ConfigError: for a name that is not known.
    """
    options = {"sample_rate": sample_rate, "p": 1.0} if always else {"sample_rate": sample_rate}
    return tuple(
        partial(
            chosen.function,
            **{key: value for key, value in options.items() if key in signature(chosen.function).parameters},
        )
        for chosen in (AUGMENTATIONS[name] for name in expand(names))
        if chosen.domain == domain
    )


def margin(names: Iterable[str], domain: Domain) -> float:
    """How many times as long as its result an excerpt must be for the changes of one domain together."""
    chosen = (AUGMENTATIONS[name] for name in expand(names))
    return math.prod(augmentation.margin for augmentation in chosen if augmentation.domain == domain)
