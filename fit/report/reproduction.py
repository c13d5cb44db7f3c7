"""The page of published studies: every claim of the paper on each log, and what each study says by itself, as Markdown.

``make reproduction`` writes REPRODUCTION.md from the run tables in ``tuner_configs/reproduction``, and a test compares.
"""

import argparse
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.files import write_text_atomically
from tfrs_scaling.common.words import UNKNOWN, compact
from tfrs_scaling.fit.advice.advise import advise
from tfrs_scaling.fit.advice.budget import BUDGETS
from tfrs_scaling.fit.advice.settle import Place
from tfrs_scaling.fit.analyses.lines import LineFit
from tfrs_scaling.fit.analyses.paper.claim import Claim
from tfrs_scaling.fit.labels import FRONTIER, multiplier_label
from tfrs_scaling.fit.report.images import write_images
from tfrs_scaling.fit.report.levers import figures_of_levers, levers_section
from tfrs_scaling.fit.report.libraries import Library, libraries_section, read_libraries
from tfrs_scaling.fit.report.published import (
    Published,
    best_on_validation,
    change_words,
    largest_shapes,
    law_words,
    made_by,
    read_entries,
    read_published,
    spread,
    table,
    verdict_words,
)
from tfrs_scaling.fit.report.sentences import sentences_section
from tfrs_scaling.fit.report.time_split import split_section
from tfrs_scaling.fit.schemes import ARCHITECTURE, BASELINE, SIZES

# Figures of the report, by the name that each has here: NAME-FIGURE.svg beside the run table.
FIGURES = {
    "data": ("figure-all-data", "the best of each scheme against data, with laws"),
    "parameters": ("lever-ne-parameters", "the best of V and of H against parameters"),
    "dense-parameters": ("lever-ne-non-embedding", "the best of O and of M against parameters outside the tables"),
    "compute": ("figure-all-compute", "the best of each scheme against training compute"),
    "effects": ("figure-effects", "what each shape changes at the largest data size"),
    "v-h": ("figure-zone-V-H", "V against H, by parameters and data"),
    "o-m": ("figure-zone-O-M", "O against M, by parameters and data"),
    "dimension": ("figure-dimension", "NE against the embedding dimension"),
    "train-test": ("figure-generalisation-0", "training and test NE against data"),
}
_SHOWN = ("data", "effects")  # on the page; it links to the others
_FIGURES_AGAINST = {"data": ("data",), "compute": ("compute",), "parameters": ("parameters", "dense-parameters")}
_FIGURES_OF = {  # by how the source of a claim begins
    "Table 1, data": ("data",), "Table 1, parameters": ("parameters", "dense-parameters"),
    "Table 1, compute": ("compute",),
    "Figure 7": ("v-h",), "Figure 8": ("o-m",), "Figure 9": ("dimension",), "Figure 10": ("train-test",),
}  # fmt: skip


def page(studies: Sequence[Published], libraries: Sequence[Library], folder: str) -> str:
    """The page, in Markdown.

    Args:
        studies: The studies to show side by side.
        libraries: What models of other libraries reach on the same rows.
        folder: Path of the run tables, as links on the page give it.
    """
    about_levers = [study for study in studies if study.entry.levers]
    by_time = [study for study in studies if study.entry.beside]
    studies = [study for study in studies if not study.entry.levers and not study.entry.beside]
    numbers = _numbers(studies)
    largest = compact(max(float(study.runs["examples"].max()) for study in studies))
    parts = [_HEAD.format(largest=largest), _logs(studies), _claims(studies), sentences_section(studies, numbers)]
    parts += [_study(study, folder, numbers) for study in studies]
    if by_time:
        parts.append(split_section(studies, by_time, numbers, folder))
    if libraries:
        parts.append(libraries_section(libraries, studies, folder))
    if about_levers:
        parts.append(levers_section(about_levers, folder))
    parts.append(_ANOTHER_LOG)
    return "\n".join(parts).rstrip() + "\n"


_HEAD = """# Does the law hold?

Ardalani et al. (2022), [Understanding Scaling Laws for Recommendation Models](https://arxiv.org/abs/2208.08489),
studied one private log. Here are their claims beside studies of public logs, which anyone can run again. `make
reproduction` writes this page from the run tables that come with the project, in a minute or two; each study's own
commands make its table.

What a reader may conclude, and what not: none of these logs is a log of advertisements; the paper trains on up to 5,120
million examples (A.4), these studies on {largest} at most; a claim that fails here fails on these logs, at these sizes,
for these models. All frontiers hold the baseline's points; where V was not grown beyond 1, its frontier is the
baseline's alone. **cannot tell** means that the interval holds both answers, or that the study has no such measurement.
Intervals are 95 %, of several seeds each. The paper states neither intervals nor seeds.
"""


