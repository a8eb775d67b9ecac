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
