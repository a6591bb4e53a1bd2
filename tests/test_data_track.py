"""What a song's sounds make: its mixture, an accompaniment, the rest beside the stems that are asked for."""

import pytest

from stemwise.data.track import accompaniment, rest, summands

FOUR = ("vocals", "drums", "bass", "other")


@pytest.mark.parametrize(
    ("sounds", "stems", "expected"),
    [
        (FOUR, ("vocals", "accompaniment"), (FOUR[1:], ())),
        ((*FOUR, "mixture"), ("vocals", "accompaniment"), (FOUR[1:], ())),
        (FOUR, ("vocals", "drums", "accompaniment"), (("bass", "other"), ())),
        (FOUR, ("drums", "accompaniment"), (("vocals", "bass", "other"), ())),
        (FOUR, ("accompaniment",), (FOUR[1:], ())),
        (("vocals", "drums", "bass_and_other", "mixture"), ("vocals", "accompaniment"),
         (("drums", "bass_and_other"), ())),
        (("vocals", "mixture"), ("vocals", "accompaniment"), (("mixture",), ("vocals",))),
        (("vocals", "drums", "mixture"), ("accompaniment",), (("mixture",), ("vocals",))),
        (("vocals", "drums", "mixture"), ("vocals", "drums", "accompaniment"),
         (("mixture",), ("vocals", "drums"))),
        (("drums", "mixture"), ("vocals", "accompaniment"), None),
        (("vocals", "mixture"), ("vocals", "drums", "accompaniment"), None),
        (("vocals",), ("vocals", "accompaniment"), ((), ())),
    ],
)  # fmt: skip
def test_an_accompaniment_is_what_the_other_stems_leave(
    sounds: tuple[str, ...], stems: tuple[str, ...], expected: tuple | None
) -> None:
    assert accompaniment(sounds, stems) == expected


@pytest.mark.parametrize(
    ("sounds", "stems", "expected"),
    [
        (FOUR, FOUR, ((), ())),
        (FOUR, ("vocals", "drums"), (("bass", "other"), ())),
        (FOUR, ("vocals", "accompaniment"), ((), ())),
        (FOUR, ("accompaniment",), (("vocals",), ())),
        ((*FOUR, "accompaniment"), ("vocals", "drums"), (("bass", "other"), ())),
        ((*FOUR, "accompaniment"), ("vocals", "accompaniment"), ((), ())),
        (("vocals", "drums", "accompaniment"), ("vocals", "drums"), (("accompaniment",), ("drums",))),
        (("vocals", "accompaniment"), ("vocals",), (("accompaniment",), ())),
        # one that is missing is silent, unless another may hold it
        (("vocals", "bass"), ("vocals", "drums"), (("bass",), ())),
        (("vocals", "accompaniment"), ("vocals", "drums"), None),
        (("vocals", "drums", "bass_and_other"), ("vocals", "bass"), None),
        (("vocals", "bass_and_other"), ("vocals", "drums"), (("bass_and_other",), ())),
        (("vocals", "drums", "bass_and_other"), FOUR, ((), ())),
        (FOUR, ("vocals", "piano"), None),
        ((*FOUR, "piano"), ("vocals", "piano"), (("drums", "bass", "other"), ())),
        ((*FOUR, "piano"), FOUR, (("piano",), ())),
        # with a mixture of its own
        (("vocals", "mixture"), ("vocals",), (("mixture",), ("vocals",))),
        (("vocals", "drums", "bass", "mixture"), ("vocals", "drums"), (("mixture",), ("vocals", "drums"))),
        ((*FOUR, "mixture"), ("vocals", "drums"), (("bass", "other"), ())),
        ((*FOUR, "mixture"), FOUR, ((), ())),
        (("drums", "bass", "other", "mixture"), ("drums",), (("mixture",), ("drums",))),
        (("vocals", "mixture"), ("vocals", "drums"), None),
    ],
)
def test_the_rest_is_what_a_song_holds_beside_the_stems_that_are_asked_for(
    sounds: tuple[str, ...], stems: tuple[str, ...], expected: tuple | None
) -> None:
    assert rest(sounds, stems) == expected


def test_an_accompaniment_and_its_parts_are_counted_once() -> None:
    assert summands([*FOUR, "accompaniment"]) == list(FOUR)
    assert summands(["vocals", "accompaniment"]) == ["vocals", "accompaniment"]
    assert summands(["vocals", "drums", "accompaniment"]) == ["vocals", "accompaniment"]
