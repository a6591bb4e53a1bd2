"""The formats that stems can be written in, and what each of them can hold."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import av
import soundfile
from av import library_versions as ffmpeg_versions

from stemwise.errors import ConfigError

DEFAULT_BITRATE = 128_000  # bit/s, as Spleeter has it
DEFAULT_BIT_DEPTH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """One output format. Its name in `CODECS` is also the suffix of its files.

    Attributes:
        container: FFmpeg's name of the container.
        encoders: FFmpeg's (or libsndfile's) encoder for each bit depth; depth None for lossy codecs.
        sample_rates: all that it can hold, Hz, ascending; empty if it can hold any.
        options: of FFmpeg's muxer.
        has_cover: the container holds a picture as a stream of its own.
    """

    container: str
    encoders: Mapping[int | None, str]
    sample_rates: tuple[int, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    has_cover: bool = False

    @property
    def bit_depths(self) -> tuple[int, ...]:
        return tuple(depth for depth in self.encoders if depth is not None)


# Sample rates: MPEG-1, 2 and 2.5 layer III; ISO/IEC 14496-3, table of sampling frequencies; RFC 6716,
# section 2; what Windows' own encoder offers for WMA.
_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
CODECS: dict[str, Codec] = {
    "wav": Codec(
        container="wav",
        encoders={16: "pcm_s16le", 24: "pcm_s24le", 32: "pcm_f32le"},
        options={"rf64": "auto"},  # a 64-bit header above 4 GiB
    ),
    "flac": Codec(container="flac", encoders={16: "flac", 24: "flac"}, has_cover=True),
    "mp3": Codec(container="mp3", encoders={None: "libmp3lame"}, sample_rates=_MP3_RATES, has_cover=True),
    "ogg": Codec(container="ogg", encoders={None: "vorbis"}),
    "opus": Codec(
        container="ogg", encoders={None: "libopus"}, sample_rates=(8000, 12000, 16000, 24000, 48000)
    ),
    "m4a": Codec(
        container="mp4",
        encoders={None: "aac"},
        sample_rates=(7350, *_MP3_RATES, 64000, 88200, 96000),
        options={"brand": "M4A "},
        has_cover=True,
    ),
    "wma": Codec(
        container="asf",
        encoders={None: "wmav2"},
        sample_rates=(8000, 11025, 16000, 22050, 32000, 44100, 48000),
    ),
}


def find_codec(name: str) -> Codec:
    """The codec of this name.

    Raises:
        ConfigError: if there is none.
    """
    if name not in CODECS:
        raise ConfigError(f"codec is {name!r}: it must be one of {', '.join(CODECS)}")
    return CODECS[name]


def find_bit_depth(name: str, bit_depth: int | None) -> int | None:
    """The bit depth to be written; None for codecs that have none.

    Raises:
        ConfigError: if the codec cannot hold the given one.
    """
    depths = find_codec(name).bit_depths
    if bit_depth is None:
        return DEFAULT_BIT_DEPTH if depths else None
    if bit_depth not in depths:
        allowed = f"must be one of {', '.join(map(str, depths))}" if depths else "cannot be chosen"
        raise ConfigError(f"bit_depth is {bit_depth}: for {name} it {allowed}")
    return bit_depth


def is_integer_format(codec: str, bit_depth: int | None = None) -> bool:
    """Whether samples beyond full scale would be cut off: true of 16 and 24 bits.

    Lossy codecs are handed float32, of which their decoders may or may not return what exceeds full scale.
    """
    return find_bit_depth(codec, bit_depth) in (16, 24)


def nearest_sample_rate(codec: str, sample_rate: int) -> int:
    """The sample rate, Hz, that the codec can hold and that loses least: the higher one of two as near."""
    rates = find_codec(codec).sample_rates or (sample_rate,)
    return min(rates, key=lambda rate: (abs(rate - sample_rate), -rate))


def library_versions() -> dict[str, str]:
    """Versions of the libraries that decode and encode, for the report of a problem."""
    ffmpeg = ".".join(map(str, ffmpeg_versions["libavcodec"]))
    return {
        "PyAV": f"{av.__version__} (libavcodec {ffmpeg})",
        "soundfile": f"{soundfile.__version__} ({soundfile.__libsndfile_version__})",
    }
