// The map of a vector field: a sample of its rows on a canvas, and the neighbours of the one that is chosen.
import { getJson } from "./http.js";

const SIDE = 65535;
const OTHER = 254;
const NONE = 255;
const SCALE_MAX = 253;
const REACH_PX = 12; // so near a point counts as pointed at
const CELLS = 64; // of the index of points, either way
const ZOOM_MAX = 200;

const root = document.getElementById("map");
const form = document.getElementById("map-form");
const canvas = document.getElementById("map-canvas");
const tip = document.getElementById("map-tip");
const text = (name, values = {}) =>
  root.dataset[`text${name}`].replace(/\{(\w+)\}/g, (whole, key) => (key in values ? String(values[key]) : whole));
const made = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};
// A key as people read it; the token itself where JavaScript's numbers would not do.
const label = (token) => {
  const parts = JSON.parse(token);
  if (parts.some((part) => typeof part === "number" && !Number.isSafeInteger(part))) return token.slice(1, -1);
  return parts.map((part) => (typeof part === "object" ? part.base64 : part)).join(", ");
};
const rowUrl = (token) => {
  const parameters = new URLSearchParams({ key: token });
  const index = new FormData(form).get("index");
  if (index) parameters.set("index", index);
  return `${root.dataset.row}?${parameters}`;
};

const map = {
  told: null, points: new Uint16Array(0), colours: new Uint8Array(0), grid: [],
  zoom: 1, x: SIDE / 2, y: SIDE / 2, // what of the map is in the middle of the canvas
  pointed: -1, selected: null, neighbours: [], only: null, palette: null,
};

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

function wordsOf(bytes) {
  const view = new DataView(bytes.buffer);
  return Uint16Array.from({ length: bytes.length / 2 }, (_, at) => view.getUint16(2 * at, true));
}

// --- drawing ------------------------------------------------------------------------------------------------------

function palette() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const ends = ["--map-low", "--map-middle", "--map-high"].map((name) => rgbOf(colour(name)));
  return {
    categories: Array.from({ length: 10 }, (_, at) => colour(`--map-${at + 1}`)),
    other: colour("--map-other"), none: colour("--map-none"), ink: colour("--ink"), paper: colour("--paper"),
    accent: colour("--focus"),
    scale: Array.from({ length: SCALE_MAX + 1 }, (_, at) => between(ends, at / SCALE_MAX)),
  };
}

