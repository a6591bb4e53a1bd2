"""Protocol-buffer wire format, as much as an index of tensors needs: varints, fixed32, nested messages."""

from collections.abc import Iterator

from stemwise.errors import CheckpointError

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at `at`, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise CheckpointError("the index is damaged: a number runs past its end")
        byte = data[at]
        value, at = value | (byte & 0x7F) << shift, at + 1
        if byte == 0 and shift:
            raise CheckpointError("the index is damaged: a number is not in its shortest form")
        if byte < 0x80:
            return value, at
    raise CheckpointError("the index is damaged: a number has more than ten bytes")


def varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def read_fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field numbers and values of one message: an int, or bytes for strings and nested messages."""
    at = 0
    while at < len(data):
        key, at = read_varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, at = read_varint(data, at)
            yield number, value
            continue
        size = {FIXED64: 8, FIXED32: 4}.get(kind)
        if kind == LENGTH:
            size, at = read_varint(data, at)
        if size is None or at + size > len(data):
            raise CheckpointError(f"the index is damaged: field {number} of an entry does not fit into it")
        raw, at = data[at : at + size], at + size
        yield number, raw if kind == LENGTH else int.from_bytes(raw, "little")


def field(number: int, value: int | bytes) -> bytes:
    """One varint or length-delimited field; nothing for a zero, as protocol buffers version 3 have it."""
    if isinstance(value, int):
        return varint(number << 3 | VARINT) + varint(value) if value else b""
    return varint(number << 3 | LENGTH) + varint(len(value)) + value


def fixed32(number: int, value: int) -> bytes:
    return varint(number << 3 | FIXED32) + value.to_bytes(4, "little")
