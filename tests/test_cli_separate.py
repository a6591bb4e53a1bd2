import array
import fcntl
import io
import json
import os
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from audio_files import files_below, read_wav, write_wav
from conftest import song
from random_models import spleeter_like, stemwise_like
from stemwise import cli
from stemwise.audio import AudioReader, AudioWriter, Tags
from stemwise.checkpoint import save_model
from stemwise.cli import spleeter
from stemwise.convert import to_variables, write_bundle
from stemwise.hub import load_model
from stemwise.separate import Separator

FOUR = ["bass.wav", "drums.wav", "other.wav", "vocals.wav"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    save_model(stemwise_like(), path)
    return str(path)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "song.wav", song(20_000))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    """A command as the shell would run it: exit status, standard output, standard error."""

    def command(*arguments: object, main=cli.main) -> tuple[int, str, str]:  # type: ignore[no-untyped-def]
        monkeypatch.setattr(sys, "argv", ["stemwise", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return command


def test_separates_and_says_where(run, model: str, source: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    status, out, err = run("separate", source, "-o", tmp_path / "out", "-p", model)
    assert status == 0
    assert files_below(tmp_path / "out") == [f"song/{name}" for name in FOUR]
    assert str(tmp_path / "out" / "song") in out
    assert "× real time" in out
    assert "weights under none" in err


def test_report_for_machines(run, model: str, source: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    bad = tmp_path / "bad.mp3"
    bad.write_text("no audio")
    status, out, err = run("separate", source, bad, "-o", tmp_path / "out", "-p", model, "--json")
    good, failed = json.loads(out)["songs"]
    assert status == 3
    assert set(good["stems"]) == {"vocals", "drums", "bass", "other"}
    assert good["error"] is None
    assert "bad.mp3" in failed["error"]
    assert "1 of 2 songs failed" in err


def test_quiet_says_nothing(run, model: str, source: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert run("separate", source, "-o", tmp_path / "out", "-p", model, "-q") == (0, "", "")


def test_only_the_wanted_stems(run, model: str, source: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    run("separate", source, "-o", tmp_path / "a", "-p", model, "--stems", "vocals,drums")
    run("separate", source, "-o", tmp_path / "b", "-p", model, "--two-stems", "vocals")
    assert files_below(tmp_path / "a") == ["song/drums.wav", "song/vocals.wav"]
    assert files_below(tmp_path / "b") == ["song/accompaniment.wav", "song/vocals.wav"]


def test_folders_codecs_and_pictures(run, model: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    for name in ("one.wav", "cd/two.wav"):
        write_wav(tmp_path / "in" / name, song(5000))
    status, _, _ = run(
        *(
            "separate",
            tmp_path / "in",
            "-o",
            tmp_path / "out",
            "-p",
            model,
            "-c",
            "flac",
            "--bit-depth",
            "24",
        ),
        *("--recursive", "--stems", "vocals", "--picture", "--sample-rate", "48000"),
    )
    assert status == 0
    assert files_below(tmp_path / "out") == [
        "cd/two/picture.png",
        "cd/two/vocals.flac",
        "one/picture.png",
        "one/vocals.flac",
    ]
    stem, rate = read_wav(tmp_path / "out/one/vocals.flac")
    assert (stem.shape[1], rate) == (-(-5000 * 48000 // 44100), 48000)


def test_standard_input(
    run, model: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def]
    class Stdin:
        buffer = io.BytesIO(source.read_bytes())

    monkeypatch.setattr(sys, "stdin", Stdin)
    assert run("separate", "-", "-o", tmp_path / "out", "-p", model)[0] == 0
    assert files_below(tmp_path / "out") == [f"stdin/{name}" for name in FOUR]


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        (["separate", "song.wav", "-p", "nothing:at-all"], 4, "nothing:at-all"),
        (["separate", "song.wav", "-c", "mp5"], 2, "mp5"),
        (["separate", "song.wav", "-b", "fast"], 2, "bitrate is 'fast'"),
        (["separate", "song.wav", "--clip", "louder"], 2, "clip is 'louder'"),
        (["separate", "song.wav", "--stems", "kazoo"], 2, "kazoo"),
        (["separate", "song.wav", "--device", "toaster"], 2, "toaster"),
        (["separate", "song.wav", "-f", "{artist}"], 2, "{artist}"),
        (["separate", "song.wav", "-s", "-1"], 2, "offset"),
        (["separate", "missing.wav"], 3, "missing.wav"),
        (["separate", "text.wav"], 3, "text.wav"),
        (["separate", "empty"], 2, "no audio file"),
        (["separate"], 2, "FILES"),
    ],
)
def test_mistakes_get_one_clear_line_and_a_status(  # type: ignore[no-untyped-def]
    run,
    model: str,
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    status: int,
    line: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.wav").write_text("this is no audio\n")
    Path("empty").mkdir()
    model_option = [] if "-p" in arguments else ["-p", model]
    got, out, err = run(*arguments, "-q", *model_option)
    assert got == status
    assert line in err
    assert "Traceback" not in err
    assert out == ""
    assert files_below(tmp_path) == ["song.wav", "text.wav"]


def test_folders_that_are_left_out_are_named(run, model: str, source: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "music").mkdir()
    source.rename(tmp_path / "music" / "song.wav")
    (tmp_path / "music" / "live").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "elsewhere").mkdir()
    status, _, err = run("separate", "-r", tmp_path / "music", "-o", tmp_path / "out", "-p", model)
    assert status == 0
    assert f"note: {tmp_path}/music/live is a link to a folder: its songs are left out" in err


def test_the_folder_that_is_named_is_the_one_of_the_stems(  # type: ignore[no-untyped-def]
    run, model: str, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(source.parent)
    _, out, _ = run("separate", source, "-o", ".", "-f", "{filename}_{stem}.{codec}", "-p", model)
    assert out.startswith(f"{source} → ./  (")


def test_a_silent_batch_goes_on_after_a_bad_song(run, model: str, source: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    status, _, err = run("separate", tmp_path / "missing.wav", source, "-o", tmp_path / "out", "-p", model)
    assert status == 3
    assert "missing.wav" in err
    assert files_below(tmp_path / "out") == [f"song/{name}" for name in FOUR]


def test_ctrl_c_leaves_no_half_file(model: str, tmp_path: Path) -> None:
    noise = 0.1 * torch.randn(2, 44100, generator=torch.Generator().manual_seed(0))
    write_wav(tmp_path / "long.wav", noise.repeat(1, 300))  # 40 s were done before the signal came
    command = [sys.executable, "-m", "stemwise", "separate", "long.wav", "-o", "out", "-p", model]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "out").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in err
    assert files_below(tmp_path) == ["long.wav"]


def test_ctrl_c_ends_the_wait_for_standard_input(model: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "stemwise", "separate", "-", "-o", "out", "-p", model]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(b"RIFF")
        process.stdin.flush()
        waiting = array.array("i", [4])
        while waiting[0]:  # until it reads
            fcntl.ioctl(process.stdin, termios.FIONREAD, waiting)
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr is not None
        assert b"interrupted" in process.stderr.read()
    assert files_below(tmp_path) == []


@pytest.fixture
def spleeter_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`./pretrained_models` with a `2stems` of the real names but few filters, and its configuration."""
    monkeypatch.chdir(tmp_path)
    model = spleeter_like()
    write_bundle(tmp_path / "pretrained_models" / "small", to_variables(model))
    (tmp_path / "pretrained_models" / "small" / ".probe").write_text("OK")
    configuration = {
        **{
            "sample_rate": 44100,
            "frame_length": 4096,
            "frame_step": 1024,
            "T": 64,
            "F": 1024,
            "n_channels": 2,
        },
        **{
            "instrument_list": ["vocals", "accompaniment"],
            "separation_exponent": 2,
            "mask_extension": "zeros",
        },
        **{"mix_name": "mix", "model_dir": "small"},
        "model": {"type": "unet.unet", "params": {"conv_n_filters": [4, 6, 8, 12, 16, 24]}},
    }
    (tmp_path / "small.json").write_text(json.dumps(configuration))
    return tmp_path


TWO = ["accompaniment.wav", "vocals.wav"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("separate -i song.wav -o output -p small.json", [f"output/song/{name}" for name in TWO]),
        ("separate song.wav -o output -p small.json", [f"output/song/{name}" for name in TWO]),
        (
            "separate -o output -p small.json -i song.wav other.wav",
            [f"output/{s}/{name}" for s in ("other", "song") for name in TWO],
        ),
        (
            "separate -p small.json -o output -f {instrument}/{filename}.{codec} song.wav",
            [f"output/{n[:-4]}/song.wav" for n in TWO],
        ),
        (
            "separate -p small.json -o output -c flac song.wav",
            ["output/song/accompaniment.flac", "output/song/vocals.flac"],
        ),
        (
            "separate -p small.json -o output -B tensorflow -m -d 0.2 -s 0.1 -b 128k --verbose song.wav",
            [f"output/song/{n}" for n in TWO],
        ),
    ],
)
def test_every_spleeter_command_runs_as_written(
    run, spleeter_models: Path, arguments: str, expected: list[str]
) -> None:  # type: ignore[no-untyped-def]
    for name in ("song.wav", "other.wav"):
        write_wav(spleeter_models / name, song(20_000, sample_rate=48000, n_channels=1), 48000)
    status, out, _ = run(*arguments.split(), main=spleeter.main)
    assert status == 0
    output = [name for name in files_below(spleeter_models) if name.startswith("output")]
    assert output == expected
    for name in expected:
        assert f"INFO:spleeter:File {name} written succesfully" in out
        stem, rate = read_wav(Path(name))
        assert rate == 44100
        assert stem.shape[0] == 2


def test_spleeter_resamples_before_it_separates(run, spleeter_models: Path) -> None:  # type: ignore[no-untyped-def]
    write_wav(spleeter_models / "song.wav", song(30_000, sample_rate=48000), 48000)
    run("separate", "-o", "output", "-p", "small.json", "song.wav", main=spleeter.main)
    with AudioReader(spleeter_models / "song.wav", sample_rate=44100) as reader:
        mixture = torch.from_numpy(np.concatenate(list(reader.blocks()), axis=1))
    expected = Separator(load_model("small.json", spleeter_layout=True), precision="float32").separate(
        mixture, 44100
    )
    for name, stem in expected.items():
        torch.testing.assert_close(read_wav(Path(f"output/song/{name}.wav"))[0], stem, atol=2**-15, rtol=0)


def test_spleeter_writes_sixteen_clamped_bits(run, spleeter_models: Path) -> None:  # type: ignore[no-untyped-def]
    write_wav(spleeter_models / "song.wav", 9 * song(20_000))
    assert run("separate", "-o", "output", "-p", "small.json", "song.wav", main=spleeter.main)[0] == 0
    assert soundfile.info("output/song/vocals.wav").subtype == "PCM_16"
    peaks = [float(read_wav(Path(f"output/song/{name}"))[0].abs().max()) for name in TWO]
    assert max(peaks) > 0.999


def test_spleeter_fails_honestly(run, spleeter_models: Path) -> None:  # type: ignore[no-untyped-def]
    (spleeter_models / "bad.mp3").write_text("no audio")
    status, _, err = run("separate", "-o", "output", "-p", "small.json", "bad.mp3", main=spleeter.main)
    assert status == 3
    assert "bad.mp3" in err
    (spleeter_models / "pretrained_models" / "small" / "model.data-00000-of-00001").unlink()
    write_wav(spleeter_models / "song.wav", song(1000))
    status, _, err = run("separate", "-o", "output", "-p", "small.json", "song.wav", main=spleeter.main)
    assert status == 4
    assert "model.data-00000-of-00001" in err
    assert not (spleeter_models / "output").exists()


def test_spleeter_writes_no_tags_and_takes_its_rate_from_the_configuration(
    run, spleeter_models: Path
) -> None:  # type: ignore[no-untyped-def]
    configuration = json.loads(Path("small.json").read_text())
    Path("small.json").write_text(json.dumps({**configuration, "sample_rate": 22050}))
    with AudioWriter(
        "song.flac", codec="flac", sample_rate=44100, n_channels=2, tags=Tags(fields={"title": "Song"})
    ) as writer:
        writer.write(song(5000).numpy())
        writer.finish()
        writer.publish()
    assert (
        run("separate", "-o", "output", "-p", "small.json", "-c", "flac", "song.flac", main=spleeter.main)[0]
        == 0
    )
    with AudioReader("output/song/vocals.flac") as reader:
        assert reader.sample_rate == 22050
        assert reader.info.tags.fields == {}


def test_names_that_are_no_text_are_separated_too(run, model: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    source = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav"))
    write_wav(tmp_path / "song.wav", song(5000)).rename(source)
    command = [sys.executable, "-m", "stemwise", "separate", source, "-o", tmp_path / "out", "-p", model]
    process = subprocess.run(command, capture_output=True, check=False)
    assert process.returncode == 0
    assert b"caf" in process.stdout
    assert b"Traceback" not in process.stderr


def test_spleeter_says_its_version(run) -> None:  # type: ignore[no-untyped-def]
    status, out, _ = run("--version", main=spleeter.main)
    assert status == 0
    assert out.startswith("Spleeter Version: 2.4.2 (stemwise ")


def test_help_of_every_command(run) -> None:  # type: ignore[no-untyped-def]
    for command in ("separate", "models", "train", "evaluate", "doctor"):
        status, out, _ = run(command, "--help")
        assert status == 0
        assert "Usage" in out


@pytest.mark.skipif(os.name != "posix", reason="a closed pipe is a POSIX thing")
def test_a_reader_that_goes_away_is_no_traceback() -> None:
    process = subprocess.run(
        f"{sys.executable} -m stemwise --help | true", shell=True, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in process.stderr


def test_threads_are_left_as_they_are(run, model: str, source: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    before = torch.get_num_threads()
    run("separate", source, "-o", tmp_path / "out", "-p", model, "-q")
    assert torch.get_num_threads() == before
