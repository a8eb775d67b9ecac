// Programs in several languages: one is shown, the one that was chosen last.

const KEPT = "lutra-language-of-code";

function remembered() {
  try { return localStorage.getItem(KEPT); } catch { return null; }
}

export function showProgram(panel) {
  const chosen = panel.querySelector("[data-chooses-program]").value;
  let isEmpty = true;
  for (const program of panel.querySelectorAll("[data-program]")) {
    const isChosen = program.dataset.program === chosen;
    const hasText = program.textContent.trim() !== "";
    program.hidden = !isChosen || !hasText;
    if (isChosen && hasText) isEmpty = false;
  }
  panel.querySelector("[data-no-program]").hidden = !isEmpty;
  panel.querySelector("[data-copies-program]").disabled = isEmpty;
}

// Programs by language; none, and why, where there is nothing to be shown yet.
export function setPrograms(panel, code, why = "") {
  for (const program of panel.querySelectorAll("[data-program]")) {
    program.querySelector("code").textContent = code[program.dataset.program] || "";
  }
  panel.querySelector("[data-no-program]").textContent = [panel.dataset.textNotYet, why].filter(Boolean).join(" ");
  showProgram(panel);
}

for (const panel of document.querySelectorAll("[data-programs]")) {
  const select = panel.querySelector("[data-chooses-program]");
  const kept = remembered();
  if ([...select.options].some((option) => option.value === kept)) select.value = kept;
  select.addEventListener("change", () => {
    try { localStorage.setItem(KEPT, select.value); } catch { /* it is not kept */ }
    showProgram(panel);
  });
  const button = panel.querySelector("[data-copies-program]");
  const label = button.textContent;
  button.addEventListener("click", async () => {
    const shown = panel.querySelector("[data-program]:not([hidden])");
    await navigator.clipboard.writeText(shown.textContent);
    button.textContent = button.dataset.textCopied;
    setTimeout(() => { button.textContent = label; }, 1500);
  });
  showProgram(panel);
}
