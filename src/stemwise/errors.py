"""Every error that stemwise raises on purpose.

    StemwiseError
    ├── AudioError            a file could not be read or written
    │   ├── DecodeError
    │   └── EncodeError
    ├── ModelError            a model could not be had
    │   ├── UnknownModel
    │   ├── DownloadError
    │   ├── ChecksumError
    │   └── CheckpointError
    ├── ConfigError           (also a ValueError) an option has a value that cannot be
    ├── ShapeError            (also a ValueError) a tensor has axes that cannot be
    ├── JournalError          a journal could not be opened, read or written
    ├── NonFiniteError        NaN or infinity went into the network, or came out
    └── StorageError          object storage refused or failed; `passing` says whether that may pass

A message says what, which value, and what would be right. `exit_code` is what the commands return.
"""


class StemwiseError(Exception):
    exit_code = 1


class AudioError(StemwiseError):
    exit_code = 3


class DecodeError(AudioError):
    pass


class EncodeError(AudioError):
    pass


class ModelError(StemwiseError):
    exit_code = 4


class UnknownModel(ModelError):
    pass


class DownloadError(ModelError):
    pass


class ChecksumError(ModelError):
    pass


class CheckpointError(ModelError):
    pass


class ConfigError(StemwiseError, ValueError):
    exit_code = 2


class ShapeError(StemwiseError, ValueError):
    exit_code = 2


class NonFiniteError(StemwiseError):
    exit_code = 5


class JournalError(StemwiseError):
    exit_code = 6


class NoJournalError(JournalError):
    """There is none yet where one was to be read."""


class StorageError(StemwiseError):
    exit_code = 7

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing
