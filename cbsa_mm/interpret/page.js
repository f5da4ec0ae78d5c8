'use strict';
const data = JSON.parse(document.getElementById('data').textContent);
const get = id => document.getElementById(id);
const toBytes = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
const colors = toBytes(data.colors);
const PLACE = 'the position';

// What is shown. A position is given by fractions of height and width; `hover` precedes `place`.
const state = {image: 0, layer: 0, head: 0, place: [0.5, 0.5], hover: null, token: '', chosen: null};

// ---- The numbers of a layer ----

async function inflate(text) {
  const stream = new Blob([toBytes(text)]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Decodes a matrix for each head, (heads * rows, columns), once. */
async function decode(matrix) {
  if (!matrix || matrix.values) return;
  const codes = new Uint16Array((await inflate(matrix.codes)).buffer);
  const top = new Float32Array(toBytes(matrix.top).buffer);
  const columns = codes.length / top.length;
  matrix.columns = columns;
  matrix.values = Float32Array.from(codes, (code, i) =>
    code && top[Math.floor(i / columns)] * 2 ** (matrix.octaves * (code / 65535 - 1)));
}

function slice(matrix, head, row) {
  const start = (head * matrix.rows + row) * matrix.columns;
  return matrix.values.subarray(start, start + matrix.columns);
}

/** The token's coefficients over the representatives, its column of A; null without A. */
function coefficients(layer, head, token) {
  if (!layer.A) return null;
  return Float32Array.from({length: layer.A.rows}, (_, k) => slice(layer.A, head, k)[token]);
}

/** What a token attends to: its row of A^T A, of B A, or of B where there is no A; or null. */
function attention(layer, head, token) {
  if (!layer.A) return layer.B ? slice(layer.B, head, token) : null;
  const weights = layer.B ? slice(layer.B, head, token) : coefficients(layer, head, token);
  const row = new Float32Array(layer.tokens);
  weights.forEach((weight, k) => {
    const region = slice(layer.A, head, k);
    for (let j = 0; j < row.length; j++) row[j] += weight * region[j];
  });
  return row;
}

/** The part of a row on the image. */
function onGrid(layer, row) {
  const [height, width] = layer.grid;
  return row && row.subarray(layer.first, layer.first + height * width);
}

function tokenAt(layer, [y, x]) {
  const [height, width] = layer.grid;
  const index = (part, size) => Math.min(Math.floor(part * size), size - 1);
  return layer.first + index(y, height) * width + index(x, width);
}

const argmax = values => values.reduce((best, value, i) => value > values[best] ? i : best, 0);

/** All that is shown of a model's layer; the maps are what attention_map.py computes. */
async function look(model) {
  const last = Math.max(depth() - 1, 1);
  const layer = model.layers[Math.round(state.layer / last * (model.layers.length - 1))];
  await decode(layer.A);
  await decode(layer.B);
  const head = Math.min(state.head, layer.heads - 1);
  const place = state.hover || state.place;
  const extra = layer.extra.find(([name]) => name === state.token);
  const token = extra ? extra[1] : tokenAt(layer, place);
  const shares = coefficients(layer, head, token);
  const chosen = shares && (state.chosen === null || state.chosen >= shares.length
    ? argmax(shares) : state.chosen);
  const rows = Array.from({length: layer.heads}, (_, k) => onGrid(layer, attention(layer, k, token)));
  return {layer, head, place: extra ? null : place, token, shares, chosen, rows, row: rows[head],
    region: shares && onGrid(layer, slice(layer.A, head, chosen))};
}

// ---- Pictures ----

/** Paints a map (height, width) from 0 or its minimum to its maximum, one pixel a value. */
function paint(values, height, width, fromMinimum = false) {
  const canvas = new OffscreenCanvas(width, height), context = canvas.getContext('2d');
  const pixels = context.createImageData(width, height);
  const low = fromMinimum ? values.reduce((a, b) => Math.min(a, b)) : 0;
  const high = Math.max(values.reduce((a, b) => Math.max(a, b)), low + 1e-12);
  values.forEach((value, i) => {
    const color = 3 * Math.round(255 * Math.max(value - low, 0) / (high - low));
    pixels.data.set([colors[color], colors[color + 1], colors[color + 2], 255], 4 * i);
  });
  context.putImageData(pixels, 0, 0);
  return canvas;
}

function resize(canvas, height, width) {
  canvas.height = height;
  canvas.width = width;
  return canvas.getContext('2d');
}

function drawImage(canvas, picture, alpha = 1) {
  const scale = Math.max(1, Math.round(512 / Math.max(picture.width, picture.height)));
  const context = resize(canvas, picture.height * scale, picture.width * scale);
  context.imageSmoothingEnabled = false;
  context.globalAlpha = alpha;
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  context.globalAlpha = 1;
  return context;
}

function drawOverlay(canvas, picture, values, [height, width]) {
  const context = drawImage(canvas, picture);
  context.globalAlpha = 0.7;
  context.imageSmoothingEnabled = true;
  context.drawImage(paint(values, height, width, true), 0, 0, canvas.width, canvas.height);
}

function drawPlace(canvas, place) {
  if (!place) return;
  const context = canvas.getContext('2d'), radius = canvas.width / 45;
  for (const [color, size] of [['black', radius / 2], ['white', radius / 4]]) {
    context.beginPath();
    context.arc(place[1] * canvas.width, place[0] * canvas.height, radius, 0, 7);
    context.lineWidth = size;
    context.strokeStyle = color;
    context.stroke();
  }
}

/** Tiles the representatives' maps, each scaled to its own maximum. */
function drawRegions(canvas, {layer, head, chosen}) {
  const [height, width] = layer.grid, count = layer.A.rows;
  const side = Math.ceil(Math.sqrt(count));
  const context = resize(canvas, Math.ceil(count / side) * (height + 1), side * (width + 1));
  for (let k = 0; k < count; k++) {
    const place = [(k % side) * (width + 1), Math.floor(k / side) * (height + 1)];
    context.drawImage(paint(onGrid(layer, slice(layer.A, head, k)), height, width), ...place);
    if (k === chosen) {
      context.strokeStyle = '#d55e00';
      context.lineWidth = 2;
      context.strokeRect(...place, width, height);
    }
  }
}

function drawShares(canvas, {shares}) {
  const side = Math.ceil(Math.sqrt(shares.length)), rows = Math.ceil(shares.length / side);
  const values = new Float32Array(rows * side);
  values.set(shares);
  resize(canvas, rows, side).drawImage(paint(values, rows, side), 0, 0);
}

/** Coding rates of a head by layer: before the attention (line) and after it (dashes). */
function drawRates(svg, model, shown) {
  const curves = ['tokens', 'tokens_after'].map(name => model.layers.map(layer => {
    const rates = layer.rates[name];
    return rates && rates[Math.min(shown.head, rates.length - 1)];
  }));
  const known = curves.flat().filter(value => value !== undefined);
  svg.replaceChildren();
  if (!known.length) return;
  const low = Math.min(...known), high = Math.max(...known, low + 1e-6);
  const x = i => 40 + 250 * i / Math.max(model.layers.length - 1, 1);
  const y = rate => 180 - 165 * (rate - low) / (high - low);
  const add = (kind, attributes, text = '') => {
    const part = document.createElementNS('http://www.w3.org/2000/svg', kind);
    Object.entries(attributes).forEach(([key, value]) => part.setAttribute(key, value));
    part.textContent = text;
    svg.append(part);
  };
  const current = model.layers.indexOf(shown.layer);
  add('line', {x1: x(current), x2: x(current), y1: 5, y2: 185, stroke: '#d55e00', 'stroke-width': 2});
  curves.forEach((curve, i) => {
    const points = curve.map((rate, k) => rate === undefined ? '' : `${x(k)},${y(rate)}`).join(' ');
    add('polyline', {points, fill: 'none', stroke: 'currentColor', 'stroke-width': 2,
      ...(i ? {'stroke-dasharray': '5 4'} : {})});
  });
  add('text', {x: 0, y: 15}, high.toFixed(1));
  add('text', {x: 0, y: 184}, low.toFixed(1));
  add('text', {x: 250, y: 198}, 'layer');
}

// ---- The page ----

const models = () => data.images[state.image]?.models || [];
const depth = () => Math.max(...models().map(model => model.layers.length));

function element(kind, attributes = {}, ...children) {
  const made = Object.assign(document.createElement(kind), attributes);
  made.append(...children);
  return made;
}

function figure(name, caption, options = {}) {
  const canvas = element(options.kind || 'canvas', {className: options.className || ''});
  if (options.keys) {
    canvas.tabIndex = 0;
    canvas.setAttribute('role', 'application');
  }
  canvas.setAttribute('aria-label', caption);
  return [canvas, element('figure', {className: name}, element('figcaption', {textContent: caption}), canvas)];
}

const fraction = event => {
  const box = event.currentTarget.getBoundingClientRect();
  const part = (place, start, size) => Math.min(Math.max((place - start) / size, 0), 1);
  return [part(event.clientY, box.top, box.height), part(event.clientX, box.left, box.width)];
};

const STEPS = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]};

