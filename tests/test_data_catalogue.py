import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from audio_files import files_below
from sounds import noise, read, sdr_db, write
from stemwise.audio import Tags
from stemwise.cli import app
from stemwise.data import catalogue
from stemwise.data.catalogue import find_pairs, make_songs
from stemwise.data.difference import common_part, gain_in, voice
from stemwise.data.tracks import find_tracks, read_mixture, read_sources
from stemwise.errors import ConfigError, EncodeError

RATE = 22_050
N = 4 * RATE


def tone(n_samples: int, *cycles: float) -> np.ndarray:
    """Steady tones, `cycles` per sample, different in both channels."""
    time = np.arange(n_samples)
    left = sum(np.sin(2 * np.pi * f * time) for f in cycles) / (2 * len(cycles))
    return np.stack([left, -0.5 * left]).astype(np.float32)


BAND, VOICE = 0.4 * noise(N, seed=1), 0.3 * noise(N, seed=2)


def write_manifest(folder: Path, *rows: str, header: str = "path,artist,title,kind") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "manifest.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def test_recordings_of_one_song_are_paired_by_artist_and_title(tmp_path: Path) -> None:
    manifest = write_manifest(
        tmp_path,
        "a.mp3,Ann,Blue,",
        "b.mp3,ANN,Blue (Instrumental Version),",
        "c.mp3,Ann,Blue – Karaoke,",
        "d.mp3,Bob,Blue,",
        "e.mp3,Bob,Red,instrumental",
        "f.mp3,Ann,Blue (Live),",
        "g.mp3,Ann,Instrumental,mixture",
        "h.mp3,ann,Blue!,",
    )
    pairs, dropped = find_pairs(manifest)
    assert [(pair.mixture.path.name, pair.instrumental.path.name) for pair in pairs] == [("a.mp3", "b.mp3")]
    assert pairs[0].instrumental.song == ("ANN", "Blue")
    assert [(Path(outcome.song).name, outcome.dropped) for outcome in dropped] == [
        ("c.mp3", f"the song has another instrumental before it, {tmp_path / 'b.mp3'}"),
        ("h.mp3", f"the song has another mixture before it, {tmp_path / 'a.mp3'}"),
        ("d.mp3", "there is no instrumental of it"),
        ("e.mp3", "there is no mixture of it"),
        ("f.mp3", "there is no instrumental of it"),
        ("g.mp3", "there is no instrumental of it"),
    ]


def test_what_the_manifest_leaves_open_is_in_the_tags(tmp_path: Path) -> None:
    for name, title in (("a", "Blue"), ("b", "Blue [Instrumental]"), ("c", "")):
        tags = Tags(fields={"artist": "Ann", **({"title": title} if title else {})})
        write(tmp_path / f"{name}.flac", noise(100), tags=tags)
    manifest = write_manifest(tmp_path, "a.flac", "b.flac", "c.flac", "nowhere.flac", header="path")
    ((pair,), dropped) = find_pairs(manifest)
    assert pair.mixture.song == pair.instrumental.song == ("Ann", "Blue")
    assert "no title, in the manifest or in its tags" in dropped[0].dropped
    assert "No such file" in dropped[1].dropped


