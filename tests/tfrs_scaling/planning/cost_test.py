import dataclasses
import fractions
import itertools
import random

import tensorflow as tf

from tests.helpers.studies import tiny_config
from tfrs_scaling.planning.cost import TYPICAL, Measured, RowSeconds, Speed, Work, fitted_speed, wall_seconds, work_of
from tfrs_scaling.study.trials import Trial, all_trials

TRUE = Speed(2.0, RowSeconds(1e-6, 5e-9, 4e-12), RowSeconds(2e-7, 1e-9, 3e-12))
BASELINE = Work(1, 1000, 300, 100, 60_000, 20_000, "dot")


def trial(scheme: str = "D", multiplier: int | fractions.Fraction = 1) -> Trial:
    return Trial(scheme, fractions.Fraction(multiplier), 0.04, 0)


def measured(of: Trial, work: Work, factor: float = 1.0, start: float = 2.0) -> Measured:
    training = TRUE.training.at(work.embedding_values, work.flops_train)
    evaluation = TRUE.evaluation.at(work.embedding_values, work.flops_forward)
    return Measured(of, work, start, factor * training, factor * evaluation)


def wider(times: float) -> Work:
    return dataclasses.replace(BASELINE, flops_train=round(60_000 * times), flops_forward=round(20_000 * times))


class CostTest(tf.test.TestCase):
    def test_work_counts_every_row_as_often_as_it_is_met(self) -> None:
        config = tiny_config(H=[2], E=[3])
        assert config.synthetic is not None
        of = {t.scheme: work_of(t, config, config.synthetic.schema(), 300) for t in all_trials(config)}
        # batches of 64, a ladder of 256, 512 and 1024 rows: in one go, or three times over each of them
        self.assertEqual((of["D"].starts, of["D"].trained, of["D"].evaluated), (1, 1024, 900))
        self.assertEqual((of["E"].starts, of["E"].trained, of["E"].evaluated), (3, 3 * (256 + 512 + 1024), 900))
        self.assertEqual((of["D"].embedding_values, of["H"].embedding_values), (2 * 4, 2 * 8))

    def test_speed_is_found_from_exact_measurements_and_extrapolates(self) -> None:
        tables = dataclasses.replace(BASELINE, embedding_values=1000)
        speed = fitted_speed(
            [measured(trial(), BASELINE), measured(trial("H", 4), tables), measured(trial("O", 4), wider(4))]
        )
        for found, true in ((speed.training, TRUE.training), (speed.evaluation, TRUE.evaluation)):
            self.assertAllClose(dataclasses.astuple(found), dataclasses.astuple(true), rtol=0.01, atol=0)
        far = dataclasses.replace(wider(1000), embedding_values=7)
        expected = 2.0 + 1000 * (1e-6 + 7 * 5e-9 + 6e7 * 4e-12) + 300 * (2e-7 + 7 * 1e-9 + 2e7 * 3e-12)
        self.assertAllClose(speed.seconds(trial("M", 1000), far), expected, rtol=0.01)

    def test_measured_shape_takes_what_was_measured_and_its_neighbours_nearly(self) -> None:
        # At 4 times the width a row takes 1.44 times what the sum says, at the baseline what it says.
        speed = dataclasses.replace(
            TRUE, measured=(measured(trial(), BASELINE), measured(trial("O", 4), wider(4), 1.44))
        )
        for times, scheme, factor in ((4, "O", 1.44), (2, "O", 1.2), (8, "O", 1.44), (1, "O", 1.0), (4, "H", 1.0)):
            work = wider(times)
            expected = 2.0 + factor * (TRUE.seconds(trial(), work) - 2.0)
            self.assertAllClose(speed.seconds(trial(scheme, times), work), expected, rtol=1e-9)
        other = dataclasses.replace(wider(4), architecture="cross")
        self.assertEqual(speed.seconds(trial("O", 4), other), TRUE.seconds(trial("O", 4), other))

    def test_one_shape_determines_one_factor(self) -> None:
        typical = TYPICAL.row_seconds(BASELINE)
        speed = fitted_speed([Measured(trial(), BASELINE, 4.0, 3 * typical[0], 2 * typical[1])])
        wide = wider(50)
        training, evaluation = TYPICAL.row_seconds(wide)
        self.assertAllClose(speed.seconds(trial("O", 50), wide), 4 + 3000 * training + 600 * evaluation, rtol=1e-9)

    def test_noise_of_a_start_is_outvoted(self) -> None:
        many = [measured(trial("O", m), wider(m), start=s) for m, s in ((1, 2.0), (2, 2.2), (4, 9.0))]
        self.assertEqual(fitted_speed(many).start, 2.2)

    def test_wall_time_is_that_of_jobs_that_never_wait(self) -> None:
        self.assertEqual(wall_seconds([3, 3, 2, 2, 2], 1), 12)
        self.assertEqual(wall_seconds([3, 3, 2, 2, 2], 2), 7)  # 3 2 2 beside 3 2
        self.assertEqual(wall_seconds([1, 1, 10], 2), 10)  # the longest first
        self.assertEqual(wall_seconds([], 4), 0)
        draw = random.Random(5)  # noqa: S311 -- no secrets here
        for jobs, count in itertools.product((2, 3), (5, 9)):
            seconds = [draw.randint(1, 20) for _ in range(count)]
            left, now = sorted(seconds, reverse=True), 0  # second by second
            running: list[int] = []
            while left or running:
                running = [end for end in running if end > now]
                while left and len(running) < jobs:
                    running.append(now + left.pop(0))
                now += 1
            self.assertEqual(wall_seconds(seconds, jobs), now - 1)


if __name__ == "__main__":
    tf.test.main()
