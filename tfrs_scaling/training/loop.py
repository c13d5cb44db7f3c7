"""The training loop: steps of one model, with progress reports and a check that the loss stays finite."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfrs_scaling.model.compiled import compiled_step
from tfrs_scaling.model.dlrm import DLRM
from tfrs_scaling.training.metrics import binary_entropy

# Seconds of training between two progress reports; how the steps are grouped into calls changes no result. Several
# workers, whose clocks differ, make FIRST_STEPS in every call, so that they meet at every exchange.
REPORT_SECONDS = 2.0
FIRST_STEPS = 50


class TrialFailedError(RuntimeError):
    """The trial cannot continue; the message is the reason that its rows will show."""


class DivergedError(TrialFailedError):
    """The loss became NaN or infinite."""


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a trial is.

    Attributes:
        examples: trained on so far, counted each time.
    """

    examples: int
    examples_per_second: float


@dataclasses.dataclass(frozen=True)
class Window:
    """A part of a training.

    Attributes:
        ne: NE of the predictions made before each update, on the rows trained on; NaN if all have one label.
        examples_per_second: training speed; NaN if there were no steps.
    """

    ne: float
    examples_per_second: float


class Training:
    """The training of one model, from its initialisation.

    ``train_steps`` is a ``training_loop``, ``predict`` a ``predictor``. ``batch_size`` counts rows over all replicas,
    ``trained`` those of the trial's earlier trainings. ``together``: with other workers.
    """

    def __init__(
        self,
        train_steps: Callable[..., tuple[tf.Tensor, ...]],
        predict: Callable[[Any], list[tf.Tensor]],
        iterator: Any,
        batch_size: int,
        trained: int,
        report: Callable[[Progress], None],
        *,
        together: bool,
    ):
        self.predict, self.trained = predict, trained
        self._train_steps, self._iterator, self._batch_size = train_steps, iterator, batch_size
        self._report, self._together = report, together
        self._done = 0

    def train_until(self, end: int) -> Window:
        """Train until ``end`` steps have been made in all.

        Raises:
            DivergedError: the loss became NaN or infinite.
        """
        first, steps = self._done, FIRST_STEPS
        log_loss = clicks = weight = seconds = 0.0
        while self._done < end:
            steps = min(steps, end - self._done)
            started = time.perf_counter()
            sums = self._train_steps(self._iterator, tf.constant(steps))
            step_losses, step_clicks, step_weight = (float(each) for each in sums)
            elapsed = time.perf_counter() - started
            if not np.isfinite(step_losses):
                raise DivergedError(
                    f"the training loss became {step_losses} between examples {self._done * self._batch_size} and "
                    f"{(self._done + steps) * self._batch_size}; a smaller learning rate may help"
                )
            self._done += steps
            log_loss, clicks, weight, seconds = (
                log_loss + step_losses * self._batch_size,
                clicks + step_clicks,
                weight + step_weight,
                seconds + elapsed,
            )
            self.trained += steps * self._batch_size
            self._report(Progress(self.trained, steps * self._batch_size / elapsed))
            if not self._together:
                steps = max(1, round(steps * min(8.0, REPORT_SECONDS / elapsed)))
        # The loss of a step is a mean over its rows; an NE is relative to their weight.
        one_label = not 0 < clicks < weight
        ne = float("nan") if one_label else log_loss / weight / binary_entropy(clicks / weight)
        return Window(ne, (end - first) * self._batch_size / seconds if seconds else float("nan"))


def training_loop(
    strategy: tf.distribute.Strategy, model: DLRM, *, compiled: bool = False
) -> Callable[..., tuple[tf.Tensor, ...]]:
    """A function ``(iterator, steps) -> sums`` that makes steps without returning to Python.

    ``compiled``: each step is a program of XLA's. It takes a strategy of one replica (on two virtual CPUs TensorFlow
    refuses: one's program would read the other's variables), and stacked tables: others look up ragged ids, for each
    size of which it would be compiled again.

    The sums are float64 scalars over the steps: of the mean log loss before the update, of the clicks' weights, and of
    all weights.
    """

    def step(batch: dict[str, tf.Tensor]) -> tuple[tf.Tensor, ...]:
        weight = batch["weight"]
        return model.train_step(batch)["loss"], tf.reduce_sum(weight * batch["label"]), tf.reduce_sum(weight)

    run = compiled_step(step) if compiled else step

    # Without AutoGraph, whose rewriting of every function it meets took half of a trial's start.
    @tf.function(autograph=False)
    def train_steps(iterator: Any, steps: tf.Tensor) -> tuple[tf.Tensor, ...]:
        def one_more(done: tf.Tensor, *sums: tf.Tensor) -> tuple[tf.Tensor, ...]:
            parts = strategy.run(run, args=(next(iterator),))
            added = (tf.cast(strategy.reduce("SUM", part, axis=None), tf.float64) for part in parts)
            return done + 1, *(before + s for before, s in zip(sums, added, strict=True))

        zero = tf.zeros((), tf.float64)
        _, *sums = tf.while_loop(lambda done, *_: done < steps, one_more, (tf.constant(0), zero, zero, zero))
        return tuple(sums)

    return train_steps
