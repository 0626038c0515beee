// The page of `nmt serve`: translates while one types, shows and takes alternatives, does files.

const $ = (id) => document.getElementById(id);
const WAIT = 120; // milliseconds of rest before what was typed is sent
const LINES = 64; // of a file, sent at a time
const RETRIES = 5; // of a request without an answer
const UNSPACED = /^(zh|ja|th|lo|km|my|bo|yue)\b/;
const CLOSING = /^[.,;:!?)\]}%…»”’]/u;
const FIELDS = ["beam_size", "length_penalty", "coverage_penalty", "temperature", "top_k", "top_p", "seed", "max_length_ratio"];

let server, model, timer, request, look, job;
let active = 0; // the line whose alternatives are shown
const known = new Map(); // translations of the lines in the text, by line and settings
const pins = new Map(); // by line number: {source, prefix, text}, what the reader chose

// Requests

async function post(path, body, signal) {
  const headers = { "Content-Type": "application/json" };
  if ($("key").value) headers.Authorization = `Bearer ${$("key").value}`;
  const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body), signal });
  if (answer.ok) return answer.json();
  const values = await answer.json().catch(() => ({}));
  const error = new Error(values.error || `the server answered ${answer.status}`);
  error.retry = answer.status === 429 ? Number(answer.headers.get("Retry-After")) || 1 : 0;
  error.tooSlow = answer.status === 503;
  throw error;
}

function settings(extra) {
  const way = $("way").value;
  const given = way === "beam" ? {} : { [way]: true };
  for (const name of FIELDS) {
    const field = $(name);
    const shown = !field.closest("label").hidden;
    if (shown && field.value !== "" && field.checkValidity() && Number(field.value) !== model.settings[name]) given[name] = Number(field.value);
  }
  if (!extra) return given;
  const beam = given.beam_size ?? model.settings.beam_size;
  const wanted = Math.max(1, Math.floor(Number($("n_best").value)) || 1);
  if (way !== "greedy") given.n_best = way === "beam" ? Math.min(wanted, beam) : Math.min(wanted, 20);
  if (model.attention) given.alignments = true;
  return given;
}

function say(message, bad = false) {
  $("status").textContent = message;
  $("status").classList.toggle("bad", bad);
}

// Typing and reading

const sourceLines = () => $("source").value.split("\n").map((line) => line.replace(/\r$/, ""));
const pinOf = (row, source) => (pins.get(row)?.source === source ? pins.get(row) : { prefix: "" });
const keyOf = (line, prefix) => JSON.stringify([model.name, settings(true), line, prefix]);

function schedule() {
  clearTimeout(timer);
  timer = setTimeout(translate, WAIT);
  grow();
  mark(active, []);
  $("target").classList.add("stale");
}

async function translate() {
  request?.abort();
  closeChoices();
  const lines = sourceLines();
  const used = new Set();
  const missing = new Map();
  lines.forEach((line, row) => {
    const { prefix } = pinOf(row, line);
    const key = keyOf(line, prefix);
    used.add(key);
    if (line.trim() && !known.has(key)) missing.set(key, { line, prefix });
  });
  if (missing.size) {
    const mine = (request = new AbortController());
    const asked = [...missing.values()];
    say("Translating…");
    try {
      const body = { model: model.name, text: asked.map((one) => one.line), prefix: asked.map((one) => one.prefix), settings: settings(true) };
      const found = await post("v1/translate", body, mine.signal);
      [...missing.keys()].forEach((key, index) => known.set(key, found.translations[index]));
      say("");
    } catch (error) {
      if (mine.signal.aborted) return;
      if (error.retry) timer = setTimeout(translate, 1000 * error.retry);
      say(error.message, true);
      return;
    }
  } else say("");
  show(lines);
  for (const key of known.keys()) if (!used.has(key)) known.delete(key); // the server may have a newer model
}

function show(lines) {
  const rows = lines.map((line, row) => lineElement(line, row));
  const before = $("target").innerText;
  $("target").replaceChildren(...rows);
  $("target").classList.remove("stale");
  $("target").querySelector("button")?.setAttribute("tabindex", "0");
  $("free").hidden = !lines.some((line, row) => pins.get(row)?.source === line);
  if ($("target").innerText !== before) $("spoken").textContent = textOf(active) || textOf(0);
  showAlternatives();
}

function translationOf(row) {
  const line = sourceLines()[row] ?? "";
  const pin = pinOf(row, line);
  const found = known.get(keyOf(line, pin.prefix));
  return found && line.trim() ? { found, pin, candidate: found.n_best.find((one) => one.text === pin.text) ?? found.n_best[0] } : null;
}

