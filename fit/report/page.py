"""The page of the report: Jinja2 templates, rendered with autoescape."""

PAGE = """<body>
<header>
  <p class="kicker">Scaling report</p>
  <h1>{{ name }}</h1>
  {% if description %}<p class="lead">{{ description }}</p>{% endif %}
</header>
<nav aria-label="Contents">
  <a href="#answer">Answer</a><a href="#summary">In short</a>
  {% for section in sections %}<a href="#{{ section.id }}">{{ section.short }}</a>{% endfor %}
  <a href="#lines">Every fit</a><a href="#left-out">Left out</a><a href="#methods">Methods</a>
</nav>
<main>
<section id="answer" class="card">
  <h2>Where the next unit should go</h2>
  {% if advice %}<div class="advice">
    {% for block in advice %}<div class="budget"><h3>{{ block.title }}</h3>
      <p class="headline">{{ block.answer }}</p>
      {% for line in block.reasons %}<p>{{ line }}</p>{% endfor %}
      {% for part in block.folded %}<details><summary>{{ part.summary }}</summary>
        {% if part.code %}<pre>{{ part["items"] | join("\n") }}</pre>{% else %}<ol>
        {% for item in part["items"] %}<li>{{ item }}</li>{% endfor %}</ol>{% endif %}</details>{% endfor %}
    </div>{% endfor %}
  </div>
  <p class="small">Another budget: <code>tfrs-scaling advise WORKDIR --budget "data=3x"</code> (compute, data, params
  or hours).</p>{% else %}<p class="headline">No trial of this study was measured, so there is no answer. The reasons
  are listed below.</p>{% endif %}
  {% if cautions %}<div class="caution" role="note"><h3>Before you rely on this</h3>
    <ul>{% for sentence in cautions %}<li>{{ sentence }}</li>{% endfor %}</ul></div>{% endif %}
</section>
<section id="summary" class="card">
  <h2>In short</h2>
  {% if tiles %}<div class="tiles">
    {% for tile in tiles %}<div class="tile"><p class="tile-name">{{ tile.name }}</p>
      <p class="tile-value">{{ tile.value }}</p><p class="tile-note">{{ tile.note }}</p></div>{% endfor %}
  </div>{% endif %}
  {% if findings %}<ul>{% for sentence in findings %}<li>{{ sentence }}</li>{% endfor %}</ul>{% endif %}
  {% if absent %}<details><summary>Not in this study: {{ absent | length }}</summary>
    <ul>{% for sentence in absent %}<li>{{ sentence }}</li>{% endfor %}</ul></details>{% endif %}
  <p class="small">NE is normalized entropy: the mean log loss on the test split divided by the entropy of its
  background click-through rate. 1 is guessing the average; lower is better. Tap a point, or draw a box with the
  selection tool of a figure, and its trials stand out in every figure. Click a name in a legend to hide its line.
  Figures of the paper are those of Ardalani et al. (2022).</p>
</section>
{% for section in sections %}
<section id="{{ section.id }}">
  <h2>{{ section.title }}</h2>
  {% for sentence in section.words %}<p class="words">{{ sentence }}</p>{% endfor %}
  {% if section.controls %}<div class="card controls">
    <label><span class="name">Threshold ε: worth it while a doubling removes more than</span>
      <output id="epsilon-shown"></output> of NE
      <input type="range" id="epsilon" min="-4" max="-0.7" step="0.02"></label>
    <label><span class="name">Target NE</span> <output id="target-shown"></output>
      <input type="range" id="target"></label>
  </div>{% endif %}
  {% if section.figures %}<div class="figures">
  {% for item in section.figures %}<figure{% if item.wide %} class="wide"{% endif %}>
    <figcaption><strong>{{ item.title }}</strong>
    <span class="paper">{{ "compare the paper: " + item.paper if item.paper else "beyond the paper" }}</span>
    {% if item.views | length > 1 %}<span class="views" role="group" aria-label="Views">{% for view in item.views %}
      <button type="button" data-shows="{{ view.element }}" aria-pressed="{{ "true" if loop.first else "false" }}">
      {{ view.label }}</button>{% endfor %}</span>{% endif %}</figcaption>
    {% for view in item.views %}<div class="view"{% if not loop.first %} hidden{% endif %}>
      <div class="plot" id="{{ view.element }}" style="min-height: {{ view.plot.height }}px"></div></div>{% endfor %}
    <p class="caption">{{ item.caption }}</p>
  </figure>{% endfor %}
  </div>{% endif %}
  {% if section.controls %}<div class="card scroll"><h3>At this threshold and target</h3>
    <table id="levers-now" class="cards"><thead><tr>
    <th>Scheme</th><th>Against</th><th class="n">Measured to</th><th>Fit</th>
    <th class="n">Diminishing return at</th><th class="n">Target NE needs</th></tr></thead><tbody></tbody></table>
  </div>{% endif %}
  {% for item in section.tables %}{{ table(item) }}{% endfor %}
</section>
{% endfor %}
<section id="lines">
  <h2>Every fit</h2>
  {{ table(fits) }}
</section>
<section id="left-out">
  <h2>Left out, and flagged</h2>
  {% for item in left_out %}{{ table(item) }}{% endfor %}
</section>
<section id="methods" class="card">
  <h2>Methods</h2>
  {% for paragraph in methods %}<p>{{ paragraph }}</p>{% endfor %}
  {% for block in settings %}<h3>{{ block.title }}</h3>
  <div class="scroll"><table class="pairs"><tbody>{% for key, value in block.rows %}<tr><th scope="row">{{ key }}</th>
  <td>{{ value }}</td></tr>{% endfor %}</tbody></table></div>{% endfor %}
  <p class="small references">Ardalani et al. (2022), <cite>Understanding Scaling Laws for Recommendation Models</cite>,
  arXiv:2208.08489. Hestness et al. (2017), <cite>Deep Learning Scaling is Predictable, Empirically</cite>,
  arXiv:1712.00409. Hoffmann et al. (2022), <cite>Training Compute-Optimal Large Language Models</cite>,
  arXiv:2203.15556.</p>
</section>
</main>
<div id="chosen" role="status" hidden><span></span> <button type="button">Clear</button></div>
<script type="application/json" id="documents">{{ documents }}</script>
<script type="application/json" id="report">{{ data }}</script>
<script>{{ script }}</script>
</body>
</html>
"""

