"""What a report says in two places, compared: the numbers and verdicts that a reader would hold against each other."""

import csv
import html
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from tfrs_scaling.fit.report.report import render_report
from tfrs_scaling.fit.report.view import StudyView

Rows = list[dict[str, str]]
_BACKTEST = re.compile(r"Of (\d+) predictions? at \S+ times the data, (\d+) ")
_COUNTED = re.compile(r"(\d+) of (\d+) predictions of this study")


@dataclass(frozen=True)
class Option:
    """A row of the options."""

    name: str
    gain: str
    interval: str
    compute: str
    parameters: str
    verdict: str


@dataclass(frozen=True)
class Answer:
    """The answer to one budget, as a reader sees it.

    Attributes:
        numbers: Value and note by name.
        chosen: Name of the option in bold; empty for none.
    """

    title: str
    headline: str
    numbers: dict[str, tuple[str, str]]
    confidence: str
    options: tuple[Option, ...]
    chosen: str


@dataclass(frozen=True)
class Page:
    """The parts of a rendered report, as a reader sees them.

    Attributes:
        tables: Rows by column, of every table.
        answers: The answer to each budget.
        saved: Value and note by name, of what can be saved; empty where that is not known.
        evidence: The text of the section with the ranking.
        trust: The text of the section on predictions of held-out data sizes.
    """

    tables: dict[str, Rows]
    answers: tuple[Answer, ...]
    saved: dict[str, tuple[str, str]]
    evidence: str
    trust: str


def read_page(text: str) -> Page:
    """The parts of a report's HTML."""
    data = json.loads(text.split('id="report">')[1].split("</script>")[0])

    def section(name: str) -> str:
        return text.partition(f'<section id="{name}"')[2].partition("</section>")[0]

    return Page(
        tables={name: list(csv.DictReader(io.StringIO(table))) for name, table in data["tables"].items()},
        answers=tuple(_answer(part) for part in section("answer").split('<div class="view decision"')[1:]),
        saved=_numbers(section("save")),
        evidence=html.unescape(section("evidence")),
        trust=html.unescape(section("trust")),
    )


def _texts(part: str, tag: str) -> list[str]:
    """What the elements of a tag say, without the tags inside."""
    found = re.findall(rf"<{tag}\b[^>]*>(.*?)</{tag}>", part, re.DOTALL)
    return [" ".join(html.unescape(re.sub(r"<[^>]+>", " ", each)).split()) for each in found]


def _numbers(part: str) -> dict[str, tuple[str, str]]:
    tiles = [_texts(tile, "p") for tile in part.split('<div class="tile">')[1:]]
    return {name: (value, note) for name, value, note, *_ in tiles}


def _answer(part: str) -> Answer:
    rows = re.findall(
        r"<tr( class=\"answer\")?>(.*?)</tr>", part.partition("<tbody>")[2].partition("</tbody>")[0], re.S
    )
    options = []
    for _, row in rows:
        (name,), (gain, *cells) = _texts(row, "th"), _texts(row, "td")
        value, _, ends = gain.partition(" ")
        options.append(Option(name.partition(" ")[2], value, ends, *cells))
    title, headline = _texts(part, "p")[:2]
    chosen = [option.name for (bold, _), option in zip(rows, options, strict=True) if bold]
    confidence = " ".join(text for text in _texts(part, "p") if text.startswith("Confidence"))
    return Answer(title, headline, _numbers(part), confidence, tuple(options), "".join(chosen))


def contradictions(view: StudyView, page: Page | None = None) -> list[str]:
    """Everything in which the report of a study contradicts itself, a sentence each; ``page``: the report, if read."""
    page = page or read_page(render_report(view))
    return [*_options(page), *_headline(page), *_saved(view, page), *_laws(page), *_answers(view, page), *_trust(page)]


def _four(number: str) -> str:
    """As sentences write it."""
    return f"{float(number):.4f}"


def _same(what: str, *numbers: str) -> Iterator[str]:
    if len({number.replace("−", "-").lstrip("+").lstrip("-") for number in numbers}) > 1:
        yield f"{what}: {', '.join(numbers)}"


def _effect_rows(page: Page) -> dict[tuple[str, str], dict[str, str]]:
    return {(row["scheme"], row["multiplier"]): row for row in page.tables["effects"]}


def _options(page: Page) -> Iterator[str]:
    """Measured options of every budget against the table of effects; what several budgets share, in each of them."""
    rows, seen = _effect_rows(page), dict[str, Option]()
    for answer in page.answers:
        for option in answer.options:
            name, other = f"{answer.title}, {option.name}", seen.setdefault(option.name, option)
            for field in ("gain", "compute", "parameters"):
                yield from _same(f"{field}: {name}", getattr(option, field), getattr(other, field))
            shape = re.fullmatch(r"(\w) at (\S+)×", option.name)
            row = rows.get((shape[1], shape[2])) if shape else None
            if row is None:  # with more data, or not measured
                continue
            yield from _same(f"gain: {name}", option.gain, _four(row["change"]))
            verdicts = {"lower": "beats now", "higher": "worse than now", "≈": "within noise"}
            if option.verdict != verdicts.get(row["outcome"], row["outcome"]):
                yield f"{name}: {option.verdict}, but the effect is {row['outcome']}"
            if option.interval:
                for end in ("change_low", "change_high"):
                    if _four(row[end]).lstrip("-") not in option.interval:
                        yield f"{name}: {option.interval}, but {end} of the effect is {row[end]}"


