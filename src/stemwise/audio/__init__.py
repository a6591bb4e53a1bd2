"""Audio files in and out, as blocks of float32 `(channels, samples)`; the only package that knows a codec."""

from stemwise.audio.codecs import CODECS, Codec, is_integer_format, library_versions, nearest_sample_rate
from stemwise.audio.decode import AudioInfo, AudioReader
from stemwise.audio.encode import AudioWriter
from stemwise.audio.region import RegionReader
from stemwise.audio.resample import Resampler
from stemwise.audio.roundtrip import round_trip
from stemwise.audio.tags import Picture, Tags

__all__ = [
    "CODECS",
    "AudioInfo",
    "AudioReader",
    "AudioWriter",
    "Codec",
    "Picture",
    "RegionReader",
    "Resampler",
    "Tags",
    "is_integer_format",
    "library_versions",
    "nearest_sample_rate",
    "round_trip",
]
