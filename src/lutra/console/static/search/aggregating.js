// Figures of all rows that match, and groups of them, each with figures and groups of its own.

import { at, button, fill, h, input, labelled, List, model, numbersOf, select, texts } from "./dom.js";

const METRICS = ["sum", "avg", "min", "max", "percentiles", "distinct", "values"];
const GROUPINGS = ["value", "range", "interval", "date", "distance", "cell"];

function fieldsFor(kind) {
  return model.fields.filter((field) => field.metrics.includes(kind) || field.groupings.includes(kind));
}

class Aggregation {
  constructor(spec, place, isTop, remove) {
    const given = spec && typeof spec === "object" ? spec : {};
    this.place = place;
    this.given = given;
    const possible = (kinds) => kinds.filter((kind) => fieldsFor(kind).length).map((kind) => [kind, texts.kinds[kind]]);
    const options = [[texts.figures, [["count", texts.kinds.count], ...possible(METRICS)]], [texts.groupings, possible(GROUPINGS)]];
    this.kind = at(select(options, given.by || given.of || "count"), `${place}.${given.by ? "by" : "of"}`);
    this.field = at(h("select"), `${place}.field`);
    this.fieldRow = labelled(texts.field, this.field, { hidden: true });
    this.options = h("div", { class: "options" });
    this.controls = {};
    this.below = isTop
      ? new List((one, number, removeOne) => new Aggregation(one, `${place}.each.${number}`, false, removeOne), [[texts.addBelow, () => ({})]], { class: "parts below" })
      : null;
    for (const one of this.below && Array.isArray(given.each) ? given.each : []) this.below.add(one);
    this.element = at(h(
      "div",
      { class: "aggregation", role: "group", "aria-label": texts.aggregation },
      h(
        "div",
        { class: "condition" },
        labelled(texts.aggregation, this.kind, { hidden: true }),
        this.fieldRow,
        this.options,
        button("×", remove, { class: "button small quiet", "aria-label": texts.removeAggregation, title: texts.removeAggregation }),
      ),
      this.below ? this.below.element : null,
    ), place);
    this.kind.addEventListener("change", () => this.show(this.field.value));
    this.show(given.field);
  }

  show(name) {
    const kind = this.kind.value;
    this.fieldRow.hidden = kind === "count";
    const names = fieldsFor(kind).map((field) => [field.name, field.name]);
    if (this.given.field && name === this.given.field && !names.some(([one]) => one === name)) names.unshift([String(name), String(name)]);
    fill(this.field, names, name);
    this.controls = this.made(kind);
    this.options.replaceChildren(...Object.values(this.controls).map(({ element }) => element));
    if (this.below) this.below.element.hidden = !GROUPINGS.includes(kind);
  }

  made(kind) {
    const { given, place } = this;
    const plain = (label, name, fallback) => {
      const control = at(input(given[name] ?? fallback, { size: "8" }), `${place}.${name}`);
      return { element: labelled(label, control), read: () => control.value };
    };
    const list = (label, name, fallback) => {
      const control = at(input((Array.isArray(given[name]) ? given[name] : fallback).join(" ")), `${place}.${name}`);
      return { element: labelled(label, control), read: () => numbersOf(control) };
    };
    const chosen = (label, name, known, fallback) => {
      const control = at(select(Object.entries(known), given[name] ?? fallback), `${place}.${name}`);
      return { element: labelled(label, control), read: () => control.value };
    };
    switch (kind) {
      case "percentiles": return { percents: list(texts.percents, "percents", [50, 95, 99]) };
      case "value": return { size: plain(texts.size, "size", this.below ? 10 : 5) };
      case "range": return { bounds: list(texts.bounds, "bounds", []) };
      case "interval": return { every: plain(texts.every, "every", 10) };
      case "date": return { every: plain(texts.every, "every", 1), unit: chosen(texts.unit, "unit", texts.units, "month"), zone: plain(texts.zone, "zone", "") };
      case "distance": return { point: plain(texts.point, "point", ""), bounds: list(texts.bounds, "bounds", [1000, 10000]) };
      case "cell": return { precision: plain(texts.precision, "precision", 4), size: plain(texts.size, "size", this.below ? 10 : 5) };
      default: return {};
    }
  }

  read() {
    const kind = this.kind.value;
    const isGroup = GROUPINGS.includes(kind);
    const read = isGroup ? { by: kind } : { of: kind };
    if (kind !== "count") read.field = this.field.value;
    for (const [name, control] of Object.entries(this.controls)) {
      const value = control.read();
      if (value !== "") read[name] = value;
    }
    const each = isGroup && this.below ? this.below.read() : [];
    if (each.length) read.each = each;
    return read;
  }
}

export class Aggregations extends List {
  constructor(spec) {
    super((one, number, remove) => new Aggregation(one, `aggregations.${number}`, true, remove), [[texts.addAggregation, () => ({})]]);
    for (const one of Array.isArray(spec) ? spec : []) this.add(one);
    at(this.element, "aggregations");
  }
}
