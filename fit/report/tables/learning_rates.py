"""The table of learning rates."""

from collections.abc import Callable, Sequence

from tfrs_scaling.common.words import human, signed
from tfrs_scaling.fit.analyses.learning_rates import LearningRates, RateLaw, RungRate
from tfrs_scaling.fit.labels import shape_name
from tfrs_scaling.fit.report.tables.columns import ARCHITECTURE
from tfrs_scaling.fit.report.tables.table import Column, Table


def rates_table(rates: Sequence[LearningRates]) -> Table[LearningRates]:
    """A row for each shape that one seed was trained at several rates."""
    return Table(
        "learning_rates",
        "Learning rates",
        rates,
        (
            ARCHITECTURE,
            Column("shape", "Shape", lambda r: shape_name(r.scheme, r.multiplier)),
            Column("embedding_dim", "Dimension", lambda r: r.embedding_dim or None),
            Column("learning_rate", "Rate", lambda r: r.learning_rate),
            Column("tried", "Tried", lambda r: ", ".join(f"{rate:g}" for rate in r.tried)),
            Column("best", "Best by a parabola", lambda r: r.best, "number"),
            Column("factor_of_2", "NE lost by a factor of 2", lambda r: r.factor_of_2, "number"),
            Column("at", "At examples", lambda r: r.at, "count"),
            Column("most", "Most gained at a data size", _most),
            _beta("beta", "β at this rate", lambda r: r.own_law),
            _beta("beta_of_best", "β at the best of each data size", lambda r: r.best_law),
        ),
        "Of the seed that was trained at the most rates, chosen on the validation split. The study's laws are those of "
        "a recipe: every shape at one rate, the best at its largest data size. Small data sizes often like another "
        "rate; a law of data at the best rate of each size is for those who tune again whenever there are more data.",
    )


def _beta(key: str, title: str, law_of: Callable[[LearningRates], RateLaw | None]) -> Column[LearningRates]:
    def value(record: LearningRates) -> float | None:
        law = law_of(record)
        return None if law is None else law.beta

    def ends(record: LearningRates) -> tuple[float | None, float | None]:
        law = law_of(record)
        return (None, None) if law is None else law.beta_interval

    return Column(key, title, value, "estimate", ends)


def _most(record: LearningRates) -> str | None:
    """The data size at which another rate changes the test NE most."""
    most: RungRate | None = max(record.rungs, key=lambda rung: abs(rung.change), default=None)
    if most is None or not most.change:
        return None
    return f"{signed(most.change)} at {human(most.examples)}, rate {most.learning_rate:g}"
