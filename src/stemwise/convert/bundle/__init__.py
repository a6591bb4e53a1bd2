"""TensorFlow's checkpoint bundle, read and written without TensorFlow.

A bundle is `PREFIX.index`, a table of names to entries (`table`), and `PREFIX.data-00000-of-00001` (or
more shards) with the raw little-endian tensors; a text file `checkpoint` beside them names the prefix.
Every checksum is verified, of the index when a bundle is opened, of a tensor when it is read.

Source: TensorFlow 2.12, `core/util/tensor_bundle/` and `core/protobuf/tensor_bundle.proto`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemwise.convert.bundle.crc32c import masked_crc32c
from stemwise.convert.bundle.table import read_table, table_bytes
from stemwise.convert.bundle.wire import field, fixed32, read_fields
from stemwise.errors import CheckpointError

Array = NDArray[Any]

# DataType of tensorflow/core/framework/types.proto, as far as numpy has the same
DTYPES = {
    1: "<f4",
    2: "<f8",
    3: "<i4",
    4: "u1",
    5: "<i2",
    6: "i1",
    9: "<i8",
    10: "?",
    17: "<u2",
    19: "<f2",
    22: "<u4",
    23: "<u8",
}
DTYPE_NUMBERS = {np.dtype(name): number for number, name in DTYPES.items()}
HEADER_KEY = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Where a tensor lies: `offset` and `size` in bytes within a shard; `crc` is masked."""

    dtype: int = 0
    shape: tuple[int, ...] = ()
    shard: int = 0
    offset: int = 0
    size: int = 0
    crc: int = 0
    is_sliced: bool = False


class Bundle(Mapping[str, Array]):
    """The tensors of a checkpoint by name, each mapped, read-only, and verified when it is asked for."""

    def __init__(self, path: str | Path) -> None:
        """Open a bundle and verify its index.

        Args:
            path: the folder that holds the `checkpoint` file, or the prefix itself (`folder/model`).

        Raises:
            CheckpointError: if a file is missing, damaged, cut short or of another kind.
        """
        self.prefix = find_prefix(Path(path))
        try:
            table = read_table(_index_path(self.prefix).read_bytes())
            self._n_shards = _parse_header(table.pop(HEADER_KEY, b""))
            self.entries = {key.decode(): _parse_entry(value) for key, value in table.items()}
        except (CheckpointError, UnicodeDecodeError) as error:
            raise CheckpointError(f"{_index_path(self.prefix)}: {error}") from error
        self._check_shards()

    def __getitem__(self, name: str) -> Array:
        entry = self.entries[name]
        dtype = np.dtype(DTYPES[entry.dtype]) if entry.dtype in DTYPES else None
        if dtype is None or entry.is_sliced:
            what = "is stored in slices" if entry.is_sliced else f"has TensorFlow's data type {entry.dtype}"
            raise CheckpointError(f"{self.prefix}: {name} {what}, which is not read here")
        if entry.size != dtype.itemsize * int(np.prod(entry.shape, dtype=object)):
            raise CheckpointError(
                f"{self.prefix}: {name} has {entry.size} bytes, which is not its shape {entry.shape}"
            )
        empty = np.empty(0, np.uint8)  # a file of no bytes cannot be mapped
        shard = np.memmap(self._shard_path(entry.shard), np.uint8, "r") if entry.size else empty
        raw = shard[entry.offset : entry.offset + entry.size].view(np.ndarray)
        if len(raw) != entry.size or masked_crc32c(raw.data) != entry.crc:
            raise CheckpointError(
                f"{self._shard_path(entry.shard)} is damaged: the checksum of {name} is wrong"
            )
        return raw.view(dtype).reshape(entry.shape)

    def __contains__(self, name: object) -> bool:
        return name in self.entries  # Mapping's own would read the tensor to find out

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def _shard_path(self, shard: int) -> Path:
        return _shard_path(self.prefix, shard, self._n_shards)

    def _check_shards(self) -> None:
        for shard in range(self._n_shards):
            path = self._shard_path(shard)
            if not path.is_file():
                raise CheckpointError(f"{path} is missing: the checkpoint is incomplete")
            needed = max((e.offset + e.size for e in self.entries.values() if e.shard == shard), default=0)
            if path.stat().st_size < needed:
                raise CheckpointError(
                    f"{path} has {path.stat().st_size} bytes of {needed}: the checkpoint is cut short"
                )
        for name, entry in self.entries.items():
            if entry.shard >= self._n_shards:
                raise CheckpointError(f"{self.prefix}: {name} is in shard {entry.shard} of {self._n_shards}")