function rgbOf(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

function between(ends, share) {
  const at = Math.min(1, Math.floor(share * 2));
  const part = share * 2 - at;
  return `rgb(${ends[at].map((low, channel) => Math.round(low + part * (ends[at + 1][channel] - low))).join(" ")})`;
}

function colourOf(number) {
  if (number === NONE && map.told.colour) return map.palette.none;
  if (number === OTHER) return map.palette.other;
  return map.told.colour?.kind === "scale" ? map.palette.scale[number] : map.palette.categories[number];
}

const pixelsAUnit = () => (map.zoom * Math.min(canvas.clientWidth, canvas.clientHeight)) / SIDE;
const toScreen = (x, y) => {
  const unit = pixelsAUnit();
  return [canvas.clientWidth / 2 + (x - map.x) * unit, canvas.clientHeight / 2 - (y - map.y) * unit];
};
const toMap = (x, y) => {
  const unit = pixelsAUnit();
  return [map.x + (x - canvas.clientWidth / 2) / unit, map.y - (y - canvas.clientHeight / 2) / unit];
};

let frame = 0;
function redraw() {
  if (!frame) frame = requestAnimationFrame(() => { frame = 0; draw(); });
}

function draw() {
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  if (!map.told) return;
  const radius = Math.min(5, (map.colours.length > 3000 ? 1.7 : 2.4) * Math.sqrt(map.zoom));
  const isDimmed = map.only !== null || map.selected !== null;
  for (let at = 0; at < map.colours.length; at++) {
    const [x, y] = toScreen(map.points[2 * at], map.points[2 * at + 1]);
    if (x < -radius || y < -radius || x > width + radius || y > height + radius) continue;
    const isFaint = map.only !== null ? map.colours[at] !== map.only : isDimmed;
    pen.globalAlpha = isFaint ? 0.25 : 0.8;
    pen.fillStyle = colourOf(map.colours[at]);
    pen.beginPath();
    pen.arc(x, y, radius, 0, 2 * Math.PI);
    pen.fill();
  }
  pen.globalAlpha = 1;
  drawNeighbours(pen, radius);
  if (map.pointed >= 0) ring(pen, ...pointAt(map.pointed), radius + 4, map.palette.ink, 2);
}

const pointAt = (at) => [map.points[2 * at], map.points[2 * at + 1]];

function drawNeighbours(pen, radius) {
  if (!map.selected) return;
  const [x, y] = toScreen(...map.selected.place);
  for (const one of map.neighbours) {
    const [toX, toY] = toScreen(...one.place);
    pen.strokeStyle = map.palette.ink;
    pen.globalAlpha = 0.45;
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(x, y);
    pen.lineTo(toX, toY);
    pen.stroke();
    pen.globalAlpha = 1;
    disc(pen, ...one.place, radius + 2, map.palette.ink);
  }
  disc(pen, ...map.selected.place, radius + 3, map.palette.accent);
  ring(pen, ...map.selected.place, radius + 6, map.palette.accent, 2.5);
}

function disc(pen, mapX, mapY, radius, colour) {
  const [x, y] = toScreen(mapX, mapY);
  pen.fillStyle = colour;
  pen.strokeStyle = map.palette.paper;
  pen.lineWidth = 1;
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  pen.fill();
  pen.stroke();
}

function ring(pen, mapX, mapY, radius, colour, width) {
  const [x, y] = toScreen(mapX, mapY);
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  pen.stroke();
}

// --- finding points -----------------------------------------------------------------------------------------------

function index() {
  map.grid = Array.from({ length: CELLS * CELLS }, () => []);
  for (let at = 0; at < map.colours.length; at++) map.grid[cellOf(...pointAt(at))].push(at);
}

const cellOf = (x, y) => {
  const cell = (value) => Math.min(CELLS - 1, Math.max(0, Math.floor((value / (SIDE + 1)) * CELLS)));
  return cell(y) * CELLS + cell(x);
};

function nearestTo(x, y, reach) {
  let [best, least] = [-1, reach * reach];
  const cell = (SIDE + 1) / CELLS;
  for (let row = Math.floor((y - reach) / cell); row <= Math.floor((y + reach) / cell); row++) {
    for (let column = Math.floor((x - reach) / cell); column <= Math.floor((x + reach) / cell); column++) {
      if (row < 0 || column < 0 || row >= CELLS || column >= CELLS) continue;
      for (const at of map.grid[row * CELLS + column]) {
        const [toX, toY] = pointAt(at);
        const squared = (toX - x) ** 2 + (toY - y) ** 2;
        if (squared <= least) [best, least] = [at, squared];
      }
    }
  }
  return best;
}

// The nearest point in a direction: within 45 degrees of it, or none.
function nearestThatWay(from, stepX, stepY) {
  const [x, y] = pointAt(from);
  let [best, least] = [-1, Infinity];
  for (let at = 0; at < map.colours.length; at++) {
    const [dX, dY] = [map.points[2 * at] - x, map.points[2 * at + 1] - y];
    const along = dX * stepX + dY * stepY;
    const across = Math.abs(dX * stepY) + Math.abs(dY * stepX);
    if (at === from || along <= 0 || across > along) continue;
    const squared = dX * dX + dY * dY;
    if (squared < least) [best, least] = [at, squared];
  }
  return best;
}

// --- choosing -----------------------------------------------------------------------------------------------------

let asked = 0;
async function select(token) {
  const mine = ++asked;
  const parameters = new URLSearchParams(new FormData(form));
  parameters.set("key", token);
  parameters.set("frame", map.told.frame);
  try {
    const told = await getJson(`${root.dataset.neighbours}?${parameters}`);
    if (mine !== asked) return;
    [map.selected, map.neighbours] = [told.row, told.neighbours];
    showRow();
    say();
    redraw();
  } catch (error) {
    if (mine === asked) problem(error);
  }
}

// Said by screen readers: all of the list would be too much at every step.
function say() {
  const said = map.selected && text("Said", { key: map.selected.label, keys: map.neighbours.slice(0, 3).map((one) => one.label).join("; ") });
  document.getElementById("map-said").textContent = said || "";
}

function letGo() {
  asked++;
  [map.selected, map.neighbours, map.pointed] = [null, [], -1];
  document.getElementById("map-row").replaceChildren();
  say();
  tip.hidden = true;
  redraw();
}

function showRow() {
  const shown = (one) => [
    made("a", { href: rowUrl(one.key), textContent: one.label }),
    ...(one.score === null ? [] : [" ", made("span", { className: "tag", textContent: text("Score", { score: one.score.toPrecision(4) }) })]),
    made("span", { className: "map-columns", textContent: one.columns.map(([name, value]) => `${name}: ${value}`).join(" · ") }),
  ];
  const list = made("ol", { className: "map-neighbours" }, ...map.neighbours.map((one) => made("li", {}, ...shown(one))));
  document.getElementById("map-row").replaceChildren(
    made("p", {}, made("strong", { textContent: text("Selected", { key: "" }) }), ...shown({ ...map.selected, score: null })),
    made("p", { textContent: text("Neighbours", { count: map.neighbours.length }) }),
    list,
  );
}

function point(at) {
  map.pointed = at;
  tip.hidden = at < 0;
  if (at >= 0) {
    const [x, y] = toScreen(...pointAt(at));
    const value = map.told.values[at];
    tip.textContent = value ? `${label(map.told.keys[at])} · ${valueText(value)}` : label(map.told.keys[at]);
    tip.style.left = `${Math.min(Math.max(4, x + 12), Math.max(4, canvas.clientWidth - tip.offsetWidth - 4))}px`;
    tip.style.top = `${Math.min(y + 12, canvas.clientHeight - tip.offsetHeight - 4)}px`;
  }
  redraw();
}

function valueText(value) {
  return map.told.colour?.is_date ? new Date(Number(value) / 1000).toISOString().slice(0, 19).replace("T", " ") : value;
}

// --- moving -------------------------------------------------------------------------------------------------------

function zoomBy(factor, screenX = canvas.clientWidth / 2, screenY = canvas.clientHeight / 2) {
  const [x, y] = toMap(screenX, screenY);
  map.zoom = Math.min(ZOOM_MAX, Math.max(0.5, map.zoom * factor));
  const [nowX, nowY] = toMap(screenX, screenY);
  map.x += x - nowX;
  map.y += y - nowY;
  tip.hidden = true;
  redraw();
}

function showAll() {
  [map.zoom, map.x, map.y] = [1, SIDE / 2, SIDE / 2];
  tip.hidden = true;
  redraw();
}

function bringIntoView(at) {
  const [x, y] = toScreen(...pointAt(at));
  if (x < 0 || y < 0 || x > canvas.clientWidth || y > canvas.clientHeight) [map.x, map.y] = pointAt(at);
}

const pointers = new Map();
let moved = 0;
canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
  moved = pointers.size > 1 ? Infinity : 0;
});
canvas.addEventListener("pointermove", (event) => {
  if (!map.told) return;
  const before = pointers.get(event.pointerId);
  if (!before) {
    const unit = pixelsAUnit();
    point(nearestTo(...toMap(event.offsetX, event.offsetY), REACH_PX / unit));
    return;
  }
  const spread = () => { const [a, b] = [...pointers.values()]; return Math.hypot(a[0] - b[0], a[1] - b[1]) || 1; };
  const apart = pointers.size === 2 ? spread() : 0;
  pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
  if (apart) zoomBy(spread() / apart, event.offsetX, event.offsetY);
  else {
    const unit = pixelsAUnit();
    map.x -= (event.offsetX - before[0]) / unit;
    map.y += (event.offsetY - before[1]) / unit;
    moved += Math.hypot(event.offsetX - before[0], event.offsetY - before[1]);
    canvas.parentElement.classList.toggle("is-dragged", moved > 4);
    redraw();
  }
});
const released = (event) => {
  const was = pointers.delete(event.pointerId);
  canvas.parentElement.classList.remove("is-dragged");
  if (!was || !map.told || event.type !== "pointerup" || moved > 4) return;
  const at = nearestTo(...toMap(event.offsetX, event.offsetY), REACH_PX / pixelsAUnit());
  if (at >= 0) { point(at); select(map.told.keys[at]); } else letGo();
};
canvas.addEventListener("pointerup", released);
canvas.addEventListener("pointercancel", released);
canvas.addEventListener("pointerleave", () => { if (!pointers.size) point(-1); });
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoomBy(Math.exp(-event.deltaY / 400), event.offsetX, event.offsetY);
}, { passive: false });

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
canvas.addEventListener("keydown", (event) => {
  if (!map.told || event.ctrlKey || event.altKey || event.metaKey) return;
  const step = STEPS[event.key];
  if (step) {
    const at = map.pointed < 0 ? nearestTo(map.x, map.y, SIDE) : nearestThatWay(map.pointed, ...step);
    if (at >= 0) { bringIntoView(at); point(at); select(map.told.keys[at]); }
  } else if (event.key === "+" || event.key === "=") zoomBy(1.5);
  else if (event.key === "-") zoomBy(1 / 1.5);
  else if (event.key === "0") showAll();
  else if (event.key === "Escape") letGo();
  else return;
  event.preventDefault();
});
for (const button of document.querySelectorAll("[data-zoom]")) {
  button.addEventListener("click", () => {
    if (button.dataset.zoom === "reset") showAll();
    else zoomBy(button.dataset.zoom === "in" ? 1.5 : 1 / 1.5);
  });
}