def test_values_that_are_empty_may_stand_behind_the_last_column(tmp_path: Path) -> None:
    manifest = write_manifest(
        tmp_path, 'a.mp3,Ann,"Hello, World",mixture,,', "b.mp3,Ann,Hello World,instrumental,"
    )
    ((pair,), _) = find_pairs(manifest)
    assert pair.mixture.title == "Hello, World"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (",Ann,Blue,", "line 2: path is empty: it must name a recording"),
        (
            "a.flac,Ann,Hello, World,mixture",
            "line 2: it has more values than there are columns: .* quotation marks",
        ),
        ("a.flac,Ann,Blue,acapella", "line 2: kind is 'acapella': it must be mixture or instrumental"),
    ],
)
def test_a_wrong_manifest_says_where(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        find_pairs(write_manifest(tmp_path, row))


def test_songs_that_cannot_have_a_folder_of_their_own_are_dropped(tmp_path: Path) -> None:
    """Such names would end the whole run, or be taken for one another."""
    long = "ä" * 126
    songs = ("A - B,C", "A,b - c", f"{long},B")
    rows = [f"{n}.mp3,{song},mixture" for n, song in enumerate(songs)]
    rows += [f"{n}i.mp3,{song},instrumental" for n, song in enumerate(songs)]
    pairs, dropped = find_pairs(write_manifest(tmp_path, *rows))
    assert [pair.mixture.path.name for pair in pairs] == ["0.mp3"]
    assert [(outcome.song, outcome.dropped) for outcome in dropped] == [
        ("A - b - c", "its folder would have the name of another song's before it, A - B - C"),
        (f"{long} - B", "its folder would have a name longer than 255 bytes"),
    ]
    assert Path(dropped[0].instrumental).name == "1i.mp3"


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["mixture", "instrumental"])
def test_a_recording_that_holds_no_numbers_is_dropped(tmp_path: Path, where: str, wrong: float) -> None:
    sounds = {"mixture": BAND + VOICE, "instrumental": BAND.copy()}
    sounds[where][1, N // 2] = wrong
    for name, sound in sounds.items():
        soundfile.write(tmp_path / f"{name}.wav", sound.T, RATE, subtype="FLOAT")
    rows = [f"{name}.wav,Ann,Blue,{name}" for name in sounds]
    pairs, _ = find_pairs(write_manifest(tmp_path, *rows))
    (outcome,) = make_songs(pairs, tmp_path / "songs")
    assert outcome.dropped == "a recording holds NaN or infinity"
    assert files_below(tmp_path / "songs") == []


def test_a_song_may_have_the_longest_of_names(tmp_path: Path) -> None:
    for name, sound in (("mixture", BAND + VOICE), ("instrumental", BAND)):
        write(tmp_path / f"{name}.flac", sound, sample_rate=RATE, bit_depth=24)
    rows = [f"{name}.flac,A,{'歌' * 83},{name}" for name in ("mixture", "instrumental")]
    pairs, _ = find_pairs(write_manifest(tmp_path, *rows))
    (outcome,) = make_songs(pairs, tmp_path / "songs")
    assert outcome.dropped == ""
    assert [path.name for path in (tmp_path / "songs").iterdir()] == [f"A - {'歌' * 83}"]


@pytest.mark.parametrize("lag", [0, 500, -20_000])
@pytest.mark.parametrize("gain", [0.25, -2.0])
def test_a_pair_is_put_sample_on_sample_and_made_equally_loud(lag: int, gain: float) -> None:
    mixture = (BAND + VOICE)[:, max(0, lag) :]
    instrumental = (BAND / gain)[:, max(0, -lag) : -70]
    common = common_part(mixture, instrumental)
    assert common is not None
    mixture_part, instrumental_part, found = common
    assert found == lag
    np.testing.assert_array_equal(mixture_part, (BAND + VOICE)[:, abs(lag) : -70])
    np.testing.assert_array_equal(instrumental_part, (BAND / gain)[:, abs(lag) : -70])
    assert gain_in(mixture_part, instrumental_part) == pytest.approx(gain, rel=0.02)
    assert gain_in(mixture, np.zeros_like(mixture)) == 0


@pytest.mark.parametrize("n_samples", [1, 1024, 700_001])
def test_the_voice_is_what_the_mixture_has_more(n_samples: int) -> None:
    band, singer = tone(n_samples, 0.05, 0.11), tone(n_samples, 0.2, 0.31)
    estimate = voice(band + singer, band)
    assert (estimate.dtype, estimate.shape) == (np.float32, (2, n_samples))
    if n_samples > 4096:
        assert sdr_db(singer, estimate) > 40
    np.testing.assert_allclose(voice(band, np.zeros_like(band)), band, atol=2e-6)
    np.testing.assert_array_equal(voice(band, 2 * band), 0)


def make(tmp_path: Path, mixture: np.ndarray, instrumental: np.ndarray) -> list[catalogue.Outcome]:
    write(tmp_path / "mixture.flac", mixture, sample_rate=RATE, bit_depth=24)
    write(tmp_path / "instrumental.flac", instrumental, sample_rate=RATE, bit_depth=24)
    manifest = write_manifest(tmp_path, "mixture.flac,A/B,Blue,", "instrumental.flac,A/B,Blue,instrumental")
    pairs, _ = find_pairs(manifest)
    return list(make_songs(pairs, tmp_path / "songs"))


def test_a_pair_becomes_a_song_that_every_reader_knows(tmp_path: Path) -> None:
    late = np.pad(0.5 * BAND, ((0, 0), (300, 0)))
    (outcome,) = make(tmp_path, BAND + VOICE, late)
    assert (outcome.song, outcome.dropped, outcome.lag_samples) == ("A/B - Blue", "", 300)
    assert outcome.gain_db == pytest.approx(6.02, abs=0.2)
    assert outcome.is_inverted is False
    (track,) = find_tracks(tmp_path / "songs", ("vocals", "accompaniment"))
    assert track.name == "A_B - Blue"
    sources = read_sources(track, sample_rate=RATE)
    assert sdr_db(BAND, sources["accompaniment"]) > 30
    assert sdr_db(BAND + VOICE, read_mixture(track, sample_rate=RATE)) > 60
    assert sdr_db(VOICE, sources["vocals"]) > 0
    written = files_below(tmp_path / "songs")
    before = {name: (tmp_path / "songs" / name).stat().st_mtime_ns for name in written}
    make(tmp_path, BAND + VOICE, late)
    assert {name: (tmp_path / "songs" / name).stat().st_mtime_ns for name in written} == before
    assert len(written) == 3


def test_an_instrumental_that_is_upside_down_is_turned_and_the_report_says_so(tmp_path: Path) -> None:
    (outcome,) = make(tmp_path, BAND + VOICE, -0.5 * BAND)
    assert outcome.gain_db == pytest.approx(6.02, abs=0.2)
    assert outcome.is_inverted is True
    (track,) = find_tracks(tmp_path / "songs", ("vocals", "accompaniment"))
    assert sdr_db(BAND, read_sources(track, sample_rate=RATE)["accompaniment"]) > 30


def test_what_would_clip_is_made_softer_as_a_whole(tmp_path: Path) -> None:
    band = BAND / np.abs(BAND).max()
    limited = np.clip(2 * band, -1, 1)  # as loud a mixture as can be: its band would not fit in beside it
    make(tmp_path, limited, 0.5 * band)
    song = tmp_path / "songs" / "A_B - Blue"
    mixture, accompaniment = read(song / "mixture.flac"), read(song / "accompaniment.flac")
    softer = np.abs(mixture).max()
    assert softer < 0.7
    assert np.abs(accompaniment).max() == pytest.approx(1, abs=1e-4)
    assert sdr_db(band, accompaniment) > 60  # not cut off
    assert sdr_db(softer * limited, mixture) > 60


@pytest.mark.parametrize(
    ("mixture", "instrumental", "reason"),
    [
        (BAND, np.pad(BAND, ((0, 0), (0, 3 * RATE))), "durations differ by more than 2 s: 4.0 and 7.0 s"),
        (BAND, VOICE, "the two recordings have nothing in common"),
        (BAND, np.zeros_like(BAND), "the two recordings have nothing in common"),
    ],
)
def test_what_is_no_pair_is_dropped_with_the_reason(
    tmp_path: Path, mixture: np.ndarray, instrumental: np.ndarray, reason: str
) -> None:
    (outcome,) = make(tmp_path, mixture, instrumental)
    assert outcome.dropped == reason
    assert files_below(tmp_path / "songs") == []


def test_long_and_unreadable_recordings_are_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "MAX_DURATION_S", 3.0)
    (outcome,) = make(tmp_path, BAND, BAND)
    assert "it is longer than" in outcome.dropped
    (tmp_path / "mixture.flac").write_text("no sound")
    pairs, _ = find_pairs(tmp_path / "manifest.csv")
    (outcome,) = make_songs(pairs, tmp_path / "songs")
    assert "mixture.flac: cannot be read" in outcome.dropped


def test_a_song_that_cannot_be_written_stops_the_run_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise EncodeError("x.flac: cannot be written: No space left on device")

    make(tmp_path, BAND + VOICE, BAND)
    pairs, _ = find_pairs(tmp_path / "manifest.csv")
    monkeypatch.setattr(catalogue.AudioWriter, "write", full)
    with pytest.raises(EncodeError, match="No space left"):
        list(make_songs(pairs, tmp_path / "others"))
    assert list((tmp_path / "others").iterdir()) == []


def test_the_command_says_what_became_of_every_song(tmp_path: Path) -> None:
    make(tmp_path, BAND + VOICE, BAND)
    with (tmp_path / "manifest.csv").open("a") as file:
        file.write("x.flac,Bob,Red,mixture\n")
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["data", "catalogue", str(tmp_path / "manifest.csv"), "-o", str(out)])
    assert result.exit_code == 0, result.output
    assert f"dropped {tmp_path / 'x.flac'}: there is no instrumental of it" in result.stdout
    assert "1 song in" in result.stdout
    with (out / "catalogue.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [bool(row["dropped"]) for row in rows] == [True, False]
    assert rows[1]["lag_samples"] == "0"
