"""Stateless hashes and random numbers: they depend on their input alone, not on order or the number of workers."""

import hashlib

import numpy as np
import pyarrow as pa

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MISSING = np.uint64(2**64 - 2)  # the hash of a missing value


def draws(seed: int, purpose: str, positions: np.ndarray) -> np.ndarray:
    """Random 64-bit words for rows, the same in whatever order the rows are read.

    They are the outputs number ``positions`` of SplitMix64 (Steele, Lea & Flood 2014), so no two rows draw the same
    word.

    Args:
        seed: any integer.
        purpose: purpose of the draw; each has its own stream.
        positions: int64 [n], non-negative.

    Returns:
        uint64 [n].
    """
    state = np.uint64(int.from_bytes(hashlib.sha256(f"{seed} {purpose}".encode()).digest()[:8], "little"))
    return _mix(state + _GOLDEN * (positions.astype(np.uint64) + np.uint64(1)))


def fractions(words: np.ndarray) -> np.ndarray:
    """Random words (uint64 [n]) as float64 [n] in [0, 1)."""
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def hash_values(values: pa.Array) -> np.ndarray:
    """A fixed 64-bit hash of each value (binary Arrow array [n]), ``MISSING`` for null: uint64 [n].

    SplitMix64's finalizer mixes the value's bytes, in little-endian words of 8 (the last padded with zeros), into its
    length.
    """
    if not len(values):
        return np.empty(0, np.uint64)
    _, offset_buffer, data_buffer = values.buffers()
    offsets = np.frombuffer(offset_buffer, np.int32)[values.offset : values.offset + len(values) + 1].astype(np.int64)
    first, lengths = offsets[:-1] - offsets[0], np.diff(offsets)
    content = np.zeros(offsets[-1] - offsets[0] + 8, np.uint8)
    if data_buffer is not None:
        content[:-8] = np.frombuffer(data_buffer, np.uint8)[offsets[0] : offsets[-1]]
    # Element i is the 8 bytes from place i on, as one word.
    words = np.ndarray(len(content) - 7, "<u8", content, strides=(1,))
    hashes = lengths.astype(np.uint64)
    for start in range(0, int(lengths.max()), 8):
        longer = lengths > start
        within = slice(None) if longer.all() else np.flatnonzero(longer)
        rest = np.minimum(lengths[within] - start, 8).astype(np.uint64)
        kept = np.uint64(2**64 - 1) >> (np.uint64(64) - np.uint64(8) * rest)
        hashes[within] = _mix((hashes[within] ^ (words[first[within] + start] & kept)) + _GOLDEN)
    hashes = np.minimum(_mix(hashes), MISSING - np.uint64(1))
    if values.null_count:
        hashes[values.is_null().to_numpy(zero_copy_only=False)] = MISSING
    return hashes


def _mix(words: np.ndarray) -> np.ndarray:
    """SplitMix64's finalizer, a bijection of 64-bit words."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
