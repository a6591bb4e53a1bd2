import errno
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from contracts import check_track_source
from sounds import noise, write
from stemwise.data import musdb
from stemwise.data.singles import find_singles
from stemwise.data.tracks import StemFile, Track, find_tracks, read_mixture, read_sources, read_stereo
from stemwise.errors import ConfigError, DecodeError

STEMS = ("vocals", "drums", "bass", "other")
RATE = 44100
N = 50_001  # samples: no multiple of any codec's frame
SOUNDS = {stem: 0.5 * noise(N, seed=i) for i, stem in enumerate(STEMS)}
MIXTURE = np.sum(list(SOUNDS.values()), axis=0)


def write_stem_mp4(path: Path, sounds: list[np.ndarray]) -> Path:
    """As Native Instruments lays it out: AAC streams of one length, the mixture first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="mp4") as file:
        streams = [file.add_stream("aac", rate=RATE) for _ in sounds]
        for stream in streams:
            stream.codec_context.layout, stream.codec_context.bit_rate = "stereo", 256_000
        for stream, sound in zip(streams, sounds, strict=True):
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(sound.T).reshape(1, -1), format="flt", layout="stereo"
            )
            frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
            file.mux(stream.encode(frame))
            file.mux(stream.encode(None))
    return path


def write_song(folder: Path, *, suffix: str = "flac", mixture: bool = False) -> None:
    folder.mkdir(parents=True)
    for stem, sound in SOUNDS.items():
        write(folder / f"{stem}.{suffix}", sound)
    if mixture:
        write(folder / f"mixture.{suffix}", MIXTURE)


def folder_per_song(root: Path) -> tuple[Path, float]:
    write_song(root / "one song")
    (root / "one song" / "vocals.txt").write_text("the lyrics")
    (root / "one song" / ".drums.flac").write_bytes(b"left by an editor")
    write_song(root / ".one song.part")  # of a run that was interrupted
    (root / "notes").mkdir()
    return root, 60


def folder_in_mp3(root: Path) -> tuple[Path, float]:
    write_song(root / "one song", suffix="mp3")
    return root, 10


def musdb18(root: Path) -> tuple[Path, float]:
    write_stem_mp4(root / "train" / "one song.stem.mp4", [MIXTURE, *(SOUNDS[s] for s in musdb.STREAMS[1:])])
    return root, 10


def musdb18_hq(root: Path) -> tuple[Path, float]:
    write_song(root / "train" / "one song", suffix="wav", mixture=True)
    return root, 60


def spleeter_csv(root: Path) -> tuple[Path, float]:
    write_song(root / "audio" / "one song", suffix="wav", mixture=True)
    columns = {"mix": "mixture", **{stem: stem for stem in STEMS}}
    header = ",".join(f"{column}_path" for column in columns) + ",duration"
    row = ",".join(f"audio/one song/{name}.wav" for name in columns.values()) + f",{N / RATE}"
    (root / "train.csv").write_text(f"{header}\n{row}\n")
    return root / "train.csv", 60


KINDS = [folder_per_song, folder_in_mp3, musdb18, musdb18_hq, spleeter_csv]


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_every_kind_of_source_keeps_the_contract(
    tmp_path: Path, make: Callable[[Path], tuple[Path, float]]
) -> None:
    source, least_sdr_db = make(tmp_path / "data")
    tracks = find_tracks(source, STEMS)
    check_track_source(
        tracks, {"one song": SOUNDS}, folder=tmp_path / "cache", sample_rate=RATE, least_sdr_db=least_sdr_db
    )
    only = find_tracks(source, ("drums",))
    assert [list(track.files) for track in only] == [["drums"]]
    with pytest.raises(ConfigError, match=r"subset is 'train set': it must be one of train, valid, test"):
        find_tracks(source, STEMS, subset="train set")


def test_streams_of_a_stem_file_start_at_its_first_sample(tmp_path: Path) -> None:
    """An impulse at the same sample of every stream comes back at that sample, no priming in front."""
    sounds = []
    for i in range(5):
        sound = np.zeros((2, 30_000), np.float32)
        sound[:, 10_000 + i] = 0.9
        sounds.append(sound)
    path = write_stem_mp4(tmp_path / "x.stem.mp4", sounds)
    (track,) = find_tracks(tmp_path, STEMS)
    assert track.mixture == StemFile(path=path, stream=0)
    for stem, file in track.files.items():
        samples = read_stereo(file, sample_rate=RATE)
        assert samples.shape == (2, 30_000)
        assert np.abs(samples[0]).argmax() == 10_000 + musdb.STREAMS.index(stem)


def test_a_file_with_fewer_streams_says_so(tmp_path: Path) -> None:
    write_stem_mp4(tmp_path / "x.stem.mp4", [MIXTURE, MIXTURE])
    (track,) = find_tracks(tmp_path, ("vocals",))
    with pytest.raises(DecodeError, match=r"x\.stem\.mp4: has no audio stream 4: it has 2, counted from 0"):
        read_sources(track, sample_rate=RATE)


def test_songs_are_found_by_name_with_the_stems_that_they_have(tmp_path: Path) -> None:
    for name in ("b/vocals.flac", "b/bass_and_other.FLAC", "a/Drums.flac", "a/cover.flac", "loose.flac"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write(tmp_path / name.lower(), noise(10)).rename(tmp_path / name)
    (tmp_path / "empty").mkdir()
    assert find_tracks(tmp_path, STEMS) == [
        Track(name="a", files={"drums": StemFile(path=tmp_path / "a" / "Drums.flac")}),
        Track(
            name="b",
            files={
                "bass_and_other": StemFile(path=tmp_path / "b" / "bass_and_other.FLAC"),
                "vocals": StemFile(path=tmp_path / "b" / "vocals.flac"),
            },
        ),
    ]


def test_files_may_be_named_otherwise(tmp_path: Path) -> None:
    for name in ("Lead Vox", "Trommeln", "full", "gtr"):
        (tmp_path / "song").mkdir(exist_ok=True)
        write(tmp_path / "song" / f"{name}.flac", noise(10))
    names = {"lead vox": "vocals", "Trommeln": "drums", "full": "mixture", "gtr": "guitar"}
    (track,) = find_tracks(tmp_path, STEMS, names=names)
    assert {stem: file.path.stem for stem, file in track.files.items()} == {
        "vocals": "Lead Vox",
        "drums": "Trommeln",
    }
    assert track.mixture == StemFile(path=tmp_path / "song" / "full.flac")


def test_subsets_are_folders_and_musdbs_validation_songs_lie_in_train(tmp_path: Path) -> None:
    for name in ("train/x", "train/Leaf - Summerghost", "test/y", "valid/z"):
        (tmp_path / name).mkdir(parents=True)
        write(tmp_path / name / "vocals.flac", noise(10))
    found = {track.name: track.subset for track in find_tracks(tmp_path, STEMS)}
    assert found == {"Leaf - Summerghost": "valid", "x": "train", "z": "valid", "y": "test"}
    assert [track.name for track in find_tracks(tmp_path, STEMS, subset="train")] == ["x"]
    assert [track.name for track in find_tracks(tmp_path / "train", STEMS, subset="train")] == ["x"]
    with pytest.raises(ConfigError, match="has no songs of the subset 'test'"):
        find_tracks(tmp_path / "valid", STEMS, subset="test")


def test_musdbs_lists_are_whole() -> None:
    assert (len(musdb.VALIDATION_SONGS), len(musdb.TEST_SONGS)) == (14, 50)
    assert not musdb.VALIDATION_SONGS & musdb.TEST_SONGS


def test_two_songs_of_one_name_are_an_error(tmp_path: Path) -> None:
    for subset in ("train", "test"):
        (tmp_path / subset / "x").mkdir(parents=True)
        write(tmp_path / subset / "x" / "vocals.flac", noise(10))
    with pytest.raises(ConfigError, match="has two songs named 'x': names must differ"):
        find_tracks(tmp_path, STEMS)


def test_a_folder_without_songs_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no songs: it must hold folders with files named vocals"):
        find_tracks(tmp_path, STEMS)
    with pytest.raises(ConfigError, match="is no folder"):
        find_tracks(tmp_path / "nowhere", STEMS)


def test_a_folder_that_may_not_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(folder: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(ConfigError, match=r"cannot be read: Permission denied"):
        find_tracks(tmp_path, STEMS)


def test_two_files_of_one_stem_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    write(tmp_path / "a" / "drums.wav", noise(10))
    write(tmp_path / "a" / "drums.flac", noise(10))
    with pytest.raises(ConfigError, match=r"drums.flac and drums.wav: drums must have one file"):
        find_tracks(tmp_path, STEMS)


def test_mono_becomes_two_equal_channels_and_the_sample_rate_is_the_wanted_one(tmp_path: Path) -> None:
    sound = noise(1000, n_channels=1)
    soundfile.write(tmp_path / "mono.wav", sound.T, 8000, subtype="FLOAT")
    mono = StemFile(path=tmp_path / "mono.wav")
    np.testing.assert_array_equal(read_stereo(mono, sample_rate=8000), np.repeat(sound, 2, axis=0))
    assert read_stereo(mono, sample_rate=16000).shape == (2, 2000)


def test_shorter_stems_are_filled_up_with_silence_and_sum_to_the_mixture(tmp_path: Path) -> None:
    short, long = noise(70, seed=1), noise(100, seed=2)
    for name, sound in (("vocals", short), ("bass", long)):
        soundfile.write(tmp_path / f"{name}.wav", sound.T, RATE, subtype="FLOAT")
    files = {name: StemFile(path=tmp_path / f"{name}.wav") for name in ("vocals", "bass")}
    track = Track(name="song", files=files)
    sources = read_sources(track, sample_rate=RATE)
    padded = np.pad(short, ((0, 0), (0, 30)))
    np.testing.assert_array_equal(sources["vocals"], padded)
    np.testing.assert_array_equal(sources["bass"], long)
    np.testing.assert_array_equal(read_mixture(track, sample_rate=RATE), padded + long)
    own = replace(track, mixture=StemFile(path=tmp_path / "bass.wav"))
    np.testing.assert_array_equal(read_mixture(own, sample_rate=RATE), long)
    with pytest.raises(ConfigError, match="song has no stems"):
        read_mixture(Track(name="song", files={}), sample_rate=RATE)


def test_a_part_of_a_file_is_a_stem_file(tmp_path: Path) -> None:
    sound = noise(1000)
    soundfile.write(tmp_path / "x.wav", sound.T, 1000, subtype="FLOAT")
    part = StemFile(path=tmp_path / "x.wav", start_s=0.25, duration_s=0.5)
    np.testing.assert_array_equal(read_stereo(part, sample_rate=1000), sound[:, 250:750])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"must have a column mix_path and some of vocals_path"),
        ("mix_path,drum_path\na.wav,b.wav\n", r"it has \['drum_path', 'mix_path'\]"),
        (
            "mix_path,drums_path\nx.wav,nowhere.wav\n",
            r"line 2: drums_path is 'nowhere.wav', which is no file in",
        ),
        (
            "mix_path,drums_path,duration\nx.wav,x.wav,long\n",
            r"line 2: duration is 'long': it must be seconds",
        ),
        (
            "mix_path,drums_path,duration\nx.wav,x.wav,3,5\n",
            r"line 2: it has more values than there are columns",
        ),
        ('mix_path,drums_path\n"x.wav,x.wav\n', r"cannot be read as a table"),
        ("mix_path,drums_path\nx.wav,x.wav\nx.wav,x.wav\n", r"two songs named 'x'"),
        (
            "mix_path,vocals_path,lead_path\nx.wav,,x.wav\nx.wav,x.wav,x.wav\n",
            r"line 3: vocals has two files: it must have one",
        ),
    ],
)
def test_a_wrong_table_says_where(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path / "x.wav", noise(10))
    (tmp_path / "train.csv").write_text(text)
    with pytest.raises(ConfigError, match=message):
        find_tracks(tmp_path / "train.csv", STEMS, names={"lead": "vocals"})


def test_bass_and_other_in_one_are_no_song_for_who_wants_neither(tmp_path: Path) -> None:
    for path in (tmp_path / "a" / "bass_and_other.wav", tmp_path / "b" / "vocals.wav"):
        path.parent.mkdir()
        write(path, noise(10))
    assert [track.name for track in find_tracks(tmp_path, STEMS)] == ["a", "b"]
    assert [track.name for track in find_tracks(tmp_path, ("vocals", "drums"))] == ["b"]


def test_songs_of_a_table_are_named_by_what_tells_them_apart_and_may_lack_stems(tmp_path: Path) -> None:
    for name in ("a/mix.wav", "b/Mixture.wav", "b/song.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write(tmp_path / name, noise(10))
    rows = "mix_path,vocals_path\na/mix.wav,a/mix.wav\nb/Mixture.wav,\nb/song.wav,b/song.wav\n"
    (tmp_path / "train.csv").write_text(rows)
    found = {track.name: list(track.files) for track in find_tracks(tmp_path / "train.csv", STEMS)}
    assert found == {"a": ["vocals"], "song": ["vocals"]}


def test_single_files_are_found_in_folders_below_and_strays_left_alone(tmp_path: Path) -> None:
    for name in ("b.flac", "deep/a.FLAC", "._b.flac", "README.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert find_singles(tmp_path) == [StemFile(path=tmp_path / name) for name in ("b.flac", "deep/a.FLAC")]
    with pytest.raises(ConfigError, match="is no folder: it must hold single files of one stem"):
        find_singles(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="holds no audio files"):
        find_singles(tmp_path / "empty")
