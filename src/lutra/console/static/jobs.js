// A job that goes on: how far it is, until it has ended, when the page tells all of it.
import { getJson } from "./http.js";

const POLL_MS = 700;
const TRIES_MAX = 20;

const place = document.querySelector("[data-job]");
const bar = place.querySelector("progress");
const state = place.querySelector("[data-state]");
const progress = place.querySelector("[data-progress]");
let failed = 0;

async function look() {
  try {
    const job = await getJson(place.dataset.job);
    failed = 0;
    if (job.has_ended) {
      location.reload();
      return;
    }
    if (state.textContent !== job.state_text) state.textContent = job.state_text;
    progress.textContent = job.progress_text;
    if (job.share === null) bar.removeAttribute("value");
    else bar.value = job.share;
  } catch (error) {
    failed += 1;
    if (failed >= TRIES_MAX) {
      progress.textContent = error.message;
      return;
    }
  }
  setTimeout(look, POLL_MS);
}

setTimeout(look, POLL_MS);
