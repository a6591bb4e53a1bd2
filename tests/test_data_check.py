import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from sounds import noise
from stemwise.cli import app
from stemwise.data import measure as measure_module
from stemwise.data.check import DataReport, check
from stemwise.data.tracks import find_tracks, read_mixture
from stemwise.errors import ConfigError

STEMS = ("vocals", "drums", "bass", "other")
RATE = 8000
N = 3 * RATE + 17


def sound(seed: int, n_samples: int = N) -> np.ndarray:
    return 0.5 * noise(n_samples, seed=seed)


def write(path: Path, samples: np.ndarray, *, sample_rate: int = RATE, subtype: str = "FLOAT") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples.T, sample_rate, subtype=subtype)


def write_song(song: Path, *, seed: int = 0) -> dict[str, np.ndarray]:
    """Four stems and their mixture."""
    sounds = {stem: sound(4 * seed + i) for i, stem in enumerate(STEMS)}
    sounds["mixture"] = np.sum(list(sounds.values()), axis=0)
    for stem, samples in sounds.items():
        write(song / f"{stem}.wav", samples)
    return sounds


def checked(folder: Path) -> DataReport:
    return check(find_tracks(folder, STEMS), source=folder)


def problems(folder: Path) -> list[tuple[str, str | None, str]]:
    return [(problem.level, problem.stem, problem.text) for problem in checked(folder).problems]


def test_a_sound_data_set_has_no_problems_and_known_figures(tmp_path: Path) -> None:
    sounds = write_song(tmp_path / "song")
    report = checked(tmp_path)
    assert (report.problems, report.n_errors) == ((), 0)
    (song,) = report.songs
    assert song.sum_sdr_db is not None
    assert song.sum_sdr_db > 100
    assert song.sum_gain_db == pytest.approx(0, abs=1e-3)
    vocals = song.sounds["vocals"]
    level = 10 * np.log10(np.mean(np.square(sounds["vocals"], dtype=np.float64)))
    assert (vocals.sample_rate, vocals.n_channels, vocals.duration_s) == (RATE, 2, N / RATE)
    assert vocals.level_db == pytest.approx(level, abs=1e-3)
    assert vocals.peak_db == pytest.approx(20 * np.log10(np.abs(sounds["vocals"]).max()), abs=1e-3)
    assert {sound.lag_samples for sound in song.sounds.values()} == {0, None}
    assert song.sounds["mixture"].lag_samples is None


@pytest.mark.parametrize("lag", [1, 333, -50])
def test_a_stem_out_of_time_is_an_error_that_says_by_how_much(tmp_path: Path, lag: int) -> None:
    sounds = write_song(tmp_path / "song")
    write(tmp_path / "song" / "drums.wav", np.roll(sounds["drums"], lag, axis=1))
    when = "late" if lag > 0 else "early"
    assert problems(tmp_path) == [("error", "drums", f"is {abs(lag)} samples too {when} against the mixture")]


def test_an_accompaniment_beside_its_parts_does_not_count_twice(tmp_path: Path) -> None:
    sounds = write_song(tmp_path / "song")
    write(tmp_path / "song" / "accompaniment.wav", sounds["mixture"] - sounds["vocals"])
    (track,) = find_tracks(tmp_path, (*STEMS, "accompaniment"))
    report = check([track])
    assert report.problems == ()
    assert report.songs[0].sum_sdr_db is not None
    mixture = read_mixture(replace(track, mixture=None), sample_rate=RATE)
    np.testing.assert_allclose(mixture, sounds["mixture"], atol=1e-6)
    two = {stem: track.files[stem] for stem in ("vocals", "accompaniment")}
    assert check([replace(track, files=two)]).problems == ()


def test_a_stem_that_repeats_another_one_later_does_not_mislead(tmp_path: Path) -> None:
    bass = sound(0)
    other = 3 * np.roll(bass, 40, axis=1)
    for stem, samples in (("bass", bass), ("other", other), ("mixture", 0.7 * (bass + other))):
        write(tmp_path / "song" / f"{stem}.wav", samples)
    assert problems(tmp_path) == []


def test_stems_of_a_louder_mixture_add_up_but_not_those_that_lack_one(tmp_path: Path) -> None:
    sounds = write_song(tmp_path / "song")
    write(tmp_path / "song" / "mixture.wav", 0.5 * sounds["mixture"])
    report = checked(tmp_path)
    assert report.problems == ()
    assert report.songs[0].sum_gain_db == pytest.approx(-6.02, abs=0.01)
    (tmp_path / "song" / "vocals.wav").unlink()
    ((level, stem, text),) = problems(tmp_path)
    assert (level, stem) == ("warning", None)
    assert text.startswith("its stems do not add up to its mixture: 6.")