const textOf = (row) => translationOf(row)?.candidate.text ?? "";

// A line is words that can be selected; `word` counts those that spaces part, as alignments do.
function lineElement(line, row) {
  const element = document.createElement("p");
  element.lang = model.target;
  element.dir = "auto";
  const shown = translationOf(row);
  if (!shown) return element;
  const { text } = shown.candidate;
  let word = 0;
  for (const { segment, index } of segments(text)) {
    if (!segment.trim()) {
      word += index > 0;
      element.append(segment);
      continue;
    }
    const button = document.createElement("button");
    Object.assign(button, { type: "button", textContent: segment, tabIndex: -1 });
    Object.assign(button.dataset, { row, word, start: index });
    button.setAttribute("aria-haspopup", "dialog");
    button.setAttribute("aria-expanded", "false");
    button.classList.toggle("kept", index + segment.length <= shown.pin.prefix.length);
    element.append(button);
  }
  if (shown.found.problem) {
    const problem = document.createElement("span");
    problem.className = "problem";
    problem.textContent = ` (${shown.found.problem})`;
    element.append(problem);
  }
  return element;
}

function segments(text) {
  const language = model.target.replace("_", "-");
  try {
    return [...new Intl.Segmenter(language, { granularity: "word" }).segment(text)];
  } catch {
    return [...text.matchAll(/\s+|\S+/g)].map((one) => ({ segment: one[0], index: one.index }));
  }
}

function showAlternatives() {
  const shown = translationOf(active);
  const rows = (shown?.found.n_best ?? []).map((candidate, rank) => {
    const row = document.createElement("li");
    const pick = document.createElement("button");
    Object.assign(pick, { type: "button", textContent: candidate.text || "(empty)" });
    pick.lang = model.target;
    pick.setAttribute("aria-pressed", String(candidate === shown.candidate));
    pick.onclick = () => {
      pins.set(active, { source: sourceLines()[active], prefix: shown.pin.prefix, text: candidate.text });
      show(sourceLines());
      $("alternatives").querySelectorAll("button")[rank]?.focus();
    };
    const score = document.createElement("span");
    score.className = "number";
    score.textContent = candidate.rank_score.toFixed(2);
    score.title = `log-probability ${candidate.score.toFixed(2)}`;
    row.append(pick, score);
    return row;
  });
  $("alternatives").replaceChildren(...rows);
  const many = sourceLines().length > 1 ? ` of line ${active + 1}` : "";
  $("alternatives-name").textContent = `Alternatives${many}, with scores`;
}

function activate(row) {
  if (row === active) return;
  active = row;
  showAlternatives();
}

// Alignments: the words of the source behind one of the translation

function mark(row, wanted) {
  const parts = [];
  sourceLines().forEach((line, number) => {
    let word = 0;
    for (const [segment] of line.matchAll(/\s+|\S+/gu)) {
      const hit = segment.trim() && number === row && wanted.includes(word);
      parts.push(hit ? Object.assign(document.createElement("mark"), { textContent: segment }) : segment);
      word += segment.trim() ? 1 : 0;
    }
    parts.push("\n");
  });
  $("marks").replaceChildren(...parts);
}

function follow(button) {
  const row = Number(button.dataset.row);
  const links = translationOf(row)?.candidate.alignment ?? [];
  mark(row, links.filter(([, target]) => target === Number(button.dataset.word)).map(([source]) => source));
}

// What else was likely at a word

async function openChoices(button) {
  closeChoices();
  const row = Number(button.dataset.row);
  const source = sourceLines()[row];
  const before = textOf(row).slice(0, Number(button.dataset.start));
  const prefix = before.trimEnd();
  activate(row);
  button.setAttribute("aria-expanded", "true");
  const mine = (look = new AbortController());
  try {
    const found = await post("v1/next", { model: model.name, text: source, prefix, top: 8 }, mine.signal);
    if (button.isConnected && button.ariaExpanded === "true") showChoices(button, row, source, prefix, before !== prefix, found);
  } catch (error) {
    if (mine.signal.aborted) return;
    button.setAttribute("aria-expanded", "false");
    say(error.message, true);
  }
}

