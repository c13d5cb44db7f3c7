"""The page that shows what prepared data hold: its figures, its tables, its words."""

import os
from collections.abc import Iterable
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from tfrs_scaling.common.files import write_text_atomically
from tfrs_scaling.common.page import HEAD, SCRIPT, STYLE, bokeh_script, embedded, human
from tfrs_scaling.input.describe.description import BINS, MULTIPLIERS, Description, FeatureSummary, Rate, TimeBin
from tfrs_scaling.input.describe.figures import SPLIT_NAMES, curve_figure, time_figure, time_unit
from tfrs_scaling.input.shards import SplitName

_NOTABLE = 0.05

_PAGE = """<body>
<header>
  <p class="kicker">Data description</p>
  <h1>{{ name }}</h1>
  <p class="lead">{{ source }}</p>
</header>
<nav aria-label="Contents"><a href="#splits">Splits</a><a href="#time">Over time</a>
  <a href="#features">Categorical features</a><a href="#frequencies">Frequencies</a>
  <a href="#collisions">Shared table rows</a>{% if dense %}<a href="#dense">Dense features</a>{% endif %}
  <a href="#methods">Methods</a></nav>
<main>
<section id="splits" class="card">
  <h2>Splits</h2>
  {{ table(splits) }}
  <p class="small">In small print: 95 % Wilson intervals, as if rows were independent.</p>
  {% if findings %}<div class="caution" role="note"><h3>Before you train on this</h3>
    <ul>{% for sentence in findings %}<li>{{ sentence }}</li>{% endfor %}</ul></div>{% endif %}
</section>
<section id="time">
  {% if time_unit %}<div class="figures"><figure>
    <figcaption><strong>Click-through rate over time</strong></figcaption>
    <div class="plot" id="figure-time"></div>
    <p class="caption">Each point is about {{ rows_per_bin }} rows of one split, placed in the middle of the time they
    span; bars are 95 % Wilson intervals. {{ time_unit }} Dotted: the training split as a whole. Where points scatter
    more than their bars are long, clicks come and go with time, and a test split of later days asks another question
    than the training split answered. Click a name to hide a split.</p>
  </figure></div>
  {% else %}<div class="card"><h2>Click-through rate over time</h2><p>Not known: the schema names no time column.</p>
  </div>{% endif %}
</section>
<section id="features" class="card">
  <h2>Categorical features</h2>
  {{ table(features) }}
  <p class="small">Of the training split, where no other is named. <em>Missing</em>: rows of the whole log without a
  value; not known of multi-hot features, nor where negatives were left out. <em>No own id</em>: rows that hold id 0 of
  a vocabulary, which stands for values that are missing, rare (the table is full, or <code>min_count</code>) or unseen
  in training; of a hashed feature, rows whose value is missing. <em>Unseen</em>: test
  rows with an id that no training row holds; ≤ where the training split has rows of id 0, because those of the test
  split cannot be told apart. <em>Gap</em>: how far the Zipf law is from the data, as the largest difference in the
  share of occurrences that the k most frequent ids have; above some 10 % take the exponent as a slope at best.</p>
</section>
<section id="frequencies">
  <h2>How often each id occurs</h2>
  <div class="figures">
  {% for item in curves %}<figure>
    <figcaption><strong>{{ item.name }}</strong></figcaption>
    {% if item.element %}<div class="plot curve" id="{{ item.element }}"></div>{% endif %}
    <p class="caption">{{ item.caption }}</p>
  </figure>{% endfor %}
  </div>
</section>
<section id="collisions" class="card">
  <h2>Ids that share a table row</h2>
  <p>Under V scaling the id i lies in row i % rows. Of all training occurrences, the share whose id shares its row with
  another seen id; in small print, the share whose row belongs to a <em>more frequent</em> id, which is what the model
  learns there.</p>
  {{ table(collisions) }}
</section>
{% if dense %}<section id="dense" class="card">
  <h2>Dense features</h2>
  {{ table(dense) }}
  <p class="small">As stored, after the transform, in the training split; a missing value is stored as 0. Missing in the
  log: of all splits, before the transform; not known where negatives were left out.</p>
</section>{% endif %}
<section id="methods" class="card">
  <h2>Methods</h2>
  <p>A row counts once for each of its different ids. The dashed law gives the id of rank k a share proportional to
  k<sup>−s</sup> among the ids observed; s has the largest likelihood of the counts (Clauset, Shalizi and Newman 2009
  say why not a line through the points), and its standard error takes rows as independent draws and the ranking as
  known. Ranking ids by the very counts that are fitted makes s too large, by about as much as the standard error for
  thousands of ids; ids that never occurred make it too small where most occurred once or twice, by some hundredths.
  Neither matters beside the gap.</p>
  <p>Rates over time are of {{ bins }} bins of about equal rows, dealt out over the splits by their size; a moment is
  never in two bins. Data hash {{ data_hash }}.</p>
  <p class="small references">Clauset, Shalizi and Newman (2009), <cite>Power-law distributions in empirical
  data</cite>,
  arXiv:0706.1062. Wilson (1927), <cite>Probable inference, the law of succession, and statistical inference</cite>,
  JASA 22.</p>
</section>
</main>
<script type="application/json" id="documents">{{ documents }}</script>
<script>{{ script }}</script>
</body>
</html>
"""

