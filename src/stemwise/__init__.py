"""Separate recorded music into its stems.

The public names below load on first use, so that `import stemwise` costs milliseconds and
touches neither torch nor the network, threads, seeds, loggers or the environment. None of them is also
the name of a module, for importing that module would put it in the name's place.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stemwise.errors import (
        AudioError,
        CheckpointError,
        ChecksumError,
        ConfigError,
        DecodeError,
        DownloadError,
        EncodeError,
        JournalError,
        ModelError,
        NonFiniteError,
        ShapeError,
        StemwiseError,
        StorageError,
        UnknownModel,
    )
    from stemwise.files import separate_file
    from stemwise.hub import load_model, published_models
    from stemwise.separate import Separator

__version__ = "0.1.0"

_HOMES = {
    "Separator": "stemwise.separate",
    "separate_file": "stemwise.files",
    "load_model": "stemwise.hub",
    "published_models": "stemwise.hub",
    "StemwiseError": "stemwise.errors",
    "AudioError": "stemwise.errors",
    "DecodeError": "stemwise.errors",
    "DownloadError": "stemwise.errors",
    "EncodeError": "stemwise.errors",
    "JournalError": "stemwise.errors",
    "ModelError": "stemwise.errors",
    "UnknownModel": "stemwise.errors",
    "ChecksumError": "stemwise.errors",
    "CheckpointError": "stemwise.errors",
    "ConfigError": "stemwise.errors",
    "NonFiniteError": "stemwise.errors",
    "ShapeError": "stemwise.errors",
    "StorageError": "stemwise.errors",
}

__all__ = [
    "AudioError",
    "CheckpointError",
    "ChecksumError",
    "ConfigError",
    "DecodeError",
    "DownloadError",
    "EncodeError",
    "JournalError",
    "ModelError",
    "NonFiniteError",
    "Separator",
    "ShapeError",
    "StemwiseError",
    "StorageError",
    "UnknownModel",
    "__version__",
    "load_model",
    "published_models",
    "separate_file",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'stemwise' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
