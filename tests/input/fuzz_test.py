"""Every reader on seeded damage: an error in words or every row, never a traceback (more of it in benchmarks/speed)."""

import tensorflow as tf

from tests.helpers import fuzz


class FuzzTest(tf.test.TestCase):
    """Three hundred damaged inputs."""

    def test_damage_is_an_error_in_words_or_costs_its_rows_alone(self) -> None:
        counts = fuzz.run(300)
        self.assertEqual(sum(tried for tried, _ in counts.values()), 300)
        for kind in ("csv", "jsonl"):
            self.assertGreater(counts[kind][1], 8, counts)  # most damage costs a row


if __name__ == "__main__":
    tf.test.main()
