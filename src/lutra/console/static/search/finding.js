// Words, and nearness to a vector, a text, a row or a picture.

import { postForm } from "../http.js";
import { fromBase64, toBase64 } from "./address.js";
import { at, fill, filled, h, input, labelled, lines, model, select, texts } from "./dom.js";

export class Words {
  constructor(spec, place) {
    const given = spec && typeof spec === "object" ? spec : {};
    const names = model.fields.filter((field) => field.type === "TEXT" && field.operators.length).map((field) => field.name);
    this.isPossible = names.length > 0;
    this.text = at(input(given.text, { type: "search" }), `${place}.text`);
    this.match = at(select(Object.entries(texts.match), given.match || "any"), `${place}.match`);
    this.boxes = names.map((name) => [name, h("input", { type: "checkbox", checked: Array.isArray(given.fields) && given.fields.includes(name) })]);
    const chosen = names.length > 1
      ? at(h("fieldset", { class: "choices" }, h("legend", {}, texts.inFields), ...this.boxes.map(([name, box]) => h("label", {}, box, " ", name)), h("p", { class: "hint" }, texts.allTexts)), `${place}.fields`)
      : null;
    this.element = at(h("div", { class: "words" }, h("div", { class: "line" }, labelled(texts.words, this.text, { hint: texts.wordsHint }), labelled(texts.matching, this.match)), chosen), place);
  }

  read() {
    if (!this.text.value.trim()) return null;
    const fields = this.boxes.filter(([, box]) => box.checked).map(([name]) => name);
    return { text: this.text.value, match: this.match.value, ...(fields.length ? { fields } : {}) };
  }
}

// The shortest digits that give a float32 back.
function digits(number) {
  for (let precision = 6; precision < 9; precision += 1) {
    const short = Number(number.toPrecision(precision));
    if (Math.fround(short) === number) return short;
  }
  return number;
}

function vectorText(vector) {
  if (typeof vector !== "string") return vector === undefined || vector === null ? "" : JSON.stringify(vector);
  try {
    const bytes = fromBase64(vector);
    return bytes.length % 4 ? vector : `[${[...new Float32Array(bytes.buffer)].map(digits).join(", ")}]`;
  } catch {
    return vector;
  }
}

// Numbers take less room in an address as base64; what is no list of them goes as it stands, to be told so.
function vectorOf(text) {
  try {
    const numbers = JSON.parse(text);
    if (Array.isArray(numbers) && numbers.length && numbers.every((one) => typeof one === "number" && Number.isFinite(one))) {
      return toBase64(new Uint8Array(new Float32Array(numbers).buffer));
    }
    return numbers;
  } catch {
    return text;
  }
}

export class Near {
  constructor(spec, place, vectorUrl) {
    const given = spec && typeof spec === "object" ? spec : {};
    this.place = place;
    this.vectorUrl = vectorUrl;
    this.given = given;
    const vectors = model.fields.filter((field) => field.dimension && field.operators.length);
    this.isPossible = vectors.length > 0;
    const names = vectors.map((field) => [field.name, `${field.name} (${field.dimension})`]);
    if (given.field && !vectors.some((field) => field.name === given.field)) names.push([String(given.field), String(given.field)]);
    this.field = at(select([["", texts.noNear], ...names], given.field || ""), `${place}.field`);
    this.by = at(select(Object.entries(texts.ways), given.by || "text"), `${place}.by`);
    this.vector = lines(given.by === "vector" ? vectorText(given.vector) : "");
    this.text = at(input(given.text), `${place}.text`);
    this.model = at(h("select"), `${place}.model`);
    this.keys = model.key.map((column, number) => [column, input(model.keyParts[number])]);
    this.file = h("input", { type: "file", accept: "image/png,image/jpeg,image/gif,image/webp" });
    this.picture = given.by === "picture" ? { vector: given.vector, name: given.name } : null;
    this.told = h("p", { class: "hint", role: "status" });
    this.preview = h("img", { class: "preview", alt: "", hidden: true });
    this.top = at(input(given.top ?? 100, { inputmode: "numeric" }), `${place}.top`);
    this.least = at(input(given.min_score, { inputmode: "decimal" }), `${place}.min_score`);
    this.rows = {
      vector: labelled(texts.vector, this.vector),
      text: labelled(texts.nearText, this.text),
      row: at(h("div", { class: "line" }, ...this.keys.map(([column, control]) => labelled(filled(texts.keyOf, column), control))), `${place}.key`),
      picture: h("div", {}, labelled(texts.picture, this.file), this.told, this.preview),
    };
    at(given.by === "picture" ? this.rows.picture : this.vector, `${place}.vector`);
    this.modelRow = labelled(texts.model, this.model);
    this.byRow = labelled(texts.by, this.by);
    this.more = h("div", { class: "line" }, labelled(texts.top, this.top), labelled(texts.minScore, this.least));
    this.element = at(h("div", { class: "near" }, h("div", { class: "line" }, labelled(texts.vectorField, this.field), this.byRow), ...Object.values(this.rows), this.modelRow, this.more), place);
    this.field.addEventListener("change", () => { this.suggest(); this.show(); });
    this.by.addEventListener("change", () => this.show());
    this.file.addEventListener("change", () => this.look());
    if (this.picture && this.picture.name) this.told.textContent = filled(texts.pictureReady, this.picture);
    this.show();
  }

