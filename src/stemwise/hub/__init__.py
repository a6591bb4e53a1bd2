"""Models by name: published ones, fetched when first needed; imported ones; files and folders."""

import shutil
from dataclasses import replace
from pathlib import Path

from stemwise.checkpoint import Model, ModelCard, read_model
from stemwise.convert import (
    Bundle,
    SpleeterConfiguration,
    convert,
    embedded_configuration,
    read_configuration,
)
from stemwise.errors import CheckpointError, ConfigError, UnknownModel
from stemwise.hub.published import (
    PUBLISHED,
    PublishedModel,
    archive_url,
    published,
    published_models,
    suggestion,
)
from stemwise.hub.store import (
    cache_folder,
    find_configuration,
    import_model,
    imported_models,
    imported_path,
    install,
    is_whole,
    spleeter_folder,
)
from stemwise.hub.transfer import ByteProgress

__all__ = [
    "PublishedModel",
    "archive_url",
    "cache_folder",
    "download",
    "embedded_weights",
    "import_model",
    "imported_models",
    "imported_path",
    "is_installed",
    "load_model",
    "published",
    "published_models",
    "remove",
    "size_bytes",
    "spleeter_folder",
    "verify",
]


def embedded_weights() -> Path:
    """The file of stemwise's own model, which came with the package."""
    return Path(__file__).parent.parent / "weights" / "4stems.safetensors"


def load_model(
    name_or_path: str | Path, *, spleeter_layout: bool = False, progress: ByteProgress | None = None
) -> Model:
    """The model of a name, a file or a folder.

    Args:
        name_or_path: `stemwise:4stems`, `spleeter:2stems`, the name of an imported model, a `.safetensors`
            file, a Spleeter configuration (`.json`), or the folder of a Spleeter checkpoint.
        spleeter_layout: look into `./pretrained_models`, if it exists, as Spleeter does.
        progress: of a download, if there is one.

    Raises:
        UnknownModel: if it is nothing of these; close names are suggested.
        DownloadError, ChecksumError: if the weights are not here and cannot be had.
        CheckpointError, ConfigError: if the weights or the configuration are not sound.
    """
    name, path = str(name_or_path), Path(name_or_path)
    if name in PUBLISHED:
        return _load_published(PUBLISHED[name], spleeter_layout, progress)
    if name in imported_models():
        return read_model(imported_path(name))
    if path.suffix == ".safetensors":
        return read_model(path)
    if path.suffix == ".json":
        return _load_configured(path, read_configuration(path), spleeter_layout, progress)
    if path.is_dir():
        return convert(path, find_configuration(path), ModelCard(name=path.name))
    if name == "spleeter:musdb":  # a configuration without published weights: for those who have trained it
        configuration = embedded_configuration("musdb")
        return _load_configured(Path("musdb.json"), configuration, spleeter_layout, progress)
    known = [*PUBLISHED, *imported_models()]
    raise UnknownModel(
        f"there is no model {name!r}, published or imported, and no such file.{suggestion(name, known)}"
    )


def is_installed(record: PublishedModel) -> bool:
    """Whether its weights are on this machine and whole."""
    return embedded_weights().is_file() if record.is_embedded else is_whole(spleeter_folder() / record.folder)


def size_bytes(record: PublishedModel) -> int:
    """Of its weights on disk, here or once they are here."""
    if record.is_embedded:
        return embedded_weights().stat().st_size if embedded_weights().is_file() else 0
    return record.size_bytes


def download(name: str, *, progress: ByteProgress | None = None) -> Path:
    """Fetch a published model unless it is here, and say where it is.

    Raises:
        UnknownModel, DownloadError, ChecksumError, CheckpointError: as `load_model`.
    """
    record = published(name)
    return embedded_weights() if record.is_embedded else install(record, spleeter_folder(), progress)


def verify(name: str) -> None:
    """Read every weight of an installed model, with its checksums.

    Raises:
        UnknownModel: if there is no such model.
        CheckpointError: if it is not installed, damaged or incomplete.
    """
    if name in imported_models():
        read_model(imported_path(name))
        return
    record = published(name)
    if record.is_embedded:
        read_model(embedded_weights())
    else:
        convert(spleeter_folder() / record.folder, embedded_configuration(record.configuration))


def remove(name: str) -> Path:
    """Delete an installed model from the store, and say what was deleted.

    Raises:
        UnknownModel: if there is no such model, or it is not in the store.
        ConfigError: for the model that came with the package.
    """
    if name in imported_models():
        imported_path(name).unlink()
        return imported_path(name)
    record = published(name)
    if record.is_embedded:
        raise ConfigError(f"{name} is part of the package and cannot be removed by itself")
    folder = spleeter_folder() / record.folder
    if not folder.is_dir():
        raise UnknownModel(f"{name} is not installed: there is no {folder}")
    shutil.rmtree(folder)
    return folder


def _load_published(record: PublishedModel, spleeter_layout: bool, progress: ByteProgress | None) -> Model:
    if record.is_embedded:
        model = read_model(embedded_weights())
        return replace(model, two_stems=record.two_stems, card=replace(model.card, name=record.name))
    folder = install(record, spleeter_folder(spleeter_layout=spleeter_layout), progress)
    return convert(folder, embedded_configuration(record.configuration), record.card)


def _load_configured(
    path: Path, configuration: SpleeterConfiguration, spleeter_layout: bool, progress: ByteProgress | None
) -> Model:
    """A configuration's checkpoint: Spleeter trains into the working directory but separates from its store.

    Both are looked at, and the folder of the configuration file; a folder that Spleeter publishes is fetched.
    """
    model_dir = Path(configuration.model_dir)
    root = spleeter_folder(spleeter_layout=spleeter_layout)
    places = [root / model_dir, model_dir, path.parent / model_dir]
    card = ModelCard(name=path.stem)
    for folder in places:
        if folder.is_dir() and any(folder.iterdir()):
            try:
                Bundle(folder)
            except CheckpointError:
                if folder != root / model_dir or configuration.model_dir not in _folders():
                    raise
                continue
            return replace(convert(folder, configuration, card), notes=_notes(path, configuration))
    record = _folders().get(configuration.model_dir)
    if record is None:
        looked = ", ".join(str(place) for place in dict.fromkeys(places))
        raise CheckpointError(
            f"model_dir of {path} is {configuration.model_dir!r}, and no checkpoint is in any of {looked}"
        )
    model = convert(install(record, root, progress), configuration, replace(record.card, name=path.stem))
    return replace(model, notes=_notes(path, configuration))


def _notes(path: Path, configuration: SpleeterConfiguration) -> tuple[str, ...]:
    unknown = ", ".join(configuration.unknown_keys)
    return (f"{path} has keys that mean nothing to Spleeter: {unknown}",) if unknown else ()


def _folders() -> dict[str, PublishedModel]:
    return {record.folder: record for record in reversed(published_models()) if not record.is_embedded}
