// What every page does.

// <select data-submits>: choosing sends the form.
for (const select of document.querySelectorAll("select[data-submits]")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}

// <button data-copies="ID">: copies the text of that element, and says so in data-text-copied.
for (const button of document.querySelectorAll("button[data-copies]")) {
  button.addEventListener("click", async () => {
    const label = button.textContent;
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copies).textContent);
    button.textContent = button.dataset.textCopied || label;
    setTimeout(() => { button.textContent = label; }, 1500);
  });
}

// A form that came back with something wrong: the first input that is marked has the focus, so that a keyboard and a
// screen reader begin there; else what is said of the whole.
const wrong = document.querySelector("main [aria-invalid='true']:not([disabled])") ?? document.querySelector("main .notice[role='alert']");
if (wrong && document.activeElement === document.body) {
  if (wrong.matches(".notice")) wrong.tabIndex = -1;
  for (let part = wrong.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
  wrong.focus();
}
