from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner, Result

from stemwise.checkpoint import Model
from stemwise.cli import models
from stemwise.cli.doctor import doctor
from stemwise.convert import to_variables, write_bundle
from stemwise.errors import CheckpointError, ConfigError, DownloadError, UnknownModel
from stemwise.hub import embedded_weights
from stemwise.models import ModelConfig, build
from stemwise.models.unet import UNetConfig

app = typer.Typer()
app.add_typer(models.app, name="models")
app.command("doctor")(doctor)


@pytest.fixture(autouse=True)
def clean_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("STEMWISE_OFFLINE", "1")
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("MODEL_PATH", "GITHUB_HOST", "GITHUB_REPOSITORY", "GITHUB_RELEASE"):
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small checkpoint with its configuration beside it."""
    torch.manual_seed(0)
    network = UNetConfig(n_filters=(2,) * 6)
    config = ModelConfig(architecture="unet", network=network, stems=("vocals", "rest"), n_bins=64)
    write_bundle(tmp_path / "made" / "karaoke", to_variables(Model(config, build(config))))
    (tmp_path / "made" / "config.json").write_text(
        '{"model_dir": "karaoke", "instrument_list": ["vocals", "rest"], "sample_rate": 44100,'
        ' "frame_length": 4096, "frame_step": 1024, "T": 64, "F": 64, "separation_exponent": 2,'
        ' "model": {"params": {"conv_n_filters": [2, 2, 2, 2, 2, 2]}}}'
    )
    return tmp_path / "made" / "karaoke"


@pytest.mark.parametrize("arguments", [("models",), ("models", "--commercial")])
def test_list_fits_a_hundred_columns(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    row = next(line for line in lines if line.startswith("spleeter:5stems-16kHz"))
    assert row.split("  ")[1].strip() == "vocals, piano, drums, bass, other"
    assert "16.5 kHz" in row
    assert row.rstrip().endswith("no")


def test_names_are_whole_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    names = [line.split("  ")[0] for line in run("models").stdout.splitlines()]
    assert "spleeter:5stems-16kHz" in names


def test_commercial_leaves_out_what_nobody_vouches_for(folder: Path) -> None:
    run("models", "import", str(folder))
    assert "karaoke" in run("models").stdout
    assert "karaoke" not in run("models", "--commercial").stdout


def test_info_of_an_embedded_model_is_its_whole_card() -> None:
    out = run("models", "info", "stemwise:2stems").stdout
    page = embedded_weights().with_suffix(".md").read_text("utf-8")
    assert out.endswith(page)
    assert {"## Figures", "## Credits"} < set(page.splitlines())


def test_info_of_a_published_model() -> None:
    out = run("models", "info", "spleeter:4stems").stdout
    assert "https://github.com/deezer/spleeter/releases/download/v1.4.0/4stems.tar.gz" in out
    assert "3adb4a50ad4eb18c7c4d65fcf4cf2367a07d48408a5eb7d03cd20067429dfaa8" in out
    assert "private (Deezer's Bean dataset)" in out


def test_import_info_verify_remove(folder: Path) -> None:
    assert "imported as karaoke" in run("models", "import", str(folder)).stdout
    assert "vocals, rest" in run("models", "info", "karaoke").stdout
    assert "karaoke: sound\n" in run("models", "verify").stdout
    assert "removed" in run("models", "remove", "karaoke").stdout
    assert "karaoke" not in run("models", "verify").stdout


def test_import_with_a_configuration_that_does_not_fit(folder: Path) -> None:
    result = run("models", "import", str(folder), "-p", "spleeter:4stems")
    assert isinstance(result.exception, CheckpointError)
    assert "holds 2 stems, but the configuration names 4" in str(result.exception)


def test_verify_names_the_damaged_and_fails(folder: Path, tmp_path: Path) -> None:
    run("models", "import", str(folder), "--name", "a")
    run("models", "import", str(folder), "--name", "b")
    damaged = next((tmp_path / "cache" / "stemwise").rglob("a.safetensors"))
    damaged.write_bytes(damaged.read_bytes()[:-1])
    result = run("models", "verify")
    assert result.exit_code == CheckpointError.exit_code
    assert "b: sound" in result.stdout
    assert "a: " in result.stderr


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("models", "info", "nothing"), UnknownModel),
        (("models", "remove", "spleeter:2stems"), UnknownModel),
        (("models", "remove", "stemwise:4stems"), ConfigError),
        (("models", "download", "spleeter:2stems"), DownloadError),
        (("models", "import", "nowhere"), CheckpointError),
    ],
)
def test_errors_are_left_to_the_one_handler(arguments: tuple[str, ...], error: type[Exception]) -> None:
    assert isinstance(run(*arguments).exception, error)


def test_doctor_names_what_a_report_needs(tmp_path: Path) -> None:
    result = run("doctor")
    assert result.exit_code == 0
    for word in (
        "stemwise",
        "Python",
        torch.__version__.split("+")[0],
        "PyAV",
        "threads of torch",
        str(tmp_path / "cache"),
    ):
        assert word in result.stdout
