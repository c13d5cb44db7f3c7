"""A second implementation of ``tfrs_scaling.input.prepare.hashing``: one value at a time, in Python's integers."""

import hashlib

WORD = 2**64
MISSING = WORD - 2


def mixed(word: int) -> int:
    """SplitMix64's finalizer."""
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 % WORD
    word = (word ^ word >> 27) * 0x94D049BB133111EB % WORD
    return word ^ word >> 31


def draw(seed: int, purpose: str, position: int) -> int:
    """The result of ``draws`` for one row."""
    state = int.from_bytes(hashlib.sha256(f"{seed} {purpose}".encode()).digest()[:8], "little")
    return mixed((state + 0x9E3779B97F4A7C15 * (position + 1)) % WORD)


def fraction(seed: int, purpose: str, position: int) -> float:
    """The draw as a number in [0, 1)."""
    return (draw(seed, purpose, position) >> 11) / 2**53


def hash_of(value: bytes | None) -> int:
    """The result of ``hash_values`` for one value."""
    if value is None:
        return MISSING
    state = len(value)
    for start in range(0, len(value), 8):
        state = mixed(((state ^ int.from_bytes(value[start : start + 8], "little")) + 0x9E3779B97F4A7C15) % WORD)
    return min(mixed(state), MISSING - 1)