// --- words --------------------------------------------------------------------------------------------------------

function showLegend() {
  const legend = document.getElementById("map-legend");
  const colour = map.told.colour;
  if (!colour) return;
  const missing = colour.missing ? [[NONE, text("Missing"), colour.missing]] : [];
  if (colour.kind === "scale") {
    const strip = made("canvas", { className: "map-scale", width: SCALE_MAX + 1, height: 1 });
    strip.setAttribute("aria-hidden", "true");
    const pen = strip.getContext("2d");
    map.palette.scale.forEach((one, at) => { pen.fillStyle = one; pen.fillRect(at, 0, 1, 1); });
    const end = (value) => (colour.is_date ? valueText(value) : Number(value.toPrecision(6)).toLocaleString("en"));
    legend.replaceChildren(
      made("p", { textContent: colour.field }), strip,
      made("p", { className: "map-ends" }, made("span", { textContent: end(colour.low) }), made("span", { textContent: end(colour.high) })),
      made("ul", { className: "map-legend" }, ...missing.map(legendLine)),
    );
    return;
  }
  const lines = colour.names.map((name, at) => [at, name, colour.counts[at]]);
  if (colour.other) lines.push([OTHER, text("Other"), colour.other]);
  legend.replaceChildren(
    made("p", { textContent: colour.field }), made("ul", { className: "map-legend" }, ...[...lines, ...missing].map(legendLine)),
  );
}

