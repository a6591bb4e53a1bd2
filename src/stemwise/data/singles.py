"""Single files of one stem, of no song: a folder of voices, of drum loops, to be mixed freely."""

from pathlib import Path

from stemwise.data.folders import is_audio_file
from stemwise.data.track import StemFile
from stemwise.errors import ConfigError


def find_singles(folder: Path) -> list[StemFile]:
    """Every audio file in a folder and the folders below it, in the order of their names.

    What is no audio file by its suffix is left alone.

    Raises:
        ConfigError: if there is no such folder, or no audio file in it.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder: it must hold single files of one stem")
    files = [StemFile(path=path) for path in sorted(folder.rglob("*")) if is_audio_file(path)]
    if not files:
        raise ConfigError(f"{folder} holds no audio files: it must hold single files of one stem")
    return files
