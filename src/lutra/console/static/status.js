// Charts over time, drawn by uPlot and kept current: what came since is asked for as often as it is noted.
import { getJson } from "./http.js";
import uPlot from "./vendor/uplot/uPlot.esm.js";

const root = document.getElementById("status-charts");
const KEPT = 720; // times, as on the server
const UNITS = ["B", "KB", "MB", "GB", "TB"];
const FORMATS = {
  bytes: (value) => {
    let unit = 0;
    for (; value >= 1024 && unit < UNITS.length - 1; unit++) value /= 1024;
    return `${value >= 100 || unit === 0 ? value.toFixed(0) : value.toFixed(1)} ${UNITS[unit]}`;
  },
  ms: (value) => (value >= 10000 ? `${(value / 1000).toFixed(1)} s` : `${value >= 100 || value === 0 ? value.toFixed(0) : value.toFixed(2)} ms`),
  rate: (value) => `${value.toFixed(value < 10 ? 2 : 0)}/s`,
  count: (value) => value.toLocaleString("en", { maximumFractionDigits: 1 }),
};
const format = (unit, value) => (value === null || value === undefined ? "–" : FORMATS[unit](value));

const clock = (time, hasSeconds) => new Date(time * 1000).toTimeString().slice(0, hasSeconds ? 8 : 5);

const state = { times: [], charts: new Map() };

function colours() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  return {
    ink: colour("--faint"), grid: colour("--line"),
    lines: Array.from({ length: 8 }, (_, at) => colour(`--chart-${(at % 6) + 1}`)),
  };
}

function options(figure, chart, width) {
  const { ink, grid, lines } = colours();
  const axis = { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 }, font: "12px system-ui, sans-serif" };
  const unit = figure.dataset.unit;
  return {
    width, height: 190, cursor: { y: false }, legend: { live: true },
    scales: { y: { range: (_, low, high) => [0, high > 0 ? high * 1.08 : 1] } },
    axes: [{ ...axis, space: 80, values: (_, times, column, space, step) => times.map((time) => clock(time, step < 60)) }, { ...axis, size: 68, values: (_, values) => values.map((value) => format(unit, value)) }],
    series: [
      { label: root.dataset.textTime, value: (_, value) => (value === null ? "" : clock(value, true)) },
      ...chart.lines.map((line, at) => ({
        label: line.label, stroke: lines[at], width: 1.75, dash: at >= 6 ? [4, 3] : undefined,
        points: { show: false }, spanGaps: false, value: (_, value) => format(unit, value),
      })),
    ],
  };
}

const labelsOf = (chart) => chart.lines.map((line) => line.label).join("\n");
const dataOf = (chart) => [state.times, ...chart.lines.map((line) => line.values)];

function draw(key) {
  const held = state.charts.get(key);
  const plot = held.figure.querySelector(".plot");
  const width = plot.clientWidth;
  if (!held.chart.lines.length || !width) return;
  if (held.plot && held.labels === labelsOf(held.chart)) {
    held.plot.setData(dataOf(held.chart));
    if (held.plot.width !== width) held.plot.setSize({ width, height: 190 });
    return;
  }
  held.plot?.destroy();
  held.labels = labelsOf(held.chart);
  held.plot = new uPlot(options(held.figure, held.chart, width), dataOf(held.chart), plot);
}

function tell(figure, chart) {
  const body = figure.querySelector("details tbody");
  if (!chart.lines.length) return;
  body.replaceChildren(...chart.lines.map((line, at) => {
    const row = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = line.label;
    row.append(head, ...chart.summary[at].map((value) => {
      const cell = document.createElement("td");
      cell.className = "numeric";
      cell.textContent = format(figure.dataset.unit, value);
      return cell;
    }));
    return row;
  }));
}

function isSame(told) {
  return told.charts.every((chart) => labelsOf(state.charts.get(chart.key).chart) === labelsOf(chart));
}

async function ask(since) {
  const parameters = new URLSearchParams({ range: root.dataset.range, operation: root.dataset.operation, since });
  return getJson(`${root.dataset.history}?${parameters}`);
}

function takeAll(told) {
  state.times = told.times;
  for (const chart of told.charts) {
    const held = state.charts.get(chart.key);
    held.chart = chart;
    tell(held.figure, chart);
    draw(chart.key);
  }
  root.dataset.isDrawn = "true";
}

function takeMore(told) {
  const drop = Math.max(0, state.times.length + told.times.length - KEPT);
  state.times = [...state.times, ...told.times].slice(drop);
  for (const chart of told.charts) {
    const held = state.charts.get(chart.key);
    const lines = chart.lines.map((line, at) => ({ ...line, values: [...held.chart.lines[at].values, ...line.values].slice(drop) }));
    held.chart = { ...chart, lines };
    tell(held.figure, chart);
    draw(chart.key);
  }
}

async function look() {
  if (document.hidden) return;
  try {
    const told = await ask(state.times.at(-1) || 0);
    if (!state.times.length || !isSame(told)) takeAll(state.times.length ? await ask(0) : told);
    else if (told.times.length) takeMore(told);
  } catch { /* the next look tells: a server that is stopped is no error of the page */ }
}

for (const figure of root.querySelectorAll("[data-chart]")) state.charts.set(figure.dataset.chart, { figure, chart: { lines: [] }, plot: null, labels: "" });
const redraw = (anew) => {
  for (const [key, held] of state.charts) {
    if (anew) held.labels = "";
    draw(key);
  }
};
new ResizeObserver(() => redraw(false)).observe(root);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw(true));
takeAll(await ask(0));
setInterval(look, 1000 * Number(root.dataset.period));
document.addEventListener("visibilitychange", look);
