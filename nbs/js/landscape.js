// The Hopfield energy over the plane: drag the state or an attractor, move β.
// Plain JavaScript without dependencies. Above the line: mathematics only, tested from Python. Below it: the figure.
(function () {
'use strict'

const dot = (a, b) => a[0]*b[0] + a[1]*b[1]

// softmax(β ξPᵀ)
function weights(xi, P, beta) {
  const scores = P.map(p => beta*dot(p, xi)), top = Math.max(...scores)
  const e = scores.map(s => Math.exp(s - top)), sum = e.reduce((a, b) => a + b)
  return e.map(v => v/sum)
}

// ξ ← softmax(β ξPᵀ)P
function step(xi, P, beta) {
  const w = weights(xi, P, beta)
  let x = 0, y = 0
  P.forEach((p, s) => { x += w[s]*p[0]; y += w[s]*p[1] })
  return [x, y]
}

// E(ξ) = −β⁻¹ log Σ exp(β p·ξ) + ½ ξ·ξ + β⁻¹ log m + ½ max ‖p‖²
function energy(xi, P, beta) {
  const scores = P.map(p => beta*dot(p, xi)), top = Math.max(...scores)
  const lse = top + Math.log(scores.reduce((sum, s) => sum + Math.exp(s - top), 0))
  return -lse/beta + dot(xi, xi)/2 + Math.log(P.length)/beta + Math.max(...P.map(p => dot(p, p)))/2
}

// States from ξ on, until a step is shorter than `tol`.
function descend(xi, P, beta, most = 2000, tol = 1e-9) {
  const path = [xi]
  for (let i = 0; i < most; i++) {
    const here = path[path.length - 1], next = step(here, P, beta)
    path.push(next)
    if (Math.hypot(next[0] - here[0], next[1] - here[1]) < tol) break
  }
  return path
}

// Where a descent ends.
function rest(xi, P, beta, most = 100, tol = 1e-3) {
  for (let i = 0; i < most; i++) {
    const next = step(xi, P, beta), moved = Math.hypot(next[0] - xi[0], next[1] - xi[1])
    xi = next
    if (moved < tol) break
  }
  return xi
}

// How many attractors take part: 1/Σw², from 1 to m.
const participation = w => 1/w.reduce((sum, p) => sum + p*p, 0)

function kind(w) {
  const n = participation(w)
  return n < 1.5 ? 'single' : n > w.length - 0.5 ? 'global average' : 'metastable'
}

const maths = {weights, step, energy, descend, rest, participation, kind}
if (typeof module !== 'undefined' && module.exports) { module.exports = maths; return }

// ----------------------------------------------------------------------------------------------------------------------

const SIDE = 2.2, COLOURS = [[0, 114, 178], [230, 159, 0], [0, 158, 115], [204, 121, 167], [86, 180, 233], [213, 94, 0]]
const VIRIDIS = [[68, 1, 84], [71, 45, 123], [59, 82, 139], [44, 114, 142], [33, 145, 140], [40, 174, 128], [94, 201, 98], [173, 220, 48], [253, 231, 37]]
const at = (degrees, length) => [length*Math.cos(degrees*Math.PI/180), length*Math.sin(degrees*Math.PI/180)]
const SETS = {
  'four, two of them close': [at(20, 1.5), at(115, 1.5), at(160, 1.5), at(265, 1.5)],
  'four of unequal length': [at(20, 1.5), at(115, 0.6), at(160, 1.95), at(265, 1.5)],
  'six on a ring': [0, 60, 120, 180, 240, 300].map(a => at(a + 15, 1.5)),
}
const STYLE = `
.landscape-figure { display: flex; flex-wrap: wrap; gap: 1rem 1.5rem; color: inherit; font-size: .9rem; line-height: 1.35; max-width: 48rem; margin: .5rem 0 }
.landscape-figure > div { flex: 1 1 15rem; min-width: 0 }
.landscape-figure .plot { flex: 1 1 18rem; align-self: flex-start; position: relative; max-width: 27rem; aspect-ratio: 1 }
.landscape-figure canvas, .landscape-figure .plot svg { position: absolute; inset: 0; width: 100%; height: 100%; display: block }
.landscape-figure canvas { border-radius: 4px }
.landscape-figure .plot svg { cursor: crosshair; touch-action: pan-y; user-select: none }
.landscape-figure .handle { cursor: grab; touch-action: none; outline: none }
.landscape-figure .handle:focus-visible .ring { stroke: #fff; stroke-width: .05; stroke-dasharray: .08 .05 }
.landscape-figure label { display: block; margin: 0 0 .5rem }
.landscape-figure input[type=range] { width: 100%; margin: .2rem 0; accent-color: #2a8fd6; box-sizing: border-box }
.landscape-figure select { max-width: 100%; font: inherit; color: inherit; background: none; border: 1px solid; border-radius: 4px; padding: .1rem .25rem }
.landscape-figure option { color: #111; background: #fff }
.landscape-figure .bars { display: grid; grid-template-columns: 1.2rem 1fr 3rem; gap: 2px .4rem; align-items: center; margin: .2rem 0 .6rem; max-width: 24rem; font-variant-numeric: tabular-nums }
.landscape-figure .bar { position: relative; height: 1rem; border-left: 1px solid currentColor }
.landscape-figure .bar i { position: absolute; left: 0; top: .25rem; bottom: .25rem }
.landscape-figure .bar b { position: absolute; left: 0; top: 0; bottom: 0; border: 1px solid currentColor; border-left: 0; box-sizing: border-box; opacity: .75 }
.landscape-figure .steps { width: 100%; max-width: 24rem; height: auto; display: block; overflow: visible }
.landscape-figure .said { margin: .2rem 0 .6rem; min-height: 2.7em }
.landscape-figure p { margin: 0 0 .3rem }
`
const svg = (name, attributes = {}, parent = null) => {
  const node = document.createElementNS('http://www.w3.org/2000/svg', name)
  for (const k in attributes) node.setAttribute(k, attributes[k])
  if (parent) parent.append(node)
  return node
}
const html = (name, attributes = {}, parent = null, text = '') => {
  const node = document.createElement(name)
  for (const k in attributes) node.setAttribute(k, attributes[k])
  node.textContent = text
  if (parent) parent.append(node)
  return node
}
const rgb = c => `rgb(${c.map(Math.round).join(',')})`
const mix = w => [0, 1, 2].map(i => w.reduce((sum, p, s) => sum + p*COLOURS[s][i], 0))
const show = v => (Math.abs(v) < 5e-3 ? 0 : v).toFixed(2).replace('-', '−')

// Fill a canvas of n×n points with a colour for each.
function paint(canvas, n, colour) {
  canvas.width = canvas.height = n
  const context = canvas.getContext('2d'), image = context.createImageData(n, n)
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) {
    const c = colour([(2*(j + .5)/n - 1)*SIDE, (1 - 2*(i + .5)/n)*SIDE])
    image.data.set([...c, 255], 4*(i*n + j))
  }
  context.putImageData(image, 0, 0)
}

function mount(root) {
  root.setAttribute('data-mounted', '')
  // JupyterLab would take the arrow keys for its cells.
  root.addEventListener('keydown', e => { if (e.key.startsWith('Arrow')) e.stopPropagation() })
  root.replaceChildren()
  html('style', {}, root, STYLE)
  const figure = html('div', {class: 'landscape-figure'}, root)
  const plot = html('div', {class: 'plot'}, figure), side = html('div', {}, figure)
  const canvas = html('canvas', {'aria-hidden': 'true'}, plot)
  const board = svg('svg', {viewBox: `${-SIDE} ${-SIDE} ${2*SIDE} ${2*SIDE}`, role: 'group', 'aria-label': 'The plane of states. Drag the state or an attractor, or focus one and use the arrow keys.'}, plot)
  const line = svg('polyline', {class: 'path', fill: 'none', stroke: '#fff', 'stroke-width': .035, 'stroke-linejoin': 'round', 'pointer-events': 'none'}, board)
  const dots = svg('g', {'pointer-events': 'none'}, board), handles = svg('g', {}, board)

  const slider = html('input', {type: 'range', min: -1, max: 1.7, step: .01, value: Math.log10(2.5), 'aria-label': 'inverse temperature β, on a logarithmic scale'})
  const said = html('span'), label = html('label', {}, side)
  label.append(said, slider)
  const choices = html('label', {}, side, 'attractors: '), set = html('select', {'aria-label': 'set of attractors', name: 'set'}, choices)
  for (const name in SETS) html('option', {value: name}, set, name)
  const views = html('label', {}, side, 'colours: '), view = html('select', {'aria-label': 'what the colours show', name: 'view'}, views)
  for (const name of ['energy', 'basins']) html('option', {value: name}, view, {energy: 'energy, dark is low', basins: 'where each start ends'}[name])
  const verdict = html('p', {class: 'said', 'aria-live': 'polite'}, side)
  html('p', {}, side, 'Weights: frame at the state, bar at the end')
  const bars = html('div', {class: 'bars'}, side)
  html('p', {}, side, 'Energy after each step')
  const steps = svg('svg', {class: 'steps', viewBox: '0 0 300 92', role: 'img'}, side)

  let P, xi = [-.35, .2], beta = 2.5, wanted = false

  // A disc that pointer and arrow keys move.
  function handle(place, name, radius, fill, text) {
    const g = svg('g', {class: 'handle', tabindex: 0, role: 'button'}, handles)
    svg('circle', {r: .26, fill: 'transparent'}, g)
    svg('circle', {class: 'ring', r: radius + .05, fill: 'none'}, g)
    svg('circle', {r: radius, fill, stroke: '#fff', 'stroke-width': .035}, g)
    const label = svg('text', {'text-anchor': 'middle', y: .065, 'font-size': .19, 'font-weight': 700, fill: '#fff', 'pointer-events': 'none'}, g)
    label.textContent = text
    const put = (x, y) => { place([Math.max(-SIDE, Math.min(SIDE, x)), Math.max(-SIDE, Math.min(SIDE, y))]); ask() }
    const grab = e => { g.setPointerCapture(e.pointerId); g.focus({preventScroll: true}); e.preventDefault(); e.stopPropagation() }
    g.addEventListener('pointerdown', grab)
    g.addEventListener('pointermove', e => { if (g.hasPointerCapture(e.pointerId)) put(...where(e)) })
    g.addEventListener('click', e => e.stopPropagation())
    g.addEventListener('keydown', e => {
      const move = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1]}[e.key]
      if (!move) return
      e.preventDefault(); e.stopPropagation()
      const here = place(), by = e.shiftKey ? .01 : .05
      put(here[0] + by*move[0], here[1] + by*move[1])
    })
    return {grab, update() { const [x, y] = place(); g.setAttribute('transform', `translate(${x} ${-y})`); g.setAttribute('aria-label', `${name} at ${show(x)}, ${show(y)}; arrow keys move it`) }}
  }
  function where(e) {
    const box = board.getBoundingClientRect()
    return [((e.clientX - box.left)/box.width*2 - 1)*SIDE, (1 - (e.clientY - box.top)/box.height*2)*SIDE]
  }

  let all = []
  function choose() {
    P = SETS[set.value].map(p => [...p])
    handles.replaceChildren()
    bars.replaceChildren()
    all = P.map((_, s) => handle(v => v ? P[s] = v : P[s], `attractor ${s + 1}`, .13, rgb(COLOURS[s]), s + 1))
    all.push(handle(v => v ? xi = v : xi, 'state', .13, '#111', 'ξ'))
    P.forEach((_, s) => {
      html('span', {}, bars, s + 1)
      const bar = html('div', {class: 'bar'}, bars)
      html('i', {style: `background:${rgb(COLOURS[s])}`}, bar)
      html('b', {}, bar)
      html('span', {}, bars)
    })
    ask()
  }

  const ask = () => { if (!wanted) { wanted = true; requestAnimationFrame(draw) } }

  function background() {
    if (view.value === 'basins') return paint(canvas, 66, x => mix(weights(rest(x, P, beta), P, beta)))
    const lowest = Math.min(...P.map(p => energy(rest(p, P, beta), P, beta)))
    paint(canvas, 176, x => VIRIDIS[Math.min(8, Math.floor((energy(x, P, beta) - lowest)/.15))])
  }

  function curve(path, energies) {
    const shown = energies.slice(0, 13), top = Math.max(energies[0], 1e-9), n = Math.max(shown.length - 1, 6)
    const x = i => 30 + 262*i/n, y = e => 70 - 60*e/top
    steps.replaceChildren()
    svg('path', {d: 'M30 4V70H296', fill: 'none', stroke: 'currentColor', opacity: .5}, steps)
    for (const [e, text] of [[top, show(top)], [0, '0']]) svg('text', {x: 26, y: y(e) + 4, 'text-anchor': 'end', 'font-size': 11, fill: 'currentColor'}, steps).textContent = text
    for (let i = 0; i <= n; i += n > 8 ? 2 : 1) svg('text', {x: x(i), y: 84, 'text-anchor': 'middle', 'font-size': 11, fill: 'currentColor'}, steps).textContent = i
    svg('polyline', {points: shown.map((e, i) => `${x(i)},${y(e)}`).join(' '), fill: 'none', stroke: '#2a8fd6', 'stroke-width': 2}, steps)
    shown.forEach((e, i) => svg('circle', {cx: x(i), cy: y(e), r: 3, fill: '#2a8fd6'}, steps))
    steps.setAttribute('aria-label', `The energy falls from ${show(energies[0])} to ${show(energies[energies.length - 1])}.`)
  }

  function draw() {
    wanted = false
    const path = descend(xi, P, beta), end = path[path.length - 1], energies = path.map(x => energy(x, P, beta))
    const first = weights(xi, P, beta), last = weights(end, P, beta), n = participation(last), sort = kind(last)
    background()
    all.forEach(h => h.update())
    line.setAttribute('points', path.map(p => `${p[0]},${-p[1]}`).join(' '))
    dots.replaceChildren()
    path.slice(1, 40).forEach(p => svg('circle', {cx: p[0], cy: -p[1], r: .035, fill: '#fff'}, dots))
    svg('circle', {cx: end[0], cy: -end[1], r: .2, fill: 'none', stroke: '#fff', 'stroke-width': .04}, dots)
    P.forEach((_, s) => {
      const [, bar, text] = [...bars.children].slice(3*s, 3*s + 3)
      bar.children[0].style.width = `${100*last[s]}%`
      bar.children[1].style.width = `${100*first[s]}%`
      text.textContent = show(last[s])
    })
    curve(path, energies)
    said.textContent = `β = ${beta < 1 ? beta.toFixed(2) : beta.toPrecision(3)}`
    const many = path.length > 2000 ? 'more than 2,000 steps' : `${path.length - 1} steps`
    verdict.textContent = `ξ rests at (${show(end[0])}, ${show(end[1])}) after ${many}. ${n.toFixed(1)} of ${P.length} attractors take part: ${{
      single: 'it stands at one of them.', metastable: 'it stands between some of them, a metastable state.', 'global average': 'it stands at the average of all.'}[sort]}`
    const set = {beta, state: xi, end, kind: sort, energies: energies.slice(0, 13)}
    for (const k in set) root.setAttribute(`data-${k}`, Array.isArray(set[k]) ? set[k].map(v => +v.toFixed(6)).join(',') : typeof set[k] === 'number' ? +set[k].toFixed(6) : set[k])
  }

  // A click or tap anywhere puts the state there; a mouse goes on dragging it, a finger may scroll the page instead.
  board.addEventListener('pointerdown', e => { if (e.pointerType === 'mouse') { xi = where(e); ask(); all[all.length - 1].grab(e) } })
  board.addEventListener('click', e => { xi = where(e); ask() })
  slider.addEventListener('input', () => { beta = 10**slider.value; ask() })
  set.addEventListener('change', choose)
  view.addEventListener('change', ask)
  choose()
}

document.querySelectorAll('.landscape:not([data-mounted])').forEach(mount)
})()
