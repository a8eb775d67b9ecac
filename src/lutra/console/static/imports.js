// A file is sent as it is, with its progress; then its plan is shown.
import { sendFile } from "./http.js";

for (const form of document.querySelectorAll("form[data-sends]")) {
  const progress = form.querySelector(".progress");
  const bar = form.querySelector("progress");
  const told = form.querySelector("[data-told]");
  const problem = form.querySelector("[data-problem]");
  const button = form.querySelector("button");

  const refuse = (message) => {
    progress.hidden = true;
    button.disabled = false;
    problem.textContent = message;
    problem.hidden = false;
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const file = form.elements.file.files[0];
    if (!file) return;
    problem.hidden = true;
    const most = Number(form.dataset.bytesMax);
    if (file.size > most) {
      refuse(form.dataset.textTooLarge.replace("{size}", `${Math.floor(most / 1048576)} MB`));
      return;
    }
    button.disabled = true;
    progress.hidden = false;
    try {
      const address = `${form.dataset.sends}?name=${encodeURIComponent(file.name)}`;
      const sent = await sendFile(address, file, (share) => {
        bar.value = share;
        told.textContent = share < 1
          ? form.dataset.textSending.replace("{percent}", Math.floor(share * 100))
          : form.dataset.textLooking;
      });
      const table = form.dataset.table ? `?table=${encodeURIComponent(form.dataset.table)}` : "";
      location.assign(sent.location + table);
    } catch (error) {
      refuse(error.message);
    }
  });
}
