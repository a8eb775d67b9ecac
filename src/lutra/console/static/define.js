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
  let sketching = null;

  const ask = (wanted, options) => {
    const values = new URLSearchParams(new FormData(form));
    values.set("do", wanted);
    return postForm(form.action, values, options);
  };

  const sketch = async () => {
    if (!form.dataset.sketches || body.inert) return;
    sketching?.abort();
    sketching = new AbortController();
    try {
      const answer = await ask("code", { signal: sketching.signal });
      setPrograms(panel, answer.code, Object.values(answer.problems)[0]);
    } catch (error) {
      if (error.name !== "AbortError") setPrograms(panel, {}, error.message);
    }
  };

  const edit = async (wanted, focus) => {
    if (body.inert) return;
    clearTimeout(timer);
    const answering = ask(wanted);
    body.inert = true; // what is typed now would be lost with the form's next state
    let shown = focus;
    try {
      const answer = await answering;
      body.innerHTML = answer.html;
      shown = answer.focus || focus;
      told.textContent = "";
      requestAnimationFrame(() => { told.textContent = told.dataset.textChanged; });
    } catch (error) {
      told.textContent = error.message;
    }
    body.inert = false;
    document.getElementById(shown)?.focus();
    sketch();
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
