const report = JSON.parse(document.getElementById("report").textContent)

// Linked selection: points that share a trial, in all figures, including those drawn later.
const selection = new Set()
let linking = false, asked = false
const keysOf = (source, at) => source.data.key[at].split("\n")
const pointsIn = (root) => root.renderers.filter((each) => each.data_source?.data?.key)
function show(root) {
  for (const renderer of pointsIn(root)) {
    const source = renderer.data_source, found = []
    for (let at = 0; at < source.data.key.length; at++)
      if (keysOf(source, at).some((key) => selection.has(key))) found.push(at)
    if (found.join() !== source.selected.indices.join()) source.selected.indices = found
    renderer.muted = selection.size > 0 && found.length === 0
  }
}
function showAll() {
  linking = true
  for (const root of roots.values()) show(root)
  linking = false
  const names = [...selection].sort(), few = names.slice(0, 3).join(", ")
  const bar = document.getElementById("chosen")
  bar.hidden = names.length === 0
  bar.firstElementChild.textContent = few + (names.length > 3 ? ` and ${names.length - 3} more` : "")
}
function changed(root) {
  if (linking || asked) return
  asked = true  // a box selects in several sources: wait for all of them
  setTimeout(() => {
    asked = false
    selection.clear()
    for (const {data_source: source} of pointsIn(root))
      for (const at of source.selected.indices) for (const key of keysOf(source, at)) selection.add(key)
    showAll()
  }, 0)
}
document.querySelector("#chosen button").addEventListener("click", () => { selection.clear(); showAll() })

// Sliders: the closed forms of tfrs_scaling.fit.laws.returns.
const epsilon = document.getElementById("epsilon"), target = document.getElementById("target")
const threshold = () => 10 ** Number(epsilon.value), doubled = (law) => -Math.expm1(-law.beta * Math.LN2)
const lossAt = (law, x) => law.top * Math.pow(x / law.x0, -law.beta) + law.gamma
function diminishing(law, least) {
  const left = law.top * (doubled(law) - least)
  if (!(left > 0)) return 0
  return law.gamma > 0 ? law.x0 * Math.pow(left / (least * law.gamma), 1 / law.beta) : Infinity
}
function needed(law, ne) {
  if (ne <= law.gamma) return Infinity
  return law.top > 0 && law.beta > 0 ? law.x0 * Math.pow(law.top / (ne - law.gamma), 1 / law.beta) : 0
}
function human(value, x) {
  for (const [unit, size] of report.units[x])
    if (value >= 0.9995 * size) return Number((value / size).toPrecision(3)) + unit
  return String(Number(value.toPrecision(3)))
}
function put(root, name, x, height, inside = "diamond") {
  const mark = root.select_one(name)
  if (!mark) return
  const {start, end} = root.x_range, [left, right] = [start * report.inside, end / report.inside]
  const at = x < start ? left : x > end ? right : x, angle = x < start ? Math.PI / 2 : x > end ? -Math.PI / 2 : 0
  mark.data_source.data = {x: [at], y: [height(at)], marker: [angle ? "triangle" : inside], angle: [angle]}
}
function move(root, group, which) {
  const least = threshold(), ne = Number(target.value)
  for (const law of group.laws) {
    const falls = diminishing(law, least)
    if (which === "gain") put(root, `gain-${law.scheme}`, falls, () => 100 * least)
    else {
      put(root, `diminishing-${law.scheme}`, falls, (x) => lossAt(law, x))
      put(root, `target-${law.scheme}`, needed(law, ne), () => ne, "circle_x")
    }
  }
  const [rule, at] = which === "gain" ? ["epsilon", 100 * least] : ["target", ne]
  root.select_one(rule).location = at
  if (which === "ne" && ne < root.y_range.start) root.y_range.start = ne - 0.02 * (root.y_range.end - ne)
}
function far(x, law, axis) {
  if (x === Infinity) return "out of reach: floor " + law.gamma.toFixed(4)
  if (x <= law.low) return x > 0 ? "below the measured range" : "everywhere"
  const times = x / law.high
  if (times > 1e6) return "over a million times the largest"
  return human(x, axis) + (times > 1 ? ` (${Number(times.toPrecision(3)).toLocaleString("en")}× the largest)` : "")
}
function showNumbers() {
  document.getElementById("epsilon-shown").textContent = Number((100 * threshold()).toPrecision(2)) + " %"
  document.getElementById("target-shown").textContent = Number(target.value).toFixed(4)
  const body = document.querySelector("#levers-now tbody")
  body.replaceChildren(...report.levers.flatMap((group) => group.laws.map((law) => {
    const row = document.createElement("tr"), never = law.gamma <= 0 ? "nowhere" : ""
    const falls = diminishing(law, threshold())
    const cells = [law.label, group.axis, human(law.high, group.x), law.words,
      falls === Infinity ? never : far(falls, law, group.x), far(needed(law, Number(target.value)), law, group.x)]
    cells.forEach((text, at) => {
      const cell = document.createElement("td")
      if (at === 2 || at > 3) cell.className = "n"
      cell.dataset.label = document.querySelectorAll("#levers-now thead th")[at].textContent
      cell.textContent = text
      row.append(cell)
    })
    return row
  })))
}
const place = (which, group) => `lever-${which}-${group.element}`
function moveAll() {
  showNumbers()
  for (const group of report.levers) for (const which of ["ne", "gain"])
    if (roots.has(place(which, group))) move(roots.get(place(which, group)), group, which)
}
if (epsilon) {
  epsilon.value = Math.log10(report.epsilon)
  Object.assign(target, report.target)
  target.value = report.target.value
  for (const slider of [epsilon, target]) slider.addEventListener("input", moveAll)
  showNumbers()
}