function showChoices(button, row, source, prefix, spaced, found) {
  const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
  const rows = found.guesses.map(({ text, probability }) => {
    const choice = document.createElement("button");
    const share = Object.assign(document.createElement("span"), { className: "number", textContent: percent(probability) });
    choice.type = "button";
    choice.lang = model.target;
    choice.style.backgroundSize = `${100 * probability}% 100%`;
    choice.append(text, share);
    choice.onclick = () => {
      const apart = spaced || (/[\p{L}\p{N}]$/u.test(prefix) && /^[\p{L}\p{N}]/u.test(text));
      const joined = !prefix || !apart || UNSPACED.test(model.target) || CLOSING.test(text);
      pins.set(row, { source, prefix: prefix + (joined ? "" : " ") + text });
      translate().then(() => focusWord(row, prefix.length));
    };
    const item = document.createElement("li");
    item.append(choice);
    return item;
  });
  $("choices-list").replaceChildren(...rows);
  $("choices-name").textContent = prefix ? `Likely after “${prefix.split(/\s+/).slice(-2).join(" ")}”` : "Likely at the start";
  $("choices-rest").textContent = `The end: ${percent(found.end)}; other words: ${percent(found.others + found.goes_on)}`;
  const box = $("choices");
  box.hidden = false;
  const place = button.getBoundingClientRect();
  const left = Math.min(place.left, document.documentElement.clientWidth - box.offsetWidth - 12);
  box.style.left = `${Math.max(8, left) + scrollX}px`;
  box.style.top = `${place.bottom + scrollY + 4}px`;
  (box.querySelector("li button") ?? $("choices-close")).focus();
}

function closeChoices(back = false) {
  look?.abort();
  const opener = $("target").querySelector('[aria-expanded="true"]');
  opener?.setAttribute("aria-expanded", "false");
  $("choices").hidden = true;
  if (back) opener?.focus();
}

function focusWord(row, start) {
  const words = [...$("target").querySelectorAll(`[data-row="${row}"]`)];
  moveTo(words.find((word) => Number(word.dataset.start) >= start) ?? words.at(-1));
}

function moveTo(button) {
  if (!button) return;
  $("target").querySelectorAll('[tabindex="0"]').forEach((other) => (other.tabIndex = -1));
  button.tabIndex = 0;
  button.focus();
}

// Files: as many lines out as in; a line ends at \n, with one \r before it, and nowhere else

function fileLines(text) {
  const lines = text.split("\n");
  const last = lines.pop();
  const whole = lines.map((line) => line.replace(/\r$/, ""));
  return last === "" ? whole : [...whole, last];
}

async function translateFile(file) {
  job?.abort();
  const mine = (job = new AbortController());
  const tell = (message, bad = false) => {
    if (job !== mine) return;
    $("job-status").textContent = message;
    $("job-status").classList.toggle("bad", bad);
  };
  $("job").hidden = $("stop").hidden = false;
  $("download").hidden = true;
  let lines;
  try {
    lines = fileLines(new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer()));
  } catch {
    $("stop").hidden = true;
    return tell(`${file.name} is not UTF-8 text; convert it`, true);
  }
  const out = [];
  const problems = [];
  const { name, target } = model;
  const given = settings(false);
  // Says how it ended, and offers the lines that are done
  const finish = (message, bad) => {
    if (job !== mine) return;
    $("stop").hidden = true;
    tell(`${file.name}: ${message}`, bad);
    if (!out.length && lines.length) return;
    URL.revokeObjectURL($("download").href);
    $("download").href = URL.createObjectURL(new Blob(out.map((line) => `${line}\n`), { type: "text/plain" }));
    $("download").download = file.name.replace(/(\.[^.]*)?$/, `.${target}$1`);
    $("download").textContent = `Download ${$("download").download}`;
    $("download").hidden = false;
  };
  let size = Math.min(LINES, server.max_queue);
  let failures = 0;
  $("progress").max = Math.max(lines.length, 1);
  $("progress").value = lines.length ? 0 : 1;
  tell(`${file.name}: 0 of ${lines.length} lines`);
  while (out.length < lines.length && !mine.signal.aborted) {
    const part = nextPart(lines, out.length, size);
    if (!part.length) {
      problems.push(out.length + 1);
      out.push("");
      continue;
    }
    try {
      const found = await post("v1/translate", { model: name, text: part, settings: given }, mine.signal);
      failures = 0;
      for (const one of found.translations) {
        if (one.problem) problems.push(out.length + 1);
        out.push(one.text);
      }
    } catch (error) {
      if (mine.signal.aborted) break;
      const lost = error instanceof TypeError && ++failures < RETRIES; // no connection
      const fewer = error.tooSlow && part.length > 1;
      if (!error.retry && !lost && !fewer) return finish(`${error.message}, after line ${out.length}`, true);
      if (fewer) size = Math.ceil(part.length / 2);
      else await new Promise((done) => setTimeout(done, 1000 * (error.retry || failures)));
    }
    $("progress").value = out.length;
    tell(`${file.name}: ${out.length} of ${lines.length} lines`);
  }
  if (mine.signal.aborted) return finish(`stopped after ${out.length} of ${lines.length} lines`, false);
  const some = problems.length ? `; problems in ${problems.length}: line ${problems.slice(0, 10).join(", ")}` : "";
  finish(`${lines.length} lines translated${some}`, problems.length > 0);
}

