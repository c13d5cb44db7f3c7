"""The page on prepared data: its figures, its tables, its words."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tfrs_scaling.common.files import write_text_atomically
from tfrs_scaling.common.page import render_page
from tfrs_scaling.common.words import UNKNOWN, human, number, share
from tfrs_scaling.input.describe.description import BINS, MULTIPLIERS, Description, FeatureSummary, Rate, TimeBin
from tfrs_scaling.input.describe.figures import SPLIT_NAMES, curve_figure, time_figure, time_unit
from tfrs_scaling.input.manifest import SplitName

_NOTABLE = 0.05

_TEMPLATE = Path(__file__).with_name("page.html.j2")


def write_description(description: Description, path: str | os.PathLike[str], *, name: str) -> None:
    """Write the page: one HTML file that opens offline. Same input, same bytes.

    Args:
        description: what the data hold.
        path: the file to write.
        name: name of the data, shown as plain text like every name in them.

    Raises:
        OSError: the file cannot be written.
    """
    write_text_atomically(path, render_description(description, name))


def render_description(description: Description, name: str) -> str:
    """The page as HTML; arguments as for ``write_description``."""
    return render_page(
        _TEMPLATE,
        _figures(description),
        name=name,
        kind="data description",
        source=description.source,
        data_hash=description.data_hash,
        bins=BINS,
        rows_per_bin=human(sum(rate.rows for rate in description.splits.values()) / BINS),
        time_unit=_unit_words(description.time_bins),
        curves=[_curve_item(k, feature) for k, feature in enumerate(description.categorical)],
        findings=findings(description),
        splits=_split_table(description.splits),
        features=_feature_table(description.categorical),
        collisions=_collision_table(description.categorical),
        dense=_dense_table(description),
    )


def findings(description: Description) -> list[str]:
    """What should be known before training: a test split that is not like the training split."""
    train, test = description.splits["train"], description.splits["test"]
    words = [f"Warning: {warning}." for warning in description.warnings]
    if description.repeated > _NOTABLE:
        words.append(
            f"{description.repeated:.1%} of the rows repeat another in every column, and may be in training and test: "
            "part of the log may have been read twice, or the columns are too few to distinguish rows."
        )
    if description.negative_rate < 1:
        words.append(
            f"The training split keeps {description.negative_rate:.3g} of its negatives: its CTR is higher for that."
        )
    elif train.high < test.low or test.high < train.low:
        words.append(f"The CTR of the test split is {test.ctr:.4f}, that of the training split {train.ctr:.4f}.")
    for feature in description.categorical:
        if not feature.unseen_is_bound:
            if feature.unseen > _NOTABLE:
                words.append(f"{feature.name}: {feature.unseen:.1%} of the test rows hold an id unseen in training.")
        elif feature.no_own_id is not None and feature.no_own_id["test"] - feature.no_own_id["train"] > _NOTABLE:
            words.append(
                f"{feature.name}: {feature.no_own_id['test']:.1%} of the test rows are missing, rare or unseen (id 0), "
                f"of the training rows {feature.no_own_id['train']:.1%}."
            )
    return words


def _figures(description: Description) -> dict[str, Any]:
    """The figures by the element they are drawn into."""
    figures = {}
    if description.time_bins is not None:
        figures["figure-time"] = time_figure(description.time_bins, description.splits["train"].ctr)
    for k, feature in enumerate(description.categorical):
        if feature.curve:
            figures[f"figure-curve-{k}"] = curve_figure(feature)
    return figures


def _unit_words(time_bins: dict[SplitName, tuple[TimeBin, ...]] | None) -> str | None:
    if time_bins is None:
        return None
    unit = time_unit(time_bins)
    return f"Times are taken for Unix {unit}, shown in UTC." if unit else "Times are shown as they are in the log."


def _curve_item(k: int, feature: FeatureSummary) -> dict[str, str]:
    ids = f"{feature.distinct:,} id{'s' * (feature.distinct > 1)}"
    if not feature.curve:
        return {"name": feature.name, "element": "", "caption": "No training row has an id."}
    zipf = feature.zipf
    law = f"; Zipf exponent {zipf_text(feature)}, gap {share(zipf.distance)}" if zipf else ""
    return {"name": feature.name, "element": f"figure-curve-{k}", "caption": f"{ids}{law}"}


# -- tables; the terminal shows the same words


def _cell(text: str, small: str = "") -> dict[str, str]:
    return {"text": text, "small": small}


def _table(columns: Iterable[str], rows: Iterable[list[dict[str, str]]]) -> dict[str, Any]:
    return {"columns": list(columns), "rows": list(rows)}


def number_text(value: float) -> str:
    """Four digits of a number; 0 for what is 0 but for the rounding of float32."""
    return f"{round(value, 6) + 0.0:.4g}"


def own_id_text(feature: FeatureSummary) -> str:
    """The share of training rows without an id of their own."""
    return "0%" if feature.no_own_id is None else share(feature.no_own_id["train"])


def unseen_text(feature: FeatureSummary) -> str:
    """The share of test rows with an id unseen in training, or what it is at most."""
    return f"{'≤ ' if feature.unseen_is_bound else ''}{share(feature.unseen)}"


def zipf_text(feature: FeatureSummary) -> str:
    """The Zipf exponent with its standard error."""
    return UNKNOWN if feature.zipf is None else f"{feature.zipf.exponent:.4f} ± {feature.zipf.standard_error:.4f}"


def _split_table(splits: dict[SplitName, Rate]) -> dict[str, Any]:
    weighted = any(rate.weighted_ctr is not None for rate in splits.values())
    rows = []
    for name, rate in splits.items():
        row = [_cell(SPLIT_NAMES[name]), _cell(f"{rate.rows:,}"), _cell(f"{rate.clicks:,}")]
        row.append(_cell(f"{rate.ctr:.4f}", f"{rate.low:.4f} to {rate.high:.4f}"))
        rows.append([*row, _cell(number(rate.weighted_ctr))] if weighted else row)
    return _table(["Split", "Rows", "Clicks", "CTR", *(["Weighted CTR"] if weighted else [])], rows)


def _feature_table(features: tuple[FeatureSummary, ...]) -> dict[str, Any]:
    columns = [
        "Feature", "Encoding", "Table rows", "Ids", "Missing", "No own id", "Unseen in test", "Ids per row",
        "Most frequent id", "Zipf exponent", "Gap",
    ]  # fmt: skip
    return _table(
        columns,
        [
            [
                _cell(feature.name),
                _cell(feature.encoding),
                _cell(f"{feature.cardinality:,}"),
                _cell(f"{feature.distinct:,}"),
                _cell(share(feature.missing)),
                _cell(own_id_text(feature)),
                _cell(unseen_text(feature)),
                _cell(f"{feature.ids_per_row:.2f}" if feature.max_values > 1 else "1"),
                _cell(share(feature.top_share)),
                _cell(zipf_text(feature)),
                _cell(share(feature.zipf.distance) if feature.zipf else UNKNOWN),
            ]
            for feature in features
        ],
    )


def _collision_table(features: tuple[FeatureSummary, ...]) -> dict[str, Any]:
    return _table(
        ["Feature", *(f"V = {multiplier}" for multiplier in MULTIPLIERS)],
        [
            [
                _cell(feature.name),
                *(
                    _cell(
                        share(each.shared),
                        f"{share(each.outnumbered)} · {human(each.rows)} row{'s' * (each.rows > 1)}",
                    )
                    for each in feature.collisions.values()
                ),
            ]
            for feature in features
        ],
    )


def _dense_table(description: Description) -> dict[str, Any] | None:
    if not description.dense:
        return None
    return _table(
        ["Feature", "Transform", "Lowest", "Mean", "Highest", "Exactly 0", "Missing in the log"],
        [
            [
                _cell(feature.name),
                _cell(feature.transform),
                *(_cell(number_text(value)) for value in (feature.low, feature.mean, feature.high)),
                _cell(share(feature.zero)),
                _cell(share(feature.missing)),
            ]
            for feature in description.dense
        ],
    )
