import json
from pathlib import Path
from typing import Any

import pytest

from stemwise.convert import embedded_configuration, read_configuration
from stemwise.errors import ConfigError, UnknownModel
from stemwise.models.blstm import BLSTMConfig
from stemwise.models.unet import UNetConfig

EMBEDDED = ("2stems", "4stems", "5stems", "2stems-16kHz", "4stems-16kHz", "5stems-16kHz", "musdb")


def values(**changes: Any) -> dict[str, Any]:
    """Spleeter's file of two stems, as it is, with changes; a value of `...` deletes the key."""
    base = {
        "train_csv": "path/to/train.csv",
        "validation_csv": "path/to/test.csv",
        "model_dir": "2stems",
        "mix_name": "mix",
        "instrument_list": ["vocals", "accompaniment"],
        "sample_rate": 44100,
        "frame_length": 4096,
        "frame_step": 1024,
        "T": 512,
        "F": 1024,
        "n_channels": 2,
        "separation_exponent": 2,
        "mask_extension": "zeros",
        "learning_rate": 1e-4,
        "batch_size": 4,
        "training_cache": "training_cache",
        "validation_cache": "validation_cache",
        "train_max_steps": 1000000,
        "throttle_secs": 300,
        "random_seed": 0,
        "save_checkpoints_steps": 150,
        "save_summary_steps": 5,
        "model": {"type": "unet.unet", "params": {}},
    }
    return {key: value for key, value in (base | changes).items() if value is not ...}


@pytest.mark.parametrize("name", EMBEDDED)
def test_embedded_configurations(name: str) -> None:
    configuration = embedded_configuration(name)
    model = configuration.model
    stems = {
        "2": ("vocals", "accompaniment"),
        "4": ("vocals", "drums", "bass", "other"),
        "5": ("vocals", "piano", "drums", "bass", "other"),
        "m": ("vocals", "drums", "bass", "other"),
    }
    activations = ("leaky_relu", "relu") if name.startswith("2") else ("elu", "elu")
    assert model.stems == stems[name[0]]
    assert model.n_bins == (1536 if name.endswith("16kHz") else 1024)
    assert isinstance(model.network, UNetConfig)
    assert (model.network.encoder_activation, model.network.decoder_activation) == activations
    assert model.network.output == ("softmax" if name.startswith("5") else "sigmoid")
    assert (model.sample_rate, model.stft.n_fft, model.stft.hop_length, model.chunk_frames) == (
        44100,
        4096,
        1024,
        512,
    )
    assert (model.overlap, model.exponent, model.mask_extension, model.remainder) == (0, 2, "zeros", None)
    assert configuration.model_dir == {"m": "musdb_model"}.get(name[0], name[:6])
    assert not configuration.mwf
    assert configuration.unknown_keys == ()


@pytest.mark.parametrize("name", ["5stems-16khz", "3stems", ""])
def test_unknown_embedded_configuration(name: str) -> None:
    with pytest.raises(UnknownModel, match="it has 2stems, 4stems"):
        embedded_configuration(name)


def test_a_file_of_spleeters_is_its_embedded_configuration(tmp_path: Path) -> None:
    path = tmp_path / "base_config.json"
    path.write_text(json.dumps(values()))
    assert read_configuration(path) == embedded_configuration("2stems")


def test_unknown_keys_are_collected_and_training_keys_are_not() -> None:
    network = {"type": "unet.unet", "params": {"conv_filters": 3}, "name": "x"}
    configuration = read_configuration(
        values(n_chunks_per_song=2, loss_type="L1_mask", zebra=1, Model={}, model=network)
    )
    assert configuration.unknown_keys == ("Model", "zebra", "model.name", "model.params.conv_filters")


def test_network_parameters() -> None:
    params = {
        "conv_n_filters": [1, 2, 3, 4, 5, 6],
        "conv_activation": "ReLU",
        "deconv_activation": "LeakyReLU",
    }
    network = read_configuration(values(model={"type": "unet.softmax_unet", "params": params})).model.network
    assert network == UNetConfig(
        n_filters=(1, 2, 3, 4, 5, 6),
        encoder_activation="relu",
        decoder_activation="leaky_relu",
        output="softmax",
    )


def test_blstm() -> None:
    configuration = read_configuration(
        values(T=100, F=1000, model={"type": "blstm.blstm", "params": {"lstm_units": 7}})
    )
    assert configuration.model.architecture == "blstm"
    assert configuration.model.network == BLSTMConfig(n_units=7)


def test_defaults() -> None:
    configuration = read_configuration(values(n_channels=..., mask_extension=..., model=...))
    assert configuration == read_configuration(values())


def test_wiener_filter() -> None:
    assert read_configuration(values(MWF=True)).mwf


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_channels": 1}, "n_channels is 1: it must be 2.*hears mono as two equal ones"),
        ({"T": 500}, "T is 500: the U-Net needs a multiple of 64"),
        ({"F": 1000}, "F is 1000: the U-Net needs a multiple of 64"),
        ({"F": 4096}, "n_bins is 4096: it must be 1 to 2049"),
        ({"T": "512"}, "T is '512': it must be a positive number of frames"),
        ({"T": True}, "T is True"),
        ({"sample_rate": 44100.5}, "sample_rate is 44100.5: it must be a positive whole number of Hz"),
        ({"sample_rate": ...}, "sample_rate is missing"),
        (
            {"instrument_list": ["vocals", "vocals"]},
            "instrument_list is .*: it must be a list of different names",
        ),
        ({"instrument_list": ["vocals", "../x"]}, "stems has '../x': it must be a name that a file can have"),
        ({"instrument_list": []}, "instrument_list is"),
        ({"instrument_list": [1, 2]}, "instrument_list is"),
        ({"frame_length": 4000}, "frame_length is 4000 .* power of two"),
        ({"frame_step": 3000}, "frame_step is 3000: .* divisor of its quarter"),
        ({"separation_exponent": 0}, "separation_exponent is 0: it must be a positive number"),
        ({"mask_extension": "mirror"}, "mask_extension is 'mirror': it must be 'zeros' or 'average'"),
        ({"mask_extension": []}, "mask_extension is"),
        ({"model_dir": ""}, "model_dir is ''"),
        ({"model_dir": ...}, "model_dir is missing"),
        ({"MWF": "yes"}, "MWF is 'yes': it must be true or false"),
        ({"model": []}, r"model is \[\]: it must be an object"),
        ({"model": {"type": "unet.vnet"}}, "type is 'unet.vnet': it must be one of unet.unet"),
        ({"model": {"type": ["unet.unet"]}}, "type is"),
        ({"model": {"params": {"conv_n_filters": [1, 2]}}}, "conv_n_filters is .*: it must be six positive"),
        (
            {"model": {"params": {"conv_activation": "GELU"}}},
            "conv_activation is 'GELU': it must be one of ReLU",
        ),
    ],
)
def test_wrong_values(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_configuration(values(**changes))


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "is not JSON"), ("[" * 100_000, "is not JSON"), ("[]", "holds a list"), ("\ud800", "is not JSON")],
)
def test_not_a_configuration(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ConfigError, match=message):
        read_configuration(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_configuration(tmp_path / "nothing.json")
