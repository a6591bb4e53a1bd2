"""Networks in files of other runtimes: the same numbers, and all that it takes to separate with them."""

import json
import os
import re
import subprocess
import sys
import zipfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor
from typer.testing import CliRunner

from conftest import song
from random_models import random_model, spleeter_like, stemwise_like
from stemwise import Separator, load_model
from stemwise.checkpoint import Model, save_model
from stemwise.cli import app
from stemwise.errors import ConfigError, UnknownModel
from stemwise.export import FORMATS, describe, export_model, load_openvino
from stemwise.models import BandSplitConfig, BLSTMConfig, ModelConfig, UNetConfig
from stemwise.stft import STFTConfig

ROOT = Path(__file__).parents[1]
# Another runtime sums in another order; estimates of magnitudes up to 1.
EXPORTED = 1e-5

without_openvino = pytest.mark.skipif(
    find_spec("openvino") is None, reason="OpenVINO is not installed: make test-openvino"
)
formats = pytest.mark.parametrize(
    "format", ["onnx", "torchscript", pytest.param("openvino", marks=without_openvino)]
)


def small(architecture: str, network: Any, n_stems: int) -> Model:
    stems = ("vocals", "drums", "bass")[:n_stems]
    sizes: Any = {"n_bins": 48, "chunk_frames": 8, "stft": STFTConfig(gain=0.9)}
    config = ModelConfig(architecture=architecture, network=network, stems=stems, **sizes)
    return random_model(config, spread=1.0)


@cache
def model(name: str) -> Model:
    if name == "embedded":
        return load_model("stemwise:4stems")
    if name == "trunk_unet":
        return stemwise_like()
    groups = {"n_single_bins": 16, "band_width": 4, "group_sizes": (4, 8), "n_groups": (4, 1)}
    sizes = {"n_features": 8, "n_blocks": 2, "n_units": 4, "n_hidden": 8, "n_detail": 4}
    softmax = UNetConfig(
        n_filters=(4, 6), output="softmax", encoder_activation="elu", decoder_activation="elu"
    )
    return {
        "unet": lambda: small("unet", UNetConfig(n_filters=(4, 6)), 2),
        "softmax_unet": lambda: small("unet", softmax, 3),
        "blstm": lambda: small("blstm", BLSTMConfig(n_units=6), 2),
        "bandsplit": lambda: small("bandsplit", BandSplitConfig(**groups, **sizes), 3),
        "recurrent_bandsplit": lambda: small(
            "bandsplit", BandSplitConfig(**groups, **sizes, time="lstm", frequency="gru"), 2
        ),
    }[name]()


NETWORKS = [
    *("unet", "softmax_unet", "blstm", "trunk_unet", "bandsplit", "embedded"),
    pytest.param("recurrent_bandsplit", marks=pytest.mark.slow),
]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("exported")

    @cache
    def path(name: str, format: str) -> Path:
        return export_model(model(name), folder / f"{name}{FORMATS[format].suffixes[0]}", format)[0]

    return path


def estimates(path: Path, format: str, magnitude: Tensor) -> Tensor:
    """What the file's own runtime makes of a magnitude."""
    if format == "torchscript":
        with torch.inference_mode():
            return torch.jit.load(path)(magnitude)
    if format == "onnx":
        session = open_session(path)
        return torch.from_numpy(session.run(["estimates"], {"magnitude": magnitude.numpy()})[0])
    core = load_openvino().Core()
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    return torch.from_numpy(core.compile_model(path, "CPU", options)({"magnitude": magnitude.numpy()})[0])


def open_session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options)


def description(path: Path, format: str) -> Any:
    """What the file says of itself, in the format's own place."""
    if format == "torchscript":
        extra = {"stemwise.json": ""}
        torch.jit.load(path, _extra_files=extra)
        return json.loads(extra["stemwise.json"])
    if format == "onnx":
        return json.loads(open_session(path).get_modelmeta().custom_metadata_map["stemwise"])
    return json.loads(load_openvino().Core().read_model(path).get_rt_info("stemwise").value)


@formats
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.filterwarnings("ignore:`torch.jit.load` is deprecated:DeprecationWarning")
def test_the_other_runtime_gives_the_same(
    exported: Any, name: str, format: str, rng: torch.Generator
) -> None:
    path, config = exported(name, format), model(name).config
    for n_batch in (1,) if name == "embedded" else (1, 3):
        magnitude = torch.rand(n_batch, 2, config.n_bins, config.chunk_frames, generator=rng)
        with torch.inference_mode():
            ours = model(name).network(magnitude)
        theirs = estimates(path, format, magnitude)
        assert theirs.shape == ours.shape
        assert (theirs - ours).abs().max() < EXPORTED
        assert ours.std() > 0.01


@formats
@pytest.mark.filterwarnings("ignore:`torch.jit.load` is deprecated:DeprecationWarning")
def test_the_file_describes_itself(exported: Any, format: str) -> None:
    about = description(exported("embedded", format), format)
    assert about == json.loads(json.dumps(describe(model("embedded"))))
    assert (about["stems"], about["remainder"]) == (["vocals", "drums", "bass", "other"], "other")
    assert (about["sample_rate"], about["n_fft"], about["hop_length"]) == (44100, 4096, 1024)
    assert (about["n_bins"], about["chunk_frames"], about["overlap_frames"]) == (2048, 384, 64)
    assert (about["exponent"], about["mask_extension"]) == (model("embedded").config.exponent, "average")
    assert about["output"]["axes"] == ["batch", "stems", "channels", "bins", "frames"]
    assert about["card"]["licence"] == "MIT"
    assert "CC BY 4.0" in about["card"]["credits"]
    assert len(about["weights_sha256"]) == 64