@pytest.mark.parametrize("upside_down", ["mixture", "drums"])
def test_stems_do_not_add_up_upside_down(tmp_path: Path, upside_down: str) -> None:
    sounds = write_song(tmp_path / "song")
    write(tmp_path / "song" / f"{upside_down}.wav", -sounds[upside_down])
    ((level, _, text),) = problems(tmp_path)
    assert level == "warning"
    assert text.startswith("its stems do not add up to its mixture")
    assert text.endswith("a stem is missing, upside down, or was processed otherwise")


def test_unreadable_and_empty_files_are_errors_and_the_rest_is_still_measured(tmp_path: Path) -> None:
    write_song(tmp_path / "song")
    (tmp_path / "song" / "drums.wav").write_text("lyrics")
    write(tmp_path / "song" / "bass.wav", sound(0, 0))
    with_nan = sound(3)
    with_nan[0, 2 * RATE] = np.nan
    write(tmp_path / "song" / "other.wav", with_nan)
    (song,) = checked(tmp_path).songs
    assert set(song.failures) == {"drums", "other"}
    assert song.sounds["vocals"].lag_samples == 0
    levels = {stem: (level, text) for level, stem, text in problems(tmp_path)}
    assert levels["drums"][0] == levels["other"][0] == levels["bass"][0] == "error"
    assert "drums.wav: cannot be read" in levels["drums"][1]
    assert "holds NaN or infinity" in levels["other"][1]
    assert levels["bass"][1] == "has no samples"
    assert len(levels) == 3


def test_silence_clipping_lengths_and_rates_are_warnings(tmp_path: Path) -> None:
    song = tmp_path / "song"
    write(song / "vocals.wav", np.zeros((2, N), np.float32))
    write(song / "drums.wav", np.clip(20 * sound(1), -1, 1), subtype="PCM_16")
    write(song / "bass.wav", sound(2, N - RATE))
    write(song / "other.wav", noise(2 * N), sample_rate=2 * RATE)
    found = problems(tmp_path)
    assert {level for level, _, _ in found} == {"warning"}
    texts = {stem: text for _, stem, text in found}
    assert texts["vocals"] == "is silent"
    assert texts["drums"].startswith("clips: ")
    assert texts["bass"] == "ends 1.0 s before the longest file of the song"
    assert texts[None] == "its files have different sample rates, 8000, 16000 Hz"
    assert len(found) == 4


def test_a_file_that_was_cut_off_is_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "song" / "vocals.wav"
    write(path, sound(0, 10 * RATE))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    ((level, stem, text),) = problems(tmp_path)
    assert (level, stem) == ("warning", "vocals")
    assert text.startswith("is cut off: its header says ")


def test_the_same_audio_twice_is_found_whatever_it_is_called(tmp_path: Path) -> None:
    sounds = write_song(tmp_path / "train" / "a")
    write_song(tmp_path / "train" / "b", seed=1)
    write(tmp_path / "train" / "c" / "vocals.wav", sounds["vocals"])
    write(tmp_path / "train" / "c" / "other.wav", sounds["bass"])
    assert problems(tmp_path) == [("warning", None, "has the same audio as c: bass as other, vocals")]
    write(tmp_path / "test" / "d" / "vocals.wav", sounds["vocals"])
    assert ("error", None, "has the same audio as d of subset test: vocals") in problems(tmp_path)
    (tmp_path / "train" / "b" / "mixture.wav").unlink()
    write(tmp_path / "train" / "b" / "bass.wav", sound(4))
    assert ("error", None, "has the same audio as itself: bass as vocals") in problems(tmp_path)


def test_files_that_no_song_uses_are_told(tmp_path: Path) -> None:
    write_song(tmp_path / "train" / "song")
    write(tmp_path / "train" / "song" / "lead vox.wav", sound(9))
    write(tmp_path / "train" / "song" / "gtr.wav", sound(10))
    write(tmp_path / "loose.wav", sound(11))
    (tmp_path / "train" / "song" / "cover.jpg").write_bytes(b"")
    found = [(problem.level, problem.song, problem.text) for problem in checked(tmp_path).problems]
    assert found == [
        ("warning", ".", "no song uses loose.wav"),
        ("warning", "train/song", "no song uses gtr.wav, lead vox.wav"),
    ]


