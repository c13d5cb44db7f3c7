"""The page of the report: a Jinja2 template, with its style and its script. Rendered with autoescape."""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{{ name }} · scaling report</title>
<style>{{ style }}</style>
{{ bokeh }}
</head>
<body>
<header>
  <p class="kicker">Scaling report</p>
  <h1>{{ name }}</h1>
  {% if description %}<p class="lead">{{ description }}</p>{% endif %}
</header>
<nav aria-label="Contents">
  {% for section in sections %}<a href="#{{ section.id }}">{{ section.short }}</a>{% endfor %}
  <a href="#lines">Every fit</a><a href="#left-out">Left out</a><a href="#methods">Methods</a>
</nav>
<main>
<section id="summary">
  <h2>In short</h2>
  {% if tiles %}<div class="tiles">
    {% for tile in tiles %}<div class="tile"><p class="tile-name">{{ tile.name }}</p>
      <p class="tile-value">{{ tile.value }}</p><p class="tile-note">{{ tile.note }}</p></div>{% endfor %}
  </div>{% endif %}
  <ul class="findings">{% for sentence in findings %}<li>{{ sentence }}</li>{% endfor %}</ul>
  {% if cautions %}<div class="caution" role="note"><h3>Before you rely on this</h3>
    <ul>{% for sentence in cautions %}<li>{{ sentence }}</li>{% endfor %}</ul></div>{% endif %}
  <p class="small">NE is normalized entropy: the mean log loss on the test split divided by the entropy of its
  background click-through rate. 1 is guessing the average; lower is better.</p>
</section>
<section id="frontiers">
  <h2>The law of each frontier</h2>
  <p>NE ≈ α·x<sup>−β</sup> + γ, fitted to the best points of each scheme. β is how fast more x pays, γ the level that
  no amount of x gets below. In small print: the {{ level }} interval. Only where the verdict is <em>sound</em> should a
  curve be followed beyond its points.</p>
  {{ table(frontier_rows, lines=False) }}
</section>
{% for section in sections %}
<section id="{{ section.id }}">
  <h2>{{ section.title }}</h2>
  <div class="figures">
  {% for item in section.figures %}<figure>
    <figcaption><strong>{{ item.title }}</strong> <span class="paper">compare {{ item.paper }}</span></figcaption>
    <div class="plot" id="{{ item.element }}"></div>
    <p class="caption">{{ item.caption }}</p>
  </figure>{% endfor %}
  </div>
</section>
{% endfor %}
<section id="lines">
  <h2>Every fit</h2>
  <details><summary>{{ line_rows | length }} lines, with intervals and verdicts</summary>
  {{ table(line_rows, lines=True) }}</details>
