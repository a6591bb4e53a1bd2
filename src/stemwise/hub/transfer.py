"""Files over HTTP, and archives made safe: resumed when cut off, checked, never half installed."""

import hashlib
import os
import tarfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

from stemwise.errors import CheckpointError, ChecksumError, DownloadError

try:
    from lzma import LZMAError
except ImportError:  # a Python that was built without it opens no .tar.xz in the first place
    LZMAError = EOFError  # type: ignore[misc,assignment]

if TYPE_CHECKING:
    import httpx  # imported where it is used: most runs download nothing

# Called with the bytes done and, where the server says so, the bytes in total.
ByteProgress = Callable[[int, int | None], None]

TIMEOUT_S = (10.0, 30.0, 30.0, 30.0)  # to connect, to read, to write, to wait for a free connection
N_ATTEMPTS = 4
WAIT_S = 1.0  # before the second attempt; doubled before each further one
PIECE_BYTES = 1 << 18
MAX_UNPACKED_BYTES = 4 << 30  # the largest of Spleeter's, with an optimizer's slots, has 0.6 GB
MAX_MEMBERS = 1000


def is_offline() -> bool:
    return os.environ.get("STEMWISE_OFFLINE", "").strip().lower() not in ("", "0", "false", "no")


def download_file(url: str, path: Path, *, sha256: str, progress: ByteProgress | None = None) -> None:
    """Fetch a file; `path` appears only when it is whole and has the digest that it must have.

    What has come is kept as `path.part`, also across calls, and the rest is asked for (HTTP Range); a
    server that does not know ranges sends it all again.

    Raises:
        DownloadError: if the server cannot be reached, refuses, or keeps breaking off; or offline.
        ChecksumError: if the bytes are others than they must be. They are deleted.
    """
    part = path.with_name(path.name + ".part")
    was_resumed = part.exists()
    _fetch(url, part, progress)
    if was_resumed and file_sha256(part) != sha256:
        part.unlink()  # the beginning may have been of another file: once more, from the start
        _fetch(url, part, progress)
    found = file_sha256(part)
    if found != sha256:
        part.unlink()
        raise ChecksumError(
            f"{url} is not the file it should be: its SHA-256 is {found}, and must be {sha256}."
            " Nothing was installed; please try again"
        )
    part.replace(path)


def read_json(url: str) -> object:
    """A small JSON document.

    Raises:
        DownloadError: if it cannot be had.
    """
    import httpx

    _refuse_offline(url)
    try:
        response = httpx.get(url, follow_redirects=True, timeout=TIMEOUT_S).raise_for_status()
        document: object = response.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise DownloadError(f"{url} cannot be read: {_reason(error)}") from error
    return document


def file_sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def unpack(archive: Path, folder: Path) -> None:
    """Unpack the plain files of a tar archive, of any compression, into an existing folder.

    No member is handed to the operating system as a link, a device or with its own permissions: their bytes
    are copied into new files. macOS' `._` companions are left out.

    Raises:
        CheckpointError: if the archive is damaged, or a member would leave the folder, is no plain file, or
            makes the whole too large.
    """
    try:
        with tarfile.open(archive) as tar:
            left = MAX_UNPACKED_BYTES
            for number, member in enumerate(tar):
                name = _safe_name(member, archive)
                left -= member.size
                if left < 0 or number >= MAX_MEMBERS:
                    raise CheckpointError(
                        f"{archive} is too large: over {MAX_UNPACKED_BYTES >> 30} GiB or {MAX_MEMBERS} files"
                    )
                source = tar.extractfile(member)
                if source is None or name.name.startswith("._"):
                    continue
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with source, target.open("wb") as file:
                    _copy(source, file)
    except (tarfile.TarError, EOFError, zlib.error, LZMAError, OSError) as error:
        raise CheckpointError(f"{archive} cannot be unpacked: {error}") from error


def _safe_name(member: tarfile.TarInfo, archive: Path) -> PurePosixPath:
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts or "\\" in member.name or ":" in member.name:
        raise CheckpointError(f"{archive} is refused: its member {member.name!r} would leave the folder")
    if not (member.isfile() or member.isdir()):
        raise CheckpointError(
            f"{archive} is refused: its member {member.name!r} is a link or a device, not a plain file"
        )
    return name


def _copy(source: IO[bytes], file: IO[bytes]) -> None:
    while piece := source.read(PIECE_BYTES):
        file.write(piece)
    file.flush()
    os.fsync(file.fileno())


def _refuse_offline(url: str) -> None:
    if is_offline():
        raise DownloadError(
            f"{url} is not fetched: STEMWISE_OFFLINE is set. Unset it, or import the model from a file"
        )


def _fetch(url: str, part: Path, progress: ByteProgress | None) -> None:
    """Bring `part` to its full length, however many attempts it takes within reason."""
    import httpx

    _refuse_offline(url)
    for attempt in range(1, N_ATTEMPTS + 1):
        try:
            with httpx.Client(follow_redirects=True, timeout=TIMEOUT_S) as client:
                _fetch_once(client, url, part, progress)
            return
        except httpx.HTTPStatusError as error:
            code = error.response.status_code
            if code < 500 or attempt == N_ATTEMPTS:
                raise DownloadError(f"{url} cannot be downloaded: the server answers {code}") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            if attempt == N_ATTEMPTS or isinstance(
                error, httpx.InvalidURL | httpx.UnsupportedProtocol | httpx.TooManyRedirects
            ):
                raise DownloadError(
                    f"{url} cannot be downloaded: {_reason(error)}. What has come is kept for the next try"
                ) from error
        time.sleep(WAIT_S * 2 ** (attempt - 1))


def _fetch_once(client: "httpx.Client", url: str, part: Path, progress: ByteProgress | None) -> None:
    import httpx

    done = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
    with client.stream("GET", url, headers=headers) as response:
        if done and response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # nothing is left to ask for: the digest will tell whether that is right
        response.raise_for_status()
        goes_on = response.headers.get("Content-Range", "").startswith(f"bytes {done}-")
        if not (response.status_code == httpx.codes.PARTIAL_CONTENT and goes_on):
            done = 0
        length = response.headers.get("Content-Length", "")
        total = done + int(length) if length.isdigit() else None
        with part.open("ab" if done else "wb") as file:
            for piece in response.iter_raw():  # as it comes: pieces of a fixed size would be lost in a break
                file.write(piece)
                done += len(piece)
                if progress:
                    progress(done, total)
            file.flush()
            os.fsync(file.fileno())


def _reason(error: Exception) -> str:
    return f"{type(error).__name__} ({error})" if str(error) else type(error).__name__
