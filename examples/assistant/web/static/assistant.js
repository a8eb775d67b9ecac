// The chat: sends a question without leaving the page, and shows its answer while it is written.

const form = document.getElementById("ask");
const question = document.getElementById("question");
const messages = document.getElementById("messages");
const status = document.getElementById("status");
const button = form.querySelector("button.primary");
const token = document.querySelector('meta[name="csrf-token"]').content;

question.addEventListener("keydown", (event) => {
  // Not the Enter that ends a word of an input method.
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!button.disabled) ask(new URLSearchParams(new FormData(form)));
});

async function ask(asked) {
  const pending = [article("question", asked.get("question")), article("answer", "")];
  pending[1].setAttribute("aria-busy", "true");
  button.disabled = true;
  status.textContent = form.dataset.textAnswering;
  messages.append(...pending);
  pending[0].scrollIntoView({ block: "nearest" });
  try {
    for await (const event of events(asked)) {
      if (event.kind === "piece") pending[1].firstElementChild.textContent += event.text;
      else if (event.kind === "end") show(event, pending);
    }
    question.value = "";
    status.textContent = form.dataset.textAnswered;
  } catch (error) {
    for (const one of pending) one.remove();
    status.textContent = error instanceof Refused ? error.message : form.dataset.textLost;
  } finally {
    button.disabled = false;
  }
}

class Refused extends Error {}

async function* events(asked) {
  const headers = { accept: "application/x-ndjson, application/json", "x-csrf-token": token };
  const response = await fetch(form.action, { method: "POST", headers, body: asked });
  if (!response.ok) throw new Refused((await response.json()).message);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  let hasEnded = false;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    text += value;
    const lines = text.split("\n");
    text = lines.pop();
    for (const line of lines) {
      const event = JSON.parse(line);
      hasEnded ||= event.kind === "end";
      yield event;
    }
  }
  if (!hasEnded) throw new Error("no end");
}

// What the server has rendered takes the place of what was shown meanwhile.
function show(event, pending) {
  for (const one of pending) one.remove();
  messages.append(...nodes(event.messages));
  document.getElementById("conversations").replaceChildren(...nodes(event.conversations));
  document.querySelector("h1").textContent = event.title;
  document.title = `${event.title} · Lutra`;
  document.querySelector(".lead")?.remove();
  form.action = `/c/${event.conversation}/ask`;
  history.replaceState(null, "", `/c/${event.conversation}`);
}

function nodes(html) {
  return new DOMParser().parseFromString(html, "text/html").body.childNodes;
}

function article(kind, text) {
  const made = document.createElement("article");
  made.className = `message ${kind}`;
  const paragraph = document.createElement("p");
  paragraph.className = "text";
  paragraph.textContent = text;
  made.append(paragraph);
  return made;
}