function legendLine([number, name, count]) {
  const dot = made("span", { className: "map-dot" });
  dot.style.background = colourOf(number);
  const button = made("button", { type: "button" }, dot,
    made("span", { className: "name", textContent: name }), made("span", { className: "count", textContent: count.toLocaleString("en") }));
  button.setAttribute("aria-pressed", String(map.only === number));
  button.addEventListener("click", () => {
    map.only = map.only === number ? null : number;
    for (const one of document.querySelectorAll(".map-legend button")) one.setAttribute("aria-pressed", "false");
    button.setAttribute("aria-pressed", String(map.only === number));
    redraw();
  });
  return made("li", {}, button);
}

const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;

function showWords() {
  const choose = (at) => {
    const button = made("button", { type: "button", className: "button small", textContent: label(map.told.keys[at]) });
    button.setAttribute("aria-label", text("Select", { key: label(map.told.keys[at]) }));
    button.addEventListener("click", () => { bringIntoView(at); point(at); select(map.told.keys[at]); });
    return button;
  };
  const numeric = (content) => made("td", { className: "numeric", textContent: content });
  document.querySelector("#map-clusters tbody").replaceChildren(...map.told.clusters.map((one, at) => {
    const head = made("th", { scope: "row", textContent: String(at + 1) });
    const share = one.value_share === null ? "" : ` (${percent(one.value_share)})`;
    const value = one.value === null ? "–" : `${valueText(one.value)}${share}`;
    return made("tr", {}, head, numeric(one.count.toLocaleString("en")), numeric(percent(one.share)),
      made("td", { textContent: value }), made("td", {}, choose(one.example)));
  }));
  document.querySelector("#map-first tbody").replaceChildren(...map.told.keys.slice(0, 20).map((key, at) =>
    made("tr", {}, made("th", { scope: "row" }, made("a", { href: rowUrl(key), textContent: label(key) })),
      made("td", { textContent: map.told.values[at] ? valueText(map.told.values[at]) : "–" }))));
}

function problem(error) {
  const told = document.getElementById("map-problem");
  told.textContent = error.message;
  told.hidden = false;
}

// --- beginning ----------------------------------------------------------------------------------------------------

async function begin() {
  map.palette = palette();
  const status = document.getElementById("map-status");
  try {
    map.told = await getJson(`${root.dataset.points}?${new URLSearchParams(new FormData(form))}`);
  } catch (error) {
    status.textContent = "";
    problem(error);
    return;
  }
  map.points = wordsOf(bytesOf(map.told.points));
  map.colours = bytesOf(map.told.colours);
  index();
  const rows = map.told.rows.toLocaleString("en");
  status.textContent = map.told.keys.length
    ? text("Drawn", { count: map.told.keys.length.toLocaleString("en"), rows, share: percent(map.told.explained[0] + map.told.explained[1]) })
    : text("None");
  showLegend();
  showWords();
  redraw();
  root.dataset.isDrawn = "true";
  const chosen = new URLSearchParams(location.search).get("key");
  if (chosen) await select(chosen);
}

new ResizeObserver(redraw).observe(canvas);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  map.palette = palette();
  if (map.told) showLegend();
  redraw();
});
begin();
