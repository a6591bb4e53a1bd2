import io
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from audio_files import files_below, read_wav, write_wav
from conftest import song
from random_models import spleeter_like, stemwise_like
from stemwise.audio import AudioWriter
from stemwise.errors import ConfigError, DecodeError, EncodeError, NonFiniteError
from stemwise.files import Batch, separate_file, separate_files, separate_to
from stemwise.naming import PICTURE, Song, output_paths
from stemwise.outputs import FULL_SCALE, MAX_WAITING, OutputFormat, StemFiles, parse_bitrate
from stemwise.separate import Separator
from tolerances import STEMS_SUM

SEPARATOR = Separator(stemwise_like(), precision="float32")
FLOAT = OutputFormat(bit_depth=32)


def paths(folder: Path, separator: Separator = SEPARATOR, codec: str = "wav") -> dict[str, Path]:
    return {name: folder / f"{name}.{codec}" for name in separator.stems}


def test_files_hold_what_the_engine_gives(tmp_path: Path) -> None:
    mixture = song(50_000)
    source = write_wav(tmp_path / "song.wav", mixture)
    report = separate_file(source, tmp_path / "out", separator=SEPARATOR, output_format=FLOAT)
    assert files_below(tmp_path / "out") == [
        f"song/{name}.wav" for name in ("bass", "drums", "other", "vocals")
    ]
    expected = SEPARATOR.separate(mixture, 44100)
    for name, path in report.stems.items():
        stem, sample_rate = read_wav(Path(path))
        assert sample_rate == 44100
        torch.testing.assert_close(stem, expected[name], atol=1e-7, rtol=0)
    assert (report.gain_db, report.error, report.notes) == (0.0, None, ())


@pytest.mark.parametrize("sample_rate", [48000, 96000, 22050])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_files_keep_rate_and_channels_and_add_up(tmp_path: Path, sample_rate: int, n_channels: int) -> None:
    mixture = song(30_000, sample_rate=sample_rate, n_channels=n_channels)
    source = write_wav(tmp_path / "song.wav", mixture, sample_rate)
    separate_to(source, paths(tmp_path), SEPARATOR, FLOAT)
    stems = [read_wav(path) for path in paths(tmp_path).values()]
    assert {rate for _, rate in stems} == {sample_rate}
    torch.testing.assert_close(sum(stem for stem, _ in stems), mixture, atol=STEMS_SUM, rtol=0)


def test_downmixed_stems_add_up_to_the_downmix_and_it_is_said(tmp_path: Path) -> None:
    mixture = 0.3 * song(30_000, n_channels=6)
    source = write_wav(tmp_path / "song.wav", mixture)
    report = separate_to(source, paths(tmp_path), SEPARATOR, FLOAT)
    half = 0.5**0.5
    left, right, centre, _, back_left, back_right = mixture
    downmix = torch.stack(
        [left + half * centre + half * back_left, right + half * centre + half * back_right]
    )
    stems = [read_wav(path)[0] for path in paths(tmp_path).values()]
    torch.testing.assert_close(sum(stems), downmix, atol=STEMS_SUM, rtol=0)
    assert "mixed down to stereo" in report.notes[0]


def test_mono_is_written_as_stereo_when_asked(tmp_path: Path) -> None:
    source = write_wav(tmp_path / "song.wav", song(20_000, n_channels=1))
    separate_to(source, paths(tmp_path), SEPARATOR, OutputFormat(stereo=True))
    assert read_wav(tmp_path / "vocals.wav")[0].shape == (2, 20_000)


def loud(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "loud.wav", 8 * song(40_000))


def test_a_stem_that_would_clip_lowers_all_stems_alike(tmp_path: Path) -> None:
    source = loud(tmp_path)
    untouched = separate_to(source, paths(tmp_path / "float"), SEPARATOR, FLOAT)
    report = separate_to(source, paths(tmp_path / "int"), SEPARATOR, OutputFormat(bit_depth=24))
    assert report.peak == pytest.approx(untouched.peak, rel=1e-6)
    assert report.peak > 1
    gain = FULL_SCALE / report.peak
    assert "all stems were lowered" in report.notes[0]
    for name in SEPARATOR.stems:
        ours, theirs = (read_wav(tmp_path / kind / f"{name}.wav")[0] for kind in ("int", "float"))
        torch.testing.assert_close(ours, gain * theirs, atol=2**-23, rtol=0)


