import pytest

from stemwise.audio.length import true_length

MP4 = "mov,mp4,m4a,3gp,3g2,mj2"


@pytest.mark.parametrize(
    ("container", "stated", "excess", "expected"),
    [
        (MP4, 99_975, 349, 100_003),  # FFmpeg: the last packet is shorter
        (MP4, 99_900, 0, 99_900),  # Apple: the edit list says it
        (MP4, 50_000, 0, 100_352),  # more than padding: the header is wrong
        (MP4, None, 0, 100_352),
        (MP4, 100_400, 0, 100_352),  # cut off
        (MP4, 100_328, 0, 100_352),  # rounded down to 2275 ms
        (MP4, 100_300, 0, 100_300),  # near, but no whole number of milliseconds
        ("ogg", 100_003, 349, 100_003),
        ("matroska,webm", 100_003, 349, 100_352),
    ],
)
def test_padding_is_cut_off_where_it_is_stated(
    container: str, stated: int | None, excess: int, expected: int
) -> None:
    assert true_length(container, 44100, stated, 100_352, excess) == expected
