"""The page of the report: Jinja2 templates, rendered with autoescape."""

PAGE = """<body>
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
<section id="summary" class="card">
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
<section id="frontiers" class="card">
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
<section id="lines" class="card">
  <h2>Every fit</h2>
  <details><summary>{{ line_rows | length }} lines, with intervals and verdicts</summary>
  {{ table(line_rows, lines=True) }}</details>
</section>
<section id="left-out" class="card">
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
<section id="methods" class="card">
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
