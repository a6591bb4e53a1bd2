import pytest

from stemwise.audio import CODECS, is_integer_format, nearest_sample_rate
from stemwise.errors import ConfigError


@pytest.mark.parametrize(
    ("codec", "wanted", "nearest"),
    [
        ("wav", 12345, 12345),
        ("flac", 192000, 192000),
        ("ogg", 96000, 96000),
        ("mp3", 96000, 48000),
        ("mp3", 44100, 44100),
        ("mp3", 10000, 11025),
        ("opus", 44100, 48000),
        ("opus", 20000, 24000),  # as near as 16000: the higher one loses less
        ("m4a", 192000, 96000),
        ("wma", 96000, 48000),
    ],
)
def test_the_nearest_rate_that_a_codec_holds(codec: str, wanted: int, nearest: int) -> None:
    assert nearest_sample_rate(codec, wanted) == nearest


def test_codecs_are_those_of_spleeter_and_opus() -> None:
    assert set(CODECS) == {"wav", "mp3", "ogg", "m4a", "wma", "flac", "opus"}


def test_integer_formats_are_those_that_clip() -> None:
    clipping = [(codec, depth) for codec in CODECS for depth in (CODECS[codec].bit_depths or (None,))]
    clipping = [pair for pair in clipping if is_integer_format(*pair)]
    assert clipping == [("wav", 16), ("wav", 24), ("flac", 16), ("flac", 24)]
    assert is_integer_format("wav")


def test_unknown_codecs_are_refused() -> None:
    with pytest.raises(ConfigError, match="codec is 'aac': it must be one of"):
        nearest_sample_rate("aac", 44100)
