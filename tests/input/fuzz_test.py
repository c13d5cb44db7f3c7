"""Every reader on seeded damage: an error in words or every row, never a traceback (more of it in benchmarks/speed)."""

import tensorflow as tf

from tests.helpers import fuzz

TRIES = 2_000


class FuzzTest(tf.test.TestCase):
    def test_damage_is_an_error_in_words_or_costs_its_rows_alone(self) -> None:
        counts = fuzz.run(TRIES)
        self.assertEqual(sum(tried for tried, _ in counts.values()), TRIES)
        for kind in ("csv", "jsonl"):
            self.assertGreater(counts[kind][1], 60, counts)  # most damage costs a row
        for kind in ("chief.json", "attempt.json"):  # a broken sign of life is none
            self.assertEqual(*counts[kind], kind)


if __name__ == "__main__":
    tf.test.main()
