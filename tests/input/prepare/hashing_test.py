"""Hashes and draws against SplitMix64's published outputs, Python's integers and tests of randomness."""

# mypy: allow-untyped-calls
# (absl has no types)

import itertools
from unittest import mock

import numpy as np
import pyarrow as pa
import tensorflow as tf
from absl.testing import parameterized
from scipy import stats

from tests.helpers import reference
from tfrs_scaling.input.prepare.hashing import MISSING, draws, fractions, hash_values

# The first outputs of SplitMix64 from the state 1234567, as they stand with its C code and many ports of it.
PUBLISHED = [
    6457827717110365317,
    3203168211198807973,
    9817491932198370423,
    4593380528125082431,
    16408922859458223821,
]
# A test that is done on 64 bits, or on several pairs of streams, may fail one time in ten thousand.
RARE = 1e-4


def _values() -> list[bytes | None]:
    """Of every length from 0 to 40, of any bytes; text in several scripts; missing ones."""
    rng = np.random.default_rng(1)
    of_bytes: list[bytes | None] = [rng.bytes(length) for length in range(41) for _ in range(5)]
    zeros: list[bytes | None] = [bytes(length) for length in range(18)]  # alike but for their length
    texts = [text.encode() for text in ("ann", "Zürich", "☃" * 9, "日本語のテキスト", "🙂", "a\u0301", "á")]
    values = [*of_bytes, *zeros, *texts, None, None]
    return [values[i] for i in rng.permutation(len(values))]


class HashValuesTest(parameterized.TestCase, tf.test.TestCase):
    """``hash_values``."""

    def test_equals_python_s_integers(self) -> None:
        values = _values()
        hashes = hash_values(pa.array(values, pa.binary()))
        self.assertEqual(hashes.dtype, np.uint64)
        self.assertEqual(hashes.tolist(), [reference.hash_of(value) for value in values])

    def test_hashes_are_pinned(self) -> None:
        # These values are in every hashed data set that was ever prepared: they must not change.
        values = pa.array([b"68fd1e64", b"ann", b"", None], pa.binary())
        self.assertEqual(
            hash_values(values).tolist(),
            [5717902007396155432, 2749300865850027029, 0, 18446744073709551614],
        )

    def test_part_of_an_array_has_the_hashes_of_the_whole(self) -> None:
        whole = pa.array(_values(), pa.binary())
        hashes = hash_values(whole)
        for start, stop in ((0, 3), (1, 2), (5, 5), (7, 100), (100, len(whole))):
            self.assertAllEqual(hash_values(whole[start:stop]), hashes[start:stop])
        self.assertAllEqual(hash_values(pa.array(whole.to_pylist()[::-1], pa.binary())), hashes[::-1])

    def test_content_behind_a_null_does_not_matter(self) -> None:
        # A null may have bytes of its own in the buffer.
        valid, offsets = pa.py_buffer(b"\x05"), pa.py_buffer(np.array([0, 2, 5, 6], np.int32))
        values = pa.Array.from_buffers(pa.binary(), 3, [valid, offsets, pa.py_buffer(b"abxyzc")])
        self.assertEqual(values.to_pylist(), [b"ab", None, b"c"])
        expected = [reference.hash_of(b"ab"), reference.MISSING, reference.hash_of(b"c")]
        self.assertEqual(hash_values(values).tolist(), expected)

    @parameterized.parameters([[]], [[b""]], [[b"", b""]], [[None]], [[None, b""]])
    def test_nothing_to_hash(self, values: list[bytes | None]) -> None:
        hashed = hash_values(pa.array(values, pa.binary())).tolist()
        self.assertEqual(hashed, [reference.hash_of(value) for value in values])

    def test_no_value_is_taken_for_a_missing_one(self) -> None:
        with mock.patch("tfrs_scaling.input.prepare.hashing._mix", lambda words: words | np.uint64(2**64 - 1)):
            self.assertEqual(hash_values(pa.array([b"a", None], pa.binary())).tolist(), [2**64 - 3, int(MISSING)])

    @parameterized.parameters("{}", "value-{}", "user {:08d} of a long list of users")
    def test_no_collisions_and_uniform_bits(self, pattern: str) -> None:
        hashes = hash_values(pa.array([pattern.format(i).encode() for i in range(100_000)], pa.binary()))
        self.assertLen(np.unique(hashes), 100_000)
        _assert_uniform(self, hashes)
        # Of 31 bits alone, n^2 / 2^32 = 2.3 pairs are to be expected.
        self.assertGreater(len(np.unique(hashes & np.uint64(2**31 - 1))), 100_000 - 12)

    def test_similar_values_have_unrelated_hashes(self) -> None:
        # Flipping any bit of the value flips each bit of the hash half of the times.
        rng = np.random.default_rng(2)
        for bit in range(24 * 8):
            values = [rng.bytes(24) for _ in range(500)]
            flipped = [(int.from_bytes(value, "little") ^ 1 << bit).to_bytes(24, "little") for value in values]
            changed = hash_values(pa.array(values, pa.binary())) ^ hash_values(pa.array(flipped, pa.binary()))
            share = _bits(changed).mean(axis=0)
            self.assertBetween(share.min(), 0.5 - 6 * 0.5 / 500**0.5, 0.5)
            self.assertBetween(share.max(), 0.5, 0.5 + 6 * 0.5 / 500**0.5)


