import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from tests.helpers.studies import REPOSITORY
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.files import write_json
from tfrs_scaling.study.attempts import Process
from tfrs_scaling.study.lead import CHIEF, LOCK, Chief, Watch

BEAT = 5.0
TERM = "0" * 32


class LeadTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.root = Path(self.get_temp_dir()) / self._testMethodName
        self.now = 0.0

    def watch(self) -> Watch:
        return Watch(self.root, beat_seconds=BEAT, clock=lambda: self.now)

    def write(self, chief: Chief) -> None:
        """As the chief on another machine, whose lock this one does not see, would."""
        self.root.mkdir(exist_ok=True)
        write_json(self.root / CHIEF, dataclasses.asdict(chief))

    def test_one_leads_and_the_next_when_it_has_ended(self) -> None:
        first, second = self.watch(), self.watch()
        lead = first.enter(join=False)
        assert lead is not None
        chief = Chief.read(self.root)
        assert chief is not None
        self.assertEqual((chief.process, chief.address, chief.alone), (Process.this(), None, False))
        self.assertIsNone(second.take_lead())
        self.assertFalse(second.is_alive)  # the lock may be another's that looks as well
        self.assertIsNone(second.take_lead())
        self.assertTrue(second.is_alive)
        with self.assertRaisesRegex(InputError, f"another sweep is running in this folder, {second.named()}"):
            second.enter(join=False)
        lead.serve_at("10.0.0.1:8000")
        self.assertIsNone(second.enter(join=True))
        assert second.chief is not None
        self.assertEqual((second.chief.term, second.chief.address), (chief.term, "10.0.0.1:8000"))
        lead.close()
        self.assertIsNone(Chief.read(self.root))
        following = second.take_lead(alone=True)
        assert following is not None
        lead.close()  # again: what the next one wrote stays
        self.assertIsNotNone(Chief.read(self.root))
        with self.assertRaisesRegex(InputError, "another sweep is running"):
            first.enter(join=True)
        following.close()

    def test_kept_lead_is_given_up_at_the_end_or_when_it_is_lost(self) -> None:
        first, second = self.watch(), self.watch()
        lead = first.take_lead()
        assert lead is not None
        with lead.kept():
            lead.close()  # as the first of two sweeps does
            self.assertIsNone(second.take_lead())
        following = second.take_lead()
        assert following is not None
        with following.kept():
            self.write(Chief(TERM, Process("elsewhere", "", 1, 0.0)))
            self.assertTrue(following.is_replaced())
            following.close()
            (self.root / CHIEF).unlink()
            third = self.watch().take_lead()
            assert third is not None
        third.close()

    def test_lock_holds_against_other_processes_and_its_file_s_deletion(self) -> None:
        code = (
            "from pathlib import Path; from tfrs_scaling.study.lead import Watch\n"
            f"Watch(Path({str(self.root)!r})).enter(join=False).close()"
        )
        command = [sys.executable, "-c", code]
        lead = self.watch().take_lead()
        assert lead is not None
        (self.root / LOCK).unlink()
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        self.assertIn(f"another sweep is running in this folder, process {os.getpid()} on ", done.stderr)
        (self.root / CHIEF).unlink()
        self.assertIsNone(self.watch().take_lead())
        lead.close()
        self.assertEqual(subprocess.run(command, cwd=REPOSITORY, check=False).returncode, 0)

    def test_links_and_names_that_a_sweep_must_not_follow_are_refused_untouched(self) -> None:
        other = self.root.with_name("other")
        (other / "old").mkdir(parents=True)
        (other / "file").write_text("dear")
        os.utime(other / "old", (0, 0))
        self.root.mkdir()
        for name, target in (("running", other), ("trials", other), ("scores", other), (LOCK, other / "file")):
            (self.root / name).symlink_to(target)
            with self.assertRaisesRegex(InputError, rf"{name}: is a symbolic link"):
                self.watch().take_lead()
            (self.root / name).unlink()
        self.assertEqual((other / "file").read_text(), "dear")
        with self.assertRaisesRegex(InputError, "the name is not UTF-8"):
            Watch(self.root / os.fsdecode(b"\xff")).take_lead()

    def test_file_in_the_way_is_a_located_error(self) -> None:
        self.root.write_text("a file")
        with self.assertRaisesRegex(InputError, f"{self.root}: cannot be written"):
            self.watch().take_lead()

    def test_killed_process_of_this_machine_is_followed_at_once(self) -> None:
        code = (
            "import os, sys; from pathlib import Path; from tfrs_scaling.study.lead import Watch\n"
            "Watch(Path(sys.argv[1])).enter(join=False).serve_at('127.0.0.1:9'); os._exit(9)"
        )
        subprocess.run([sys.executable, "-c", code, str(self.root)], cwd=REPOSITORY, check=False)
        left = Chief.read(self.root)
        assert left is not None
        self.assertEqual(left.address, "127.0.0.1:9")
        lead = self.watch().take_lead()
        assert lead is not None
        lead.close()

    def test_chief_on_another_machine_whose_lock_is_not_seen_lives_while_its_count_grows(self) -> None:
        elsewhere = dataclasses.replace(Process.this(), host="elsewhere")
        chief = Chief(TERM, elsewhere, beat=700, address="10.0.0.1:8000")
        self.write(chief)
        watch = self.watch()
        for beat in range(701, 705):
            self.assertIsNone(watch.take_lead())
            self.now += 3 * BEAT
            self.write(dataclasses.replace(chief, beat=beat))
            self.assertIsNone(watch.take_lead())
            self.assertTrue(watch.is_alive)
        self.now += 4 * BEAT
        self.assertIsNone(watch.take_lead())
        self.now += 1
        lead = watch.take_lead()
        assert lead is not None
        lead.close()

    def test_chief_that_was_replaced_leads_no_more_and_leaves_the_other_s_file(self) -> None:
        lead = Watch(self.root, beat_seconds=0.02).take_lead()
        assert lead is not None
        (self.root / CHIEF).write_text("{")  # damaged: it writes it again
        self.until(lambda: Chief.read(self.root) is not None)
        self.assertFalse(lead.is_lost.is_set())
        other = Chief(TERM, dataclasses.replace(Process.this(), host="elsewhere"))
        self.write(other)
        self.until(lead.is_lost.is_set)
        lead.close()
        self.assertEqual(Chief.read(self.root), other)

    def test_damaged_or_forged_file_names_no_chief(self) -> None:
        self.root.mkdir()
        for text in ('{"term": "x"}', "[]", "", "[" * 10_000):
            (self.root / CHIEF).write_text(text)
            self.assertIsNone(Chief.read(self.root))
        self.write(Chief(TERM, Process.this()))
        whole = (self.root / CHIEF).read_text()
        (self.root / CHIEF).write_text(whole.replace('"address": null', '"address": "a b\\n:1"'))
        self.assertIsNone(Chief.read(self.root))

    def until(self, is_so: Callable[[], bool]) -> None:
        ends = time.monotonic() + 10
        while not is_so():
            self.assertLess(time.monotonic(), ends)
            time.sleep(0.01)


if __name__ == "__main__":
    tf.test.main()
