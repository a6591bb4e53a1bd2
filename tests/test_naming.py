import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemwise.errors import ConfigError
from stemwise.naming import Song, find_songs, output_paths

STEMS = ("vocals", "drums")


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(plan: list[dict[str, Path]], output: Path) -> list[str]:
    return [str(paths["vocals"].relative_to(output)) for paths in plan]


def plan(output: Path, *paths: str, **options: object) -> list[str]:
    return names(output_paths([Song(Path(p)) for p in paths], STEMS, output, codec="wav", **options), output)  # type: ignore[arg-type]


def test_default_layout_is_spleeters(tmp_path: Path) -> None:
    assert plan(tmp_path, "songs/breath.mp3") == ["breath/vocals.wav"]


def test_all_placeholders(tmp_path: Path) -> None:
    assert plan(tmp_path, "album/a.b.mp3", template="{foldername}-{filename}_{instrument}.{codec}") == [
        "album-a.b_vocals.wav"
    ]


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (("a.wav", "a.mp3"), ["a.wav/vocals.wav", "a.mp3/vocals.wav"]),
        (("x/01.mp3", "y/01.mp3"), ["x_01.mp3/vocals.wav", "y_01.mp3/vocals.wav"]),
        (("x/01.mp3", "y/01.mp3", "z.mp3"), ["x_01.mp3/vocals.wav", "y_01.mp3/vocals.wav", "z/vocals.wav"]),
        (("Song.mp3", "song.mp3"), None),
        (("a.mp3", "a..mp3"), ["a.mp3/vocals.wav", "a..mp3/vocals.wav"]),
        (("what?.mp3", "what*.mp3"), None),
    ],
)
def test_no_two_inputs_into_one_path(
    tmp_path: Path, paths: tuple[str, ...], expected: list[str] | None
) -> None:
    if expected is None:
        with pytest.raises(ConfigError, match="would be written to the same files"):
            plan(tmp_path, *paths)
    else:
        assert plan(tmp_path, *paths) == expected


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.text("aA.é:/ ", min_size=1, max_size=6).filter(lambda t: t.strip("./ ")),
        min_size=1,
        max_size=5,
        unique=True,
    )
)
def test_outputs_are_distinct_or_refused(texts: list[str]) -> None:
    songs = [Song(Path(text.strip("/") + ".mp3")) for text in texts]
    try:
        planned = output_paths(songs, STEMS, Path("out"), codec="wav")
    except ConfigError:
        return
    keys = [str(path).casefold() for paths in planned for path in paths.values()]
    assert len(set(keys)) == len(keys)
    assert all(
        not part.endswith((".", " ")) for paths in planned for path in paths.values() for part in path.parts
    )


def test_characters_that_a_file_system_refuses_are_replaced_only_when_portable(tmp_path: Path) -> None:
    assert plan(tmp_path, "AC: live?.mp3") == ["AC_ live_/vocals.wav"]
    assert plan(tmp_path, "con.mp3") == ["_con/vocals.wav"]
    assert plan(tmp_path, "AC: live?.mp3", portable=False) == ["AC: live?/vocals.wav"]


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{filename}.{codec}", "needs {stem}"),
        ("{artist}/{stem}", "it may hold"),
        ("{stem", "template"),
        ("{filename:d}/{stem}", "it may hold"),
        ("{filename!r}/{stem}", "it may hold"),
    ],
)
def test_bad_template_is_refused(tmp_path: Path, template: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        plan(tmp_path, "a.mp3", template=template)


def test_a_folder_below_that_cannot_be_read_is_an_error_where_nobody_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in" / "closed").mkdir(parents=True)
    scan = os.scandir

    def closed(path: str) -> object:
        if Path(path).name == "closed":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(ConfigError, match=r"in/closed cannot be read: Permission denied$"):
        find_songs([tmp_path / "in"], recursive=True)


def test_folders_are_walked_and_mirrored(tmp_path: Path) -> None:
    touch(
        tmp_path / "in/b.mp3",
        tmp_path / "in/a.WAV",
        tmp_path / "in/cover.jpg",
        tmp_path / "in/cd1/01.flac",
        tmp_path / "in/.hidden.mp3",
    )
    touch(tmp_path / "in/out/b/vocals.wav")
    flat = find_songs([tmp_path / "in"])
    assert [song.path.name for song in flat] == ["a.WAV", "b.mp3"]
    deep = find_songs([tmp_path / "in"], recursive=True, output=tmp_path / "in/out")
    assert [str(song.folder / song.path.name) for song in deep] == ["a.WAV", "b.mp3", "cd1/01.flac"]
    planned = output_paths(deep, STEMS, tmp_path / "out", codec="wav")
    assert names(planned, tmp_path / "out") == ["a/vocals.wav", "b/vocals.wav", "cd1/01/vocals.wav"]


def test_a_song_named_twice_is_one_song(tmp_path: Path) -> None:
    touch(tmp_path / "a.mp3")
    assert len(find_songs([tmp_path / "a.mp3", tmp_path / "a.mp3", tmp_path])) == 1


def test_a_folder_without_songs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no audio file"):
        find_songs([tmp_path])


@pytest.mark.parametrize("output", [".", "in", ".."])
def test_an_output_folder_around_the_input_hides_no_song(tmp_path: Path, output: str) -> None:
    touch(tmp_path / "in/a.mp3")
    songs = find_songs([tmp_path / "in"], recursive=True, output=tmp_path / output)
    assert [song.path.name for song in songs] == ["a.mp3"]


def test_an_input_is_never_overwritten(tmp_path: Path) -> None:
    touch(tmp_path / "vocals/vocals.wav", tmp_path / "b/vocals.wav")
    with pytest.raises(ConfigError, match="would be overwritten"):
        output_paths([Song(tmp_path / "vocals/vocals.wav")], STEMS, tmp_path, codec="wav")
    songs = [Song(tmp_path / "b.mp3"), Song(tmp_path / "b/vocals.wav")]
    with pytest.raises(ConfigError, match="would be overwritten"):
        output_paths(songs, STEMS, tmp_path, codec="wav")


def test_a_name_that_is_too_long_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="longer than 255 bytes"):
        plan(tmp_path, "a" * 250 + ".mp3", template="{filename}_{stem}.{codec}")


def test_no_name_leads_out_of_the_output_folder(tmp_path: Path) -> None:
    assert plan(tmp_path, "...mp3", portable=False) == ["_/vocals.wav"]


def test_mirrored_folders_are_cleaned_too(tmp_path: Path) -> None:
    songs = [Song(Path("in/AC: live/a.mp3"), Path("AC: live"))]
    assert names(output_paths(songs, STEMS, tmp_path, codec="wav"), tmp_path) == ["AC_ live/a/vocals.wav"]
