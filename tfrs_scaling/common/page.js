"use strict"
const content = JSON.parse(document.getElementById("documents").textContent)
const dark = matchMedia("(prefers-color-scheme: dark)"), paper = matchMedia("print")
const shade = () => dark.matches && !paper.matches ? 2 : 1
const roots = new Map()  // drawn figures by the id of their element
// A model's tags "property|light|dark" carry both colours of what it draws.
const shades = (tags) => (tags ?? []).map((tag) => String(tag).split("|")).filter((parts) => parts.length === 3)
function unpacked(node) {
  if (node === null || typeof node !== "object") return node
  if (Array.isArray(node)) return node.map(unpacked)
  if (node.$texts !== undefined) return content.columns[node.$texts].map((place) => content.texts[place])
  if (node.$numbers !== undefined) return [...content.columns[node.$numbers]]
  const made = {}
  for (const key of Object.keys(node)) made[key] = unpacked(node[key])
  for (const parts of shades(made.attributes?.tags)) made.attributes[parts[0]] = parts[shade()]
  return made
}
function paint() {
  for (const root of roots.values()) for (const model of root.references())
    for (const parts of shades(model.tags)) model[parts[0]] = parts[shade()]
}
const begun = new Map()
function draw(place) {
  if (!begun.has(place.id)) begun.set(place.id, drawNow(place))
  return begun.get(place.id)
}
async function drawNow(place) {
  const {document: figure, root: id} = content.figures[place.id]
  await Bokeh.embed.embed_items({page: unpacked(figure)}, [{docid: "page", roots: {[id]: place.id}, root_ids: [id]}])
  const root = Bokeh.documents.flatMap((each) => each.roots()).find((each) => each.id === id)
  roots.set(place.id, root)
  fitLegend(place, root)
  place.dispatchEvent(new CustomEvent("figure-drawn", {bubbles: true, detail: root}))
}
// A legend has as many columns as there is room for; what a line more or less takes is added to the figure.
const LEGEND_ROW = 26, LEGEND_GLYPH = 46, pen = document.createElement("canvas").getContext("2d")
function fitLegend(place, root) {
  const legend = root.below.find((model) => model.type === "Legend")
  if (!legend) return
  pen.font = `${legend.label_text_font_size} ${legend.label_text_font}`
  const names = legend.items.flatMap((item) => item.get_labels_list_from_label_prop()), number = names.length
  const column = LEGEND_GLYPH + Math.max(...names.map((name) => pen.measureText(name).width))
  const columns = Math.min(number, Math.max(1, Math.floor(place.clientWidth / column)))
  const rows = (count) => Math.ceil(number / count)
  root.height += LEGEND_ROW * (rows(columns) - rows(legend.ncols))
  legend.ncols = columns
  place.style.minHeight = `${root.height}px`
}
// Figures in sight are drawn at once, the others one by one when idle, hidden ones when they are shown.
async function drawAll() {
  delete document.body.dataset.drawn
  const next = () => [...document.querySelectorAll(".plot")].find((p) => !begun.has(p.id) && p.offsetParent)
  for (let place = next(); place; place = next()) {
    await draw(place)
    await new Promise((done) => setTimeout(done, 0))
  }
  await Promise.all(begun.values())
  document.body.dataset.drawn = "true"
}
// The page counts as loaded once its figures are drawn, so that a browser which prints it straight from load finds
// them: a page waits for its frames, and this one is not done until it is closed.
const unloaded = document.createElement("iframe")
unloaded.hidden = true
unloaded.title = "loading"
document.body.append(unloaded)
unloaded.contentDocument.open()
async function load() {
  try {
    await drawAll()
  } finally {
    unloaded.contentDocument.close()
    unloaded.remove()
  }
}
const sight = new IntersectionObserver((seen) => {
  for (const each of seen) if (each.isIntersecting) draw(each.target)
}, {rootMargin: "300px"})
// Print SVG, which scales: a canvas keeps the width it had on the screen. The colours of paper are put into the
// finished drawing, because repainting a figure takes effect only later.
const rgb = (hex) => `rgb(${[1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)).join()})`
function onPaper(drawing, root) {
  const light = new Map()
  for (const model of root.references()) for (const [, day, night] of shades(model.tags))
    light.set(night, day).set(rgb(night), rgb(day))
  return drawing.replace(/#[0-9a-f]{6}\b|rgb\([0-9,]+\)/g, (colour) => light.get(colour) ?? colour)
}
function toPaper() {
  for (const [id, root] of roots) {
    const place = document.getElementById(id), view = Bokeh.index[root.id]
    if (!place.offsetParent) continue
    const picture = place.parentElement.querySelector(`img[data-of="${id}"]`) ?? document.createElement("img")
    const drawn = view.export("svg").ctx.get_serialized_svg(true)
    const drawing = shade() === 2 ? onPaper(drawn, root) : drawn
    picture.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(drawing)
    picture.alt = ""
    picture.className = "on-paper"
    picture.dataset.of = id
    place.after(picture)
  }
}
Bokeh.set_log_level("error")
document.querySelectorAll(".plot").forEach((place) => sight.observe(place))
dark.addEventListener("change", paint)
paper.addEventListener("change", paint)
addEventListener("beforeprint", toPaper)
setTimeout(load, 0)
