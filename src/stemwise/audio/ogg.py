"""Gives an Ogg Vorbis file its tags, and a fixed stream number in place of libsndfile's random one.

Sources: RFC 3533 (Ogg pages), Vorbis I specification, section 5 (comment header) and A.2 (page layout).
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import BinaryIO

VENDOR = b"libvorbis, stemwise"
CONTINUED = 0x01  # flag of a page that begins inside a packet
# FFmpeg's names of tags where those of Vorbis differ.
NAMES = {"album_artist": "ALBUMARTIST", "track": "TRACKNUMBER", "disc": "DISCNUMBER"}
_HEADER = struct.Struct("<4sBBqIIIB")
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True, slots=True)
class _Page:
    flags: int
    granule: int  # number of samples that are complete with this page; -1 if no packet ends in it
    lacing: bytes  # lengths of segments; one below 255 ends a packet
    body: bytes

    def packed(self, sequence: int) -> bytes:
        head = (b"OggS", 0, self.flags, self.granule, 0, sequence)
        tail = self.lacing + self.body
        checksum = _checksum(_HEADER.pack(*head, 0, len(self.lacing)) + tail)
        return _HEADER.pack(*head, checksum, len(self.lacing)) + tail


def retag_vorbis(source: BinaryIO, target: BinaryIO, comments: Mapping[str, str]) -> int:
    """Copy an Ogg Vorbis file, with other comments.

    Args:
        source: an Ogg file of one Vorbis stream, at its beginning.
        target: opened for writing.
        comments: FFmpeg's names of tags, and their values.

    Returns:
        The number of samples that the last page states.

    Raises:
        EOFError: if the source breaks off.
        OSError: if it cannot be read, or the target cannot be written.
    """
    pages = _read_pages(source)
    identification = next(pages)
    headers = _packets(pages, 2)
    rewritten = [identification, *_paginated([_comment_header(comments), headers[1]])]
    first = next(pages, None)
    if first:
        rewritten += _split(first)
    n_samples = 0
    for sequence, page in enumerate(chain(rewritten, pages)):
        target.write(page.packed(sequence))
        n_samples = page.granule if page.granule >= 0 else n_samples
    return n_samples


def _read_pages(file: BinaryIO) -> Iterator[_Page]:
    while head := file.read(_HEADER.size):
        if len(head) < _HEADER.size or head[:4] != b"OggS":
            raise EOFError("an Ogg page is not whole")
        _, _, flags, granule, _, _, _, n_segments = _HEADER.unpack(head)
        lacing = file.read(n_segments)
        body = file.read(sum(lacing))
        if len(lacing) < n_segments or len(body) < sum(lacing):
            raise EOFError("an Ogg page is not whole")
        yield _Page(flags, granule, lacing, body)


def _packets(pages: Iterator[_Page], count: int) -> list[bytes]:
    """The next packets; the last of them must end its page."""
    packets: list[bytes] = []
    data, length_so_far = b"", 0
    while len(packets) < count:
        page = next(pages, None)
        if page is None:
            raise EOFError("the Vorbis headers are not whole")
        data += page.body
        for length in page.lacing:
            length_so_far += length
            if length < 255:
                packets.append(data[:length_so_far])
                data, length_so_far = data[length_so_far:], 0
    return packets


def _paginated(packets: list[bytes]) -> Iterator[_Page]:
    """Header packets on as few pages as can hold them, 255 segments of 255 bytes each."""
    body = b"".join(packets)
    lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets)
    continued = 0
    while lacing:
        part, lacing = lacing[:255], lacing[255:]
        size = sum(part)
        ends_packet = any(length < 255 for length in part)
        yield _Page(continued, 0 if ends_packet else -1, part, body[:size])
        body, continued = body[size:], CONTINUED if part[-1] == 255 else 0


def _split(page: _Page) -> list[_Page]:
    """The first packet of sound on a page of its own.

    It gives no samples, so that page ends at 0: from that FFmpeg counts the samples of short files right.
    """
    n_segments = 1 + next((i for i, length in enumerate(page.lacing) if length < 255), len(page.lacing))
    if n_segments >= len(page.lacing):
        return [page]
    size = sum(page.lacing[:n_segments])
    first = _Page(0, 0, page.lacing[:n_segments], page.body[:size])
    return [first, _Page(page.flags, page.granule, page.lacing[n_segments:], page.body[size:])]


def _comment_header(comments: Mapping[str, str]) -> bytes:
    entries = [f"{NAMES.get(name, name.upper())}={value}".encode() for name, value in comments.items()]
    sized = [struct.pack("<I", len(entry)) + entry for entry in (VENDOR, *entries)]
    return b"\x03vorbis" + sized[0] + struct.pack("<I", len(entries)) + b"".join(sized[1:]) + b"\x01"


def _checksum(data: bytes) -> int:
    """CRC-32 of Ogg: zlib's polynomial with the most significant bit first, and nothing inverted."""
    mirrored = zlib.crc32(data.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)
