// The grid of rows: long values unfold when they are asked for, and rows are selected together.
import { getJson } from "./http.js";

for (const fold of document.querySelectorAll("details[data-unfolds]")) {
  fold.addEventListener("toggle", async () => {
    const place = fold.querySelector("pre");
    if (!fold.open || place.textContent) return;
    try {
      const told = await getJson(fold.dataset.unfolds);
      place.textContent = told.is_cut ? `${told.text}…` : told.text;
    } catch (error) {
      place.textContent = error.message;
    }
  });
}

for (const form of document.querySelectorAll("form[data-selects]")) {
  const boxes = [...form.querySelectorAll('input[name="key"]')];
  const all = form.querySelector("[data-selects-all]");
  const told = form.querySelector("[data-selected]");
  const count = () => {
    const selected = boxes.filter((box) => box.checked).length;
    told.textContent = selected ? form.dataset.textSelected.replace("{number}", selected) : "";
    all.checked = selected === boxes.length;
    all.indeterminate = selected > 0 && selected < boxes.length;
  };
  all.hidden = false;
  all.addEventListener("change", () => {
    for (const box of boxes) box.checked = all.checked;
    count();
  });
  for (const box of boxes) box.addEventListener("change", count);
  count();
}
