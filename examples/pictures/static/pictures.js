// A picture that is dropped on the form or pasted is asked by at once; one that is too large is not sent.

const form = document.querySelector("form.ask");
const input = document.getElementById("picture");
const problem = document.getElementById("picture-problem");

function take(files) {
  const picture = [...(files || [])].find((file) => file.type.startsWith("image/"));
  if (!picture) return;
  const chosen = new DataTransfer();
  chosen.items.add(picture);
  input.files = chosen.files;
  if (isSmallEnough()) form.requestSubmit();
}

function isSmallEnough() {
  const isLarge = input.files.length > 0 && input.files[0].size > Number(input.dataset.bytesMax);
  problem.textContent = isLarge ? input.dataset.textLarge : "";
  problem.hidden = !isLarge;
  input.setAttribute("aria-invalid", String(isLarge));
  return !isLarge;
}

input.addEventListener("change", isSmallEnough);
form.addEventListener("submit", (event) => { if (!isSmallEnough()) event.preventDefault(); });
for (const kind of ["dragover", "dragleave", "drop"]) {
  form.addEventListener(kind, (event) => {
    event.preventDefault();
    form.classList.toggle("dragged", kind === "dragover");
    if (kind === "drop") take(event.dataTransfer.files);
  });
}
document.addEventListener("paste", (event) => take(event.clipboardData.files));
