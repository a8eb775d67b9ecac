// Elements with labels, and where each control is in the search: a fault of the server finds its control by that.

const read = (id) => JSON.parse(document.getElementById(id).textContent);

export const texts = read("search-texts");
export const model = read("search-model");

let controls = 0;

export const filled = (text, values) => text.replace(/\{(\w+)\}/g, (all, name) => (name in values ? values[name] : all));

// h("button", { type: "button", class: "small", on: { click } }, "text", child, null)
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") for (const [event, handler] of Object.entries(value)) element.addEventListener(event, handler);
    else if (name === "value") element.value = value;
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function at(element, place) {
  element.dataset.place = place;
  return element;
}

// A control below its label. `hidden`: only screen readers have the label.
export function labelled(text, control, { hidden = false, hint = "" } = {}) {
  controls += 1;
  control.id = `search-control-${controls}`;
  const label = h("label", { for: control.id, class: hidden ? "visually-hidden" : null }, text);
  const told = hint ? h("p", { class: "hint", id: `${control.id}-hint` }, hint) : null;
  if (told) control.setAttribute("aria-describedby", told.id);
  return h("div", { class: "field" }, label, control, told);
}

// options: [value, text], or [label of a group, [[value, text], …]]. One that is not there leaves the first chosen.
export function select(options, chosen, attributes = {}) {
  return fill(h("select", attributes), options, chosen);
}

// Other options for a select. They are made for it: options that move from one select to another arrive chosen, the last one.
export function fill(element, options, chosen) {
  element.replaceChildren(...options.map(([value, text]) => (Array.isArray(text)
    ? h("optgroup", { label: value }, ...text.map(([inner, told]) => h("option", { value: inner }, told)))
    : h("option", { value }, text))));
  const known = [...element.options].findIndex((option) => option.value === chosen);
  element.selectedIndex = Math.max(known, 0);
  return element;
}

export const input = (value, attributes = {}) => h("input", {
  type: "text", autocomplete: "off", spellcheck: "false", value: value === undefined || value === null ? "" : String(value), ...attributes,
});

export const lines = (value, attributes = {}) => h("textarea", {
  rows: "3", spellcheck: "false", value: Array.isArray(value) ? value.join("\n") : value ?? "", ...attributes,
});

export const button = (text, click, attributes = {}) => h("button", { type: "button", class: "button small", on: { click }, ...attributes }, text);

export const linesOf = (control) => control.value.split("\n").map((line) => line.trim()).filter((line) => line);
export const numbersOf = (control) => control.value.trim().split(/[\s,;]+/).filter((one) => one);

// Part of the form that can be folded. It stays as somebody left it, from search to search; before that it is open
// where that is said. `told`: what is in it, for who sees it folded.
export function section(title, isOpen, told, ...children) {
  const key = `lutra-search-section:${title}`;
  const left = sessionStorage.getItem(key);
  const element = h("details", { class: "section", open: left === null ? isOpen : left === "open" }, h("summary", {}, title, told ? h("span", { class: "tag" }, told) : null), ...children);
  element.querySelector("summary").addEventListener("click", () => sessionStorage.setItem(key, element.open ? "folded" : "open"));
  return element;
}

// A list whose items can be added and removed by keyboard: focus goes where the next step is.
export class List {
  constructor(make, addTexts, attributes = {}) {
    this.items = [];
    this.make = make;
    this.list = h("ol", { class: "parts", ...attributes });
    this.buttons = addTexts.map(([text, made]) => button(text, () => this.add(made(), true)));
    this.element = h("div", {}, this.list, h("p", { class: "adding" }, ...this.buttons));
  }

  add(item, isByHand = false) {
    const made = this.make(item, this.items.length, () => this.remove(made));
    made.row = h("li", {}, made.element);
    this.items.push(made);
    this.list.append(made.row);
    if (isByHand) made.row.querySelector("select, input, textarea, button").focus();
    return made;
  }

  remove(item) {
    const number = this.items.indexOf(item);
    this.items.splice(number, 1);
    item.row.remove();
    const next = this.items[number] || this.items[number - 1];
    (next ? next.row.querySelector("select, input, textarea, button") : this.buttons[0]).focus();
  }

  read() {
    return this.items.map((item) => item.read()).filter((one) => one !== null);
  }
}

// Shows what the server found wrong at the control that it is about, or at what is around that.
export function showFaults(root, faults) {
  const byPlace = new Map([...root.querySelectorAll("[data-place]")].map((element) => [element.dataset.place, element]));
  let first = null;
  for (const [number, { place, text }] of faults.entries()) {
    let near = place;
    while (near && !byPlace.has(near)) near = near.slice(0, Math.max(0, near.lastIndexOf(".")));
    const element = byPlace.get(near);
    if (!element) continue;
    const told = h("p", { class: "problem", id: `search-problem-${number}` }, text);
    const control = element.matches("input, select, textarea") ? element : element.querySelector("input, select, textarea");
    const summary = document.querySelector(`#search-faults [data-place="${CSS.escape(place)}"]`);
    if (control && summary) summary.replaceChildren(h("a", { href: `#${control.id}` }, text));
    if (element.matches("input, select, textarea")) element.after(told);
    else element.append(told);
    for (let around = element.closest("details"); around; around = around.parentElement.closest("details")) around.open = true;
    if (!control) continue;
    control.setAttribute("aria-invalid", "true");
    control.setAttribute("aria-describedby", [control.getAttribute("aria-describedby"), told.id].filter(Boolean).join(" "));
    first = first || control;
  }
  if (first) first.focus();
}