document.addEventListener("figure-drawn", ({target: element, detail: root}) => {
  for (const {data_source: source} of pointsIn(root))
    source.selected.properties.indices.change.connect(() => changed(root))
  if (selection.size) { linking = true; show(root); linking = false }
  const group = report.levers.find((each) => [place("ne", each), place("gain", each)].includes(element.id))
  if (group) move(root, group, element.id.startsWith("lever-ne") ? "ne" : "gain")
})

// Views that share a place, which may hold places of their own. Those of a section marked data-together change together.
const choices = (place) => [...place.querySelectorAll("[data-shows]")]
  .filter((each) => each.closest("[data-views]") === place)
function choose(place, at) {
  place.querySelectorAll(":scope > .view").forEach((view, number) => { view.hidden = number !== at })
  choices(place).forEach((each, number) => each.setAttribute("aria-pressed", number === at))
  for (const plot of place.querySelectorAll(".view:not([hidden]) .plot"))
    if (roots.has(plot.id)) fitLegend(plot, roots.get(plot.id))
}
for (const button of document.querySelectorAll("[data-shows]")) button.addEventListener("click", () => {
  const place = button.closest("[data-views]"), at = choices(place).indexOf(button)
  const together = button.closest("[data-together]")
  for (const each of together ? together.querySelectorAll("[data-views]") : [place]) choose(each, at)
  drawAll()
})

// Sorting: by the number behind a cell where there is one, else by its text; unknown values last.
for (const head of document.querySelectorAll(".sortable th")) head.querySelector("button").addEventListener("click", () => {
  const up = head.getAttribute("aria-sort") !== "ascending", at = [...head.parentElement.children].indexOf(head)
  for (const other of head.parentElement.children) other.removeAttribute("aria-sort")
  head.setAttribute("aria-sort", up ? "ascending" : "descending")
  const body = head.closest("table").tBodies[0], key = (row) => row.cells[at].dataset.order
  const compared = (one, two) => {
    const [a, b] = [key(one), key(two)]
    if (a !== undefined && b !== undefined) return (a - b) * (up ? 1 : -1)
    if ((a === undefined) !== (b === undefined)) return a === undefined ? 1 : -1
    return one.cells[at].textContent.localeCompare(two.cells[at].textContent, "en", {numeric: true}) * (up ? 1 : -1)
  }
  body.append(...[...body.rows].sort(compared))
})

// The index says where the reader is.
const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]))
const inView = new IntersectionObserver((seen) => {
  for (const each of seen) if (each.isIntersecting) {
    for (const link of links.values()) link.removeAttribute("aria-current")
    links.get(each.target.id)?.setAttribute("aria-current", "true")
  }
}, {rootMargin: "-30% 0px -60% 0px"})
document.querySelectorAll("section").forEach((section) => inView.observe(section))

for (const button of document.querySelectorAll("[data-table]")) button.addEventListener("click", () => {
  const link = document.createElement("a"), name = button.dataset.table
  link.href = URL.createObjectURL(new Blob([report.tables[name]], {type: "text/csv"}))
  link.download = `${name}.csv`
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 1000)
})
