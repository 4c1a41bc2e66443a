// One chat: the messages so far, the answer that is coming, and what went wrong. Text is only ever shown as text.

"use strict";

const [main, log, form, text, send, stop, status, fresh, settings] = [
  "main", "#log", "#form", "#text", "#send", "#stop", "#status", "#new", "details",
].map((name) => document.querySelector(name));

let messages = [];  // What was said: {role, content}. The server keeps nothing.
let running = null;  // The AbortController of the answer that is coming.
let follows = true;  // Whether the end is in sight and is to stay there.

// --- showing

function add(kind, content, label) {
  const element = document.createElement("div");
  element.className = kind;
  element.textContent = content;
  if (label) {
    element.setAttribute("role", "group");
    element.setAttribute("aria-label", label);
  }
  document.querySelector("#hello")?.remove();
  log.append(element);
  return element;
}

// Whatever grows or shrinks; a reader who has scrolled back is left where they are.
const observer = new ResizeObserver(() => {
  if (follows) main.scrollTop = main.scrollHeight;
});
observer.observe(main);
observer.observe(log);
let last = 0;
main.addEventListener("scroll", () => {
  // Only a reader scrolls back.
  if (main.scrollHeight - main.scrollTop - main.clientHeight < 40) follows = true;
  else if (main.scrollTop < last) follows = false;
  last = main.scrollTop;
});

function fail(words) {
  const element = add("failure", words);
  element.setAttribute("role", "alert");
  if (messages.at(-1)?.role !== "user") return;
  const again = document.createElement("button");
  again.type = "button";
  again.className = "quiet";
  again.textContent = "Try again";
  again.addEventListener("click", () => {
    element.remove();
    answer();
  });
  element.append(again);
}

function setRunning(controller) {
  running = controller;
  send.hidden = controller !== null;
  stop.hidden = controller === null;
}

function fit() {
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight + 2}px`;
}

// --- asking

class Failure extends Error {}

// The events of a stream: {name, data}. Parts may end anywhere, in the middle of a character, too.
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s)));
      yield { name: fields.event, data: JSON.parse(fields.data) };
    }
  }
}

async function ask(signal) {
  const body = JSON.stringify({
    messages,
    temperature: document.querySelector("#temperature").valueAsNumber,
    max_tokens: document.querySelector("#tokens").valueAsNumber,
    seed: Math.floor(Math.random() * 2 ** 32),
  });
  const headers = { "Content-Type": "application/json" };
  const response = await fetch("api/chat", { method: "POST", headers, body, signal });
  if (response.ok) return response.body;
  const told = await response.json().catch(() => ({}));
  const words = told.error ?? `the server answered with status ${response.status}`;
  throw new Failure(response.status === 503 ? `The server is busy: ${words}.` : `This was refused: ${words}.`);
}

function waitingWords(before) {
  if (before === 0) return "Reading your message …";
  return before === 1 ? "Waiting: one answer comes before yours." : `Waiting: ${before} answers come before yours.`;
}

function endWords(end) {
  const count = `${end.tokens} ${end.tokens === 1 ? "token" : "tokens"}`;
  const speed = end.tokens_per_second === null ? "" : `, ${end.tokens_per_second} tokens/s`;
  return count + speed + (end.finish === "length" ? ". Cut off: no more tokens were allowed." : "");
}

async function read(stream, show) {
  for await (const { name, data } of events(stream)) {
    if (name === "waiting") status.textContent = waitingWords(data.before);
    if (name === "piece") show(data.text);
    if (name === "failure") throw new Failure(`The answer ends here: ${data.error}.`);
    if (name === "end") return data;
  }
  throw new TypeError("the stream has ended before the answer");
}

// Asks for the answer to the messages so far, and shows it as it comes.
async function answer() {
  const controller = new AbortController();
  setRunning(controller);
  status.textContent = "Asking …";
  let element = null;
  const show = (piece) => {
    if (!element) {
      element = add("message assistant", "", "Answer");
      status.textContent = "Answering …";
    }
    element.append(piece);
  };
  let note = null;
  let wrong = null;
  try {
    note = endWords(await read(await ask(controller.signal), show));
  } catch (fault) {
    if (controller.signal.aborted) note = "Stopped.";
    else if (fault instanceof Failure) wrong = fault.message;
    else wrong = "The connection to the server was lost. Is it still running?";
  }
  if (controller.dropped) return;
  setRunning(null);
  status.textContent = "";
  if (element) messages.push({ role: "assistant", content: element.textContent });
  if (note) add("note", note);
  if (wrong) fail(wrong);
}

// --- what the user does

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const content = text.value.trim();
  if (!content || running) return;
  // A question that got no answer is asked no more.
  if (messages.at(-1)?.role === "user") messages.pop();
  document.querySelectorAll(".failure button").forEach((button) => button.remove());
  messages.push({ role: "user", content });
  add("message user", content, "You");
  follows = true;
  text.value = "";
  fit();
  answer();
});

// What is wrong there can only be said where it is seen.
form.addEventListener("invalid", () => (settings.open = true), true);

text.addEventListener("input", fit);
text.addEventListener("keydown", (event) => {
  // Not the Enter that ends a word in an input method.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") running?.abort();
});

stop.addEventListener("click", () => {
  running?.abort();
  text.focus();
});

fresh.addEventListener("click", () => {
  if (running) {
    running.dropped = true;
    running.abort();
    setRunning(null);
  }
  messages = [];
  log.replaceChildren();
  status.textContent = "";
  text.focus();
});

fetch("api/status")
  .then((response) => response.json())
  .then(({ model }) => {
    document.querySelector("#model").textContent = model;
    document.title = `Chat: ${model}`;
  })
  .catch(() => fail("The server does not answer. Is it still running?"));