// The next lines that one request may hold; none where the first alone is too long
function nextPart(lines, start, size) {
  const part = [];
  let characters = 0;
  for (const line of lines.slice(start, start + size)) {
    characters += line.length;
    if (characters > server.max_characters) break;
    part.push(line);
  }
  return part;
}

// Start

function useModel() {
  model = server.models[$("model").selectedIndex];
  $("source-name").textContent = model.source_name;
  $("target-name").textContent = model.target_name;
  $("source").lang = model.source;
  $("source").dir = "auto";
  for (const name of FIELDS) $(name).defaultValue = model.settings[name] ?? "";
  $("n_best").defaultValue = Math.min(3, model.settings.beam_size);
  $("settings").reset();
  pins.clear();
}

function showFields() {
  const way = $("way").value;
  for (const label of $("settings").querySelectorAll("label[class]")) {
    label.hidden = !label.classList.contains(way) || (label.classList.contains("attention") && !model.attention);
  }
  if (sourceLines().some((line) => line.trim())) schedule();
}

function grow() {
  $("source").style.height = "auto";
  $("source").style.height = `${$("source").scrollHeight + 2}px`;
}

function caretLine() {
  activate($("source").value.slice(0, $("source").selectionStart).split("\n").length - 1);
}

$("source").oninput = () => (caretLine(), schedule());
$("source").onkeyup = $("source").onclick = caretLine;
$("model").onchange = useModel;
$("key").onchange = () => (sessionStorage.setItem("key", $("key").value), schedule());
$("settings").oninput = showFields;
$("settings").onsubmit = (event) => event.preventDefault();
$("settings").onreset = () => setTimeout(showFields);
$("clear").onclick = () => (($("source").value = ""), pins.clear(), schedule(), $("source").focus());
$("free").onclick = () => (pins.clear(), translate(), $("source").focus());
$("copy").onclick = async () => {
  if ($("target").classList.contains("stale")) return say("Not translated yet", true);
  try {
    await navigator.clipboard.writeText(sourceLines().map((_, row) => textOf(row)).join("\n"));
    say("Copied");
  } catch {
    say("This browser lets no page write the clipboard here; select the text and copy it", true);
  }
};
$("target").onmouseover = (event) => event.target.dataset.row && follow(event.target);
$("target").addEventListener("focusin", (event) => event.target.dataset.row && follow(event.target));
$("target").onmouseleave = () => mark(active, []);
$("target").addEventListener("focusout", () => mark(active, []));
$("target").onclick = (event) => event.target.dataset.row && openChoices(event.target);
$("target").onkeydown = (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const words = [...$("target").querySelectorAll("button")];
  moveTo(words[words.indexOf(document.activeElement) + step]);
};
$("choices").onkeydown = (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const choices = [...$("choices").querySelectorAll("li button")];
  choices[choices.indexOf(document.activeElement) + step]?.focus();
};
$("choices-close").onclick = () => closeChoices(true);
document.addEventListener("keydown", (event) => event.key === "Escape" && !$("choices").hidden && closeChoices(true));
document.addEventListener("pointerdown", (event) => {
  if (!$("choices").hidden && !$("choices").contains(event.target) && !$("target").contains(event.target)) closeChoices();
});
$("file").onchange = () => {
  const file = $("file").files[0];
  $("file").value = ""; // the same file can be chosen again
  if (file) translateFile(file);
};
$("stop").onclick = () => job.abort();
$("drop").ondragover = (event) => (event.preventDefault(), $("drop").classList.add("over"));
$("drop").ondragleave = () => $("drop").classList.remove("over");
$("drop").ondrop = (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  if (event.dataTransfer.files[0]) translateFile(event.dataTransfer.files[0]);
};
window.onresize = grow;

try {
  server = await (await fetch("v1/models")).json();
  const pairs = server.models.map((one) => `${one.source_name} → ${one.target_name}`);
  const names = server.models.map((one, row) => (pairs.filter((pair) => pair === pairs[row]).length > 1 ? `${pairs[row]} (${one.name})` : pairs[row]));
  $("model").replaceChildren(...names.map((name) => new Option(name)));
  $("key-field").hidden = !server.key_required;
  $("key").value = sessionStorage.getItem("key") ?? "";
  useModel();
} catch (error) {
  say(`The server does not answer: ${error.message}`, true);
}