def find_prefix(path: Path) -> Path:
    """What the files of a checkpoint start with; a folder's `checkpoint` file is asked, as TensorFlow does.

    Raises:
        CheckpointError: if there is no checkpoint.
    """
    if not path.is_dir():
        if _index_path(path).is_file():
            return path
        raise CheckpointError(
            f"{path} is no checkpoint: there is neither a folder of that name nor {_index_path(path)}"
        )
    try:
        text = (path / "checkpoint").read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{path} holds no checkpoint: a file named 'checkpoint' is missing there"
        ) from error
    except OSError as error:
        raise CheckpointError(f"{path / 'checkpoint'} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path / 'checkpoint'} is not text: the checkpoint is damaged") from error
    named = re.search(r'^\s*model_checkpoint_path\s*:\s*"(.*)"\s*$', text, re.MULTILINE)
    if named is None:
        raise CheckpointError(
            f"{path / 'checkpoint'} names no checkpoint: a line model_checkpoint_path is missing"
        )
    names = [_unescaped(named[1]), named[1]]  # as TensorFlow writes it, and as somebody may by hand
    # A folder that was trained elsewhere may name an absolute path of that place.
    candidates = [path / names[0], *(path / re.split(r"[\\/]", name)[-1] for name in names)]
    for prefix in candidates:
        if _index_path(prefix).is_file():
            return prefix
    raise CheckpointError(f"{_index_path(candidates[0])} is missing, which {path / 'checkpoint'} names")


def _unescaped(text: str) -> str:
    """Protocol-buffer text: bytes beyond ASCII are octal escapes of UTF-8, other escaped ones themselves."""

    def byte(found: re.Match[bytes]) -> bytes:
        return bytes([int(found[1], 8)]) if len(found[1]) == 3 else found[1]

    return re.sub(rb"\\([0-3][0-7]{2}|.)", byte, text.encode()).decode("utf-8", "replace")


def write_bundle(folder: str | Path, tensors: Mapping[str, Array], prefix: str = "model") -> Path:
    """Write tensors as a checkpoint that TensorFlow reads.

    Args:
        folder: made if it is missing.
        tensors: name to array; the types of `DTYPES`.
        prefix: of the files' names, without a folder.

    Returns:
        `folder / prefix`.

    Raises:
        CheckpointError: if TensorFlow has no such data type.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    entries: dict[str, Entry] = {}
    offset = 0
    with _shard_path(folder / prefix, 0, 1).open("wb") as file:
        for name in sorted(tensors, key=str.encode):
            array = np.asarray(tensors[name])
            array = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
            if array.dtype not in DTYPE_NUMBERS:
                raise CheckpointError(
                    f"{name} has type {array.dtype}: a bundle holds {sorted(map(str, DTYPE_NUMBERS))}"
                )
            raw = array.tobytes()
            file.write(raw)
            entries[name] = Entry(
                dtype=DTYPE_NUMBERS[array.dtype],
                shape=array.shape,
                offset=offset,
                size=len(raw),
                crc=masked_crc32c(raw),
            )
            offset += len(raw)
    _index_path(folder / prefix).write_bytes(index_bytes(entries, n_shards=1))
    text = f'model_checkpoint_path: "{prefix}"\nall_model_checkpoint_paths: "{prefix}"\n'
    (folder / "checkpoint").write_text(text, encoding="utf-8")
    return folder / prefix


def index_bytes(entries: Mapping[str, Entry], *, n_shards: int) -> bytes:
    """The `.index` file of these entries."""
    header = field(1, n_shards) + field(3, field(1, 1))  # little-endian is the default; version.producer = 1
    return table_bytes(
        {HEADER_KEY: header} | {name.encode(): _entry_bytes(entry) for name, entry in entries.items()}
    )


def _index_path(prefix: Path) -> Path:
    return prefix.parent / f"{prefix.name}.index"  # with_name would refuse /, which has no name


def _shard_path(prefix: Path, shard: int, n_shards: int) -> Path:
    return prefix.with_name(f"{prefix.name}.data-{shard:05d}-of-{n_shards:05d}")


def _parse_header(message: bytes) -> int:
    values = dict(read_fields(message))
    n_shards = values.get(1, 0)
    if not isinstance(n_shards, int) or n_shards < 1:
        raise CheckpointError("the index has no bundle header: it is not a TensorFlow checkpoint")
    if values.get(2, 0) != 0:
        raise CheckpointError("the checkpoint is big-endian, which is not read here")
    return n_shards


def _parse_entry(message: bytes) -> Entry:
    names = {1: "dtype", 3: "shard", 4: "offset", 5: "size", 6: "crc"}
    values: dict[str, Any] = {}
    for number, value in read_fields(message):
        if number == 2 and isinstance(value, bytes):
            values["shape"] = tuple(_parse_dimension(part) for n, part in read_fields(value) if n == 2)
        elif number == 7:
            values["is_sliced"] = True
        elif number in names and isinstance(value, int):
            values[names[number]] = value
    return Entry(**values)


def _parse_dimension(message: int | bytes) -> int:
    size = dict(read_fields(message)).get(1, 0) if isinstance(message, bytes) else None
    if not isinstance(size, int):
        raise CheckpointError("the index is damaged: a shape is not one")
    return size


def _entry_bytes(entry: Entry) -> bytes:
    shape = b"".join(field(2, field(1, size)) for size in entry.shape)
    return (
        field(1, entry.dtype)
        + field(2, shape)
        + field(3, entry.shard)
        + field(4, entry.offset)
        + field(5, entry.size)
        + fixed32(6, entry.crc)
    )