</section>
<section id="left-out">
  <h2>Left out, and flagged</h2>
  {% for group in left_out %}
    {% if group.rows %}<details {{ "open" if group.open }}>
    <summary>{{ group.title }}: {{ group.rows | length }}</summary>
    <p>{{ group.meaning }}</p>
    <div class="scroll"><table><thead><tr>{% for key in group.columns %}<th>{{ key }}</th>{% endfor %}</tr></thead>
    <tbody>{% for row in group.rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>{% endfor %}</tbody>
    </table></div></details>
    {% else %}<p>{{ group.title }}: none.</p>{% endif %}
  {% endfor %}
</section>
<section id="methods">
  <h2>Methods</h2>
  <p>Each trial is one pass over the training examples; the test split is evaluated at every rung of a ladder of data
  sizes, which are nested prefixes of one shuffle. For every shape the learning rate with the lowest validation NE at
  the largest data size is used; the test split takes no part in that choice. Laws are fitted by least squares: for a
  given β the law is linear in α and γ (both kept at 0 or above), so a search along β finds the global optimum.
  Intervals are profile-likelihood intervals with F limits for n − 3 degrees of freedom; an end the data leave open is
  written 0 or ∞. Points of one trial share a training run, so the intervals are somewhat too narrow where runs
  differ more than points do. Points left of the power-law region (the small-data plateau near NE 1) are drawn hollow
  and not fitted; an F test per curve decides which they are. Frontiers are made of seed averages.</p>
  {% for block in methods %}<h3>{{ block.title }}</h3>
  <div class="scroll"><table class="pairs"><tbody>{% for key, value in block.rows %}<tr><th scope="row">{{ key }}</th>
  <td>{{ value }}</td></tr>{% endfor %}</tbody></table></div>{% endfor %}
  <p class="small references">Ardalani et al. (2022), <cite>Understanding Scaling Laws for Recommendation Models</cite>,
  arXiv:2208.08489. Hestness et al. (2017), <cite>Deep Learning Scaling is Predictable, Empirically</cite>,
  arXiv:1712.00409.</p>
</section>
</main>
<script type="application/json" id="documents">{{ documents }}</script>
<script>{{ script }}</script>
</body>
</html>
"""

TABLE = """<div class="scroll"><table class="fits"><thead><tr><th>Scheme</th><th>Against</th>
{% if lines %}<th>Line</th>{% endif %}<th>Verdict</th><th class="n">Points</th><th class="n">α</th>
<th class="n">β</th><th class="n">γ</th><th class="n">R²</th></tr></thead><tbody>
{% for row in rows %}<tr><th scope="row">{{ row.scheme }}</th><td>{{ row.against }}</td>
{% if lines %}<td class="line">{{ row.line }}</td>{% endif %}
<td><span class="verdict {{ row.status }}" title="{{ row.meaning }}">{{ row.verdict }}</span></td>
<td class="n">{{ row.points }}{% if row.left_out %}<small>+ {{ row.left_out }} on the plateau</small>{% endif %}</td>
{% for value in row.parameters %}<td class="n">{{ value.best }}{% if value.interval %}
<small>{{ value.interval }}</small>{% endif %}</td>{% endfor %}
<td class="n">{{ row.r2 }}</td></tr>{% endfor %}
</tbody></table></div>
"""

STYLE = """
:root { --page: #f5f6f8; --card: #ffffff; --ink: #16181d; --muted: #5b6270; --faint: #e1e4ea; --accent: #0b5cad;
  --good: #0b6b4f; --good-back: #dcf3ea; --warn: #7a4a00; --warn-back: #fdf0d5; }
@media (prefers-color-scheme: dark) { :root { --page: #0f1115; --card: #181b21; --ink: #f2f3f5; --muted: #a4abb8;
  --faint: #2b303a; --accent: #6db3f8; --good: #7fdcb8; --good-back: #12382c; --warn: #f5c878; --warn-back: #3a2c10; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--ink); line-height: 1.55;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
header, main, nav { max-width: 1360px; margin: 0 auto; padding: 0 28px; }
header { padding-top: 40px; }
h1 { font-size: 34px; line-height: 1.15; margin: 0 0 10px; letter-spacing: -0.01em; overflow-wrap: anywhere; }
h2 { font-size: 22px; line-height: 1.25; margin: 0 0 12px; }
h3 { font-size: 16px; margin: 22px 0 6px; }
p { margin: 0 0 12px; max-width: 80ch; }
.kicker { text-transform: uppercase; letter-spacing: 0.09em; font-size: 13px; color: var(--muted); margin-bottom: 4px; }
.lead { font-size: 18px; color: var(--muted); }
p + h3 { margin-top: 26px; } .references { margin: 22px 0 0; }
.small, .caption { font-size: 14px; color: var(--muted); }
nav { display: flex; flex-wrap: wrap; gap: 4px 18px; padding-top: 6px; padding-bottom: 18px; font-size: 15px; }
a { color: var(--accent); text-decoration: none; } a:hover { text-decoration: underline; }
section { margin: 0 0 40px; scroll-margin-top: 12px; }
#summary, #frontiers, #lines, #left-out, #methods { background: var(--card); border: 1px solid var(--faint);
  border-radius: 12px; padding: 24px 26px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: 12px; margin: 0 0 18px; }
.tile { border: 1px solid var(--faint); border-radius: 10px; padding: 12px 14px; background: var(--page); }
.tile p { margin: 0; } .tile-name, .tile-note { font-size: 13px; color: var(--muted); line-height: 1.4; }
.tile-value { font-size: 27px; font-weight: 650; letter-spacing: -0.01em; font-variant-numeric: tabular-nums; }
ul { margin: 0 0 14px; padding-left: 22px; } li { margin: 3px 0; max-width: 90ch; overflow-wrap: anywhere; }
.caution { background: var(--warn-back); color: var(--warn); border-radius: 10px; padding: 12px 16px;
  margin: 0 0 14px; }
.caution h3 { margin: 0 0 4px; } .caution ul { margin: 0; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); gap: 18px; }
figure { margin: 0; background: var(--card); border: 1px solid var(--faint); border-radius: 12px;
  padding: 16px 14px 6px; min-width: 0; break-inside: avoid; }
figcaption { padding: 0 6px 6px; } .paper { font-size: 13px; color: var(--muted); display: inline-block; }
.plot { min-height: 371px; } .caption { padding: 8px 6px 0; max-width: none; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 14px; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 7px 14px 7px 0; border-bottom: 1px solid var(--faint); vertical-align: top; }
thead th { color: var(--muted); font-weight: 600; white-space: nowrap; }
tbody th { font-weight: 600; } .n { text-align: right; white-space: nowrap; } .line { white-space: nowrap; }
td small { display: block; color: var(--muted); font-size: 12px; }
.pairs th { color: var(--muted); font-weight: 400; width: 16em; } .pairs td { overflow-wrap: anywhere; }
.verdict { display: inline-block; padding: 1px 9px; border-radius: 99px; font-size: 13px; white-space: nowrap;
  background: var(--warn-back); color: var(--warn); }
.verdict.ok { background: var(--good-back); color: var(--good); }
details { margin: 0 0 12px; } summary { cursor: pointer; font-weight: 600; padding: 4px 0; }
@media (max-width: 600px) { header, main, nav { padding-left: 14px; padding-right: 14px; } header { padding-top: 24px; }
  h1 { font-size: 27px; } .lead { font-size: 16px; } .tiles { grid-template-columns: 1fr 1fr; }
  .tile-value { font-size: 22px; }
  #summary, #frontiers, #lines, #left-out, #methods { padding: 18px 14px; } figure { padding: 12px 4px 4px; }
  figcaption, .caption { padding-left: 10px; padding-right: 10px; } .pairs th { width: 9em; } }
@media print { :root { --page: #ffffff; --card: #ffffff; --ink: #000000; --muted: #444444; --faint: #cccccc; }
  nav { display: none; } body { font-size: 11pt; } section { margin-bottom: 18px; }
  .figures { grid-template-columns: 1fr 1fr; } .scroll { overflow: visible; } table { font-size: 9pt; } }
"""

SCRIPT = """
"use strict"
const content = JSON.parse(document.getElementById("documents").textContent)
const dark = matchMedia("(prefers-color-scheme: dark)"), paper = matchMedia("print")
// A model's tags "property|light|dark" carry both colours of what it draws.
function paint() {
  const at = dark.matches && !paper.matches ? 2 : 1
  for (const root of Bokeh.documents.flatMap((each) => each.roots()))
    for (const model of root.references())
      for (const parts of model.tags.map((tag) => String(tag).split("|")))
        if (parts.length === 3) model[parts[0]] = parts[at]
}
Bokeh.set_log_level("error")
Bokeh.embed.embed_items(content.documents, content.items).then(() => {
  paint()
  dark.addEventListener("change", paint)
  paper.addEventListener("change", paint)
  document.body.dataset.drawn = "true"
})
"""