def test_clamping_keeps_the_level_and_cuts_the_peaks(tmp_path: Path) -> None:
    source = loud(tmp_path)
    separate_to(source, paths(tmp_path / "float"), SEPARATOR, FLOAT)
    report = separate_to(source, paths(tmp_path / "int"), SEPARATOR, OutputFormat(bit_depth=24, clip="clamp"))
    assert report.gain_db == 0
    assert "clamped" in report.notes[0]
    for name in SEPARATOR.stems:
        ours, theirs = (read_wav(tmp_path / kind / f"{name}.wav")[0] for kind in ("int", "float"))
        torch.testing.assert_close(ours, theirs.clamp(-1, 1), atol=2**-22, rtol=0)


def test_offset_and_duration_cut_the_song(tmp_path: Path) -> None:
    mixture = song(80_000)
    source = write_wav(tmp_path / "song.wav", mixture)
    separate_to(source, paths(tmp_path), SEPARATOR, FLOAT, offset_s=0.5, duration_s=0.25)
    stems = [read_wav(path)[0] for path in paths(tmp_path).values()]
    torch.testing.assert_close(sum(stems), mixture[:, 22050 : 22050 + 11025], atol=STEMS_SUM, rtol=0)


def test_a_file_that_was_cut_off_is_separated_as_far_as_it_goes_and_it_is_said(tmp_path: Path) -> None:
    source = tmp_path / "song.flac"
    soundfile.write(source, song(4 * 44100).T.numpy(), 44100)
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    report = separate_to(source, paths(tmp_path), SEPARATOR, FLOAT)
    assert 1.5 < report.duration_s < 2.5
    assert " s before its header says" in report.notes[0]


@pytest.mark.parametrize("n_samples", [0, 1])
def test_next_to_nothing_is_separated_too(tmp_path: Path, n_samples: int) -> None:
    source = write_wav(tmp_path / "song.wav", torch.full((2, n_samples), 0.1))
    separate_to(source, paths(tmp_path), SEPARATOR, FLOAT)
    assert all(read_wav(path)[0].shape[1] == n_samples for path in paths(tmp_path).values())


def test_the_wiener_filter_reads_a_file_twice(tmp_path: Path) -> None:
    mixture = song(90_000)
    separator = Separator(spleeter_like(), precision="float32", mwf=True)
    source = write_wav(tmp_path / "song.wav", mixture)
    stages: list[str] = []
    separate_to(
        source, paths(tmp_path, separator), separator, FLOAT, progress=lambda stage, *_: stages.append(stage)
    )
    for name, stem in separator.separate(mixture, 44100).items():
        torch.testing.assert_close(read_wav(tmp_path / f"{name}.wav")[0], stem, atol=1e-7, rtol=0)
    assert sorted(set(stages)) == ["listening", "separating"]


def test_a_stream_is_separated_like_a_file(tmp_path: Path) -> None:
    source = write_wav(tmp_path / "song.wav", song(30_000))
    separate_to(source, paths(tmp_path / "a"), SEPARATOR, FLOAT)
    separate_to(io.BytesIO(source.read_bytes()), paths(tmp_path / "b"), SEPARATOR, FLOAT)
    for name in SEPARATOR.stems:
        assert (tmp_path / "a" / f"{name}.wav").read_bytes() == (tmp_path / "b" / f"{name}.wav").read_bytes()


class Boom(Exception):
    pass


@pytest.mark.parametrize("error", [Boom, KeyboardInterrupt])
def test_an_interruption_leaves_nothing_behind(tmp_path: Path, error: type[BaseException]) -> None:
    source = write_wav(tmp_path / "song.wav", song(150_000))

    def interrupt(stage: str, done_s: float, total_s: float | None) -> None:
        if done_s > 2:
            raise error

    with pytest.raises(error):
        separate_file(source, tmp_path / "out" / "deep", separator=SEPARATOR, progress=interrupt)
    assert files_below(tmp_path) == ["song.wav"]
    assert not (tmp_path / "out").exists()


