"""LevelDB's sorted table, the form of a bundle's `.index` file: blocks, an index of them, a footer.

A block is prefix-compressed entries, the offsets of those that start afresh, and how many such there
are; after it stand its compression and a masked CRC-32C. The footer points to the index of blocks.

Source: LevelDB, `doc/table_format.md`; TensorFlow's `tsl/lib/io/` (the same format).
"""

import struct
from collections.abc import Iterator
from itertools import pairwise

from stemwise.convert.bundle.crc32c import masked_crc32c
from stemwise.convert.bundle.wire import read_varint, varint
from stemwise.errors import CheckpointError

MAGIC = 0xDB4775248B80FB57
FOOTER_BYTES, HANDLES_BYTES, TRAILER_BYTES = 48, 40, 5
UNCOMPRESSED, SNAPPY = 0, 1
RESTART_INTERVAL = 16  # entries from one afresh to the next, in blocks of data
BLOCK_BYTES = 1 << 18  # TensorFlow's


def read_table(data: bytes) -> dict[bytes, bytes]:
    """All entries of a table.

    Raises:
        CheckpointError: for anything but a sound, uncompressed table with keys in order.
    """
    if len(data) < FOOTER_BYTES or struct.unpack("<Q", data[-8:])[0] != MAGIC:
        raise CheckpointError(
            "the index has no table footer: it is not a TensorFlow checkpoint index, or is cut short"
        )
    footer = data[-FOOTER_BYTES:-8]
    offset, size, at = _read_handle(footer, 0)
    _read_block(data, offset, size)  # index of metadata: empty, but damage to it is damage to the file
    offset, size, at = _read_handle(footer, at)
    if footer[at:].strip(b"\0"):
        raise CheckpointError("the index is damaged: its footer holds more than two handles")
    entries: dict[bytes, bytes] = {}
    for _, handle in _entries(_read_block(data, offset, size)):
        block_offset, block_size, _ = _read_handle(handle, 0)
        entries.update(_entries(_read_block(data, block_offset, block_size)))
    if any(first >= second for first, second in pairwise(entries)):
        raise CheckpointError("the index is damaged: its keys are not in order")
    return entries


def table_bytes(entries: dict[bytes, bytes]) -> bytes:
    """A table of these entries, sorted by key."""
    table, handles, block = bytearray(), dict[bytes, bytes](), dict[bytes, bytes]()
    for key in sorted(entries):
        block[key] = entries[key]
        if sum(len(k) + len(v) for k, v in block.items()) >= BLOCK_BYTES:
            handles[key], block = _append_block(table, block, RESTART_INTERVAL), {}
    if block:
        handles[_short_successor(max(block))] = _append_block(table, block, RESTART_INTERVAL)
    metadata = _append_block(table, {}, RESTART_INTERVAL)
    index = _append_block(table, handles, 1)
    return bytes(table) + (metadata + index).ljust(HANDLES_BYTES, b"\0") + struct.pack("<Q", MAGIC)


def _read_handle(data: bytes, at: int) -> tuple[int, int, int]:
    offset, at = read_varint(data, at)
    size, at = read_varint(data, at)
    return offset, size, at


def _read_block(data: bytes, offset: int, size: int) -> bytes:
    end = offset + size
    if end + TRAILER_BYTES > len(data) - FOOTER_BYTES:
        raise CheckpointError("the index is damaged or cut short: a block lies outside of it")
    if masked_crc32c(data[offset : end + 1]) != struct.unpack_from("<I", data, end + 1)[0]:
        raise CheckpointError("the index is damaged: the checksum of a block is wrong")
    if data[end] != UNCOMPRESSED:
        kind = "snappy" if data[end] == SNAPPY else f"type {data[end]}"
        raise CheckpointError(
            f"the index is compressed ({kind}): only uncompressed ones are read, as TensorFlow writes them"
        )
    return data[offset:end]


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    n_restarts = struct.unpack("<I", block[-4:])[0] if len(block) >= 4 else 0
    end = len(block) - 4 * (n_restarts + 1)
    if end < 0:
        raise CheckpointError("the index is damaged: a block is smaller than its restart array")
    at, key = 0, b""
    while at < end:
        n_shared, at = read_varint(block, at)
        n_own, at = read_varint(block, at)
        n_value, at = read_varint(block, at)
        if n_shared > len(key) or at + n_own + n_value > end:
            raise CheckpointError("the index is damaged: an entry runs past its block")
        key = key[:n_shared] + block[at : at + n_own]
        yield key, block[at + n_own : at + n_own + n_value]
        at += n_own + n_value


def _short_successor(key: bytes) -> bytes:
    """A short key that is not below `key`, as LevelDB ends its index: so files come out byte for byte."""
    return bytes([key[0] + 1]) if key and key[0] < 0xFF else key


def _n_shared(first: bytes, second: bytes) -> int:
    pairs = zip(first, second, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))


def _append_block(table: bytearray, entries: dict[bytes, bytes], restart_interval: int) -> bytes:
    """Append a block with its trailer; return its handle."""
    block, restarts, previous = bytearray(), [0], b""
    for number, (key, value) in enumerate(entries.items()):
        n_shared = 0
        if number % restart_interval:
            n_shared = _n_shared(previous, key)
        elif number:
            restarts.append(len(block))
        block += varint(n_shared) + varint(len(key) - n_shared) + varint(len(value)) + key[n_shared:] + value
        previous = key
    block += struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))
    handle = varint(len(table)) + varint(len(block))
    block.append(UNCOMPRESSED)
    table += block + struct.pack("<I", masked_crc32c(bytes(block)))
    return handle
