"""Worlds whose loss is known at every size of model and data: ``E + A / n**a + B / d**b`` (Hoffmann et al. 2022)."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tests.helpers.simulated import Noise, ladder_noise
from tfrs_scaling.fit.analyses.lines import frontier_law, with_plateau
from tfrs_scaling.fit.joint.law import fit_joint_law

FLOOR = 0.75


@dataclass(frozen=True)
class World:
    """``FLOOR + top_n * n**-a + top_d * d**-b``, n and d in units of the centre of a grid.

    Attributes:
        ratio: top_n divided by top_d; their product is 0.01.
    """

    a: float
    b: float
    ratio: float = 1.0

    def loss(self, n: np.ndarray, d: np.ndarray) -> np.ndarray:
        """The loss, of the broadcast shape."""
        return FLOOR + 0.1 * (self.ratio**0.5 * n**-self.a + self.ratio**-0.5 * d**-self.b)

    @property
    def frontier_exponent(self) -> float:
        """The best loss of a compute ``n d`` falls towards the floor as compute to the minus this power."""
        return self.a * self.b / (self.a + self.b)


WORLDS = (
    World(0.34, 0.28), World(0.5, 0.3), World(0.3, 0.5), World(0.4, 0.4),
    World(0.34, 0.28, 3.0), World(0.34, 0.28, 1 / 3), World(0.5, 0.3, 3.0), World(0.3, 0.5, 1 / 3),
)  # fmt: skip
GRIDS = ((2.0, 2.0), (4.0, 2.0), (2.0, 4.0))  # the factor between neighbours in n and in d


def grid(step_n: float, step_d: float, sizes: int = 7, rungs: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """N and d of every point of a grid around 1, shape (sizes * rungs,), ladder by ladder."""
    n, d = np.meshgrid(np.arange(sizes) - (sizes - 1) / 2, np.arange(rungs) - (rungs - 1) / 2, indexing="ij")
    return step_n ** n.ravel(), step_d ** d.ravel()


def frontier_coverage(
    world: World, steps: tuple[float, float], noise: float, simulations: int, *, seed: int
) -> Counter[str]:
    """How often a frontier of compute is refused, and how often intervals of its law hold the truth.

    The plateau of each ladder is looked for and left out, as in a study.
    """
    rng, said = np.random.default_rng(seed), Counter[str]()
    n, d = grid(*steps)
    ladder = {"architecture": "dot", "scheme": "M", "multiplier": n, "embedding_dim": 16, "examples": d}
    rows = pd.DataFrame(ladder | {"compute": n * d, "trial_id": n.astype(str)})
    for _ in range(simulations):
        loss = world.loss(n, d) + rng.normal(0, noise, n.size)
        fit = frontier_law(with_plateau(rows.assign(test_ne=loss)), "compute")
        said["all"] += 1
        if not fit.status.is_fitted:
            said["refused"] += 1
            continue
        held = [low <= truth <= high for (low, high), truth in (
            (fit.interval["beta"], world.frontier_exponent), (fit.interval["gamma"], FLOOR))]  # fmt: skip
        said["beta"] += held[0]
        said["gamma"] += held[1]
        if fit.status.has_floor:
            said["ok"] += 1
            said["both, ok"] += all(held)
    return said


JOINT = ("E", "A_at_n0", "a", "B_at_d0", "b", "split_exponent", "4d", "2n, 4d", "new at 2n, 4d")


def joint_coverage(
    world: World, sizes: int, seeds: int, kind: Noise, noise: float, simulations: int, *, seed: int, falls: float = 0.0
) -> Counter[str]:
    """How often intervals of a joint law hold the truth, the points of a training sharing noise: a group each.

    Args:
        world: The truth.
        sizes: Sizes of models, each a factor 2 from the next; each is trained on eight data sizes.
        seeds: Trainings of each.
        kind: As in ``ladder_noise``.
        noise: Standard deviation of a point's own noise.
        simulations: Number of studies.
        seed: Seed of the noise.
        falls: The noise falls as the data to this power; it is ``noise`` amid the ladder.
    """
    rng, said = np.random.default_rng(seed), Counter[str]()
    n, d = (np.tile(axis.reshape(sizes, 8), seeds).ravel() for axis in grid(2.0, 2.0, sizes))
    groups = np.repeat(np.arange(sizes * seeds), 8)
    more_n, more_d = 2 * n.max(), 4 * d.max()
    for _ in range(simulations):
        shocks = ladder_noise(rng, kind, sizes * seeds, 8, noise).ravel() * d**-falls
        fit = fit_joint_law(n, d, world.loss(n, d) + shocks, groups=groups, resamples=200)
        a_top, b_top = (0.1 * world.ratio**power for power in (0.5, -0.5))
        truths = (FLOOR, a_top, world.a, b_top, world.b, world.b / (world.a + world.b))
        at_d, at_both = world.loss(n.max(), more_d), world.loss(more_n, more_d)
        further = at_both + ladder_noise(rng, kind, 1, 8, noise)[0, -1] * more_d**-falls
        intervals: list[tuple[Any, Any]] = [fit.interval[name] for name in JOINT[:6]]
        intervals += [fit.predict_interval(n.max(), more_d), fit.predict_interval(more_n, more_d)]
        intervals.append(fit.predict_interval(more_n, more_d, "new"))
        for name, (low, high), truth in zip(JOINT, intervals, (*truths, at_d, at_both, further), strict=True):
            said[name] += bool(low <= truth <= high)
        said["all"] += 1
        said[fit.status] += 1
    return said
