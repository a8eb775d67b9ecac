// Requests to the console from scripts. Answers are JSON; what was refused is thrown as Refused.

export class Refused extends Error {
  constructor(status, told) {
    super(told.message || String(status));
    this.status = status;
    this.code = told.code || "";
    this.told = told;
  }
}

const token = () => document.querySelector('meta[name="csrf-token"]').content;

async function answer(response) {
  const isJson = (response.headers.get("content-type") || "").startsWith("application/json");
  const told = isJson ? await response.json() : { message: await response.text() };
  if (!response.ok) throw new Refused(response.status, told);
  return told;
}

export async function getJson(url, options = {}) {
  return answer(await fetch(url, { headers: { accept: "application/json" }, ...options }));
}

export async function postForm(url, form, options = {}) {
  const headers = { accept: "application/json", "x-csrf-token": token() };
  return answer(await fetch(url, { method: "POST", headers, body: form, ...options }));
}

// The value arrives as the form's field `json`.
export async function postJson(url, value, options = {}) {
  return postForm(url, new URLSearchParams({ json: JSON.stringify(value) }), options);
}

// A file as the body itself, with its progress, 0 to 1.
export function sendFile(url, file, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.setRequestHeader("accept", "application/json");
    request.setRequestHeader("x-csrf-token", token());
    request.setRequestHeader("content-type", "application/octet-stream");
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable && onProgress) onProgress(event.loaded / event.total);
    });
    request.addEventListener("error", () => reject(new Refused(0, { message: "The connection was lost." })));
    request.addEventListener("load", () => {
      let told = { message: request.responseText };
      try { told = JSON.parse(request.responseText); } catch { /* it is told as it is */ }
      if (request.status >= 200 && request.status < 300) resolve(told);
      else reject(new Refused(request.status, told));
    });
    request.send(file);
  });
}
