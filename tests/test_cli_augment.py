import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from audio_files import files_below, read_wav, write_wav
from stemwise.cli import app
from stemwise.data.augment import AUGMENTATIONS, COMBINATIONS
from stemwise.errors import ConfigError, DecodeError, StemwiseError

RATE = 8000
FILES = ["drums.wav", "mixture.wav", "spectrograms.png", "vocals.wav"]


@pytest.fixture
def song(tmp_path: Path) -> Path:
    folder = tmp_path / "songs" / "a song"
    for stem, seed in (("vocals", 1), ("drums", 2)):
        noise = 0.1 * torch.randn(2, 2 * RATE, generator=torch.Generator().manual_seed(seed))
        write_wav(folder / f"{stem}.wav", noise, RATE)
    write_wav(tmp_path / "songs" / "another" / "vocals.wav", torch.zeros(2, 10), RATE)
    return folder


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["augment", *map(str, arguments)], catch_exceptions=True)
    if isinstance(result.exception, StemwiseError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_it_writes_the_mixture_the_stems_and_a_picture(song: Path, tmp_path: Path) -> None:
    printed = run(song, "-o", tmp_path / "out", "--with", "swap", "--duration", 0.5, "--offset", 1)
    assert files_below(tmp_path / "out") == FILES
    assert "a song →" in printed
    assert "0.5 s from 1.0 s on" in printed
    heard = {}
    for name in ("mixture", "vocals", "drums"):
        heard[name], rate = read_wav(tmp_path / "out" / f"{name}.wav")
        assert rate == RATE
    given, _ = read_wav(song / "vocals.wav")
    assert torch.equal(heard["vocals"], given[:, RATE : RATE + RATE // 2].flip(0))
    torch.testing.assert_close(heard["mixture"], heard["vocals"] + heard["drums"])
    assert files_below(song) == ["drums.wav", "vocals.wav"]


def test_the_seed_is_the_change(song: Path, tmp_path: Path) -> None:
    for folder, seed in (("a", 3), ("b", 3), ("c", 4)):
        run(
            song,
            "-o",
            tmp_path / folder,
            "--with",
            "remix",
            "--with",
            "stretch",
            "--seed",
            seed,
            "--no-picture",
        )
    assert files_below(tmp_path / "a") == ["drums.wav", "mixture.wav", "vocals.wav"]
    first, again, other = ((tmp_path / folder / "vocals.wav").read_bytes() for folder in "abc")
    assert first == again != other


@pytest.mark.parametrize("name", [*AUGMENTATIONS, *COMBINATIONS])
def test_every_name_can_be_heard(song: Path, tmp_path: Path, name: str) -> None:
    arguments = (song, "-o", tmp_path / "out", "--with", name, "--no-picture")
    if name == "cross_song":
        with pytest.raises(ConfigError, match="does nothing to one song"):
            run(*arguments)
    else:
        run(*arguments)
        heard, _ = read_wav(tmp_path / "out" / "mixture.wav")
        assert heard.isfinite().all()
        assert heard.abs().max() > 0.01


def test_the_list_tells_every_name() -> None:
    printed = run("--list")
    for name in (*AUGMENTATIONS, *COMBINATIONS):
        assert name in printed


def test_a_stem_file_of_several_streams_is_a_song_too(tmp_path: Path, song: Path) -> None:
    (song.parent / "x.stem.mp4").write_bytes(b"nothing")
    with pytest.raises(DecodeError):  # it is taken for one, but holds no sound
        run(song.parent / "x.stem.mp4", "-o", tmp_path / "out", "--with", "swap")


@pytest.mark.parametrize("name", ["nowhere", "songs", "songs/a song/vocals.wav", "empty"])
def test_what_is_no_song_is_an_error(song: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="is no song: it must be a folder with files named vocals, drums"):
        run(tmp_path / name, "-o", tmp_path / "out", "--with", "swap")
    assert not (tmp_path / "out").exists()


def test_the_songs_own_files_are_not_written_over(song: Path) -> None:
    with pytest.raises(ConfigError, match="the song's own folder"):
        run(song, "-o", song.parent / "another" / ".." / "a song", "--with", "swap")


def test_unknown_names_and_missing_matplotlib_leave_nothing(
    song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="augmentation is 'sing': it must be one of swap"):
        run(song, "-o", tmp_path / "out", "--with", "sing")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ConfigError, match=r"stemwise\[plot\]"):
        run(song, "-o", tmp_path / "out", "--with", "swap")
    assert not (tmp_path / "out").exists()


def test_a_failure_half_way_leaves_nothing(
    song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("stemwise.plots.augmentation.save_before_and_after", fail)
    result = CliRunner().invoke(app, ["augment", str(song), "-o", str(tmp_path / "out"), "--with", "swap"])
    assert result.exit_code == 130
    assert not (tmp_path / "out").exists()
