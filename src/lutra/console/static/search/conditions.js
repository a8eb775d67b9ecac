// Groups of conditions within each other: all, any or none of them, of the row or of one record of a nested field.

import { at, button, fill, filled, h, input, labelled, List, model, select, texts } from "./dom.js";
import { valueEditor } from "./values.js";

const DEPTH_MAX = 6;

const shownName = (field) => field.name;

function fieldsOf(space) {
  return model.fields.filter((field) => field.space === space && field.operators.length);
}

// The field that a name means: itself, or one that has it at a path.
function resolved(name, fields) {
  const own = fields.find((field) => field.name === name);
  if (own) return [own, ""];
  const whole = fields.find((field) => field.paths && name && name.startsWith(`${field.name}.`));
  return whole ? [whole, name.slice(whole.name.length + 1)] : [null, ""];
}

function operatorsOf(field, path) {
  return field.paths && path ? ["is", "is_not", "in", "not_in", "from", "above", "to", "below", "between", "starts", "ends", "like", "has", "lacks"] : field.operators;
}

function opText(op, field) {
  return (field.type === "DATE" && texts.opsOfDates[op]) || texts.ops[op];
}

class Condition {
  constructor(part, place, space, remove) {
    this.place = place;
    const fields = fieldsOf(space);
    const given = part && typeof part === "object" ? part : {};
    // An operator that does not go with the field stays, too, until another field is chosen.
    this.given = given.op;
    const [known, path] = resolved(given.field, fields);
    const names = fields.map((field) => [field.name, shownName(field)]);
    // A field that is not there stays, so that what is wrong with it is told at it.
    if (given.field && !known) names.unshift([String(given.field), String(given.field)]);
    this.fields = fields;
    this.field = at(select(names, known ? known.name : given.field), `${place}.field`);
    this.path = input(path);
    this.pathRow = labelled(filled(texts.path, { name: known ? known.name : "" }), this.path);
    this.operator = at(h("select"), `${place}.op`);
    this.value = null;
    this.valueRow = h("div", { class: "value" });
    this.element = at(h(
      "div",
      { class: "condition", role: "group", "aria-label": texts.condition },
      labelled(texts.field, this.field, { hidden: true }),
      this.pathRow,
      labelled(texts.operator, this.operator, { hidden: true }),
      this.valueRow,
      button("×", remove, { class: "button small quiet", "aria-label": texts.removeCondition, title: texts.removeCondition }),
    ), place);
    this.field.addEventListener("change", () => { this.path.value = ""; this.given = undefined; this.showOperators(this.operator.value, this.taken()); });
    this.path.addEventListener("change", () => this.showOperators(this.operator.value, this.taken()));
    this.operator.addEventListener("change", () => this.showValue(this.taken()));
    this.showOperators(given.op, given.value);
  }

  chosen() {
    return this.fields.find((field) => field.name === this.field.value) || { name: this.field.value, type: "KEYWORD", operators: Object.keys(texts.ops) };
  }

  taken() {
    return this.value ? this.value.read() : undefined;
  }

  showOperators(op, value) {
    const field = this.chosen();
    this.pathRow.hidden = !field.paths;
    this.pathRow.querySelector("label").textContent = filled(texts.path, { name: field.name });
    const operators = operatorsOf(field, this.path.value);
    const names = operators.map((one) => [one, opText(one, field)]);
    if (op && !operators.includes(op) && op === this.given) names.unshift([String(op), texts.ops[op] || String(op)]);
    fill(this.operator, names, op);
    this.showValue(value);
  }

  showValue(value) {
    this.value = valueEditor(this.chosen(), this.operator.value, value, `${this.place}.value`);
    this.valueRow.replaceChildren(...(this.value ? [this.value.element] : []));
  }

  read() {
    const field = this.chosen();
    const name = field.paths && this.path.value ? `${field.name}.${this.path.value}` : this.field.value;
    const part = { field: name, op: this.operator.value };
    if (this.value) part.value = this.value.read();
    return part;
  }
}

export class Group {
  constructor(part, place, space, depth, remove) {
    const given = part && typeof part === "object" ? part : {};
    this.how = at(select(["all", "any", "none"].map((how) => [how, texts.groups[how]]), given.group || "all"), `${place}.group`);
    const spaces = model.spaces.filter((one) => one !== space && one.startsWith(space ? `${space}.` : ""));
    const about = [["", space ? filled(texts.ofRecord, { path: space }) : texts.ofRow], ...spaces.map((one) => [one, filled(texts.ofRecord, { path: one })])];
    this.within = at(select(about, given.within || ""), `${place}.within`);
    const own = () => this.within.value || space;
    this.parts = new List(
      (one, number, removeOne) => (one && typeof one === "object" && "group" in one
        ? new Group(one, `${place}.parts.${number}`, own(), depth + 1, removeOne)
        : new Condition(one, `${place}.parts.${number}`, own(), removeOne)),
      [[texts.addCondition, () => ({})], ...(depth < DEPTH_MAX ? [[texts.addGroup, () => ({ group: "any", parts: [{}] })]] : [])],
    );
    for (const one of Array.isArray(given.parts) ? given.parts : []) this.parts.add(one);
    // What is about the row says nothing of its records: conditions begin anew.
    this.within.addEventListener("change", () => {
      for (const item of [...this.parts.items]) item.row.remove();
      this.parts.items = [];
      this.parts.add({});
    });
    this.element = at(h(
      "fieldset",
      { class: "group" },
      h("legend", {}, texts.matchOf),
      h(
        "div",
        { class: "group-head" },
        labelled(texts.matchOf, this.how, { hidden: true }),
        remove && spaces.length ? labelled(texts.ofWhat, this.within, { hidden: true }) : null,
        remove ? button(texts.removeGroup, remove, { class: "button small quiet push" }) : null,
      ),
      this.parts.element,
    ), place);
  }

  read() {
    const part = { group: this.how.value, parts: this.parts.read() };
    if (this.within.value) part.within = this.within.value;
    return part;
  }
}