function onArrows(canvas, move) {
  canvas.addEventListener('keydown', event => {
    if (!STEPS[event.key]) return;
    event.preventDefault();
    move(...STEPS[event.key]);
    render();
  });
}

/** Makes a model's figures; `model.draw` fills them. */
async function build(model) {
  const image = new Image();
  image.src = model.picture;
  await image.decode();
  const regions = model.regions && new Image();
  if (regions) {
    regions.src = model.regions;
    await regions.decode();
  }
  const [seen, seenFigure] = figure('seen', 'Image: point at a position', {keys: true});
  const [row, rowFigure] = figure('row', 'Attention: the row of AᵀA');
  const [shares, sharesFigure] = figure('coefficients', 'Its coefficients: choose one', {keys: true, className: 'maps'});
  const [tiles, tilesFigure] = figure('regions', 'Representatives: choose one', {keys: true, className: 'maps'});
  const [region, regionFigure] = figure('region', 'The chosen representative');
  const heads = element('div', {className: 'heads'});
  const headsFigure = element('figure', {}, element('figcaption', {textContent: 'In all heads: choose one'}), heads);
  const rates = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  rates.setAttribute('viewBox', '0 0 300 200');
  const ratesFigure = element('figure', {}, element('figcaption', {
    textContent: 'Coding rate, nats: before (line) and after attention (dashes)'}), rates);

  let prediction = element('figure', {}, element('figcaption', {textContent: 'Prediction'}));
  if (regions) {
    const canvas = element('canvas');
    const context = drawImage(canvas, image);
    context.globalAlpha = 0.6;
    context.drawImage(regions, 0, 0, canvas.width, canvas.height);
    prediction.append(canvas, element('div', {className: 'legend'}, ...model.legend.map(([name, color]) => {
      const box = element('i');
      box.style.background = color;
      return element('span', {}, box, name);
    })));
  } else {
    prediction.append(...model.scores.map(([name, score]) => element('div', {},
      element('meter', {value: score}), ` ${(100 * score).toFixed(1)} % ${name}`)));
  }

  seen.addEventListener('click', event => {
    Object.assign(state, {place: fraction(event), hover: null, token: '', chosen: null});
    render();
  });
  seen.addEventListener('pointermove', event => {
    if (event.pointerType !== 'mouse' || state.token) return;
    Object.assign(state, {hover: fraction(event), chosen: null});
    render();
  });
  seen.addEventListener('pointerleave', () => {
    state.hover = null;
    render();
  });
  onArrows(seen, (down, right) => {
    const [height, width] = model.shown.layer.grid;
    const step = (part, move, size) =>
      (Math.min(Math.max(Math.min(Math.floor(part * size), size - 1) + move, 0), size - 1) + 0.5) / size;
    state.place = [step(state.place[0], down, height), step(state.place[1], right, width)];
    Object.assign(state, {hover: null, token: '', chosen: null});
  });
  for (const canvas of [shares, tiles]) {
    const side = () => Math.ceil(Math.sqrt(model.shown.shares.length));
    const choose = index => state.chosen = Math.min(Math.max(index, 0), model.shown.shares.length - 1);
    canvas.addEventListener('click', event => {
      const [y, x] = fraction(event), rows = Math.ceil(model.shown.shares.length / side());
      choose(Math.min(Math.floor(y * rows), rows - 1) * side() + Math.min(Math.floor(x * side()), side() - 1));
      render();
    });
    onArrows(canvas, (down, right) => choose(model.shown.chosen + down * side() + right));
  }

  model.draw = async () => {
    const shown = model.shown = await look(model);
    const {layer, row: values} = shown;
    drawImage(seen, image);
    drawPlace(seen, shown.place);
    rowFigure.hidden = headsFigure.hidden = !values;
    rowFigure.firstChild.textContent = layer.A && !layer.B ? 'Attention: the row of AᵀA' : 'Attention of the token';
    if (values) {
      drawOverlay(row, image, values, layer.grid);
      heads.replaceChildren(...shown.rows.map((map, k) => {
        const canvas = element('canvas', {className: 'maps'});
        resize(canvas, ...layer.grid).drawImage(paint(map, ...layer.grid, true), 0, 0);
        const button = element('button', {type: 'button', title: `head ${k}`, onclick: () => {
          Object.assign(state, {head: k, chosen: null});
          render();
        }}, canvas);
        button.setAttribute('aria-label', `head ${k}`);
        button.setAttribute('aria-pressed', k === shown.head);
        return button;
      }));
    }
    sharesFigure.hidden = tilesFigure.hidden = regionFigure.hidden = !shown.shares;
    if (shown.shares) {
      drawShares(shares, shown);
      drawRegions(tiles, shown);
      drawOverlay(region, image, shown.region, layer.grid);
    }
    drawRates(rates, model, shown);
  };
  const left = model.layers.length < model.num_layers
    ? `: ${model.layers.length} of ${model.num_layers} layers, all would be too large` : '';
  return element('section', {}, element('h2', {textContent: model.name + left}), element('div', {className: 'figures'},
    seenFigure, prediction, rowFigure, headsFigure, sharesFigure, tilesFigure, regionFigure, ratesFigure));
}

