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
_OPTION = re.compile(
    r"(?P<shape>.+): NE (?P<ne>[\d.]+), gain (?P<gain>[+-][\d.]+)(?: \((?P<low>\S+) to (?P<high>\S+)\))?; (?P<rest>.+)"
)
_BACKTEST = re.compile(r"Of (\d+) predictions? at \S+ times the data, (\d+) ")
_TILE = re.compile(r"\w+ at .*×")
_EFFECT = re.compile(
    r"(\w+) \(.+?\) at (\S+)× (lowers|raises|changes) NE by ([−+\d.]+).* from ([\d.]+) to ([\d.]+)(.*)"
)


@dataclass(frozen=True)
class Page:
    """The parts of a rendered report, as a reader sees them.

    Attributes:
        tables: Rows by column, of every table.
        tiles: Value and note of each tile, by name.
        findings: The sentences of the summary.
        budgets: Heading, headline and list items of each budget's advice.
        ranking: The text of the section with the ranking.
        held_out: The text of the section on predictions of held-out data sizes.
    """

    tables: dict[str, Rows]
    tiles: dict[str, tuple[str, str]]
    findings: list[str]
    budgets: list[tuple[str, str, list[str]]]
    ranking: str
    held_out: str


def read_page(text: str) -> Page:
    """The parts of a report's HTML."""
    data = json.loads(text.split('id="report">')[1].split("</script>")[0])

    def texts(part: str, tag: str) -> list[str]:
        return [html.unescape(found) for found in re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", part, re.DOTALL)]

    def section(name: str) -> str:
        return text.partition(f'<section id="{name}"')[2].partition("</section>")[0]

    tiles = [texts(tile, "p") for tile in section("summary").split('<div class="tile">')[1:]]
    budgets = section("answer").split('<div class="budget">')[1:]
    return Page(
        tables={name: list(csv.DictReader(io.StringIO(table))) for name, table in data["tables"].items()},
        tiles={name: (value, note) for name, value, note, *_ in tiles},
        findings=texts(section("summary").split("<details>")[0], "li"),
        budgets=[(texts(part, "h3")[0], texts(part, "p")[0], texts(part, "li")) for part in budgets],
        ranking=html.unescape(section("ranking")),
        held_out=html.unescape(section("held-out")),
    )


def contradictions(view: StudyView) -> list[str]:
    """Everything in which the report of a study contradicts itself, a sentence each."""
    page = read_page(render_report(view))
    return [*_effects(page), *_options(page), *_doubling(page), *_laws(page), *_answers(view, page), *_best(page)]


def _four(number: str) -> str:
    """As sentences write it."""
    return f"{float(number):.4f}"


def _same(what: str, *numbers: str) -> Iterator[str]:
    if len({number.replace("−", "-").lstrip("+").lstrip("-") for number in numbers}) > 1:
        yield f"{what}: {', '.join(numbers)}"


def _effect_rows(page: Page) -> dict[tuple[str, str], dict[str, str]]:
    return {(row["scheme"], row["multiplier"]): row for row in page.tables["effects"]}


def _effects(page: Page) -> Iterator[str]:
    """Tiles and findings against the table of effects."""
    rows, found = _effect_rows(page), [match for words in page.findings if (match := _EFFECT.search(words))]
    tiles = [name for name in page.tiles if _TILE.fullmatch(name)]
    if len(found) != len(tiles):
        yield f"{len(found)} findings and {len(tiles)} tiles on effects"
    if backtests := _BACKTEST.findall(page.held_out):
        made, inside = (sum(int(test[at]) for test in backtests) for at in (0, 1))
        tile, _ = page.tiles["Predictions that came true"]
        yield from _same("predictions that came true", tile, f"{inside} of {made}")
    for scheme, multiplier, verb, change, baseline, ne, rest in (match.groups() for match in found):
        row, (value, note) = rows[scheme, multiplier], page.tiles[f"{scheme} at {multiplier}×"]
        name = f"{scheme} {multiplier}×"
        yield from _same(f"change of {name}", change, value, _four(row["change"]))
        yield from _same(f"NE of {name}", ne, _four(row["ne"]))
        yield from _same(f"NE of the baseline of {name}", baseline, _four(row["baseline"]))
        for end in ("change_low", "change_high"):
            shown = _four(row[end]).lstrip("-")
            if shown not in note or shown not in rest:
                yield f"{end} of {name}, {shown}, is not in {note!r} and {rest!r}"
        verdicts = {verb == "changes", "within the noise" in note, row["outcome"] == "≈"}
        if len(verdicts) > 1:
            yield f"{name}: {verb}, {note}, {row['outcome']}"


def _options(page: Page) -> Iterator[str]:
    """Measured options of every budget against the table of effects."""
    rows = _effect_rows(page)
    for title, _, items in page.budgets:
        for found in (match for item in items if (match := _OPTION.fullmatch(item))):
            shape = re.fullmatch(r"(\w) at (\S+)×", found["shape"])
            row = rows.get((shape[1], shape[2])) if shape else None
            if row is None:  # with more data, or not measured
                continue
            name = f"{title}, {found['shape']}"
            yield from _same(f"NE: {name}", found["ne"], _four(row["ne"]))
            yield from _same(f"gain: {name}", found["gain"], _four(row["change"]))
            beats = "not distinguishable" not in found["rest"]
            allowed = ("lower", "lower (alone)") if beats else ("lower (alone)", "≈", "higher (alone)", "higher")
            if row["outcome"] not in allowed:
                yield f"{name}: {found['rest']}, but the effect is {row['outcome']}"


def _doubling(page: Page) -> Iterator[str]:
    """What twice the data bring, in the findings and among the options of every budget that pays for just that."""
    sentence = next((words for words in page.findings if words.startswith("With 2 times the data")), "")
    if not sentence:
        return
    found = re.findall(r"\d\.\d{4}", sentence)
    ne, baseline, gain = found[:3]
    for row in page.tables["effects"]:
        yield from _same("NE of the baseline and of twice its data", baseline, _four(row["baseline"]))
    for title, _, items in page.budgets:
        for option in (match for item in items if (match := _OPTION.fullmatch(item))):
            if option["shape"] == "2× the data":
                yield from _same(f"NE with twice the data, {title}", ne, option["ne"])
                yield from _same(f"gain of twice the data, {title}", gain, option["gain"])


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
    for row in page.tables["limits"]:
        key = row["scheme"], row["against"]
        yield from _same(f"floor of {key}", row["gamma"], fits[key]["gamma"])
        if _four(row["best_ne"]) not in row["words"]:
            yield f"lowest NE of {key}: {row['best_ne']} is not in {row['words']!r}"
    for row in page.tables["paper"]:
        if row["claim"].startswith("saturated") and row["ours"] != "none" and "0.1%" not in row["ours"]:
            yield f"{row['claim']}: {row['ours']} does not say for which threshold"
        if row["claim"].startswith("schemes against") and row["ours"] != "none" and row["ours"] not in page.ranking:
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
                if lost and f"{pair.first} {pair.outcome} {pair.second} against {ranking.x}" not in page.ranking:
                    yield f"{advice.answer}: {ranking.text} against {ranking.x}, without a word on why"
        for zone in view.fits.zones:
            cells = [cell for cell in zone.cells if cell.examples == advice.baseline.examples]
            if use.how != "measured" or use.scheme not in (zone.first, zone.second) or not cells:
                continue
            cell = min(cells, key=lambda cell: abs(cell.parameters / use.cost["params"] - 1))
            near = abs(cell.parameters / use.cost["params"] - 1) < 0.05
            if near and cell.outcome == ("<" if use.scheme == zone.first else ">"):
                yield f"{advice.answer}: {zone.first} {cell.outcome} {zone.second} with {cell.parameters:,.0f}"


def _best(page: Page) -> Iterator[str]:
    """The lowest NE of the tiles against the limits."""
    best = [row["best_ne"] for row in page.tables["limits"] if row["against"] == "training examples"]
    if best and page.tiles:
        yield from _same("lowest NE", page.tiles["Lowest test NE"][0], _four(min(best)))