TABLE = """<div class="card table">
<div class="table-head"><h3>{{ item.title }}</h3>
<button type="button" class="csv" data-table="{{ item.name }}"
aria-label="Download {{ item.name }}.csv">CSV</button></div>
{% if item.records and not item.hidden %}
{% if item.folded %}<details><summary>{{ item.records | length }} row{{ "s" if item.records | length > 1 }}</summary>
{% endif %}
{% if item.note %}<p class="small">{{ item.note }}</p>{% endif %}
<div class="scroll"><table{% if item.wordy %} class="cards"{% endif %}><thead><tr>{% for column in item.shown %}
<th{% if column.kind in numeric %} class="n"{% endif %}>{{ column.heading }}</th>{% endfor %}</tr></thead>
<tbody>{% for row in item.rows %}<tr>{% for cell in row %}{% set kind = item.shown[loop.index0].kind %}
<td class="{{ "n" if kind in numeric else "" if kind == "verdict" else kind }}"
data-label="{{ item.shown[loop.index0].heading }}">{% if kind == "verdict" %}<span class="verdict {{ cell.look }}"
title="{{ cell.title }}">{{ cell.text }}</span>{% else %}{{ cell.text }}{% endif %}{% if cell.small %}
<small>{{ cell.small }}</small>{% endif %}</td>{% endfor %}</tr>{% endfor %}</tbody></table></div>
{% if item.folded %}</details>{% endif %}
{% endif %}
</div>
"""