def _headline(page: Page) -> Iterator[str]:
    """The numbers in large print against the option in bold."""
    for answer in page.answers:
        for note in (note for _, note in answer.numbers.values() if "nan" in note):
            yield f"{answer.title}: {note}"
        chosen = next((option for option in answer.options if option.name == answer.chosen), None)
        if chosen is None:
            if answer.headline.startswith("Do this"):
                yield f"{answer.title}: {answer.headline}, and no option in bold"
            continue
        gain, compute, (ne, instead) = (answer.numbers[name] for name in ("NE gained", "Compute", "Test NE"))
        yield from _same(f"{answer.title}: gain", chosen.gain, gain[0])
        yield from _same(f"{answer.title}: compute", chosen.compute, compute[0])
        if chosen.interval and chosen.interval not in gain[1]:
            yield f"{answer.title}: {chosen.interval} is not in {gain[1]}"
        left = float(instead.removeprefix("instead of ")) - float(ne) - float(gain[0].replace("−", "-"))
        if abs(left) > 1.5e-4:
            yield f"{answer.title}: {ne}, {instead}, is no gain of {gain[0]}"
        if chosen.verdict != "beats now":
            yield f"{answer.title}: the answer is {chosen.verdict}"


def _saved(view: StudyView, page: Page) -> Iterator[str]:
    """What can be saved against the effects."""
    saved = view.savings
    if saved is None:
        return
    rows = [row for row in page.tables["effects"] if row["ne"] == repr(saved.use.ne)]
    if bool(page.saved) != (saved.verdict == "save"):
        yield f"{saved.answer} In large print: {page.saved}"
    for row in rows[:1]:
        value, note = page.saved.get("Change of NE", (_four(row["change"]), ""))
        yield from _same(f"change of {saved.use.scheme}", value, _four(row["change"]))
        if note and row["change_low"] and _four(row["change_low"]).lstrip("-") not in note:
            yield f"{row['change_low']} is not in {note}"
        if saved.verdict == "save" and row["outcome"] == "higher" and saved.high > saved.margin:
            yield f"{saved.answer} But the effect is higher"
    if not rows:
        yield f"{saved.answer} It is no effect"


def _trust(page: Page) -> Iterator[str]:
    """How many predictions came true, beside the answer and in the section on it."""
    tests = _BACKTEST.findall(page.trust)
    inside, made = sum(int(test[1]) for test in tests), sum(int(test[0]) for test in tests)
    for answer in page.answers:
        for counted in _COUNTED.findall(answer.confidence):
            yield from _same(f"predictions that came true, {answer.title}", "of".join(counted), f"{inside}of{made}")


def _laws(page: Page) -> Iterator[str]:
    """Table 1 against every fit, the phases, the limits and the comparison with the paper."""
    fits, phases = (
        {(row["scheme"], row["against"]): row for row in page.tables[name] if row["line"] == "frontier"}
        for name in ("fits", "phases")
    )
    for row in page.tables["table1"]:
        key = row["scheme"], row["against"]
        if key not in fits:
            if row["alpha"] or row["saturated"] != "cannot tell":
                yield f"{key} has a law in Table 1 alone"
            continue
        for name in ("alpha", "beta", "gamma", "r2", "status", "beta_low", "beta_high", "gamma_low", "gamma_high"):
            yield from _same(f"{name} of {key}", row[name], fits[key][name])
        for name in ("saturated", "gain_percent"):
            yield from _same(f"{name} of {key}", row[name], phases[key][name])
    for row in page.tables["generalisation"]:
        key = row["scheme"], "training examples"
        if row["line"] == "frontier" and key in fits:
            yield from _same(f"beta of {key} beside training", row["test_beta"], fits[key]["beta"])
    for row in page.tables["limits"]:
        key = row["scheme"], row["against"]
        yield from _same(f"floor of {key}", row["gamma"], fits[key]["gamma"])
        if _four(row["best_ne"]) not in row["words"]:
            yield f"lowest NE of {key}: {row['best_ne']} is not in {row['words']!r}"
    for row in page.tables["paper"]:
        if row["claim"].startswith("saturated") and row["ours"] != "none" and "0.1 %" not in row["ours"]:
            yield f"{row['claim']}: {row['ours']} does not say for which threshold"
        if row["claim"].startswith("schemes against") and row["ours"] != "none" and row["ours"] not in page.evidence:
            yield f"{row['claim']}: {row['ours']} is not the ranking"


def _answers(view: StudyView, page: Page) -> Iterator[str]:
    """Answers against effects, ranking and zones."""
    rows = _effect_rows(page)
    for advice in view.advice.values():
        if advice.do is None or advice.baseline is None:
            continue
        use = advice.do.use
        label = next((m for s, m in rows if s == use.scheme and rows[s, m]["ne"] == repr(use.ne)), None)
        if use.how == "measured" and (label is None or not rows[use.scheme, label]["outcome"].startswith("lower")):
            yield f"{advice.answer}: its effect is {None if label is None else rows[use.scheme, label]['outcome']}"
        for ranking in view.fits.ranking:
            for pair in ranking.pairs:
                behind = (pair.second, "<") if pair.first == use.scheme else (pair.first, ">")
                lost = use.scheme in (pair.first, pair.second) and pair.outcome == behind[1]
                if lost and f"{pair.first} {pair.outcome} {pair.second} against {ranking.x}" not in page.evidence:
                    yield f"{advice.answer}: {ranking.text} against {ranking.x}, without a word on why"
        for zone in view.fits.zones:
            cells = [cell for cell in zone.cells if cell.examples == advice.baseline.examples]
            if use.how != "measured" or use.scheme not in (zone.first, zone.second) or not cells:
                continue
            cell = min(cells, key=lambda cell: abs(cell.parameters / use.cost["params"] - 1))
            near = abs(cell.parameters / use.cost["params"] - 1) < 0.05
            if near and cell.outcome == ("<" if use.scheme == zone.first else ">"):
                yield f"{advice.answer}: {zone.first} {cell.outcome} {zone.second} with {cell.parameters:,.0f}"
