"""The folder of models: where it is, what is in it, and how a model gets there in one step or not at all.

    <cache>/stemwise/
    ├── spleeter/2stems/{checkpoint,model.index,model.data-…,.probe}    as Spleeter lays them out
    └── imported/NAME.safetensors

A model counts as installed when its checkpoint is whole, whatever left it there; a folder that is not is
moved aside, never used and never deleted.
"""

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

from stemwise.checkpoint import ModelCard, save_model
from stemwise.convert import (
    Bundle,
    SpleeterConfiguration,
    convert,
    embedded_configuration,
    read_configuration,
)
from stemwise.convert.configuration import EMBEDDED_STEMS
from stemwise.errors import CheckpointError, ChecksumError, ConfigError, UnknownModel
from stemwise.hub.published import PublishedModel, archive_url, is_pinned
from stemwise.hub.transfer import ByteProgress, download_file, read_json, unpack
from stemwise.lock import locked

PROBE = ".probe"  # Spleeter takes a folder that holds it for installed
SPLEETER_FOLDER = "pretrained_models"  # Spleeter's default, relative to the working directory
VARIABLES_PER_STEM = 7  # convolutions of one U-Net


def cache_folder() -> Path:
    """Where models are kept, by the platform's convention."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "stemwise"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "stemwise"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stemwise"


def spleeter_folder(*, spleeter_layout: bool = False) -> Path:
    """Where Spleeter's models are: `MODEL_PATH`, else the working directory's if asked for, else ours."""
    if os.environ.get("MODEL_PATH"):
        return Path(os.environ["MODEL_PATH"])
    if spleeter_layout and Path(SPLEETER_FOLDER).is_dir():
        return Path(SPLEETER_FOLDER)
    return cache_folder() / "spleeter"


def imported_folder() -> Path:
    return cache_folder() / "imported"


def imported_models() -> list[str]:
    """Names of the models that `import_model` has put into the store."""
    return sorted(path.stem for path in imported_folder().glob("*.safetensors") if _is_name(path.stem))


def imported_path(name: str) -> Path:
    """The file of an imported model of that name.

    Raises:
        ConfigError: if it can be no name.
    """
    if not _is_name(name):
        raise ConfigError(f"name is {name!r}: it must be letters, digits, '-', '_' and '.', such as my-model")
    return imported_folder() / f"{name}.safetensors"


def _is_name(name: str) -> bool:
    return re.fullmatch(r"\w[\w.-]*", name) is not None


def is_whole(folder: Path) -> bool:
    """Whether a folder holds a checkpoint whose index is sound and whose data is all there."""
    try:
        Bundle(folder)
    except CheckpointError:
        return False
    return True


def install(record: PublishedModel, root: Path, progress: ByteProgress | None = None) -> Path:
    """The folder of a published checkpoint, downloaded if it is not there yet.

    Two processes at once download once: the second waits for the first.

    Raises:
        DownloadError, ChecksumError: nothing has been installed; what has come is kept for the next try.
        CheckpointError: the archive holds no whole checkpoint.
    """
    folder = root / record.folder
    if is_whole(folder):
        return folder
    root.mkdir(parents=True, exist_ok=True)
    with locked(root / f".{record.folder}.lock"):
        if is_whole(folder):
            return folder
        archive = root / f".{record.folder}.tar.gz"
        download_file(archive_url(record), archive, sha256=_digest(record), progress=progress)
        try:
            _install_archive(archive, folder)
        finally:
            archive.unlink(missing_ok=True)
    return folder


def import_model(
    source: str | Path, *, name: str | None = None, configuration: str | Path | None = None
) -> Path:
    """Convert a Spleeter model and keep it in the store under a name.

    Args:
        source: folder of the checkpoint, or a tar archive of it.
        name: to load it by; the folder's or archive's if None.
        configuration: Spleeter's JSON file or embedded name. If None, a single JSON file in the folder, else
            the embedded configuration of that many stems.

    Returns:
        The file that was written.

    Raises:
        CheckpointError: if there is no whole checkpoint, or not that of the configuration.
        ConfigError: if the configuration or name cannot be, or none could be found.
    """
    source = Path(source)
    name = name or re.sub(r"\.(tar|tar\.\w+|tgz)$", "", source.name)
    target = imported_path(name)
    with tempfile.TemporaryDirectory() as scratch:
        folder = source
        if source.is_file():
            unpack(source, Path(scratch))
            folder = checkpoint_folder(Path(scratch))
        chosen = _configuration(configuration) if configuration else find_configuration(folder)
        model = convert(
            folder,
            chosen,
            ModelCard(name=name, source=str(source), licence="unknown", training_data="unknown"),
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        save_model(model, target)
    return target


def find_configuration(folder: Path) -> SpleeterConfiguration:
    """The configuration of a checkpoint that came without saying: see `import_model`.

    Raises:
        ConfigError: if none fits; a wrong one would load and sound like nothing.
    """
    beside = [path for path in (*folder.glob("*.json"), folder.parent / "config.json") if path.is_file()]
    if len(beside) == 1:
        return read_configuration(beside[0])
    kernels = [name for name in Bundle(folder) if re.fullmatch(r"conv2d(_\d+)?/kernel", name)]
    n_stems = len(kernels) // VARIABLES_PER_STEM
    name = f"{n_stems}stems"
    if beside or name not in EMBEDDED_STEMS:
        raise ConfigError(
            f"the configuration of {folder} must be named:"
            f" it has {n_stems} stems, and {len(beside)} JSON files stand beside it"
        )
    return embedded_configuration(name)


def checkpoint_folder(folder: Path) -> Path:
    """The folder within an unpacked archive that holds the checkpoint.

    Raises:
        CheckpointError: if there is none, or several.
    """
    found = [path.parent for path in sorted(folder.rglob("checkpoint")) if path.is_file()]
    if len(found) != 1:
        raise CheckpointError(
            f"the archive holds {len(found)} checkpoints: it must hold one, with its file 'checkpoint'"
        )
    return found[0]


def _configuration(source: str | Path) -> SpleeterConfiguration:
    name = str(source).removeprefix("spleeter:")
    try:
        return embedded_configuration(name)
    except UnknownModel:
        return read_configuration(source)


def _digest(record: PublishedModel) -> str:
    """Of the archive: from the table, or from the index that somebody else's release must carry."""
    if is_pinned():
        return record.sha256
    url = archive_url(record).rpartition("/")[0] + "/checksum.json"
    digests = read_json(url)
    digest = digests.get(record.folder) if isinstance(digests, dict) else None
    if not isinstance(digest, str):
        raise ChecksumError(
            f"{url} has no SHA-256 for {record.folder}: an archive that cannot be checked is not installed"
        )
    return digest.lower()


def _install_archive(archive: Path, folder: Path) -> None:
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
    try:
        unpack(archive, temporary)
        ready = checkpoint_folder(temporary)
        Bundle(ready)
        (ready / PROBE).write_text("OK", encoding="utf-8")
        ready.chmod(0o755)  # mkdtemp's is for the owner alone
        if folder.exists():
            _move_aside(folder)
        ready.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _move_aside(folder: Path) -> None:
    number = 0
    while (aside := folder.with_name(f"{folder.name}.incomplete-{number}")).exists():
        number += 1
    folder.rename(aside)
