"""A round of the siege (``make siege``), in a process of its own: TensorFlow is loaded in it and not started."""

import re
import subprocess
import sys

import tensorflow as tf

from tests.helpers.studies import REPOSITORY


class SiegeTest(tf.test.TestCase):
    def test_every_kind_of_event_is_survived(self) -> None:
        command = [sys.executable, "-m", "tests.siege", "--minutes=0", "--notrain", "--seed=3"]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr[-3000:])
        (events,) = re.findall(r"^(\d+) events, 0 lost$", done.stdout, re.MULTILINE)
        self.assertGreaterEqual(int(events), 13, done.stdout)


if __name__ == "__main__":
    tf.test.main()
