// In which order rows come, how many, and what of them is shown.

import { at, button, filled, h, input, labelled, List, model, select, texts } from "./dom.js";

const BLANK = "";

class Sorter {
  constructor(spec, place, remove) {
    const given = spec && typeof spec === "object" ? spec : {};
    const fields = model.fields.filter((field) => field.sortable).map((field) => [`field ${field.name}`, field.name]);
    const places = model.fields.filter((field) => field.type === "GEO_POINT" && !field.space && field.groupings.length)
      .map((field) => [`distance ${field.name}`, filled(texts.distance, field)]);
    const chosen = given.field ? `${given.by} ${given.field}` : given.by;
    const options = [["score", texts.score], ["key", texts.key], ...fields, ...places];
    if (chosen && !options.some(([value]) => value === chosen)) options.push([chosen, String(given.field || given.by)]);
    this.by = at(select(options, chosen || (fields[0] || ["key"])[0]), `${place}.field`);
    this.direction = at(select([["false", texts.ascending], ["true", texts.descending]], String(given.descending ?? given.by === "score")), `${place}.descending`);
    this.point = at(input(given.point, { placeholder: "48.1,11.5" }), `${place}.point`);
    this.pointRow = labelled(texts.point, this.point, { hidden: true });
    this.element = at(h(
      "div",
      { class: "condition", role: "group", "aria-label": texts.sort },
      labelled(texts.sort, this.by, { hidden: true }),
      labelled(texts.direction, this.direction, { hidden: true }),
      this.pointRow,
      button("×", remove, { class: "button small quiet", "aria-label": texts.removeSort, title: texts.removeSort }),
    ), place);
    this.by.addEventListener("change", () => this.show());
    this.show();
  }

  show() {
    this.pointRow.hidden = !this.by.value.startsWith("distance ");
  }

  read() {
    const [by, ...name] = this.by.value.split(" ");
    const sorter = { by, descending: this.direction.value === "true" };
    if (name.length) sorter.field = name.join(" ");
    if (by === "distance") sorter.point = this.point.value;
    return sorter;
  }
}

export class Order {
  constructor(spec) {
    this.sort = new List((one, number, remove) => new Sorter(one, `sort.${number}`, remove), [[texts.addSort, () => ({})]]);
    for (const one of Array.isArray(spec.sort) ? spec.sort : []) this.sort.add(one);
    const limits = [...new Set([10, 20, 50, 100, spec.limit].filter((one) => one !== undefined && one !== null))];
    this.limit = at(select(limits.map((one) => [String(one), String(one)]), String(spec.limit ?? 20)), "limit");
    const names = model.fields.filter((field) => field.collapsible).map((field) => [field.name, field.name]);
    if (spec.collapse && !names.some(([name]) => name === spec.collapse)) names.push([String(spec.collapse), String(spec.collapse)]);
    this.collapse = at(select([[BLANK, texts.noCollapse], ...names], spec.collapse || BLANK), "collapse");
    this.view = at(select(["cards", "grid"].map((view) => [view, texts[view]]), spec.view || "cards"), "view");
    this.explain = at(h("input", { type: "checkbox", checked: spec.explain === true }), "explain");
    const chosen = Array.isArray(spec.columns) ? spec.columns : [];
    const columns = [...new Set([...model.columns, ...chosen.map(String)])];
    this.columns = columns.map((name) => [name, h("input", { type: "checkbox", checked: chosen.includes(name) })]);
    this.told = [...this.sort.items.map((item) => item.by.selectedOptions[0].text), spec.collapse].filter(Boolean).join(", ");
    this.element = h(
      "div",
      {},
      at(h("fieldset", {}, h("legend", {}, texts.sort), this.sort.element), "sort"),
      h("div", { class: "line" }, labelled(texts.limit, this.limit), labelled(texts.collapse, this.collapse), labelled(texts.view, this.view)),
      columns.length ? at(h("fieldset", { class: "choices" }, h("legend", {}, texts.columns), ...this.columns.map(([name, box]) => h("label", {}, box, " ", name)), h("p", { class: "hint" }, texts.allColumns)), "columns") : null,
      h("p", {}, h("label", {}, this.explain, " ", texts.explain)),
    );
  }

  read() {
    const columns = this.columns.filter(([, box]) => box.checked).map(([name]) => name);
    const sort = this.sort.read();
    return {
      ...(sort.length ? { sort } : {}),
      ...(this.limit.value !== "20" ? { limit: Number(this.limit.value) } : {}),
      ...(this.collapse.value ? { collapse: this.collapse.value } : {}),
      ...(columns.length ? { columns } : {}),
      ...(this.view.value !== "cards" ? { view: this.view.value } : {}),
      ...(this.explain.checked ? { explain: true } : {}),
    };
  }
}
