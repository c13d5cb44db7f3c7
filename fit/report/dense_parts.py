"""Does an architecture still gain from a larger dense part? Its laws and its sizes, as Markdown."""

from collections.abc import Sequence

from tfrs_scaling.common.words import UNKNOWN
from tfrs_scaling.fit.analyses.architecture_ranking import DENSE
from tfrs_scaling.fit.analyses.effects import Effect
from tfrs_scaling.fit.labels import FRONTIER, multiplier_label
from tfrs_scaling.fit.report.published import Published, change_words, law_words, slope_words, table
from tfrs_scaling.fit.schemes import BASELINE


def growth_section(studies: Sequence[Published]) -> str:
    """What the largest dense part of each architecture changes, study by study."""
    rows = []
    for study in studies:
        for architecture, scheme in _scaled(study).items():
            larger = [each for each in _sizes(study, architecture, scheme) if each.multiplier > 1]
            rows += [(study.entry.title, *_growth(each)) for each in larger]
            if not larger:
                rows.append((study.entry.title, architecture, _lost(study, architecture, scheme), *(UNKNOWN,) * 2))
    verdicts = [verdict for *_, verdict in rows if verdict != UNKNOWN]
    counts = {word: sum(verdict == f"**{word}**" for verdict in verdicts) for word in ("gains", "loses")}
    words = (
        f"Of the {len(verdicts)} that were measured, {counts['gains']} gain and {counts['loses']} lose; of the others "
        "it cannot be told. With two or three sizes each there is no law of parameters.\n"
    )
    columns = ("log", "architecture", "dense part", "change of test NE against 1×", "does it gain?")
    return f"{_QUESTION}{words}\n{table(columns, rows)}"


_QUESTION = """### Does a later architecture still scale in parameters?

The paper finds parameters "out of steam" for its DLRM until a better architecture emerges. DCN-v2 (cross) and Wukong
came after it. Each one's dense part here is scaled by its own rule, and compared with the same architecture at 1×, at
the largest data size. **gains** and **loses** mean that the interval leaves out 0; else it says how much can be hidden.
The rates of the first three studies were found by a search that, for Wukong on the votes, stopped better ones; in the
last all rates were trained with all seeds. On MovieLens and the flights nobody did that: there Wukong's loss may be the
search's.

"""


def _growth(each: Effect) -> tuple[str, ...]:
    if each.low is None:
        verdict = "cannot tell: the noise is unknown"
    elif each.outcome == "≈":
        verdict = f"cannot tell: no gain is seen, and none above {max(-each.low, 0.0):.4f}"
    else:
        verdict = "**gains**" if each.outcome == "lower" else "**loses**"
    return each.architecture, f"{multiplier_label(each.multiplier)}×", change_words(each), verdict


def _lost(study: Published, architecture: str, scheme: str) -> str:
    """Why a larger size has no measurement."""
    lost = {
        f"{multiplier_label(trial.multiplier)}× (a seed ends as a dead network)"
        for trial in study.fits.left_out
        if (trial.architecture, trial.scheme, trial.why) == (architecture, scheme, "unstable") and trial.multiplier > 1
    }
    return ", ".join(sorted(lost)) or "none larger"


def laws_of_architectures(study: Published) -> str:
    """Each scaled architecture's laws: its frontier of all sizes, along each axis, and its sizes one by one.

    Empty where no architecture but the one studied was scaled.
    """
    fits, scaled = study.fits, _scaled(study)
    if len(scaled) < 2:
        return ""
    laws = [
        (line.architecture, f"{line.scheme}, frontier" if line.line == FRONTIER else "1×", line.x, *law_words(line))
        for line in fits.lines
        if (line.line == FRONTIER and scaled.get(line.architecture) == line.scheme)
        or (line.scheme == BASELINE and line.x == "data" and line.line == "1" and line.architecture in scaled)
    ]
    sizes = []
    for architecture, scheme in scaled.items():
        for each in _sizes(study, architecture, scheme):
            size = f"{multiplier_label(each.multiplier)}×"
            sizes.append(
                (architecture, f"{scheme} {size}", f"{each.ne:.4f}", f"{each.baseline:.4f}", slope_words(each))
            )
    return "\n".join(
        (
            f"#### Architectures by their laws on {study.entry.title}\n",
            table(
                ("architecture", "dense part", "against", "alpha at the middle", "beta", "gamma", "R²", "status"), laws
            ),
            table(("architecture", "dense part", "test NE", "at 1×", "change per doubling of its parameters"), sizes),
            "".join(
                f"- {'Frontiers of all sizes' if each.line == FRONTIER else 'At 1×'}: {each.words}\n"
                for each in fits.architectures
                if each.x == "data"
            ),
        )
    )


def _scaled(study: Published) -> dict[str, str]:
    """By architecture, the scheme that scaled its dense part."""
    found: dict[str, str] = {}
    for scheme in reversed(DENSE):
        rows = study.runs[study.runs["scheme"] == scheme]
        found |= dict.fromkeys(sorted(str(name) for name in rows["architecture"].unique()), scheme)
    return found


def _sizes(study: Published, architecture: str, scheme: str) -> list[Effect]:
    own = [each for each in study.fits.effects if (each.architecture, each.scheme) == (architecture, scheme)]
    return [each for each in own if each.multiplier != 1]