STYLE = """
.advice { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 340px), 1fr)); gap: 14px 26px; }
.budget { border-top: 3px solid var(--accent); padding-top: 10px; } .budget h3 { margin: 0 0 6px;
  color: var(--muted); }
.headline { font-size: 17px; font-weight: 650; line-height: 1.4; }
.budget p, .budget li, .budget summary { font-size: 14px; } .budget .headline { font-size: 17px; }
.budget details { margin: 0 0 4px; } .budget ol { margin: 4px 0 10px; padding-left: 24px; }
  .budget summary { line-height: 1.4; }
pre { font: 12px/1.5 ui-monospace, Menlo, Consolas, monospace; white-space: pre-wrap; overflow-wrap: anywhere;
  margin: 4px 0 10px;
  padding: 10px 12px; border-radius: 8px; background: var(--page); }
code { font: 13px/1.4 ui-monospace, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.words { font-size: 17px; }
.paper { display: block; } .verdict { white-space: nowrap; }
figure.wide { grid-column: 1 / -1; }
.views { display: flex; flex-wrap: wrap; gap: 6px; margin-top: 6px; }
button { font: inherit; font-size: 13px; padding: 3px 12px; border-radius: 99px; border: 1px solid var(--faint);
  background: var(--page); color: var(--ink); cursor: pointer; }
button:hover { border-color: var(--accent); }
  button:focus-visible, input:focus-visible { outline: 2px solid var(--accent); }
button[aria-pressed=true] { background: var(--accent); border-color: var(--accent); color: var(--card);
  font-weight: 600; }
.controls { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 360px), 1fr)); gap: 14px 36px;
  padding-top: 16px; padding-bottom: 16px; margin-bottom: 18px; }
.controls output { font-weight: 650; font-variant-numeric: tabular-nums; } .controls label { display: block; }
.controls input { display: block; width: 100%; accent-color: var(--accent); margin: 8px 0 0; height: 24px; }
section > .card { margin-top: 14px; } section > .controls { margin-top: 0; }
section > .words + .table, h2 + .table { margin-top: 14px; }
.table { padding: 14px 20px; } .table-head { display: flex; justify-content: space-between; align-items: center;
  gap: 12px; }
.table-head h3 { margin: 0 0 4px; } .table .small { margin: 4px 0 8px; } .table details { margin: 4px 0; }
.table td { white-space: nowrap; } .table td.words, .table td.text { white-space: normal; }
.table td.words { min-width: 24em; font-size: 13px; } .table td.text { overflow-wrap: break-word; }
.verdict { background: none; color: var(--warn); border: 1px solid currentColor; }
.verdict.ok { background: none; color: var(--good); } .verdict.unsure { color: var(--muted); border-style: dashed; }
#chosen { position: fixed; left: 50%; bottom: 14px; transform: translateX(-50%); max-width: calc(100vw - 24px);
  background: var(--ink); color: var(--card); padding: 8px 10px 8px 16px; border-radius: 14px; font-size: 14px;
  display: flex; gap: 12px; align-items: center; z-index: 10; box-shadow: 0 4px 18px rgba(0, 0, 0, .3); }
#chosen[hidden] { display: none; } #chosen span { overflow-wrap: anywhere; }
@media (max-width: 600px) { .table { padding: 12px 14px; } .headline, .words { font-size: 16px; }
  .cards thead { display: none; } .cards, .cards tbody, .cards tr { display: block; } .cards tr { padding: 8px 0;
    border-bottom: 1px solid var(--muted); } .cards td { display: flex; justify-content: space-between; gap: 16px;
    text-align: right; border: 0; padding: 2px 0; white-space: normal; }
  .cards td::before { content: attr(data-label);
    color: var(--muted); text-align: left; flex: 0 0 38%; } .table .cards td.words { min-width: 0; text-align: left; }
  nav { flex-wrap: nowrap; overflow-x: auto; } nav a { white-space: nowrap; } }
@media print { button, #chosen, .controls input { display: none !important; } .card { break-inside: auto; }
  tr { break-inside: avoid; }
  figure.wide { grid-column: auto; } .table td { white-space: normal; } .table td.words { min-width: 15em; }
  .card { padding: 10px 12px; } .table table { font-size: 8pt; } .table td small { font-size: 7pt;
  white-space: nowrap; } th, td { padding: 4px 8px 4px 0; }
  .verdict { font-size: 8pt; white-space: normal; } h2 { break-after: avoid; } }
"""
