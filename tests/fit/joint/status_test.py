"""A joint law that misses the last step of its own points is no law."""

import numpy as np
import tensorflow as tf

from tfrs_scaling.fit.joint.law import JointFit, fit_joint_law
from tfrs_scaling.fit.joint.status import JointStatus

N, D = np.meshgrid(np.geomspace(1e5, 3.2e6, 6), np.geomspace(1e4, 1.28e6, 8), indexing="ij")


class LastStepTest(tf.test.TestCase):
    def fitted(self, loss: np.ndarray, noise: float, seed: int = 0, seeds: int = 3) -> JointFit:
        """Of every model and data size with several seeds; one training measures all data sizes of a model."""
        y = np.repeat(loss[None], seeds, axis=0)
        y = y + np.random.default_rng(seed).normal(0, noise, y.shape)
        n, d = (np.repeat(values[None], seeds, axis=0).ravel() for values in (N, D))
        training = np.repeat(np.arange(seeds * len(N)), D.shape[1])
        return fit_joint_law(n, d, y.ravel(), groups=training, resamples=100)

    def test_a_law_of_the_form_passes(self) -> None:
        law = 0.7 + 2.0 * N**-0.3 + 1.5 * D**-0.25
        statuses = [self.fitted(law, 1e-3, seed).status for seed in range(5)]
        self.assertNotIn(JointStatus.LAST_STEP_MISSED, statuses)

    def test_parameters_that_stop_helping_are_seen(self) -> None:
        """The table has a row for every id from 8e5 parameters on."""
        law = 0.7 + 20.0 * np.minimum(N, 8e5) ** -0.4 + 1.5 * D**-0.25
        fit = self.fitted(law, 2e-4)
        self.assertEqual(fit.status, JointStatus.LAST_STEP_MISSED)
        self.assertFalse(fit.status.has_law or fit.status.has_split)
        self.assertNotEqual(self.fitted(law, 2e-4, seeds=1).status, JointStatus.LAST_STEP_MISSED)  # cannot tell

    def test_data_that_stop_helping_are_seen(self) -> None:
        law = 0.7 + 2.0 * N**-0.3 + 3.0 * np.minimum(D, 3.2e5) ** -0.3
        self.assertEqual(self.fitted(law, 2e-4).status, JointStatus.LAST_STEP_MISSED)


if __name__ == "__main__":
    tf.test.main()
