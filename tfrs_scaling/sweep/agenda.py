"""What a study needs next, by what its folder holds."""

from collections import Counter
from collections.abc import Iterator

from tfrs_scaling.config import Config
from tfrs_scaling.study.search import Need, Record, needs_of
from tfrs_scaling.study.trials import Trial, all_trials
from tfrs_scaling.study.workdir import Workdir


class Agenda:
    """The trials of a study, as far as recorded outcomes call for them.

    Between two updates no record comes or changes: otherwise a trial could count as ended before the trials that its
    outcome calls for are known.

    ``retry``: failures recorded before count as not run yet; those recorded later are outcomes.
    """

    def __init__(self, config: Config, workdir: Workdir, *, retry: bool):
        self._config, self._workdir = config, workdir
        self._ended: dict[str, int] = {}  # ``Workdir.ended`` at the last update
        self._records: dict[str, tuple[int, Record | None]] = {}  # of those, as far as they were read
        self._failed_before = set(_failed_attempts(workdir)) if retry else set()
        self._searching: tuple[Trial, ...] = ()
        self.needs: dict[str, Need] = {}  # by trial, in the order in which they became known
        self.update()

    def update(self) -> list[Need] | None:
        """Read the folder; the needs that became known since the last time, or None if ``expected`` did not change."""
        self._ended = self._workdir.ended()
        found = needs_of(self._config, self._record)
        new = [need for need in found.needs if need.trial.trial_id not in self.needs]
        self.needs |= {need.trial.trial_id: need for need in found.needs}
        has_changed = bool(new) or found.searching != self._searching
        self._searching = found.searching
        return new if has_changed else None

    def outcome(self, name: str) -> Record | None:
        """A trial's record at the last update; None if it has to be run, or run again."""
        return self.needs[name].settled(self._record(name), self._config.ladder)

    def find(self, name: str) -> Need | None:
        """A need, by its trial; None if the folder does not show it yet."""
        if name not in self.needs or self._config.training.learning_rates == "auto":  # whose limits may have changed
            self.update()
        return self.needs.get(name)

    @property
    def done(self) -> int:
        """Trials that have ended."""
        return sum(self.outcome(name) is not None for name in self.needs)

    def is_done(self) -> bool:
        """Whether every trial of the study has ended."""
        self.update()
        return not self._searching and self.done == len(self.needs)

    def expected(self) -> dict[str, Trial]:
        """The trials known, and as many others as searches in progress will probably add."""
        trials = {name: need.trial for name, need in self.needs.items()}
        known = Counter(trial.shape_id for trial in trials.values())
        searching = {shape.shape_id for shape in self._searching}
        every = all_trials(self._config)
        usual = Counter(trial.shape_id for trial in every)
        for trial in every:
            shape = trial.shape_id
            if shape in searching and trial.trial_id not in trials and known[shape] < usual[shape]:
                trials[trial.trial_id] = trial
                known[shape] += 1
        return trials

    def left(self) -> list[Trial]:
        """Those of the expected trials that have to be run, or run again."""
        return [
            trial for name, trial in self.expected().items() if name not in self.needs or self.outcome(name) is None
        ]

    def _record(self, name: str) -> Record | None:
        if (number := self._ended.get(name)) is None:
            return None
        read = self._records.get(name)
        if read is None or read[0] != number:
            record = self._workdir.record(name)
            is_retried = (
                record is not None and record["status"] == "failed" and record["attempt"] in self._failed_before
            )
            self._records[name] = read = (number, None if is_retried else record)
        return read[1]


def _failed_attempts(workdir: Workdir) -> Iterator[str]:
    for record in workdir.records():
        if record["status"] == "failed":
            yield record["attempt"]
