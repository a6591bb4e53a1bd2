"""Songs in and stems out of object storage.

A location is a path or a URL (`s3://bucket/folder/song.flac`, `https://…`). Paths pass through: nothing is
copied and nothing is checked. What lies behind a URL is fetched into a folder, and comes back whole or not at
all: the stems of a song are uploaded first, and get their names when the last byte of the last one is there
(S3: parts of an upload are no object until it is completed), so that nobody sees a part of one.

Nothing is tried again here beyond what the storage's own client does: `StorageError.passing` says whether to.
Credentials and endpoints come from where the client looks for them (`AWS_ACCESS_KEY_ID`,
`AWS_ENDPOINT_URL`, `~/.aws`, a machine's role; `FSSPEC_S3_ANON=true` for public buckets).
"""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from stemwise.batch.clients import READ_ONLY, client_errors, errors_told, open_client
from stemwise.errors import ConfigError, StorageError
from stemwise.naming import AUDIO_SUFFIXES

if TYPE_CHECKING:
    from stemwise.hub.transfer import ByteProgress

PIECE_BYTES = 8 << 20  # of an upload; S3 takes no part below 5 MiB but the last
_WILD = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Found:
    """A song in storage.

    Attributes:
        url: where it lies.
        folder: where below the place that was asked for, with `/`; empty for the place itself.
        n_bytes: its size; None if the storage does not say.
        etag: the storage's word for its content, which changes with it; None likewise.
    """

    url: str
    folder: str
    n_bytes: int | None
    etag: str | None = None


def is_remote(location: str) -> bool:
    """Whether a location is a URL of something that must be fetched, and not a path."""
    scheme, separator, _ = location.partition("://")
    return bool(separator) and scheme.isalnum() and scheme != "file"


def file_name(location: str) -> str:
    """The last part of a location, without the query of an http URL."""
    if location.startswith(("http://", "https://")):
        location = unquote(PurePosixPath(urlsplit(location).path).name).replace("\0", "")
    name = location.rstrip("/").rpartition("/")[2]  # what was quoted may hold a `/` too
    return "" if name in (".", "..") else name


def find_songs(url: str) -> list[Found]:
    """The songs that a URL means: one file, all audio files below a folder, or those that match a pattern.

    Args:
        url: `*`, `?` and `[…]` match within a folder, `**` any folders. A file that is named itself is taken
            whatever its suffix.

    Returns:
        Sorted by URL.

    Raises:
        ConfigError: if there is none, or the scheme is not known.
        StorageError: if the storage cannot be read.
    """
    client, root = open_client(url)
    scheme = url.partition("://")[0]
    if scheme in READ_ONLY:
        return [Found(url, "", None)]
    with errors_told(url):
        if client.isfile(root):
            info = client.info(root)
            return [Found(url, "", info.get("size"), _etag(info))]
        listed = client.find(root, detail=True)
        if not listed and _WILD & set(root):
            try:
                listed, root = client.glob(root, detail=True), _fixed_part(root)
            except ValueError as error:
                raise ConfigError(f"{url} is no pattern: {error}") from error
    found = [
        Found(f"{scheme}://{name}", _folder_below(root, name), info.get("size"), _etag(info))
        for name, info in sorted(listed.items())
        if info["type"] == "file" and _is_song(name)
    ]
    if not found:
        raise ConfigError(f"{url} has no audio file")
    return found


def stamp(url: str) -> dict[str, Any]:
    """`{"bytes", "etag"}` of what lies behind a URL, as far as the storage tells."""
    client, path = open_client(url)
    with errors_told(url):
        info = client.info(path)
    found = {"bytes": info.get("size"), "etag": _etag(info)}
    return {key: value for key, value in found.items() if value is not None}


def _etag(info: Mapping[str, Any]) -> str | None:
    etag = info.get("ETag") or info.get("etag")
    return None if etag is None else str(etag).strip('"')


def _fixed_part(pattern: str) -> str:
    """The folder that a pattern begins with."""
    parts = pattern.split("/")
    return "/".join(parts[: next(n for n, part in enumerate(parts) if _WILD & set(part))])


