"""Whether a configuration only adds to a study's, so that what is done stays and the rest can be run.

A trial's outcome follows from its own settings, the data and the data sizes; which trials a study needs, from its
configuration and their outcomes (``study.search``). So a study that has grown is, to the last bit, the one that was run
at once with the configuration that it ends with. Trials that this one would not have needed, because a shape has a
nearer neighbour now, stay in the folder and count no more.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tfrs_scaling.config import Config, read_config
from tfrs_scaling.fit.schemes import KEEPING, LISTED, SCHEMES
from tfrs_scaling.study.trials import shapes

_EXAMPLES, _SEEDS, _RATES = "sweep.examples", "sweep.seeds", "training.learning_rates"
_OF_WAYS = tuple(f"sweep.P.{SCHEMES[scheme].keeps}" for scheme in KEEPING)
# Lists whose order does not matter.
_SETS = {*(f"sweep.{scheme}" for scheme in LISTED), "sweep.A", *_OF_WAYS, _SEEDS, _RATES}

_WHY_REFUSED = {
    _EXAMPLES: "data sizes can be added after the last one alone",
    _SEEDS: "seeds can be added after the first, with which learning rates are found",
    **dict.fromkeys(("teacher", "scorer"), "its rows are held apart from every trial, so no trial would see the same"),
    "synthetic.rows": "other numbers of rows are split and ordered differently, so no trial would see the same",
}


@dataclass(frozen=True)
class Change:
    """A setting that differs.

    Attributes:
        key: where it is, such as ``sweep.V``.
        before, now: its values, as plain JSON.
        adds: whether it only adds trials, or data sizes after the last.
    """

    key: str
    before: Any
    now: Any
    adds: bool

    def __str__(self) -> str:
        why = "" if self.adds else _WHY_REFUSED.get(self.key, "")
        return f"{self.key}: {self.before!r} there, {self.now!r} now{why and f' ({why})'}"


def changes(before: Config, now: Config) -> list[Change]:
    """What differs between two configurations, in the order of their keys.

    Examples:
        >>> before = read_config("study.yaml", ["sweep.V=[4]", "sweep.H=[2]"])
        >>> now = read_config("study.yaml", ["sweep.V=[1/4, 4]", "sweep.H=[4]"])
        >>> [(change.key, change.adds) for change in changes(before, now)]
        [('sweep.V', True), ('sweep.H', False)]
    """
    first_seed_stays = now.sweep.seeds[0] == before.sweep.seeds[0] or now.training.learning_rates != "auto"
    return [
        Change(key, old, new, adds=_adds(key, old, new) and (first_seed_stays or key != _SEEDS))
        for key, old, new in _differences("", before.to_dict(), now.to_dict())
        if not key.startswith("log.")  # where a log lies makes no other study; data_hash tells its rows
    ]


def only_adds(found: Iterable[Change]) -> bool:
    """Whether all changes add."""
    return all(change.adds for change in found)


def with_runs(config: Config, other: Config) -> Config:
    """The configuration with the runs of another one added, which differs from it in the sweep alone.

    Its shapes are added to the sweep; its data sizes beyond the last, to the ladder of all shapes, as options are
    compared at its end; its further seeds, to the seeds of its own shapes. Learning rates stay.

    Examples:
        >>> config = read_config("study.yaml", ["sweep.V=[4]", "sweep.seeds=[0]"])
        >>> other = read_config(config, ["sweep.V=[16]", "sweep.seeds=[0, 1]"])
        >>> for change in changes(config, with_runs(config, other)):
        ...     print(change)
        sweep.V: ['4'] there, ['4', '16'] now
        sweep.more_seeds.D-1: None there, [1] now
        sweep.more_seeds.V-16: None there, [1] now
    """
    content = config.to_dict()
    sweep, further = content["sweep"], other.to_dict()["sweep"]
    for name in (*LISTED, "A", "P"):
        sweep[name] = _union(sweep[name], further[name])
    sweep["VH"] = sweep["VH"] or further["VH"]
    sweep["examples"] += [size for size in further["examples"] if size > sweep["examples"][-1]]
    for shape in shapes(other):
        if missing := [seed for seed in other.sweep.seeds if seed not in shape.seeds(config)]:
            sweep["more_seeds"].setdefault(shape.shape_id, []).extend(missing)
    return read_config(content)


def _union(before: Any, more: Any) -> Any:
    if isinstance(before, dict) or isinstance(more, dict):  # of A a list names those without multipliers
        before, more = (own if isinstance(own, dict) else {name: [] for name in own} for own in (before, more))
        return {name: _union(before.get(name, []), more.get(name, [])) for name in before | more}
    return [*before, *(value for value in more if value not in before)]


def _adds(key: str, before: Any, now: Any) -> bool:
    if key == _EXAMPLES:
        return bool(now[: len(before)] == before)
    if key == "sweep.A" and not before:
        return True  # whether it now names architectures or their multipliers
    if key in _SETS or key.startswith("sweep.more_seeds."):
        return isinstance(now, list) and all(value in now for value in before or [])
    # VH, or an architecture by its name.
    return bool(now) if key == "sweep.VH" else before is None and key.startswith("sweep.A.")


def _differences(key: str, before: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(now, dict):
        for name in dict.fromkeys([*before, *now]):
            yield from _differences(f"{key}.{name}" if key else name, before.get(name), now.get(name))
    elif before != now:
        yield key, before, now
