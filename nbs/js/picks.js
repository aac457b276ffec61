// What the slots of a trained memory pick: choose a run, an image, a layer and a slot.
// Plain JavaScript without dependencies. Above the line: counting only, tested from Python. Below it: the figure.
(function () {
'use strict'

// A run has `picks`: for each layer a string of digits, how many heads of (slot, image, patch) picked it, in that order.
const digit = (run, layer, slot, image, patch) => +run.picks[layer][(slot*run.images + image)*run.patches + patch]

// Of each patch of an image: how many heads of the slot picked it; slot −1: of all slots.
function counts(run, layer, slot, image) {
  const slots = slot < 0 ? [...Array(run.slots).keys()] : [slot]
  return [...Array(run.patches).keys()].map(patch => slots.reduce((sum, s) => sum + digit(run, layer, s, image, patch), 0))
}

const maths = {counts}
if (typeof module !== 'undefined' && module.exports) { module.exports = maths; return }

// ----------------------------------------------------------------------------------------------------------------------

const ACCENT = '#e07000', STYLE = `
.picks-figure { color: inherit; font-size: .9rem; line-height: 1.35; max-width: 46rem; margin: .5rem 0 }
.picks-figure .choices { display: flex; flex-wrap: wrap; gap: .4rem 1.2rem; align-items: center; margin: 0 0 .6rem }
.picks-figure .panels { display: flex; flex-wrap: wrap; gap: 1rem 1.5rem }
.picks-figure .panels > div { flex: 1 1 15rem; max-width: 21rem; min-width: 0 }
.picks-figure label { display: inline-flex; gap: .35rem; align-items: center; max-width: 100% }
.picks-figure label.slot { flex: 1 1 16rem }
.picks-figure .slot input { flex: 1; min-width: 6rem; accent-color: ${ACCENT} }
.picks-figure .slot span { min-width: 6.2rem; font-variant-numeric: tabular-nums }
.picks-figure select { font: inherit; color: inherit; background: none; border: 1px solid; border-radius: 4px; max-width: 100%; min-width: 0; padding: .1rem .25rem }
.picks-figure option { color: #111; background: #fff }
.picks-figure .images { gap: .35rem; padding: 3px }
.picks-figure .images button { padding: 2px; width: 2.6rem; height: 2.6rem; border: 1px solid; border-color: color-mix(in srgb, currentColor 35%, transparent); border-radius: 4px; background: none; color: inherit; cursor: pointer; font: inherit }
.picks-figure .images button[aria-pressed=true] { outline: 2px solid ${ACCENT}; outline-offset: 1px }
.picks-figure svg { width: 100%; height: auto; display: block }
.picks-figure .images svg { height: 100% }
.picks-figure p { margin: 0 0 .4rem; min-height: 2.7em }
`
const make = (space, name, attributes = {}, parent = null, text = '') => {
  const node = space ? document.createElementNS('http://www.w3.org/2000/svg', name) : document.createElement(name)
  for (const k in attributes) node.setAttribute(k, attributes[k])
  node.textContent = text
  if (parent) parent.append(node)
  return node
}
const html = (...o) => make(false, ...o), svg = (...o) => make(true, ...o)

// A picture of black and white pixels, kept as a string of hexadecimal digits, as an address that <image> takes.
function picture(bits, size) {
  const canvas = html('canvas', {width: size, height: size}), context = canvas.getContext('2d'), data = context.createImageData(size, size)
  for (let i = 0; i < size*size; i++) {
    const on = parseInt(bits[i >> 2], 16) >> (3 - (i & 3)) & 1
    data.data.set(on ? [255, 255, 255, 255] : [0, 0, 0, 255], 4*i)
  }
  context.putImageData(data, 0, 0)
  return canvas.toDataURL()
}

function mount(root) {
  const runs = JSON.parse(root.querySelector('script[type="application/json"]').textContent)
  root.setAttribute('data-mounted', '')
  // JupyterLab would take the arrow keys for its cells.
  root.addEventListener('keydown', e => { if (e.key.startsWith('Arrow')) e.stopPropagation() })
  root.replaceChildren()
  html('style', {}, root, STYLE)
  const figure = html('div', {class: 'picks-figure'}, root)
  const first = html('div', {class: 'choices'}, figure), images = html('div', {class: 'choices images', role: 'group', 'aria-label': 'image'}, figure), second = html('div', {class: 'choices'}, figure)
  const choice = (parent, text, name) => html('select', {name, 'aria-label': text}, html('label', {}, parent, text + ': '))
  const run = choice(first, 'run', 'run'), layer = choice(first, 'block', 'layer')
  runs.forEach((r, i) => html('option', {value: i}, run, r.name))
  const label = html('label', {class: 'slot'}, second), said = html('span', {}, label)
  const slot = html('input', {type: 'range', name: 'slot', min: -1, step: 1, value: 0, 'aria-label': 'slot of the memory; the first place is all slots'}, label)
  const panels = html('div', {class: 'panels'}, figure)
  const panel = () => { const div = html('div', {}, panels); return {text: html('p', {'aria-live': 'polite'}, div), board: svg('svg', {role: 'img'}, div)} }
  const one = panel(), all = panel()
  let image = 0, pictures = []

  function choose() {
    const r = runs[run.value]
    pictures = (r.pictures || []).map(bits => picture(bits, r.pixels))
    layer.replaceChildren()
    r.picks.forEach((_, i) => html('option', {value: i}, layer, i))
    slot.max = r.slots - 1
    slot.value = Math.min(slot.value, slot.max)
    images.replaceChildren()
    for (let i = 0; i < r.images; i++) {
      const button = html('button', {type: 'button', 'aria-label': `image ${i}`, value: i}, images)
      if (pictures.length) svg('image', {width: 1, height: 1, href: pictures[i]}, svg('svg', {viewBox: '0 0 1 1', 'aria-hidden': 'true'}, button))
      else button.textContent = i
      button.addEventListener('click', () => { image = i; draw() })
    }
    draw()
  }

  // The patches of the image, each as strongly coloured as it was picked.
  function patches(board, r, values, top, outlined, words) {
    const n = Math.sqrt(r.patches), size = 100/n
    board.setAttribute('viewBox', '-1 -1 102 102')
    board.replaceChildren()
    if (pictures.length) svg('image', {width: 100, height: 100, href: pictures[image], style: 'image-rendering: pixelated'}, board)
    values.forEach((v, i) => {
      const x = i % n*size, y = Math.floor(i/n)*size, cell = svg('g', {}, board)
      const dim = pictures.length && !v ? {fill: '#555', 'fill-opacity': .55} : {fill: ACCENT, 'fill-opacity': v ? .15 + (pictures.length ? .45 : .7)*v/top : 0}
      svg('title', {}, cell, `row ${Math.floor(i/n) + 1}, column ${i % n + 1}: ${words(v)}`)
      svg('rect', {x, y, width: size, height: size, ...dim, stroke: pictures.length ? '#888' : 'currentColor', 'stroke-opacity': .35, 'stroke-width': .3}, cell)
      if (v) svg('text', {x: x + size/2, y: y + size/2 + Math.min(size, 16)*.16, 'text-anchor': 'middle', 'font-size': Math.min(size, 16)*.45, fill: 'currentColor',
        ...(pictures.length ? {fill: '#fff', stroke: '#000', 'stroke-width': .8, 'paint-order': 'stroke'} : {})}, cell, v)
    })
    outlined.forEach((v, i) => { if (v) svg('rect', {x: i % n*size + .5, y: Math.floor(i/n)*size + .5, width: size - 1, height: size - 1, fill: 'none', stroke: ACCENT, 'stroke-width': 1, 'pointer-events': 'none'}, board) })
  }

  function draw() {
    const r = runs[run.value], s = +slot.value, l = +layer.value
    const picked = counts(r, l, s, image), total = counts(r, l, -1, image), pairs = r.slots*r.heads
    const places = picked.filter(v => v).length, sum = picked.reduce((a, b) => a + b, 0), whole = total.reduce((a, b) => a + b, 0), none = total.filter(v => !v).length
    ;[...images.children].forEach((b, i) => b.setAttribute('aria-pressed', i === image))
    said.textContent = s < 0 ? 'all slots' : `slot ${s} (0–${r.slots - 1})`
    patches(one.board, r, picked, s < 0 ? Math.max(...total, 1) : Math.max(...picked, 2), picked, v => s < 0 ? `${v} of ${pairs} pairs of slot and head` : `${v} of ${r.heads} heads`)
    patches(all.board, r, total, Math.max(...total, 1), s < 0 ? [] : picked, v => `${v} of ${pairs} pairs of slot and head`)
    one.text.textContent = s < 0 ? `All slots pick ${places} of the ${r.patches} patches of image ${image}.`
      : `Slot ${s} picks ${places} of the ${r.patches} patches of image ${image}; a number says how many of its ${r.heads} heads do. Picks in all: ${sum}.`
    all.text.textContent = `How often each patch is picked by all ${r.slots} slots, of ${pairs} pairs of slot and head: ${whole} picks here; patches that nobody picks: ${none}.`
    one.board.setAttribute('aria-label', one.text.textContent)
    all.board.setAttribute('aria-label', all.text.textContent)
    const set = {run: r.name, image, layer: l, slot: s, picked: places, patches: picked.flatMap((v, i) => v ? [i] : []).join(',')}
    for (const k in set) root.setAttribute(`data-${k}`, set[k])
  }

  run.addEventListener('change', () => { image = 0; choose() })
  layer.addEventListener('change', draw)
  slot.addEventListener('input', draw)
  choose()
}

document.querySelectorAll('.picks:not([data-mounted])').forEach(mount)
})()