def test_an_encoder_that_fails_in_its_thread_costs_the_song_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = AudioWriter.write

    def fail_for_bass(self: AudioWriter, block: np.ndarray) -> None:
        if self.path.stem == "bass" and self.peak > 0:
            raise EncodeError("no space")
        write(self, block)

    monkeypatch.setattr(AudioWriter, "write", fail_for_bass)
    source = write_wav(tmp_path / "song.wav", song(150_000))
    with pytest.raises(EncodeError, match="no space"):
        separate_file(source, tmp_path / "out", separator=SEPARATOR)
    assert files_below(tmp_path) == ["song.wav"]


def test_nothing_is_encoded_in_the_main_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There an interruption would be raised inside a callback of FFmpeg, and lost."""
    callers = {}

    def noting(name: str, method: Callable[..., None]) -> Callable[..., None]:
        def note(self: AudioWriter, *args: object, **options: object) -> None:
            callers.setdefault(name, set()).add(threading.current_thread())
            method(self, *args, **options)

        return note

    for name in ("__init__", "write", "finish"):
        monkeypatch.setattr(AudioWriter, name, noting(name, getattr(AudioWriter, name)))
    separate_file(write_wav(tmp_path / "song.wav", song(10_000)), tmp_path, separator=SEPARATOR)
    assert list(callers) == ["__init__", "write", "finish"]
    assert threading.main_thread() not in set.union(*callers.values())


def test_blocks_do_not_heap_up_before_a_slow_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow, write = threading.Event(), AudioWriter.write

    def wait_and_write(self: AudioWriter, block: np.ndarray) -> None:
        assert slow.wait(60)
        write(self, block)

    monkeypatch.setattr(AudioWriter, "write", wait_and_write)
    files = StemFiles({"vocals": tmp_path / "x.wav"}, OutputFormat(), sample_rate=44100, n_channels=1)
    files.open()
    given = threading.Semaphore(0)

    def give() -> None:
        for number in range(20):
            files.write("vocals", np.full((1, 10), number / 100, np.float32))
            given.release()

    giver = threading.Thread(target=give)
    giver.start()
    assert all(given.acquire(timeout=60) for _ in range(MAX_WAITING))
    assert not given.acquire(timeout=0.2)
    slow.set()
    giver.join()
    files.finish()
    files.publish()
    samples, _ = soundfile.read(tmp_path / "x.wav")
    assert samples[::10] == pytest.approx(np.arange(20) / 100, abs=1e-4)


def test_a_failed_song_keeps_the_stems_of_an_earlier_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_wav(tmp_path / "song.wav", song(20_000))
    separate_to(source, paths(tmp_path), SEPARATOR, FLOAT)
    before = (tmp_path / "vocals.wav").read_bytes()

    def fail(self: AudioWriter, block: object) -> None:
        raise EncodeError("the disk is full")

    monkeypatch.setattr(AudioWriter, "write", fail)
    with pytest.raises(EncodeError, match="the disk is full"):
        separate_to(source, paths(tmp_path), SEPARATOR, FLOAT)
    assert (tmp_path / "vocals.wav").read_bytes() == before
    assert files_below(tmp_path) == ["bass.wav", "drums.wav", "other.wav", "song.wav", "vocals.wav"]


def test_an_output_folder_that_cannot_be_is_an_error(tmp_path: Path) -> None:
    source = write_wav(tmp_path / "song.wav", song(1000))
    with pytest.raises(EncodeError, match="cannot be made"):
        separate_file(source, source, separator=SEPARATOR)


def test_samples_that_are_not_finite_stop_the_song(tmp_path: Path) -> None:
    mixture = song(20_000)
    mixture[0, 100] = float("nan")
    source = write_wav(tmp_path / "song.wav", mixture)
    with pytest.raises((NonFiniteError, DecodeError)):
        separate_file(source, tmp_path / "out", separator=SEPARATOR)
    assert not (tmp_path / "out").exists()


def test_a_bad_song_does_not_stop_the_batch(tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_text("this is no audio\n" * 50)
    write_wav(tmp_path / "good.wav", song(10_000))
    songs = [Song(tmp_path / name) for name in ("bad.wav", "missing.wav", "good.wav")]
    plan = output_paths(songs, SEPARATOR.stems, tmp_path / "out", codec="wav")
    bad, missing, good = separate_files(songs, plan, SEPARATOR, Batch())
    assert bad.error is not None
    assert "bad.wav" in bad.error
    assert missing.error is not None
    assert bad.exit_code == missing.exit_code == DecodeError.exit_code
    assert good.error is None
    assert files_below(tmp_path / "out") == [
        f"good/{name}.wav" for name in ("bass", "drums", "other", "vocals")
    ]


def test_existing_stems_are_skipped_only_when_all_are_there(tmp_path: Path) -> None:
    songs = [Song(write_wav(tmp_path / "song.wav", song(10_000)))]
    plan = output_paths(songs, SEPARATOR.stems, tmp_path, codec="wav")
    (first,) = separate_files(songs, plan, SEPARATOR, Batch(skip_existing=True))
    (second,) = separate_files(songs, plan, SEPARATOR, Batch(skip_existing=True))
    plan[0]["bass"].unlink()
    (third,) = separate_files(songs, plan, SEPARATOR, Batch(skip_existing=True))
    assert [first.skipped, second.skipped, third.skipped] == [False, True, False]
    assert plan[0]["bass"].exists()


def test_a_picture_stands_beside_the_stems(tmp_path: Path) -> None:
    songs = [Song(write_wav(tmp_path / "song.wav", song(30_000)))]
    plan = output_paths(songs, (*SEPARATOR.stems, PICTURE), tmp_path, codec="wav")
    (report,) = separate_files(songs, plan, SEPARATOR, Batch())
    assert report.picture == str(tmp_path / "song" / "picture.png")
    assert Path(report.picture).read_bytes().startswith(b"\x89PNG")
    assert PICTURE not in report.stems


def test_a_rate_that_the_codec_cannot_hold_becomes_the_nearest(tmp_path: Path) -> None:
    source = write_wav(tmp_path / "song.wav", song(20_000, sample_rate=96000), 96000)
    report = separate_to(source, paths(tmp_path, codec="mp3"), SEPARATOR, OutputFormat(codec="mp3"))
    assert report.sample_rate == 48000
    assert "cannot hold 96000 Hz" in report.notes[0]


@pytest.mark.parametrize("text", ["", "fast", "-1k", "0", "1.5k"])
def test_a_bitrate_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="bitrate is"):
        parse_bitrate(text)


def test_bitrates() -> None:
    assert (parse_bitrate("192k"), parse_bitrate("96000"), parse_bitrate(None)) == (192_000, 96_000, None)


def test_a_folder_in_the_place_of_a_stem_costs_no_other_stem(tmp_path: Path) -> None:
    source = write_wav(tmp_path / "song.wav", song(5000))
    (tmp_path / "vocals.wav").write_text("the old one")
    (tmp_path / "drums.wav").mkdir()
    with pytest.raises(EncodeError, match="there is a folder of that name"):
        separate_to(source, paths(tmp_path), SEPARATOR, FLOAT)
    assert (tmp_path / "vocals.wav").read_text() == "the old one"
    assert files_below(tmp_path) == ["song.wav", "vocals.wav"]


def test_a_picture_that_cannot_be_written_costs_the_song_and_leaves_nothing(tmp_path: Path) -> None:
    source = write_wav(tmp_path / "song.wav", song(5000))
    (tmp_path / "picture.png").mkdir()
    with pytest.raises(EncodeError, match=r"picture\.png"):
        separate_to(source, paths(tmp_path), SEPARATOR, FLOAT, picture=tmp_path / "picture.png")
    assert files_below(tmp_path) == ["song.wav"]


def test_a_title_is_no_formula(tmp_path: Path) -> None:
    source = write_wav(tmp_path / "A$_$ 日本.wav", song(5000))
    separate_to(source, paths(tmp_path), SEPARATOR, FLOAT, picture=tmp_path / "picture.png")
    assert (tmp_path / "picture.png").exists()


def test_an_offset_beyond_the_end_is_an_error(tmp_path: Path) -> None:
    source = write_wav(tmp_path / "song.wav", song(5000))
    with pytest.raises(DecodeError, match="ends before the offset of 10 s"):
        separate_to(source, paths(tmp_path), SEPARATOR, FLOAT, offset_s=10)
    assert files_below(tmp_path) == ["song.wav"]


@pytest.mark.parametrize(
    "options", [{"sample_rate": 0}, {"bitrate": -1}, {"codec": "mp5"}, {"bit_depth": 12}]
)
def test_an_output_that_cannot_be_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="is "):
        OutputFormat(**options)  # type: ignore[arg-type]