def _folder_below(root: str, name: str) -> str:
    return name.removeprefix(root).strip("/").rpartition("/")[0]


def _is_song(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in AUDIO_SUFFIXES and not path.name.startswith(".")


def fetch(location: str, folder: Path, *, progress: "ByteProgress | None" = None) -> Path:
    """Bring a song to where it can be read.

    Args:
        location: a path is returned as it is.
        folder: an existing folder for a copy of what lies behind a URL; the caller removes it.
        progress: called from a thread of the storage's client.

    Raises:
        StorageError: if it cannot be had whole; then nothing is left in the folder.
    """
    if not is_remote(location):
        return Path(location.removeprefix("file://"))
    from fsspec.callbacks import Callback

    hooks = {"progress": lambda size, value, **_: progress(value, size)} if progress is not None else {}
    client, path = open_client(location)
    target = folder / (file_name(location) or "song")
    part = target.with_name(f".{target.name[:60]}.part")
    try:
        with errors_told(location):
            n_bytes = client.info(path).get("size")
            client.get_file(path, str(part), callback=Callback(hooks=hooks))
        if n_bytes is not None and part.stat().st_size != n_bytes:
            came = part.stat().st_size
            raise StorageError(f"{location} broke off: {came} of {n_bytes} bytes came", passing=True)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return target


def publish(files: Mapping[str, Path], *, progress: "ByteProgress | None" = None) -> None:
    """Put files where they belong; none is seen before all of them have arrived whole.

    Args:
        files: URL → local file. Files that are there are replaced.
        progress: called with the bytes sent so far, and all of them.

    Raises:
        ConfigError: if the storage can only be read.
        StorageError: if they cannot be put there. Then none of them is there, unless the connection broke
            between two of the short requests that give them their names; those that are there are whole.
    """
    uploads: list[Any] = []
    total, sent = sum(local.stat().st_size for local in files.values()), 0
    try:
        for url, local in files.items():
            client, path = open_client(url, to_write=True)
            with errors_told(url), local.open("rb") as source:
                upload = client.open(path, "wb", autocommit=False, block_size=PIECE_BYTES)
                uploads.append(upload)
                while piece := source.read(PIECE_BYTES):
                    upload.write(piece)
                    sent += len(piece)
                    if progress is not None:
                        progress(sent, total)
                upload.close()
        for url, upload in zip(files, uploads, strict=True):
            with errors_told(url):
                upload.commit()
    except BaseException:
        _discard(uploads)
        raise
    for url, local in files.items():
        there, wanted = size(url), local.stat().st_size
        if there != wanted:
            raise StorageError(f"{url}: {there} of {wanted} bytes are there", passing=True)


def _discard(uploads: list[Any]) -> None:
    for upload in uploads:
        upload.closed = True  # or what is left would be uploaded when the object goes away
        with suppress(*client_errors()):  # the error that led here is the one to tell
            upload.discard()


def size(location: str) -> int | None:
    """Bytes of a file; None if it is not there."""
    if not is_remote(location):
        path = Path(location)
        return path.stat().st_size if path.exists() else None
    client, name = open_client(location)
    with errors_told(location):
        try:
            n_bytes: int | None = client.size(name)
        except FileNotFoundError:
            return None
    return n_bytes


def sha256(location: str) -> str:
    """Hexadecimal digest of a file, wherever it lies.

    Raises:
        StorageError: if it cannot be read from storage.
        OSError: if it is a path and cannot be read.
    """
    if not is_remote(location):
        with Path(location).open("rb") as file:
            return _digest(file)
    client, name = open_client(location)
    with errors_told(location), client.open(name, "rb", block_size=PIECE_BYTES) as file:
        return _digest(file)


def _digest(file: Any) -> str:
    digest = hashlib.sha256()
    while piece := file.read(PIECE_BYTES):
        digest.update(piece)
    return digest.hexdigest()


def remove(location: str) -> None:
    """Delete a file that may be there."""
    if not is_remote(location):
        Path(location).unlink(missing_ok=True)
        return
    client, name = open_client(location, to_write=True)
    with errors_told(location), suppress(FileNotFoundError):
        client.rm_file(name)
