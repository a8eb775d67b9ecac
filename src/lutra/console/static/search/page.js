// The form of a search: built of the search in the address, and sent as an address again.

import { written } from "./address.js";
import { Aggregations } from "./aggregating.js";
import { Group } from "./conditions.js";
import { h, model, section, showFaults, texts } from "./dom.js";
import { Near, Words } from "./finding.js";
import { count, labelOf, remember, shown } from "./history.js";
import { Order } from "./ordering.js";

const form = document.getElementById("search-form");
const { spec } = model;
const asGroup = (where) => (where && typeof where === "object" && where.group && !where.within ? where : { group: "all", parts: where ? [where] : [] });

const words = new Words(spec.words, "words");
const near = new Near(spec.near, "near", form.dataset.vectorUrl);
const isWrapped = spec.where && asGroup(spec.where) !== spec.where;
const where = new Group(asGroup(spec.where), "where", "", 1, null);
const order = new Order(spec);
const aggregations = new Aggregations(spec.aggregations);

function addressOf(s) {
  const query = new URLSearchParams({ s });
  const index = new URLSearchParams(location.search).get("index");
  if (index) query.set("index", index);
  return `${location.pathname}?${query}`;
}

function readSpec() {
  const found = { ...order.read() };
  const parts = { words: words.isPossible ? words.read() : null, near: near.read(), aggregations: aggregations.read() };
  if (parts.words) found.words = parts.words;
  if (parts.near) found.near = parts.near;
  if (parts.aggregations.length) found.aggregations = parts.aggregations;
  const conditions = where.read();
  if (conditions.parts.length) found.where = conditions;
  return found;
}

async function send(event) {
  event.preventDefault();
  const found = readSpec();
  const s = await written(found);
  remember(form.dataset.history, s, labelOf(found));
  location.assign(addressOf(s));
}

const build = document.getElementById("search-builder");
build.append(
  ...[
    words.isPossible ? words.element : null,
    near.isPossible ? section(texts.near, Boolean(spec.near), spec.near ? `${spec.near.field} · ${texts.ways[spec.near.by] || ""}` : "", near.element) : null,
    section(texts.conditions, !Object.keys(spec).length || (Boolean(spec.where) && count(spec.where) < 3), spec.where ? String(count(spec.where)) : "", where.element),
    section(texts.aggregations, false, aggregations.items.length ? String(aggregations.items.length) : "", aggregations.element),
    section(texts.order, false, order.told, order.element),
    h("p", { class: "toolbar" }, h("button", { class: "button primary" }, texts.search), h("a", { class: "button quiet", href: addressOf("").replace(/s=&?/, "") }, texts.clear)),
    shown(form.dataset.history, addressOf),
  ].filter(Boolean),
);
form.addEventListener("submit", send);
// Of conditions that the form wraps in a group, places are one level deeper.
showFaults(form, model.faults.map((fault) => (isWrapped && fault.place.startsWith("where") ? { ...fault, place: fault.place.replace("where", "where.parts.0") } : fault)));
