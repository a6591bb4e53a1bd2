"""CRC-32C of large arrays with numpy alone, at the speed of memory.

A CRC is the remainder of the data, as a polynomial over GF(2), by another one, P. Let y be x^32, so that
words of 32 bits are the coefficients of its powers. By P, y^5685 + y^1362 + y^426 + 1 leaves no remainder: a
word may be taken away if it is XORed onto three others, 4323, 5259 and 5685 places further on, so 4323 words
at a time. Those that are left are folded in halves: the state after a word is `advance(state ^ word)`, and
`advance` is a 32 × 32 bit matrix.

Source: RFC 3720, appendix B.4 (polynomial, test vectors); masking as in LevelDB's `util/crc32c.h`. The four
powers were found by looking up, for two of them, whether a third makes up for their sum.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

POLYNOMIAL = 0x82F63B78  # Castagnoli, least significant bit first
MASK_DELTA = 0xA282EAD8
POWERS = (5685, 1362, 426, 0)  # their sum is a multiple of the polynomial; times a power of two, it stays one
SCALES = (16, 1)  # times POWERS, one after the other: the larger, the fewer steps and the more words left
SMALL_BYTES = 2048  # below this a loop over bytes is the quicker way

Words = NDArray[np.uint32]


def crc32c(data: bytes | memoryview) -> int:
    """The CRC-32C of `data`, not masked."""
    if len(data) < SMALL_BYTES:
        return _of_bytes(data, 0xFFFFFFFF) ^ 0xFFFFFFFF
    n_words = len(data) // 4
    words = np.frombuffer(data, "<u4", n_words).copy()
    words[0] ^= np.uint32(0xFFFFFFFF)  # the customary start
    for scale in SCALES:
        words = _shortened(words, scale)
    n_lanes = 1 << (len(words) - 1).bit_length()
    lanes: Words = np.zeros(n_lanes, np.uint32)  # zeros in front change nothing
    lanes[n_lanes - len(words) :] = words
    while len(lanes) > 1:
        half = len(lanes) // 2
        lanes = _apply(_advance(half), lanes[:half]) ^ lanes[half:]
    state = int(_apply(_advance(1), lanes)[0])
    return _of_bytes(data[4 * n_words :], state) ^ 0xFFFFFFFF


def _shortened(words: Words, scale: int) -> Words:
    """The last words, at most as many as the highest power, changed so that the remainder is that of all."""
    highest, *lower = (scale * power for power in POWERS)
    step = highest - lower[0]
    for start in range(0, len(words) - highest, step):
        gone = words[start : min(start + step, len(words) - highest)]
        for power in lower:
            place = start + highest - power
            words[place : place + len(gone)] ^= gone
    return words[-highest:]


def masked_crc32c(data: bytes | memoryview) -> int:
    """As it is stored beside the data: a CRC of data that holds CRCs would be weak."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + MASK_DELTA) & 0xFFFFFFFF


def _of_bytes(data: bytes | memoryview, state: int) -> int:
    table = _byte_table()
    for byte in data:
        state = table[(state ^ byte) & 0xFF] ^ state >> 8
    return state


@cache
def _byte_table() -> list[int]:
    one_byte = _square(_square(_square(_one_bit())))
    table: list[int] = _apply(one_byte, np.arange(256, dtype=np.uint32)).tolist()
    return table


def _one_bit() -> Words:
    """Column `i` of a matrix is what becomes of bit `i`; this one advances the state by one zero bit."""
    return np.array([POLYNOMIAL] + [1 << i for i in range(31)], np.uint32)


def _square(matrix: Words) -> Words:
    return _apply(matrix, matrix)


def _apply(matrix: Words, states: Words) -> Words:
    result = np.zeros_like(states)
    for bit in range(32):
        result ^= (states >> np.uint32(bit) & np.uint32(1)) * matrix[bit]
    return result


@cache
def _advance(n_words: int) -> Words:
    """The matrix that advances by `n_words`, a power of two."""
    if n_words > 1:
        return _square(_advance(n_words // 2))
    matrix = _one_bit()
    for _ in range(5):
        matrix = _square(matrix)
    return matrix