class DrawsTest(parameterized.TestCase, tf.test.TestCase):
    """``draws`` and ``fractions``."""

    def test_are_splitmix64_s_published_outputs(self) -> None:
        digest = (1234567).to_bytes(8, "little") + bytes(24)
        with mock.patch("hashlib.sha256", lambda _: mock.Mock(digest=lambda: digest)):
            self.assertEqual(draws(0, "anything", np.arange(5)).tolist(), PUBLISHED)

    def test_equal_python_s_integers(self) -> None:
        positions = np.array([0, 1, 2, 5, 2**40 - 1, 2**40, (3 << 40) + 17, 2**62, 2**63 - 1])
        for seed, purpose in ((0, "shuffle"), (0, "split"), (7, "split"), (-1, ""), (2**200, "ü")):
            expected = [reference.draw(seed, purpose, int(position)) for position in positions]
            self.assertEqual(draws(seed, purpose, positions).tolist(), expected)
        self.assertEmpty(draws(0, "shuffle", positions[:0]))

    def test_are_distinct_and_know_no_order_and_no_blocks(self) -> None:
        positions = np.concatenate([np.arange(50_000), (1 << 40) + np.arange(50_000)])
        whole = draws(3, "shuffle", positions)
        self.assertLen(np.unique(whole), 100_000)
        order = np.random.default_rng(0).permutation(100_000)
        self.assertAllEqual(draws(3, "shuffle", positions[order]), whole[order])
        in_blocks = [draws(3, "shuffle", block) for block in np.array_split(positions, 7)]
        self.assertAllEqual(np.concatenate(in_blocks), whole)

    def test_are_uniform(self) -> None:
        words = draws(11, "split", np.arange(100_000))
        _assert_uniform(self, words)
        self.assertGreater(stats.kstest(fractions(words), "uniform").pvalue, RARE)

    def test_neighbours_are_unrelated(self) -> None:
        drawn = fractions(draws(0, "shuffle", np.arange(100_001)))
        for step in (1, 2, 64, 4096):
            self.assertLess(abs(np.corrcoef(drawn[:-step], drawn[step:])[0, 1]), 4.5 / 95_000**0.5)

    def test_streams_are_unrelated(self) -> None:
        streams = {
            (seed, purpose): fractions(draws(seed, purpose, np.arange(100_000)))
            for seed in (0, 1, 2)
            for purpose in ("shuffle", "split", "negatives")
        }
        for (_, first), (_, second) in itertools.combinations(streams.items(), 2):
            self.assertLess(abs(np.corrcoef(first, second)[0, 1]), 4.5 / 100_000**0.5)
            together = np.histogram2d(first, second, bins=16, range=((0, 1), (0, 1)))[0]
            self.assertGreater(stats.chisquare(together.ravel()).pvalue, RARE)

    def test_fractions_lie_below_one(self) -> None:
        words = np.array([0, 2**11 - 1, 2**11, 2**63, 2**64 - 1], np.uint64)
        self.assertEqual(fractions(words).tolist(), [0.0, 0.0, 2.0**-53, 0.5, 1 - 2.0**-53])


def _bits(words: np.ndarray) -> np.ndarray:
    """uint8 [n, 64]."""
    return np.unpackbits(words.astype("<u8").view(np.uint8).reshape(-1, 8), axis=1)


def _assert_uniform(test: tf.test.TestCase, words: np.ndarray) -> None:
    """Every bit is set half of the times, every byte takes all values alike, and no two bits go together."""
    bits, count = _bits(words), len(words)
    z = (bits.sum(axis=0) - count / 2) / (count / 4) ** 0.5
    test.assertGreater(stats.chi2.sf((z**2).sum(), 64), RARE)
    for byte in words.astype("<u8").view(np.uint8).reshape(-1, 8).T:
        test.assertGreater(stats.chisquare(np.bincount(byte, minlength=256)).pvalue, RARE)
    correlation = np.corrcoef(bits, rowvar=False) - np.eye(64)
    test.assertLess(np.abs(correlation).max(), 5.5 / count**0.5)


if __name__ == "__main__":
    tf.test.main()