def test_silent_stems_are_no_duplicates_nor_is_the_mixture_of_one_stem(tmp_path: Path) -> None:
    for seed, song in enumerate(("a", "b")):
        write(tmp_path / song / "vocals.wav", np.zeros((2, N), np.float32))
        for stem in ("bass", "mixture"):
            write(tmp_path / song / f"{stem}.wav", sound(seed))
    assert {text for _, _, text in problems(tmp_path)} == {"is silent"}


def test_songs_of_musdbs_test_set_are_found_however_they_are_written(tmp_path: Path) -> None:
    write(tmp_path / "bks_too_much" / "vocals.wav", sound(0))
    ((level, _, text),) = problems(tmp_path)
    assert level == "warning"
    assert text.startswith("is one of MUSDB18's test songs")
    (tmp_path / "bks_too_much").rename(tmp_path / "x")
    (tmp_path / "test").mkdir()
    (tmp_path / "x").rename(tmp_path / "test" / "BKS - Too Much")
    assert problems(tmp_path) == []


def test_long_songs_are_measured_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_song(tmp_path / "song")
    whole = checked(tmp_path)
    monkeypatch.setattr(measure_module, "PIECE", 5000)
    pieces = checked(tmp_path)
    for one, other in zip(whole.songs[0].sounds.values(), pieces.songs[0].sounds.values(), strict=True):
        assert (one.digest, one.duration_s, one.lag_samples) == (
            other.digest,
            other.duration_s,
            other.lag_samples,
        )
        assert one.level_db == pytest.approx(other.level_db, abs=1e-3)


def test_the_command_prints_a_table_and_fails_on_errors(tmp_path: Path) -> None:
    sounds = write_song(tmp_path / "train" / "one [red]song")
    result = CliRunner().invoke(app, ["data", "check", str(tmp_path)])
    assert result.exit_code == 0
    for text in ("one [red]song", "train", "0:03", "vocals", "mixture", "1 song, 0:03: 0 errors, 0 warnings"):
        assert text in result.stdout
    write(tmp_path / "train" / "one [red]song" / "drums.wav", np.roll(sounds["drums"], 7, axis=1))
    result = CliRunner().invoke(app, ["data", "check", str(tmp_path)])
    assert result.exit_code == 1
    assert "error   one [red]song, drums: is 7 samples too late against the mixture" in result.stdout
    assert "1 song, 0:03: 1 error, 0 warnings" in result.stdout


def test_the_table_is_whole_in_a_narrow_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    name = "a song of a long name that says it all"
    write_song(tmp_path / "train" / name)
    (tmp_path / "train" / name / "bass.wav").write_text("lyrics")
    printed = CliRunner().invoke(app, ["data", "check", str(tmp_path)]).stdout
    header, row = printed.splitlines()[:2]
    assert header.split() == ["song", "subset", "length", "kHz", *STEMS, "mixture"]
    assert row.startswith(f"{name}  train     0:03    8 ")
    assert "unreadable" in row


def test_single_files_are_checked_too(tmp_path: Path) -> None:
    write(tmp_path / "a" / "x.wav", sound(0))
    write(tmp_path / "y.wav", sound(0))
    result = CliRunner().invoke(app, ["data", "check", str(tmp_path), "--singles", "guitar"])
    assert result.exit_code == 0
    assert "guitar" in result.stdout
    assert "warning a/x.wav: has the same audio as y.wav: guitar" in result.stdout
    assert "no song uses" not in result.stdout
    both = ["data", "check", str(tmp_path), "--singles", "guitar", "--name", "axe=guitar"]
    assert "--name is for songs with several files" in str(CliRunner().invoke(app, both).exception)


def test_the_command_speaks_json_and_knows_other_names(tmp_path: Path) -> None:
    write(tmp_path / "song" / "lead vox.wav", sound(0))
    with pytest.raises(ConfigError, match=r"holds no songs: .* those there are named lead vox"):
        find_tracks(tmp_path, STEMS)
    arguments = ["data", "check", str(tmp_path), "--json", "--name", "lead vox=vocals"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert list(report["songs"][0]["sounds"]) == ["vocals"]
    assert report["problems"] == []
    result = CliRunner().invoke(app, [*arguments[:-1], "lead vox"])
    assert isinstance(result.exception, ConfigError)
    assert "must be FILE=STEM" in str(result.exception)
    result = CliRunner().invoke(app, [*arguments[:-1], "lead vox=vocal"])
    assert "--name is 'lead vox=vocal', but vocal is none of vocals, drums" in str(result.exception)
