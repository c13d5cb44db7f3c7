"""The models of a study that are trained once and score the rows of others: what decides their scores, and where they
are."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.words import duration
from tfrs_scaling.config import Config
from tfrs_scaling.fit.schemes import SCALED, SCHEMES
from tfrs_scaling.input.row_scores import MANIFEST, Cost, RowScores, read_scores_manifest, request_hash
from tfrs_scaling.study.trials import Trial

if TYPE_CHECKING:
    from tfrs_scaling.input.shards import ClickData


@dataclasses.dataclass(frozen=True)
class Scoring:
    """A model that is trained once, on rows held apart, and scores all rows of the training split.

    Attributes:
        keys: its keys in the configuration, and in ``ClickData.scores``: two if the teacher is the scorer too.
        trial: its shape, learning rate and seed.
        rungs: numbers of rows at which it is measured, rising; it is trained on the last, different rows each.
        request: all that decides the scores, as plain JSON values.
    """

    keys: tuple[str, ...]
    trial: Trial
    rungs: tuple[int, ...]
    request: dict[str, Any]

    @property
    def name(self) -> str:
        """Its name for people: ``teacher``, ``scorer``, or ``teacher+scorer``."""
        return "+".join(self.keys)

    @property
    def examples(self) -> int:
        """Rows that it is trained on."""
        return self.rungs[-1]

    def folder(self, root: Path) -> Path:
        """Where the scores are in a study's folder; those of another request are elsewhere."""
        return root / "scores" / request_hash(self.request)

    def words(self, examples: int, per_second: float, scored: int) -> str:
        """How far it is, as a line: ``teacher: trained on 25% of 131,072 rows, 40,000 a second, 2.5 s left``.

        ``examples`` counts the rows trained on and then those predicted, of which there are ``scored`` in all.
        """
        done, rows, what = examples, self.examples, "trained on"
        if examples > self.examples:
            done, rows, what = examples - self.examples, scored, "predicted"
        pace = f", {per_second:,.0f} a second, {duration((rows - done) / per_second)} left" if per_second else ""
        return f"{self.name}: {what} {done / rows:.0%} of {rows:,} rows{pace}"


def with_scores(config: Config, data: "ClickData", root: Path) -> "ClickData":
    """The data with the scores that the study's trials use.

    Raises:
        InputError: they have not been made, are not what the study asks for, or were damaged.
    """
    shards = data.manifest.splits["train"].shards
    opened: dict[str, RowScores] = {}
    for scoring in scorings(config, data.manifest.data_hash):
        folder = scoring.folder(root)
        try:
            opened |= dict.fromkeys(scoring.keys, RowScores.open(folder, scoring.request, shards))
        except FileNotFoundError:
            raise InputError(f"{folder}: there are no scores of {scoring.name}; run the sweep's command") from None
    return dataclasses.replace(data, scores=opened)


def scorer_of(scheme: str) -> str:
    """The configuration's key of the model whose scores the trials of a scheme use; empty where they use none."""
    if scheme == "T":
        return "teacher"
    return "scorer" if SCHEMES[scheme].keeps not in (None, "random") else ""


def scorer_cost(config: Config, data_hash: str, root: Path, key: str) -> Cost:
    """What the scorer of that key took.

    Raises:
        InputError: the study has none, or its predictions are not where they should be, or were damaged.
    """
    scoring = next((scoring for scoring in scorings(config, data_hash) if key in scoring.keys), None)
    if scoring is None:
        raise InputError(f"{root}: {key}: is missing in the study's configuration")
    folder = scoring.folder(root)
    try:
        return read_scores_manifest(folder, scoring.request).cost
    except FileNotFoundError:
        raise InputError(
            f"{folder / MANIFEST}: is missing, which says what {scoring.name} took; put the folder back, which earlier "
            f"versions called {key}-{folder.name}, or run the sweep's command: it makes the scores again"
        ) from None


def scorings(config: Config, data_hash: str) -> list[Scoring]:
    """The models of a study that score rows, each once; one whose scores no trial uses is none of them.

    Growing a study changes none of what decides their scores: neither its sweep nor its learning rates are part of it.

    Examples:
        >>> config = read_config("study.yaml", ["sweep.T=[1]", "teacher={scheme: V, multiplier: 4, examples: 900}"])
        >>> [(scoring.name, scoring.trial.trial_id) for scoring in scorings(config, "0123456789abcdef")]
        [('teacher', 'V-4-lr0.04-seed0')]
    """
    plain = config.to_dict()
    training = {name: value for name, value in plain["training"].items() if name != "learning_rates"}
    used = {scorer_of(scheme) for scheme in SCALED if config.sweep.multipliers(scheme)}
    found: dict[str, Scoring] = {}
    for key, scorer in config.scorers.items():
        if key not in used:
            continue
        architecture = None if scorer.architecture == config.model.architecture else scorer.architecture
        trial = Trial(scorer.scheme, scorer.multiplier, scorer.learning_rate, scorer.seed, architecture=architecture)
        request = {
            "scorer": plain[key],
            "model": plain["model"],
            "training": training,
            "held_apart": config.held_apart,
            "data_hash": data_hash,
        }
        whole = scorer.examples - scorer.examples % config.training.batch_size
        rungs = (*(size for size in config.ladder if size < whole), whole)
        others = found[name].keys if (name := request_hash(request)) in found else ()
        found[name] = Scoring((*others, key), trial, rungs, request)
    return [*found.values()]