function updateControls() {
  const layers = models().map(model => model.shown.layer);
  get('layer').max = depth() - 1;
  get('layer').value = state.layer;
  get('layer-name').textContent = [...new Set(layers.map(layer => layer.name))].join(', ');
  get('head').max = Math.max(...layers.map(layer => layer.heads)) - 1;
  get('head').value = state.head;
  get('head-name').textContent = state.head;
  const names = [...new Set(layers.flatMap(layer => layer.extra.map(([name]) => name)))];
  get('token').replaceChildren(...[PLACE, ...names].map(name =>
    element('option', {textContent: name, value: name === PLACE ? '' : name})));
  get('token').value = names.includes(state.token) ? state.token : '';
}

let drawing = Promise.resolve(), wanted = false;

/** Draws once more, after what is being drawn; resolves when that is done. */
function render() {
  if (!wanted) {
    wanted = true;
    drawing = drawing.then(async () => {
      wanted = false;
      await Promise.all(models().map(model => model.draw()));
      if (models().length) updateControls();
    });
  }
  return drawing;
}

async function show(index) {
  const sections = await Promise.all(data.images[index].models.map(build));
  Object.assign(state, {image: index, chosen: null, hover: null});
  state.layer = Math.min(state.layer, depth() - 1);
  get('models').className = sections.length > 1 ? '' : 'one';
  get('models').replaceChildren(...sections);
  get('images').replaceChildren(...data.images.map((image, i) => {
    const button = element('button', {type: 'button', title: image.name, onclick: () => show(i)},
      element('img', {src: image.models[0].picture, alt: image.name}));
    button.setAttribute('aria-pressed', i === index);
    return button;
  }));
  await render();
}