def _logs(studies: Sequence[Published]) -> str:
    rows = []
    for study in studies:
        measured = study.runs[study.runs["status"] == "ok"]
        shapes = largest_shapes(study)
        best = best_on_validation(shapes)
        base = next(shape for shape in shapes if (shape.architecture, shape.scheme) == (study.fits.base, BASELINE))
        rows.append(
            (
                f"[{study.entry.title}](#{_anchor(study.entry.title)})",
                f"{study.entry.training_rows:,} for training, {study.entry.split}",
                f"{measured['base_ctr'].iloc[0]:.3f}",
                f"{compact(float(measured['examples'].min()))} to {compact(float(measured['examples'].max()))}",
                str(measured["trial_id"].nunique()),
                str(measured["seed"].nunique()),
                spread(list(shapes[base]["test_ne"])),
                f"{spread(list(shapes[best]['test_ne']))} ({'baseline' if best == base else best.name})",
            )
        )
    columns = "log", "rows, split", "base rate", "examples", "trainings", "seeds", "baseline", "best shape"
    words = (
        "The last two columns are test NE at the largest data size, mean and standard deviation over seeds, at the "
        "learning rate that the validation split selects, as is the best shape.\n"
    )
    return f"## The logs\n\n{table(columns, rows)}\n{words}"


def _claims(studies: Sequence[Published]) -> str:
    """A row per claim, a column per study; what is behind each verdict stands in the study's own section."""
    found = [{(claim.source, claim.claim): claim for claim in study.fits.paper} for study in studies]
    rows = []
    for name, number in _numbers(studies).items():
        paper = next(claims[name].paper for claims in found if name in claims)
        verdicts = [
            f"[{verdict_words(claims[name].verdict)}](#{study.name}-{number})" if name in claims else UNKNOWN
            for study, claims in zip(studies, found, strict=True)
        ]
        rows.append((str(number), name[0], name[1], paper, *verdicts))
    counts = []
    for study in studies:
        count = Counter(claim.verdict for claim in study.fits.paper)
        counts.append(f"{study.entry.title}: {count['agrees']}, {count['differs']}, {count['cannot tell']}")
    heading = (
        "## The claims\n\nThe paper's summary (section 1.1), tables and figures. How many agree, differ, cannot be "
        f"told: {'; '.join(counts)}. Each verdict leads to its numbers, and these to figures, laws and rows. "
        "Table 1 divides NE by the smallest and has alpha at x = 1; the laws are of NE, with alpha at the middle of "
        "their x. In intervals, open is an end without a bound and – one that is not known.\n"
    )
    columns = ("", "where", "claim", "paper", *(study.entry.title for study in studies))
    return f"{heading}\n{table(columns, rows)}"


def _numbers(studies: Sequence[Published]) -> dict[tuple[str, str], int]:
    """The number on the page of each claim, named by its source and its words."""
    names = dict.fromkeys((claim.source, claim.claim) for study in studies for claim in study.fits.paper)
    return {name: number for number, name in enumerate(names, 1)}


def _study(study: Published, folder: str, numbers: Mapping[tuple[str, str], int]) -> str:
    entry = study.entry
    shown = {name: f"{entry.title}: {FIGURES[name][1]}" for name in _SHOWN}
    figures = "\n\n".join(f"![{words}]({folder}/{study.name}-{name}.svg)\n\n{words}" for name, words in shown.items())
    laws, rows = f"[laws](#laws-of-{_anchor(entry.title)})", f"[rows]({folder}/{study.name}.parquet)"
    claims = []
    for claim in study.fits.paper:
        number = numbers[claim.source, claim.claim]
        links = [f"[{name}]({folder}/{study.name}-{name}.svg)" for name in _figures(claim)]
        links += [laws] * claim.source.startswith(("Section 1.1", "Table 1"))
        mark = f'<a id="{study.name}-{number}"></a>{number}'
        found = claim.source, claim.claim, claim.paper, claim.ours, verdict_words(claim.verdict), claim.why
        claims.append((mark, *found, ", ".join([*links, rows])))
    parts = [
        f"## {entry.title}",
        entry.about,
        f"Run table: [{study.name}.parquet]({folder}/{study.name}.parquet); as a page with every figure and fit, "
        f"`tfrs-scaling report --runs {folder}/{study.name}.parquet`. Made by",
        made_by(study),
        figures,
        f"### Laws of {entry.title}",
        _laws(study),
        study.fits.held_out_words,
        f"### What each shape changes on {entry.title}",
        _effects(study),
        f"### What to do next on {entry.title}",
        *(_advice(study, budget) for budget in BUDGETS),
        f"### The paper's claims on {entry.title}",
        table(
            ("", "where", "claim", "paper", "here", "verdict", "why", "see"),
            claims,
        ),
    ]
    return "\n\n".join(part.rstrip() for part in parts if part) + "\n"