_TABLE = """<div class="scroll"><table><thead><tr>
{% for name in table.columns %}<th{% if not loop.first %} class="n"{% endif %}>{{ name }}</th>{% endfor %}
</tr></thead><tbody>
{% for row in table.rows %}<tr>{% for cell in row %}{% if loop.first %}<th scope="row">{{ cell.text }}</th>
{% else %}<td class="n">{{ cell.text }}{% if cell.small %}<small>{{ cell.small }}</small>{% endif %}</td>{% endif %}
{% endfor %}</tr>{% endfor %}
</tbody></table></div>
"""

_STYLE = """
table { border-collapse: separate; border-spacing: 0; }  /* collapsed borders stay behind sticky cells */
.plot.curve { min-height: 300px; } figcaption strong { overflow-wrap: anywhere; }
tbody th { overflow-wrap: anywhere; min-width: 9em; max-width: 22em; position: sticky; left: 0;
  background: var(--card); }
.card > .small, .card > .caution { margin: 14px 0 0; } .card > p { max-width: 90ch; }
@media (max-width: 600px) { th, td { padding-right: 9px; } tbody th { min-width: 8.6em; }
  #splits tbody th { min-width: 0; overflow-wrap: normal; } }
"""


def write_description(description: Description, path: str | os.PathLike[str], *, name: str) -> None:
    """Write the page: one HTML file that opens offline. Same input, same bytes.

    Args:
        description: what the data hold.
        path: the file to write.
        name: of the data, shown as plain text like every name in them.

    Raises:
        OSError: the file cannot be written.
    """
    write_text_atomically(path, render_description(description, name))


def render_description(description: Description, name: str) -> str:
    """The page as HTML; arguments as ``write_description``."""
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    table = environment.from_string(_TABLE)
    figures = _figures(description)
    return environment.from_string(HEAD + _PAGE).render(
        name=name,
        kind="data description",
        source=description.source,
        data_hash=description.data_hash,
        style=Markup(STYLE + _STYLE),  # noqa: S704 -- ours, no part of it comes from the data
        script=Markup(SCRIPT),  # noqa: S704 -- ours
        bokeh=bokeh_script(),
        documents=embedded(figures),
        table=lambda content: Markup(table.render(table=content)),  # noqa: S704 -- autoescaped
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
    words = []
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
    return f"Times are taken for Unix {unit}, shown in UTC." if unit else "Times are shown as they stand in the log."


def _curve_item(k: int, feature: FeatureSummary) -> dict[str, str]:
    ids = f"{feature.distinct:,} id{'s' * (feature.distinct > 1)}"
    if not feature.curve:
        return {"name": feature.name, "element": "", "caption": "No training row has an id."}
    zipf = feature.zipf
    law = f"; Zipf exponent {zipf_text(feature)}, gap {share_text(zipf.distance)}" if zipf else ""
    return {"name": feature.name, "element": f"figure-curve-{k}", "caption": f"{ids}{law}"}


# -- tables; the terminal shows the same words


def _cell(text: str, small: str = "") -> dict[str, str]:
    return {"text": text, "small": small}


def _table(columns: Iterable[str], rows: Iterable[list[dict[str, str]]]) -> dict[str, Any]:
    return {"columns": list(columns), "rows": list(rows)}


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def share_text(share: float | None) -> str:
    """A share as a percentage: 0 if there is none of it, never rounded to 0 % or 100 % if it is not that."""
    if share is None:
        return "–"
    if share in (0, 1):
        return f"{share:.0%}"
    if share < 0.0005:
        return "<0.1%"
    return ">99.9%" if share > 0.9995 else f"{share:.1%}"


def number_text(value: float) -> str:
    """Four digits of a number; 0 for what is 0 but for the rounding of float32."""
    return f"{round(value, 6) + 0.0:.4g}"


def own_id_text(feature: FeatureSummary) -> str:
    """The share of training rows without an id of their own."""
    return "0%" if feature.no_own_id is None else share_text(feature.no_own_id["train"])


def unseen_text(feature: FeatureSummary) -> str:
    """The share of test rows with an id unseen in training, or what it is at most."""
    return f"{'≤ ' if feature.unseen_is_bound else ''}{share_text(feature.unseen)}"


def zipf_text(feature: FeatureSummary) -> str:
    """The Zipf exponent with its standard error."""
    return "–" if feature.zipf is None else f"{feature.zipf.exponent:.4f} ± {feature.zipf.standard_error:.4f}"


def _split_table(splits: dict[SplitName, Rate]) -> dict[str, Any]:
    weighted = any(rate.weighted_ctr is not None for rate in splits.values())
    rows = []
    for name, rate in splits.items():
        row = [_cell(SPLIT_NAMES[name]), _cell(f"{rate.rows:,}"), _cell(f"{rate.clicks:,}")]
        row.append(_cell(f"{rate.ctr:.4f}", f"{rate.low:.4f} to {rate.high:.4f}"))
        rows.append([*row, _cell(_number(rate.weighted_ctr))] if weighted else row)
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
                _cell(share_text(feature.missing)),
                _cell(own_id_text(feature)),
                _cell(unseen_text(feature)),
                _cell(f"{feature.ids_per_row:.2f}" if feature.max_values > 1 else "1"),
                _cell(share_text(feature.top_share)),
                _cell(zipf_text(feature)),
                _cell(share_text(feature.zipf.distance) if feature.zipf else "–"),
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
                        share_text(each.shared),
                        f"{share_text(each.outnumbered)} · {human(each.rows)} row{'s' * (each.rows > 1)}",
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
                _cell(share_text(feature.zero)),
                _cell(share_text(feature.missing)),
            ]
            for feature in description.dense
        ],
    )
