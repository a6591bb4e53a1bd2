"""A form from the network, its file straight to the disk: no more than a piece of it is in memory."""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool

from stemwise.errors import StemwiseError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MAX_FIELD = 1000  # bytes of what is no file
MAX_PARTS = 10


class BadForm(StemwiseError):
    """What came is no form as it should be."""


class TooLarge(StemwiseError):
    """The file is larger than may be."""


@dataclass(slots=True)
class Form:
    """What was sent: the file is at the path that was given, `filename` is what the sender calls it."""

    filename: str = ""
    n_bytes: int = 0
    fields: dict[str, str] = field(default_factory=dict)


async def receive_form(stream: AsyncIterator[bytes], content_type: str, path: Path, max_bytes: int) -> Form:
    """Write the part called `file` to `path` and read the others.

    Raises:
        BadForm: if it is no multipart form, or has no file.
        TooLarge: as soon as more than `max_bytes` of the file have come.
    """
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise BadForm("the request is no form: send multipart/form-data with a part called file")
    with path.open("xb") as target:
        parts = _Parts(target, max_bytes)
        try:
            parser = MultipartParser(options[b"boundary"], parts.callbacks())
            async for piece in stream:
                await run_in_threadpool(parser.write, piece)  # a slow disk holds up this upload only
            parser.finalize()
        except FormParserError as error:
            raise BadForm("the form is broken: it cannot be taken apart") from error
        if not parts.is_whole:
            raise BadForm("the form is broken: it ends too early")
        if not parts.has_file:
            raise BadForm("the form has no part called file")
        await run_in_threadpool(_sync, target)
    return parts.form


def _sync(target: BinaryIO) -> None:
    target.flush()
    os.fsync(target.fileno())


def title_of(filename: str) -> str:
    """The name that a sender gives a file, without folders and suffix; for people, never for a file."""
    return PurePosixPath(PureWindowsPath(filename).name).stem


class _Parts:
    """What the parser calls."""

    def __init__(self, target: BinaryIO, max_bytes: int) -> None:
        self.form, self.has_file, self.is_whole = Form(), False, False
        self._target, self._max_bytes, self._n_parts = target, max_bytes, 0
        self._key = self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._name, self._is_file, self._data = "", False, b""

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self.on_part_begin,
            "on_header_field": self.on_header_field,
            "on_header_value": self.on_header_value,
            "on_header_end": self.on_header_end,
            "on_headers_finished": self.on_headers_finished,
            "on_part_data": self.on_part_data,
            "on_part_end": self.on_part_end,
            "on_end": self.on_end,
        }

    def on_part_begin(self) -> None:
        self._n_parts += 1
        if self._n_parts > MAX_PARTS:
            raise BadForm(f"the form has more than {MAX_PARTS} parts")
        self._headers, self._data = {}, b""

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._key += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        self._headers[self._key.lower()] = self._value
        self._key = self._value = b""

    def on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        self._is_file = self._name == "file"
        if self._is_file and self.has_file:
            raise BadForm("the form has two parts called file: send one song at a time")
        if self._is_file:
            self.has_file = True
            self.form.filename = options.get(b"filename", b"").decode("utf-8", "replace")

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if not self._is_file:
            self._data += data[start:end]
            if len(self._data) > MAX_FIELD:
                raise BadForm(f"a part that is no file has more than {MAX_FIELD} bytes")
            return
        self.form.n_bytes += end - start
        if self.form.n_bytes > self._max_bytes:
            raise TooLarge(f"the file is larger than {self._max_bytes / 1e6:.0f} MB, which is the most")
        self._target.write(data[start:end])

    def on_part_end(self) -> None:
        if not self._is_file:
            self.form.fields[self._name] = self._data.decode("utf-8", "replace")

    def on_end(self) -> None:
        self.is_whole = True
