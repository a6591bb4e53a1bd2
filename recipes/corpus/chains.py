"""What each kind of part and each style usually gets: tables of chances and ranges for `produce.py`."""

from dataclasses import dataclass

Range = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Chances (0 to 1) and ranges of the effects of a part.

    Attributes:
        low_cut: Hz.
        high_cut: Hz, used with chance `dull`.
        dull: chance of the high cut.
        tone: dB, largest boost or cut of the bells.
        treble: dB of the shelf above 2.5 to 9 kHz.
        depth: dB of the shelf below 70 to 140 Hz.
        squeeze: chance of a compressor.
        ratio: of the compressor.
        drive: dB of saturation, used with chance `dirt`.
        dirt: chance of saturation.
        motion: chance of chorus, flanger, phaser or tremolo.
        own_space: chance of a room or echo of its own.
        send: chance of a send to the stem's common reverb.
        place: largest pan.
        spread: chance that a part with one channel is made wide.
        level: dB relative to the stem's first part.
    """

    low_cut: Range
    high_cut: Range
    dull: float
    tone: float = 5.0
    treble: Range = (-5, 5)
    depth: Range = (0, 0)
    squeeze: float
    ratio: Range = (2, 6)
    drive: Range = (0, 10)
    dirt: float
    motion: float
    own_space: float
    send: float
    place: float
    spread: float = 0.0
    level: Range = (-5, 3)


_VOICE = {
    "low_cut": (60, 160),
    "high_cut": (6000, 14_000),
    "dull": 0.15,
    "squeeze": 0.75,
    "ratio": (2, 6),
    "dirt": 0.25,
}
_PLAYED = {"low_cut": (20, 130), "high_cut": (3000, 12_000), "dull": 0.25, "squeeze": 0.4}

CHAINS: dict[str, Chain] = {
    "lead vocal": Chain(
        **_VOICE, motion=0.03, own_space=0.2, send=0.75, place=0.03, spread=0.02, level=(0, 0)
    ),
    "double": Chain(**_VOICE, motion=0.1, own_space=0.1, send=0.85, place=0.9, spread=0.1, level=(-18, -6)),
    "harmony": Chain(**_VOICE, motion=0.1, own_space=0.15, send=0.9, place=0.9, spread=0.15, level=(-17, -5)),
    "backing": Chain(**_VOICE, motion=0.15, own_space=0.2, send=0.95, place=0.9, spread=0.3, level=(-19, -7)),
    "spoken": Chain(**_VOICE, motion=0.05, own_space=0.3, send=0.6, place=0.3, level=(-6, 0)),
    "kit": Chain(
        low_cut=(14, 30),
        high_cut=(4000, 14_000),
        dull=0.35,
        treble=(-10, 3),
        depth=(0, 10),
        squeeze=0.5,
        drive=(0, 8),
        dirt=0.35,
        motion=0.01,
        own_space=0.4,
        send=0.15,
        place=0.03,
        level=(0, 0),
    ),
    "thump": Chain(
        low_cut=(10, 20),
        high_cut=(90, 250),
        dull=1,
        tone=0,
        treble=(0, 0),
        squeeze=0.2,
        dirt=0.3,
        motion=0,
        own_space=0,
        send=0,
        place=0,
        level=(-6, 4),
    ),
    "percussion": Chain(
        low_cut=(60, 400),
        high_cut=(6000, 14_000),
        dull=0.1,
        squeeze=0.3,
        dirt=0.15,
        motion=0.03,
        own_space=0.3,
        send=0.5,
        place=0.8,
        level=(-16, -4),
    ),
    "bass": Chain(
        low_cut=(14, 35),
        high_cut=(140, 2500),
        dull=0.8,
        tone=6,
        treble=(-10, 4),
        depth=(-2, 9),
        squeeze=0.75,
        ratio=(2, 10),
        drive=(0, 18),
        dirt=0.3,
        motion=0.1,
        own_space=0.08,
        send=0.06,
        place=0.0,
        spread=0.06,
    ),
    "guitar": Chain(
        **_PLAYED, drive=(0, 12), dirt=0.2, motion=0.25, own_space=0.35, send=0.5, place=0.9, spread=0.1
    ),
    "keys": Chain(**_PLAYED, dirt=0.15, motion=0.2, own_space=0.25, send=0.5, place=0.5, spread=0.25),
    "pad": Chain(
        **_PLAYED, dirt=0.1, motion=0.25, own_space=0.4, send=0.6, place=0.2, spread=0.5, level=(-12, 0)
    ),
    "lead": Chain(**_PLAYED, dirt=0.3, motion=0.15, own_space=0.5, send=0.6, place=0.3, spread=0.2),
    "organ": Chain(
        **_PLAYED, drive=(0, 16), dirt=0.35, motion=0.1, own_space=0.25, send=0.5, place=0.5, spread=0.15
    ),
    "acoustic guitar": Chain(
        **_PLAYED, dirt=0.06, motion=0.06, own_space=0.35, send=0.6, place=0.8, spread=0.1
    ),
    "recorded guitar": Chain(
        low_cut=(20, 90),
        high_cut=(6000, 14_000),
        dull=0.15,
        tone=3,
        treble=(-3, 3),
        squeeze=0.2,
        dirt=0.05,
        motion=0.03,
        own_space=0.1,
        send=0.25,
        place=0.2,
        level=(-3, 4),
    ),
    "fx": Chain(**_PLAYED, dirt=0.2, motion=0.2, own_space=0.5, send=0.6, place=0.4, level=(-16, -5)),
    "acoustic": Chain(**_PLAYED, dirt=0.06, motion=0.04, own_space=0.5, send=0.7, place=0.8, spread=0.1),
}
WIDTHS: dict[str, tuple[float, Range]] = {  # chance of a mono stem, else the factor of its width
    "vocals": (0.4, (0.1, 0.7)),
    "drums": (0.2, (0.4, 1)),
    "bass": (0.3, (0.3, 1)),
    "other": (0.04, (0.7, 1.2)),
}
TONES: dict[str, tuple[tuple[float, Range], ...]] = {  # bells of a stem: Hz, and dB from and to
    "vocals": ((500, (-2, 1)), (2000, (0, 5))),
    "other": ((500, (-4, 0)), (2000, (0, 5))),
}
VOICES = ("lead vocal", "double", "harmony", "backing", "spoken")
ROLES = {  # parts that are treated like others
    "strings": "acoustic",
    "brass": "acoustic",
    "wind": "acoustic",
    "mallet": "acoustic",
    ("vocals", "lead"): "lead vocal",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """What a style leans to.

    Attributes:
        guitar_gain: chance of a distorted guitar, else it is clean, or not amplified at all.
        wet: factor on the reverb's chances and, in part, on its level.
        dirty: factor on the chances of saturation.
        room: chance of room microphones on the drums.
        pump: chance of sidechain pumping.
        loud: dB that the master is driven into its limiter.
    """

    guitar_gain: float
    wet: float = 1.0
    dirty: float = 1.0
    room: float = 0.4
    pump: float = 0.0
    loud: Range = (0, 7)


STYLES: dict[str, Style] = {
    "rock": Style(guitar_gain=0.65, dirty=1.2, room=0.6, loud=(0, 9)),
    "pop": Style(guitar_gain=0.25, pump=0.08, loud=(1, 9)),
    "electronic": Style(guitar_gain=0.3, wet=1.2, dirty=1.2, room=0.05, pump=0.4, loud=(1, 10)),
    "hiphop": Style(guitar_gain=0.15, wet=0.7, dirty=1.3, room=0.1, pump=0.12, loud=(1, 9)),
    "funk": Style(guitar_gain=0.15, wet=0.6, room=0.4, loud=(0, 6)),
    "jazz": Style(guitar_gain=0.05, dirty=0.3, room=0.6, loud=(-3, 2)),
    "folk": Style(guitar_gain=0.05, dirty=0.3, room=0.5, loud=(-3, 3)),
    "metal": Style(guitar_gain=0.95, dirty=1.5, room=0.5, loud=(3, 11)),
    "soul": Style(guitar_gain=0.1, wet=1.1, room=0.4, loud=(-1, 5)),
    "reggae": Style(guitar_gain=0.1, wet=1.4, room=0.3, loud=(-1, 5)),
    "latin": Style(guitar_gain=0.1, room=0.4, loud=(-1, 6)),
}