function play(on) {
  clearInterval(state.timer);
  get('play').setAttribute('aria-pressed', on);
  get('play').textContent = on ? 'stop' : 'play the layers';
  state.timer = on && setInterval(() => {
    state.layer = (state.layer + 1) % depth();
    state.chosen = null;
    render();
  }, 900);
}

async function open(file) {
  get('error').textContent = 'opening …';
  try {
    if (file.size > data.max_upload) throw new Error(`${file.name} has more than ${data.max_upload.toLocaleString('en')} bytes`);
    const reply = await fetch('open', {method: 'POST', body: file, headers: {'X-Name': encodeURIComponent(file.name)}});
    if (!reply.ok) throw new Error(await reply.text());
    data.images.push(await reply.json());
    await show(data.images.length - 1);
    get('error').textContent = '';
  } catch (error) {
    get('error').textContent = error.message;
  }
}

get('layer').addEventListener('input', event => {
  play(false);
  Object.assign(state, {layer: +event.target.value, chosen: null});
  render();
});
get('head').addEventListener('input', event => {
  Object.assign(state, {head: +event.target.value, chosen: null});
  render();
});
get('token').addEventListener('change', event => {
  Object.assign(state, {token: event.target.value, chosen: null});
  render();
});
get('play').addEventListener('click', () => play(get('play').getAttribute('aria-pressed') === 'false'));
document.title = get('title').textContent = data.title;
if (data.max_upload) {
  get('open').hidden = false;
  get('open').querySelector('input').addEventListener('change', event => event.target.files[0] && open(event.target.files[0]));
  document.addEventListener('dragover', event => event.preventDefault());
  document.addEventListener('drop', event => {
    event.preventDefault();
    if (event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
  });
}
if (data.images.length) {
  state.layer = depth() - 1;
  show(0);
}
