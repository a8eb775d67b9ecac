// The value of a condition: a control that suits the field's type and the operator.

import { at, h, input, labelled, lines, linesOf, select, texts } from "./dom.js";

const NUMBERS = new Set(["LONG", "DOUBLE"]);
const MOMENT = /^(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?)Z?)?$/;

function plain(label, value, place, attributes = {}) {
  const control = at(input(value, attributes), place);
  return { element: labelled(label, control, { hidden: true }), read: () => control.value };
}

function truth(value, place) {
  const control = at(select([["true", texts.yes], ["false", texts.no]], String(value ?? true)), place);
  return { element: labelled(texts.value, control, { hidden: true }), read: () => control.value === "true" };
}

// A day, and a time of it where one is given. What pickers cannot show is typed.
function moment(label, value, place) {
  const parts = value === undefined || value === null || value === "" ? ["", "", ""] : MOMENT.exec(String(value));
  if (!parts) return plain(label, value, place);
  const day = at(input(parts[1], { type: "date" }), place);
  const time = input(parts[2] || "", { type: "time", step: "any" });
  const element = h("div", { class: "moment" }, labelled(`${label}: ${texts.date}`, day, { hidden: true }), labelled(`${label}: ${texts.time}`, time, { hidden: true }));
  return { element, read: () => (day.value && time.value ? `${day.value}T${time.value}Z` : day.value) };
}

function one(field, label, value, place) {
  if (field.type === "BOOLEAN") return truth(value, place);
  if (field.type === "DATE") return moment(label, value, place);
  return plain(label, value, place, NUMBERS.has(field.type) ? { inputmode: "decimal", class: "numeric-input" } : {});
}

function several(field, value, place) {
  const control = at(lines(Array.isArray(value) ? value : [value ?? ""]), place);
  return { element: labelled(texts.values, control), read: () => linesOf(control) };
}

function between(field, value, place) {
  const given = Array.isArray(value) ? value : [value, undefined];
  const ends = [one(field, texts.from, given[0], `${place}.0`), one(field, texts.to, given[1], `${place}.1`)];
  const element = at(h("div", { class: "between" }, ends[0].element, h("span", { "aria-hidden": "true" }, "–"), ends[1].element), place);
  return { element, read: () => ends.map((end) => end.read()) };
}

function around(value, place) {
  const given = value && typeof value === "object" ? value : {};
  const point = at(input(given.point, { placeholder: "48.1,11.5" }), `${place}.point`);
  const metres = at(input(given.metres, { inputmode: "decimal" }), `${place}.metres`);
  const element = at(h("div", { class: "place" }, labelled(texts.point, point), labelled(texts.metres, metres)), place);
  return { element, read: () => ({ point: point.value, metres: metres.value }) };
}

function box(value, place) {
  const given = value && typeof value === "object" ? value : {};
  const topLeft = at(input(given.top_left), `${place}.top_left`);
  const bottomRight = at(input(given.bottom_right), `${place}.bottom_right`);
  const element = at(h("div", { class: "place" }, labelled(texts.topLeft, topLeft), labelled(texts.bottomRight, bottomRight)), place);
  return { element, read: () => ({ top_left: topLeft.value, bottom_right: bottomRight.value }) };
}

function polygon(value, place) {
  const control = at(lines(Array.isArray(value) ? value : []), place);
  return { element: labelled(texts.polygon, control), read: () => linesOf(control) };
}

// { element, read }, or null where the operator takes no value.
export function valueEditor(field, op, value, place) {
  if (op === "has" || op === "lacks") return null;
  if (op === "in" || op === "not_in") return several(field, value, place);
  if (op === "between") return between(field, value, place);
  if (op === "around") return around(value, place);
  if (op === "box") return box(value, place);
  if (op === "polygon") return polygon(value, place);
  const single = Array.isArray(value) ? value[0] : value !== null && typeof value === "object" ? undefined : value;
  return one(field, texts.value, single, place);
}
