// The last searches of a table, kept in this browser alone.

import { button, filled, h, section, texts } from "./dom.js";

const KEPT = 20;
const CHARS_MAX = 8192;

function key(name) {
  return `lutra-searches:${name}`;
}

function kept(name) {
  try {
    const found = JSON.parse(localStorage.getItem(key(name)) || "[]");
    return Array.isArray(found) ? found.filter((one) => typeof one?.s === "string" && typeof one?.label === "string") : [];
  } catch {
    return [];
  }
}

export function count(part) {
  return part && Array.isArray(part.parts) ? part.parts.reduce((sum, one) => sum + count(one), 0) : 1;
}

export function labelOf(spec) {
  const parts = [];
  if (spec.words) parts.push(`“${spec.words.text}”`);
  if (spec.near) parts.push(`${spec.near.field}: ${spec.near.text || spec.near.name || spec.near.key || texts.ways[spec.near.by] || ""}`);
  if (spec.where) parts.push(filled(texts.conditionCount, { count: count(spec.where) }));
  if (spec.aggregations) parts.push(spec.aggregations.map((one) => texts.kinds[one.by || one.of] + (one.field ? ` ${one.field}` : "")).join(", "));
  return (parts.join(" · ") || texts.everything).slice(0, 120);
}

export function remember(name, s, label) {
  if (s.length > CHARS_MAX) return;
  const others = kept(name).filter((one) => one.s !== s);
  try {
    localStorage.setItem(key(name), JSON.stringify([{ s, label }, ...others].slice(0, KEPT)));
  } catch { /* There is no room, or none is allowed: nothing is kept. */ }
}

export function shown(name, addressOf) {
  const before = kept(name);
  if (!before.length) return null;
  const list = h("ul", {}, ...before.map((one) => h("li", {}, h("a", { href: addressOf(one.s) }, one.label))));
  const element = section(texts.recent, false, String(before.length), list, h("p", {}, button(texts.forget, () => {
    localStorage.removeItem(key(name));
    element.remove();
  })));
  return element;
}