  // Words where a model makes vectors of them; else there is a row to begin with.
  suggest() {
    const hasText = (model.models[this.field.value] || []).some((one) => one.own || one.kind === "text");
    if (this.by.value === "text" || this.by.value === "row") this.by.value = hasText ? "text" : "row";
  }

  show() {
    const isOn = this.field.value !== "";
    const by = this.by.value;
    this.byRow.hidden = !isOn;
    this.more.hidden = !isOn;
    for (const [way, row] of Object.entries(this.rows)) row.hidden = !isOn || way !== by;
    const wanted = by === "picture" ? "picture" : "text";
    const models = (model.models[this.field.value] || []).filter((one) => one.own || one.kind === wanted);
    this.modelRow.hidden = !isOn || !["text", "picture"].includes(by);
    const options = models.map((one) => [one.name, one.own ? `${one.name} (${texts.ownModel})` : one.about ? `${one.name}: ${one.about}` : one.name]);
    if (!options.length) options.push(["", texts.noModel]);
    fill(this.model, options, this.given.model);
  }

  async look() {
    const [file] = this.file.files;
    if (!file) return;
    this.picture = null;
    this.told.textContent = texts.pictureReading;
    if (this.preview.src) URL.revokeObjectURL(this.preview.src);
    this.preview.src = URL.createObjectURL(file);
    this.preview.hidden = false;
    const form = new FormData();
    form.set("picture", file);
    form.set("field", this.field.value);
    form.set("model", this.model.value);
    try {
      const { vector } = await postForm(this.vectorUrl, form);
      this.picture = { vector, name: file.name.slice(0, 60) };
      this.told.textContent = filled(texts.pictureReady, this.picture);
      this.file.removeAttribute("aria-invalid");
    } catch (error) {
      this.told.textContent = error.message;
      this.file.setAttribute("aria-invalid", "true");
    }
  }

  // JSON, written by hand: whole numbers of 64 bits stay as they are.
  key() {
    const parts = this.keys.map(([column, { value }]) => {
      if (column.type === "INTEGER") return value.trim() || "null";
      if (column.type === "STRING") return JSON.stringify(value);
      const bytes = Uint8Array.from(value.replace(/\s/g, "").match(/../g) || [], (pair) => parseInt(pair, 16));
      return JSON.stringify({ base64: toBase64(bytes) });
    });
    return `[${parts.join(",")}]`;
  }

  read() {
    if (!this.field.value) return null;
    const by = this.by.value;
    const near = { field: this.field.value, by };
    if (by === "vector") near.vector = vectorOf(this.vector.value);
    if (by === "text") near.text = this.text.value;
    if (by === "text" && this.model.value) near.model = this.model.value;
    if (by === "row") near.key = this.key();
    if (by === "picture") Object.assign(near, this.picture || {});
    if (this.top.value.trim() !== "100") near.top = this.top.value;
    if (this.least.value.trim()) near.min_score = this.least.value;
    return near;
  }
}
