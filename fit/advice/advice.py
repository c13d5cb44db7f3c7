"""The answer to a budget: data, computed once, and what the terminal, a page, TensorBoard and JSON render it from."""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

from tfrs_scaling.common.json_numbers import to_json
from tfrs_scaling.common.words import listed
from tfrs_scaling.fit.advice.budget import budget_words
from tfrs_scaling.fit.advice.choice import Option
from tfrs_scaling.fit.advice.settle import Place, Settle
from tfrs_scaling.fit.advice.use import Use
from tfrs_scaling.fit.advice.words import cost_words, gain_words, option_words, rows_words, short_words, use_words
from tfrs_scaling.fit.runs.costs import UnevenSpeed

Verdict = Literal["do", "not enough evidence"]

_SHOWN = 5  # options


@dataclass(frozen=True)
class Detail:
    """What a reader unfolds.

    Attributes:
        summary: The line above it, without a colon.
        items: One or more sentences; of a command, its parts, which a line break may separate.
        is_command: Whether the items are one shell command.
    """

    summary: str
    items: tuple[str, ...]
    is_command: bool = False

    @property
    def command(self) -> str:
        """The items as one shell command, a line each."""
        return " \\\n  ".join(self.items)


@dataclass(frozen=True)
class Advice:
    """Where a budget should go.

    Attributes:
        budget: The budget as typed.
        level: Confidence level of the options' intervals and of the comparisons.
        why: What the verdict rests on, or what is missing; one sentence or more.
        baseline: The baseline at its largest data size, which every option is compared with; None where it was not
            measured.
        do: What to do; None where there is not enough evidence.
        options: The best use of each lever, and of levers combined; lowest expected NE first.
        now: Where there are too few rows for what to do: what to do with those there are; None where that is nothing.
        rows: How many rows there are to train on, where they are too few for what to do; else None.
        makes_rows: Whether the study makes its rows itself.
        notes: Cheaper options that beat the baseline and why they are not the answer, a sentence each.
        changes: What would change the answer, one sentence each.
        settle: The runs that would settle what is open; None where nothing is.
        least_rows: Where it is not known how many rows there are to train on: how many the study has used; else None.
        uneven: Why hours of training are not known; None where they are.
    """

    budget: str
    level: float
    why: str
    baseline: Use | None = None
    do: Option | None = None
    options: tuple[Option, ...] = ()
    changes: tuple[str, ...] = ()
    settle: Settle | None = None
    now: Option | None = None
    rows: int | None = None
    makes_rows: bool = False
    notes: tuple[str, ...] = ()
    uneven: UnevenSpeed | None = None
    least_rows: float | None = None

    @property
    def verdict(self) -> Verdict:
        """Whether there is something to do."""
        return "not enough evidence" if self.do is None else "do"

    @property
    def answer(self) -> str:
        """One sentence."""
        if self.baseline is None or self.do is None:
            return f"Not enough evidence to say where {budget_words(self.budget)} should go."
        return f"Do this: {use_words(self.do.use, self.baseline, self.least_rows)}."

    @property
    def reasons(self) -> tuple[str, ...]:
        """What it would bring and cost, and why that is the answer; a sentence or two each."""
        reasons = [self.why]
        if self.baseline is not None and self.do is not None:
            gain = gain_words(self.do, self.baseline, self.level)
            cost = cost_words(self.do.use, self.baseline, self.uneven)
            reasons = [gain, f"It costs {cost}.", *self.until_then, self.why, *self.notes]
        if self.settle is not None and not self.settle.overrides:
            reasons.append(self.settle.runs)
        return tuple(reasons)

    @property
    def decision(self) -> tuple[str, str]:
        """Two lines: the answer with what it would bring; and what it costs, or what can be done with too few rows."""
        if self.do is None:
            return self.answer, self.reasons[0]
        gain, cost, *_ = self.reasons
        return f"{self.answer} {gain}", (self.until_then or [cost])[0]

    @property
    def until_then(self) -> list[str]:
        """What can be done with the rows there are, where these are too few or may be."""
        if self.baseline is None or self.do is None:
            return []
        if self.rows is not None:
            how = "make" if self.makes_rows else "collect"
            few, without = f"There are {self.rows:,} rows to train on: {how} the others first. ", "Until then"
        elif rows_words(self.do.use, self.least_rows):
            few, without = "", "With no more rows than the study used"
        else:
            return []
        if self.now is None:
            return [f"{few}{without} nothing is seen to help."]
        words, gain = use_words(self.now.use, self.baseline), gain_words(self.now, self.baseline, self.level)
        return [f"{few}{without}: {words}. {gain}"]

    @property
    def details(self) -> tuple[Detail, ...]:
        """The options, what would change the answer, and the command that would settle it: those there are."""
        details = []
        if self.baseline is not None and self.options:
            worse = [option for option in self.options if option.high < 0]
            others = [option for option in self.options if not option.high < 0]
            rows = [option_words(option, self.baseline, self.least_rows) for option in others[:_SHOWN]]
            if len(others) > _SHOWN:
                rows.append(f"{len(others) - _SHOWN} more, with smaller expected gains")
            if worse:
                names = listed(short_words(option.use, self.baseline) for option in worse)
                rows.append(f"worse than the baseline: {names}")
            summary = f"Options for {self.budget}, against the baseline on {self.baseline.examples:,} examples"
            details.append(Detail(summary, tuple(rows)))
        if self.changes:
            details.append(Detail("What would change the answer", self.changes))
        if self.settle is not None and self.settle.overrides:
            unknown = " CONFIG is the study's configuration, ANOTHER a new folder." * (self.settle.place == Place())
            details.append(Detail(f"{self.settle.runs}{unknown}", self.settle.command, is_command=True))
        return tuple(details)

    def lines(self) -> list[str]:
        """The answer, the reasons and the details, as a terminal shows them."""
        return [self.answer, *self.reasons, *(line for detail in self.details for line in _detail_lines(detail))]

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        """The same for a notebook."""
        reasons = "".join(f"<p>{escape(reason)}</p>" for reason in self.reasons)
        return f"<p><b>{escape(self.answer)}</b></p>{reasons}{''.join(map(_detail_html, self.details))}"

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON: null for what is not known."""
        baseline = self.baseline
        return {
            "budget": self.budget,
            "verdict": self.verdict,
            "answer": self.answer,
            "reasons": list(self.reasons),
            "baseline": None if baseline is None else _use_record(baseline, baseline),
            "do": None if self.do is None or baseline is None else _option_record(self.do, baseline),
            "now": None if self.now is None or baseline is None else _option_record(self.now, baseline),
            "rows": self.rows,
            "options": [] if baseline is None else [_option_record(option, baseline) for option in self.options],
            "changes": list(self.changes),
            "no_hours": None if self.uneven is None else self.uneven.words,
            "least_rows": self.least_rows,
            "settle": self.settle and {"runs": self.settle.runs, "overrides": list(self.settle.overrides)},
            "level": self.level,
        }


def _detail_lines(detail: Detail) -> Iterator[str]:
    if detail.is_command:
        yield detail.summary
        yield from f"  {detail.command}".splitlines()
    else:
        yield f"{detail.summary}:"
        yield from (f"  - {item}" for item in detail.items)


def _detail_html(detail: Detail) -> str:
    if detail.is_command:
        body = f"<pre>{escape(detail.command)}</pre>"
    else:
        body = f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in detail.items)}</ul>"
    return f"<details><summary>{escape(detail.summary)}</summary>{body}</details>"


def _use_record(use: Use, baseline: Use) -> dict[str, Any]:
    return {
        "architecture": use.architecture,
        "scheme": use.scheme,
        "multiplier": use.multiplier,
        "embedding_dim": use.embedding_dim,
        "examples": use.examples,
        "epochs": use.epochs,
        "levers": sorted(use.levers),
        "words": short_words(use, baseline),
        "ne": use.ne,
        "how": use.how,
        "cost": to_json({name: float(amount) for name, amount in use.cost.items()}),
        "times_baseline": to_json({name: amount / baseline.cost[name] for name, amount in use.cost.items()}),
    }


def _option_record(option: Option, baseline: Use) -> dict[str, Any]:
    return {
        **_use_record(option.use, baseline),
        "gain": option.gain,
        "low": to_json(option.low),
        "high": to_json(option.high),
        "beats_baseline": option.beats_baseline,
    }
