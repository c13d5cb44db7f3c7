"""What advice promises, and what following it brings, on planted studies and whole worlds."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from tests.helpers.levers import LADDER, Scenario, needed_fits
from tests.helpers.worlds import WORLDS
from tfrs_scaling.fit.advice.advise import advise
from tfrs_scaling.fit.advice.budget import read_budget
from tfrs_scaling.fit.advice.use import Use
from tfrs_scaling.fit.schemes import BASELINE

BUDGETS = ("compute=10x", "data=2x", "params=4x")
FARTHEST = 16  # times the measured data: what lies further counts as no loss


def worlds(seeds: int = 1, offset: float = 0.0) -> list[Scenario]:
    """A study of each world and each order of the schemes' strengths."""
    orders = [dict(zip(names, (1.0, 0.5, 0.25, 0.0), strict=True)) for names in ("VHMO", "MVOH", "HOVM")]
    return [
        Scenario("", {}, None, seeds=seeds, offset=offset, world=world, strengths=order)
        for world in WORLDS
        for order in orders
    ]


def outcomes(
    scenarios: Sequence[Scenario], simulations: int, *, seed: int, budgets: Sequence[str] = BUDGETS
) -> dict[str, dict[str, float]]:
    """What advice said of each budget in so many studies of each scenario.

    Returns:
        By budget: ``studies``; ``do``, how many answers say what to do; ``false do``, of which the true gain is not
        above 0; ``options`` with intervals, and how many ``hold`` the true gain; the same of the ``answers``;
        ``regret``, the mean gain that a better use of the budget would have brought, and ``best``, the mean best gain.
    """
    rng, found = np.random.default_rng(seed), {budget: Counter[str]() for budget in budgets}
    regret: dict[str, list[float]] = {budget: [] for budget in budgets}
    best: dict[str, list[float]] = {budget: [] for budget in budgets}
    for scenario in scenarios:
        for _ in range(simulations):
            runs = scenario.study(rng)
            fits = needed_fits(runs)
            for budget in budgets:
                advice, said = advise(runs, fits, budget), found[budget]
                assert advice.baseline is not None
                baseline = scenario.ne(BASELINE, 1.0, LADDER[-1])
                said["studies"] += 1
                gain = 0.0
                for option in advice.options:
                    true = baseline - _truth(scenario, option.use)
                    held = option.low <= true <= option.high
                    said["options"] += 1
                    said["hold"] += held
                    if advice.do is not None and option.use is advice.do.use:
                        gain = true
                        said["do"] += 1
                        said["answers hold"] += held
                        said["false do"] += true <= 0
                        said["+".join(sorted(option.use.levers))] += 1
                most = max(gain, _best_gain(scenario, advice.baseline, budget))
                regret[budget].append(most - gain)
                best[budget].append(most)
    return {
        budget: {name: float(number) for name, number in found[budget].items()}
        | {"regret": float(np.mean(regret[budget])), "best": float(np.mean(best[budget]))}
        for budget in budgets
    }


def _truth(scenario: Scenario, use: Use) -> float:
    return scenario.ne(use.scheme, use.multiplier, use.examples)


def _best_gain(scenario: Scenario, baseline: Use, budget: str) -> float:
    """The largest gain of a measured shape on as many examples as the budget pays for."""
    limits = read_budget(budget)
    allowed = limits.allowed(baseline.cost)
    gains = [0.0]
    for scheme, multiplier, params, flops in scenario.costs():
        examples = float(LADDER[-1])
        if params > allowed["params"]:
            continue
        if limits.grows_data:
            examples = min(allowed["compute"] / flops, allowed["data"], FARTHEST * LADDER[-1])
            if examples < LADDER[-1] * (1 - 1e-9):
                continue
        gains.append(scenario.ne(BASELINE, 1.0, LADDER[-1]) - scenario.ne(scheme, multiplier, examples))
    return max(gains)
