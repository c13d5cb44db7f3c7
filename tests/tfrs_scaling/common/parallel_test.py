"""Outcomes come in the order of the tasks, and so do errors, whatever does the work and however it ends."""

# mypy: allow-untyped-calls
# (absl has no types)

import itertools
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import psutil
import tensorflow as tf
from absl.testing import parameterized

from tests.helpers.pool_workers import Counter, pool_processes
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.parallel import Pool, begun, in_order


class InOrderTest(parameterized.TestCase, tf.test.TestCase):
    """``in_order`` and ``begun``."""

    @parameterized.parameters(1, 2, 5)
    def test_results_in_order_with_few_ahead(self, threads: int) -> None:
        taken: list[int] = []

        def items() -> Iterator[int]:
            for k in range(40):
                taken.append(k)
                yield k

        def square(k: int) -> int:
            time.sleep(0.002 * (k % 3 == 0))
            return k * k

        for done, result in enumerate(in_order(square, items(), threads)):
            self.assertEqual(result, done * done)
            self.assertLessEqual(len(taken), done + 1 + threads)

    @parameterized.parameters(1, 3)
    def test_first_error_in_order_is_raised_and_the_rest_is_left(self, threads: int) -> None:
        done: list[int] = []

        def work(k: int) -> int:
            if k in (4, 5):
                time.sleep(0.05 * (k == 4))
                raise InputError(f"item {k}")
            done.append(k)
            return k

        with self.assertRaisesRegex(InputError, "item 4"):
            list(in_order(work, itertools.count(), threads))
        self.assertLess(max(done), 4 + 2 * threads)

    def test_begun_work_returns_or_raises_when_asked(self) -> None:
        go = threading.Event()
        work = begun(lambda: go.wait(10) and 3)
        self.assertFalse(work.done())
        go.set()
        self.assertEqual(work.result(), 3)
        with self.assertRaises(ZeroDivisionError):
            begun(lambda: 1 / 0).result()


class PoolTest(parameterized.TestCase, tf.test.TestCase):
    """``Pool``."""

    def tearDown(self) -> None:
        self.assertEmpty(pool_processes(psutil.Process()))
        super().tearDown()

    @parameterized.parameters(1, 2, 3)
    def test_outcomes_are_those_of_one_worker(self, workers: int) -> None:
        tasks: list[Any] = ["slow", *(k % 7 for k in range(60))]
        expected = [outcome for task in tasks for outcome in Counter(0, 5).work(task)] if workers == 1 else None
        expected = expected or [("slow", 0), *((task, k * 5) for task in tasks[1:] for k in range(task))]
        arrived: list[Any] = []
        with Pool(workers, Counter, 5) as pool:
            self.assertEqual(list(pool.outcomes(tasks, arrived.append)), expected)
            ended = pool.finish()
        self.assertCountEqual(arrived, expected)
        self.assertEqual(sum(total for _, total in ended), sum(tasks[1:]))
        self.assertLen({process for process, _ in ended}, workers)
        self.assertIn(os.getpid(), [process for process, _ in ended])

    def test_first_error_in_the_order_of_the_tasks_comes_after_what_precedes_it(self) -> None:
        found: list[Any] = []
        with self.assertRaisesRegex(InputError, "task -1 cannot be done"), Pool(2, Counter, 1) as pool:
            for outcome in pool.outcomes(["slow", 2, -1, -2, 3], lambda _: None):
                found.append(outcome)
        self.assertEqual(found, [("slow", 0), (2, 0), (2, 1)])

    def test_tasks_that_cannot_be_read_on(self) -> None:
        def tasks() -> Iterator[Any]:
            yield "slow"
            yield 1
            raise InputError("there is no third task")

        found: list[Any] = []
        with self.assertRaisesRegex(InputError, "no third task"), Pool(2, Counter, 1) as pool:
            for outcome in pool.outcomes(tasks(), lambda _: None):
                found.append(outcome)
        self.assertEqual(found, [("slow", 0), (1, 0)])

    def test_killed_worker_is_said(self) -> None:
        said = "was killed .SIGKILL.: usually .* out of memory"
        with self.assertRaisesRegex(InputError, said), Pool(2, Counter, 1) as pool:
            list(pool.outcomes(["die"] * 200, lambda _: None))

    def test_bug_keeps_its_traceback(self) -> None:
        with (
            self.assertRaisesRegex(RuntimeError, r"pool_workers.py(.|\n)*KeyError: 'a bug'"),
            Pool(2, Counter, 1) as pool,
        ):
            list(pool.outcomes(["break"], lambda _: None))

    def test_no_tasks(self) -> None:
        with Pool(2, Counter, 1) as pool:
            self.assertEmpty(list(pool.outcomes([], lambda _: None)))
            self.assertEqual([total for _, total in pool.finish()], [0, 0])


if __name__ == "__main__":
    tf.test.main()
