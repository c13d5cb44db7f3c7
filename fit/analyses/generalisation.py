"""Training against test curves: do they fall alike?"""

from collections.abc import Iterable
from dataclasses import dataclass

from tfrs_scaling.fit.analyses.lines import DataLine, LineFit
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.laws.resampled_laws import law_draws
from tfrs_scaling.fit.laws.status import Status
from tfrs_scaling.fit.laws.uncertainty import percentiles
from tfrs_scaling.fit.schemes import SCHEMES
from tfrs_scaling.fit.serialization import finite_or_none, known_intervals


@dataclass(frozen=True)
class SplitLaw:
    """The law of the training or of the test NE; None where there is no number.

    Attributes:
        alpha: Coefficient as papers print it.
        interval: Intervals of alpha, beta and gamma, as (low, high); None for an open end.
        range: The smallest and the largest fitted x.
    """

    alpha: float | None
    beta: float | None
    gamma: float | None
    interval: dict[str, tuple[float | None, float | None]]
    status: Status
    range: tuple[float, float]


@dataclass(frozen=True)
class Generalisation:
    """The exponent of the training curve against that of the test curve.

    Attributes:
        line: A multiplier, or "frontier".
        train: Law of the training NE.
        test: Law of the test NE.
        difference_beta: beta of training less that of test; None where one has no exponent.
    """

    architecture: str
    scheme: str
    line: str
    train: SplitLaw
    test: SplitLaw
    difference_beta: float | None
    low: float | None
    high: float | None
    words: str


PROGRESSIVE = (
    "The training NE is progressive: each row is predicted before it is trained on, and the NE of a data size is that "
    "of the rows since the size before. In the first pass these are unseen rows, so it is another test, on earlier "
    "rows and by models that were still learning; no gap to the test curve is memorisation."
)
OF_SEEN_ROWS = (
    "Later passes predict rows that were trained on before: where this training NE falls faster than the test NE, the "
    "model remembers rows."
)


def generalisation(
    lines: Iterable[DataLine], laws: Iterable[LineFit] = (), *, level: float = 0.95
) -> list[Generalisation]:
    """The exponent of the training curve against that of the test curve (Figure 10 of Ardalani et al. 2022).

    The law of the test curve is the one that the line has everywhere. The training curve leaves out the smallest data
    size, the progressive NE of whose rows holds all of a model's first steps. Over equal doublings the mean of
    ``x**-beta`` is itself a power law of the same exponent, so the exponents may be compared although one curve is of
    rungs and the other of points.

    The interval of the difference takes the two curves' noise for independent. They are of the same trainings, and
    what lifts one mostly lifts the other, so it is wide rather than narrow.

    Args:
        lines: Lines against data: the baseline's ladder, frontiers, and ladders of E.
        laws: Laws of these lines, where they are known already.
        level: Confidence level.

    Returns:
        One record for each line with three data sizes or more.
    """
    records = []
    known = {(law.architecture, law.scheme, law.line): law.fit for law in laws if law.x == "data"}
    for line in lines:
        sizes = line.sizes()
        if len(sizes) < 3:
            continue
        train = line.within(sizes[1], sizes[-1]).fit("train_ne", level=level)
        test = known.get((line.architecture, line.scheme, line.line)) or line.fit(level=level)
        if train is None or test is None:
            continue
        low = high = difference = None
        reasons = [
            f"of the {name} curve" for name, fit in (("training", train), ("test", test)) if not fit.status.has_exponent
        ]
        if not reasons:
            differences = law_draws(train, seed=1)[:, 1] - law_draws(test, seed=2)[:, 1]
            difference = train.beta - test.beta
            ends = (float(end) for end in percentiles(differences, level))
            low, high = (function(end, difference) for function, end in zip((min, max), ends, strict=True))
        records.append(
            Generalisation(
                architecture=line.architecture,
                scheme=line.scheme,
                line=line.line,
                train=_law(train),
                test=_law(test),
                difference_beta=difference,
                low=low,
                high=high,
                words=_words(line.scheme, train, test, (low, high), reasons),
            )
        )
    return records


def _law(fit: PowerLawFit) -> SplitLaw:
    return SplitLaw(
        alpha=finite_or_none(fit.alpha),
        beta=finite_or_none(fit.beta),
        gamma=finite_or_none(fit.gamma),
        interval=known_intervals(fit),
        status=fit.status,
        range=(min(fit.x), max(fit.x)),
    )


def _words(
    scheme: str, train: PowerLawFit, test: PowerLawFit, interval: tuple[float | None, float | None], reasons: list[str]
) -> str:
    meaning = f" {OF_SEEN_ROWS}" if SCHEMES[scheme].multipliers == "epochs" else ""
    low, high = interval
    if low is None or high is None:
        return f"The exponents cannot be compared: that {' and '.join(reasons)} means nothing.{meaning}"
    exponents = f"exponent {-train.beta:.2f} against {-test.beta:.2f} of the test curve"
    if low > 0:
        verdict = f"The training curve falls faster ({exponents})"
    elif high < 0:
        verdict = f"The training curve falls more slowly ({exponents})"
    else:
        verdict = f"The two fall alike within the uncertainty ({exponents})"
    return f"{verdict}; their difference lies between {low:.2f} and {high:.2f}.{meaning}"