def _figures(claim: Claim) -> tuple[str, ...]:
    """The names of the figures that show what a claim is about."""
    if claim.source == "Table 2":
        return ("v-h",) if claim.claim.startswith("V against H") else ("o-m",)
    if claim.source == "Section 1.1":
        return tuple(name for x, names in _FIGURES_AGAINST.items() if x in claim.claim for name in names)
    return next(names for source, names in _FIGURES_OF.items() if claim.source.startswith(source))


def _laws(study: Published) -> str:
    """Of every shape against data, and of the frontiers of V, H, O and M."""
    fits = study.fits
    lines = [
        line
        for line in fits.lines
        if (line.x == "data" and not line.is_frontier and (line.scheme == BASELINE or line.line != "1"))
        or (line.line == FRONTIER and line.scheme in SIZES and line.architecture == fits.base)
    ]
    return table(
        ("model", "against", "points", "alpha at the middle", "beta", "gamma", "R²", "status"),
        [_law(line) for line in lines],
    )


def _law(line: LineFit) -> tuple[str, ...]:
    name = f"{line.scheme} {line.line}×" if line.scheme in SIZES else f"{line.architecture}, baseline"
    places = line.means[0]
    fitted = f"{places.size}, from {compact(float(places[0]))}"
    return f"{line.scheme}, frontier" if line.line == FRONTIER else name, line.x, fitted, *law_words(line)


def _effects(study: Published) -> str:
    rows = [
        (
            each.architecture if each.scheme == ARCHITECTURE else f"{each.scheme} {multiplier_label(each.multiplier)}×",
            compact(float(each.examples)),
            f"{each.ne:.4f}",
            change_words(each),
            each.outcome,
        )
        for each in study.fits.effects
    ]
    return table(("shape", "examples", "test NE", "change against the baseline", "outcome"), rows)


_ANOTHER_LOG = """## Another log

A log of advertisements would be worth most. For that of Criteo's challenge on Kaggle, 45.8 million rows, which nobody
has run, a configuration comes with the project: about 95 trainings, planned at 39 hours one after the other on one core
of a server of 2024. Whoever has the log sees what the study takes on their machine before spending it:

    tfrs-scaling plan criteo --set 'log.files=[/data/train.txt]' --price 2.50
    tfrs-scaling study criteo --set 'log.files=[/data/train.txt]'

`fit.read_runs("runs.csv").to_parquet("NAME.parquet")` in the folder of the run tables, an entry of that name in its
`studies.yaml` and `make reproduction FLAGS=--figures` add a column to this page.
"""


def _advice(study: Published, budget: str) -> str:
    place = Place(training_rows=study.entry.training_rows, own_rows_from=study.entry.own_rows_from)
    advice = advise(study.runs, study.fits, budget=budget, place=place)
    return " ".join((f"- {BUDGETS[budget]}: {advice.answer}", advice.reasons[0], *advice.until_then))


def _anchor(title: str) -> str:
    """The anchor that GitHub gives a heading."""
    return "".join(c for c in title.lower().replace(" ", "-") if c.isalnum() or c in "-_")


def write_figures(study: Published, folder: Path) -> None:
    """Draw the figures that the page shows or links to.

    Raises:
        InputError: as ``images.write_images``, which draws every figure of a report.
    """
    with tempfile.TemporaryDirectory() as scratch:
        write_images(study.runs, study.fits, scratch, suffix="svg")
        for name, (element, _) in (figures_of_levers(study.fits) if study.entry.levers else FIGURES).items():
            shutil.copyfile(Path(scratch, f"{element}.svg"), folder / f"{study.name}-{name}.svg")


def main() -> None:
    """Write REPRODUCTION.md, and its figures where that is asked for."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--figures", action="store_true", help="draw the figures again too, by a headless Chromium")
    parser.add_argument("--commands", metavar="STUDY", help="print what makes the run table of a study, and no more")
    given = parser.parse_args()
    draws = given.figures
    folder = Path("tuner_configs") / "reproduction"
    if given.commands is not None:
        entries = read_entries(folder)
        if given.commands not in entries:
            raise SystemExit(f"{given.commands}: the studies are {', '.join(entries)}")
        print("\n".join(entries[given.commands].commands))  # noqa: T201 -- for make
        return
    studies = read_published(folder)
    write_text_atomically(Path("REPRODUCTION.md"), page(studies, read_libraries(folder), str(folder)))
    try:
        for study in studies if draws else ():
            if not study.entry.beside:  # its section has tables alone
                write_figures(study, folder)
    except InputError as error:  # no browser
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
