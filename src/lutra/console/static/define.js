// Forms whose rows are added and removed: the server gives the form's next state, and the programs of what is entered.
import { postForm } from "./http.js";
import { setPrograms } from "./code.js";

const PAUSE_MS = 300;
const form = document.querySelector("form[data-defines]");

if (form) {
  const body = form.querySelector("[data-form-body]");
  const told = form.querySelector("[data-told]");
  const panel = document.querySelector("[data-programs]");
  let timer = 0;
  let asking = null;

  const ask = (wanted) => {
    asking?.abort();
    asking = new AbortController();
    const values = new URLSearchParams(new FormData(form));
    values.set("do", wanted);
    return postForm(form.action, values, { signal: asking.signal });
  };

  const sketch = async () => {
    if (!form.dataset.sketches) return;
    try {
      const answer = await ask("code");
      setPrograms(panel, answer.code, Object.values(answer.problems)[0]);
    } catch (error) {
      if (error.name !== "AbortError") setPrograms(panel, {}, error.message);
    }
  };

  const edit = async (wanted, focus) => {
    clearTimeout(timer);
    try {
      const answer = await ask(wanted);
      body.innerHTML = answer.html;
      document.getElementById(answer.focus || focus)?.focus();
      told.textContent = "";
      requestAnimationFrame(() => { told.textContent = told.dataset.textChanged; });
      sketch();
    } catch (error) {
      if (error.name !== "AbortError") told.textContent = error.message;
    }
  };

  form.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-edits]");
    if (!button) return;
    event.preventDefault();
    edit(button.value, button.id);
  });
  form.addEventListener("change", (event) => {
    if (event.target.matches("[data-reshapes]")) edit("show", event.target.id);
  });
  form.addEventListener("input", (event) => {
    if (event.target.matches("[data-reshapes]")) return;
    clearTimeout(timer);
    timer = setTimeout(sketch, PAUSE_MS);
  });
  form.addEventListener("keydown", (event) => {
    // Enter in an input would press the first button, which sends the form without doing anything.
    if (event.key === "Enter" && event.target.matches("input:not([type=checkbox])")) {
      event.preventDefault();
      clearTimeout(timer);
      sketch();
    }
  });
}