def test_the_page_explains_every_key() -> None:
    table = (ROOT / "docs" / "export.md").read_text().partition("| key | |")[2].partition("\n\n")[0]
    explained = re.findall(r"`(\w+)`", "".join(row.split("|")[1] for row in table.splitlines()[2:]))
    assert {*explained, "format"} == set(describe(model("unet")))


def test_the_digest_is_that_of_the_weights(tmp_path: Path) -> None:
    save_model(spleeter_like(n_bins=64), tmp_path / "renamed.safetensors")
    digest = describe(spleeter_like(n_bins=64))["weights_sha256"]
    assert describe(load_model(str(tmp_path / "renamed.safetensors")))["weights_sha256"] == digest
    changed = spleeter_like(n_bins=64)
    with torch.no_grad():
        next(changed.network.parameters()).view(-1)[0] += 1e-3
    assert describe(changed)["weights_sha256"] != digest


@formats
def test_the_file_names_no_folder_of_this_machine(exported: Any, format: str) -> None:
    path = exported("trunk_unet", format)
    contents = [path.read_bytes()]
    if format == "torchscript":
        with zipfile.ZipFile(path) as archive:
            contents = [archive.read(name) for name in archive.namelist()]
    for folder in (str(ROOT), str(Path(torch.__file__).parent)):
        assert not any(folder.encode() in content for content in contents)


@pytest.mark.parametrize(("name", "n_channels"), [("trunk_unet", 2), ("unet", 1)])
def test_the_program_of_the_page_separates(exported: Any, name: str, n_channels: int, tmp_path: Path) -> None:
    """docs/export.md's program against the engine: stereo with overlap and remainder, mono without."""
    page = (ROOT / "docs" / "export.md").read_text()
    program = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)[0]
    mixture = song(150_000, n_channels=n_channels)
    soundfile.write(tmp_path / "song.wav", mixture.T.numpy(), 44100, subtype="FLOAT")
    run(program, tmp_path, str(exported(name, "onnx")), "song.wav")
    for stem, expected in Separator(model(name), precision="float32").separate(mixture, 44100).items():
        found = soundfile.read(tmp_path / f"{stem}.wav", dtype="float32", always_2d=True)[0].T
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)
        assert expected.std() > 0.001


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--format", "tflite", "-o", "a.onnx"),
            "format is 'tflite': it must be onnx, torchscript or openvino",
        ),
        (("--format", "onnx", "-o", "a.pt"), "a.pt: the name of a file for onnx must end in .onnx"),
        (("--format", "torchscript", "-o", "no/a.pt"), "no/a.pt: there is no folder no"),
        (("--format", "torchscript", "-o", "here.pt"), "here.pt exists: remove it or take another name"),
    ],
)
def test_what_cannot_be_is_refused_before_the_model_is_loaded(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("here.pt").write_text("mine")
    result = CliRunner().invoke(app, ["export", *arguments, "-p", "no such model"])
    assert isinstance(result.exception, ConfigError)
    assert str(result.exception) == message
    assert Path("here.pt").read_text() == "mine"
    assert os.listdir() == ["here.pt"]


def test_unknown_models_leave_nothing(tmp_path: Path) -> None:
    arguments = ["--format", "torchscript", "-o", str(tmp_path / "a.pt"), "-p", "stemwise:3stems"]
    assert isinstance(CliRunner().invoke(app, ["export", *arguments]).exception, UnknownModel)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("format", "package", "extra"), [("onnx", "onnxscript", "export"), ("openvino", "openvino", "openvino")]
)
def test_a_missing_package_is_named_with_its_extra(
    format: str, package: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=rf"needs .*{package}.*: pip install 'stemwise\[{extra}\]'"):
        export_model(model("unet"), tmp_path / f"a{FORMATS[format].suffixes[0]}", format)


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        export_model(model("unet"), tmp_path / "a.pt", "torchscript")
    assert os.listdir(tmp_path) == []


def test_the_command_says_what_it_wrote(tmp_path: Path) -> None:
    save_model(model("unet"), tmp_path / "mine.safetensors")
    arguments = ["-p", str(tmp_path / "mine.safetensors"), "-o", str(tmp_path / "mine.pt")]
    result = CliRunner().invoke(app, ["export", "--format", "torchscript", *arguments])
    assert result.exit_code == 0
    assert result.stdout.endswith("mine.pt (0.0 MB)\n")
    assert sorted(os.listdir(tmp_path)) == ["mine.pt", "mine.safetensors"]


@pytest.mark.parametrize("format", ["torchscript", pytest.param("openvino", marks=without_openvino)])
def test_the_other_snippets_of_the_page_run(exported: Any, format: str, tmp_path: Path) -> None:
    for suffix in FORMATS[format].suffixes:
        path = exported("trunk_unet", format).with_suffix(suffix)
        (tmp_path / f"4stems{suffix}").write_bytes(path.read_bytes())
    page = (ROOT / "docs" / "export.md").read_text()
    _, torchscript, openvino = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    program = {"torchscript": torchscript, "openvino": openvino}[format]
    shape = run(f"{program}\nprint(*estimates.shape)", tmp_path)
    assert shape.split() == ["1", "4", "2", "2048", "64"]


@without_openvino
def test_openvino_reports_nothing(tmp_path: Path) -> None:
    (tmp_path / "openvino_telemetry.py").write_text("raise SystemExit('it reports')")
    code = "from stemwise.export import load_openvino; import sys; load_openvino(); print(*sys.modules)"
    modules = run(code, tmp_path).split()
    assert "openvino" in modules
    assert "openvino_telemetry" not in modules


def run(code: str, folder: Path, *arguments: str) -> str:
    """What a program prints in a folder, whose modules it can import."""
    environment = {**os.environ, "CI": "true"}  # with CI, OpenVINO reports nothing
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout
