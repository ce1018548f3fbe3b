// The page of a judge: it shows what the server says comes next, plays sounds, and posts answers until they are kept.

const CODE = "sss-judge-code", DRAFT = "sss-judge-draft";
const FADE_S = 0.01, WAITS_MS = [500, 1000, 2000, 4000, 8000];
const token = new URLSearchParams(location.search).get("token") || "";
const $ = (id) => document.getElementById(id);
let view = {}, trial = null, busy = false;

function node(tag, about = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(about)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value != null) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child || child === 0));
  return element;
}

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
// Storage may be switched off: the page then works, and forgets at a reload.
const kept = {
  get(key) { try { return localStorage.getItem(key); } catch { return null; } },
  set(key, value) { try { localStorage.setItem(key, value); } catch {} },
  drop(key) { try { localStorage.removeItem(key); } catch {} },
};

// Posts again for as long as the server can't be reached: what it has kept already it doesn't keep twice.
async function ask(what, message = {}) {
  for (let i = 0; ; i++) {
    let response;
    try {
      response = await fetch(what, {
        method: "POST", body: JSON.stringify({ code: kept.get(CODE) ?? view.code, ...message }),
        headers: { "Content-Type": "application/json", "X-Token": token },
      });
    } catch {}
    if (response && response.status !== 429 && response.status < 502) {
      if (response.ok && i) tell("");
      if (response.ok) return what === "sound" ? response.arrayBuffer() : response.json();
      const error = new Error((await response.json().catch(() => ({}))).problem || `the server said ${response.status}`);
      throw Object.assign(error, { status: response.status });
    }
    tell(response?.status === 503 ? "The answer could not be kept yet. Trying again …" : "No connection. Trying again …");
    await sleep(WAITS_MS[Math.min(i, WAITS_MS.length - 1)]);
  }
}

function tell(text, kind = "") { Object.assign($("problem"), { textContent: text, className: kind }); }

// ---- sound: one at a time, and a log of what was heard

const player = {
  context: null, output: null, source: null, number: null, log: () => {},

  start() {
    if (!this.context) {
      this.context = new AudioContext();
      this.output = this.context.createGain();
      this.output.connect(this.context.destination);
    }
    return this.context.resume();
  },

  play(buffer, number, log) {
    this.stop();
    const source = this.context.createBufferSource(), gain = this.context.createGain();
    source.buffer = buffer;
    source.connect(gain).connect(this.output);
    const began = this.context.currentTime;
    source.onended = () => this.source === source && this.stop();
    source.start();
    Object.assign(this, { source, gain, began, number, log });
    mark();
  },

  stop() {
    if (!this.source) return;
    const { source, gain, began, number, log, context } = this, now = context.currentTime;
    this.source = this.number = null;
    gain.gain.setValueAtTime(1, now);
    gain.gain.linearRampToValueAtTime(0, now + FADE_S);
    source.stop(now + FADE_S);
    log(number, 0, Math.min(now - began, source.buffer.duration));
    mark();
  },
};

const mark = () => document.querySelectorAll(".play").forEach((one) =>
  one.setAttribute("aria-pressed", String(Number(one.dataset.sound) === player.number && player.number !== null)));

function covered(portions) {
  let total = 0, end = 0;
  for (const [from, to] of portions.slice().sort((a, b) => a[0] - b[0])) {
    total += Math.max(0, to - Math.max(from, end));
    end = Math.max(end, to);
  }
  return total;
}

// ---- one stage: its sounds, plays and answer, kept in the browser until they are posted

class Stage {
  constructor() {
    this.sounds = new Map();
    this.shown = performance.now();
    const draft = JSON.parse(kept.get(DRAFT) || "{}");
    const own = draft.stage === view.stage && draft.code === view.code ? draft : {};
    this.plays = own.plays || [];
    this.ms = own.ms || 0; // of earlier loads of the page
    this.values = own.values || {};
    this.post = own.post || crypto.getRandomValues(new Uint32Array(3)).join("-");
  }

  get elapsed() { return Math.round(this.ms + performance.now() - this.shown); }

  save() {
    const { plays, values, post } = this;
    kept.set(DRAFT, JSON.stringify({ stage: view.stage, code: view.code, ms: this.elapsed, plays, values, post }));
  }

  sound(number) {
    if (!this.sounds.has(number)) {
      const stage = view.stage;
      const sound = ask("sound", { stage, sound: number }).then((bytes) => player.context.decodeAudioData(bytes));
      sound.catch(() => this.sounds.delete(number));
      this.sounds.set(number, sound);
    }
    return this.sounds.get(number);
  }

  async toggle(number) {
    const was = player.number;
    player.stop();
    if (was === number) return;
    this.wanted = number;
    try {
      await player.start();
      const buffer = await this.sound(number);
      if (this.wanted !== number || trial !== this) return; // another was asked for meanwhile
      const at = this.elapsed;
      player.play(buffer, number, (...portion) => this.note(at, buffer, ...portion));
      clearTimeout(this.timer);
      const left = this.heardS(buffer) * 1000 + 60;
      this.timer = setTimeout(() => this.check(), left);
    } catch (error) { await failed(error); }
  }

  heardS(buffer) { return Math.min(view.heard_s ?? 1, buffer.duration); }

  note(at, buffer, number, from, to) {
    this.plays.push([number, at, from, to]);
    this.save();
    this.check();
  }

  async check() { // ticks what has been heard for long enough, also while it plays
    for (const button of document.querySelectorAll(".play[data-sound]")) {
      const number = Number(button.dataset.sound);
      if (button.dataset.heard || !this.sounds.has(number)) continue;
      const buffer = await this.sound(number).catch(() => null);
      if (!buffer || trial !== this) continue;
      const portions = this.plays.filter((play) => play[0] === number).map((play) => play.slice(2));
      if (player.number === number && player.source) portions.push([0, player.context.currentTime - player.began]);
      if (portions.length && covered(portions) >= this.heardS(buffer) - 0.05) {
        button.dataset.heard = "yes";
        button.setAttribute("aria-description", "heard");
      }
    }
    ready();
  }
}

const playButton = (number, label) =>
  node("button", { type: "button", class: "play", "data-sound": number, "aria-pressed": "false", onclick: () => trial.toggle(number) }, label);

// ---- screens

const heading = (text) => node("h2", {}, text);
const prose = (text, about = {}) => node("p", about, text);
const go = (label, call) => node("div", { class: "end" }, node("button", { type: "button", class: "main", id: "go", onclick: call }, label));

const screens = {
  welcome() {
    const consents = node("input", { type: "checkbox", id: "consents", onchange: () => ready() });
    const code = node("input", { type: "text", id: "code", autocomplete: "off", maxlength: 12 });
    return [
      heading("Welcome"), prose(view.welcome), heading("Consent"), prose(view.consent),
      node("label", { class: "tick" }, consents, "I have read this, and take part."),
      go("Begin", () => whenReady(consents.checked ? "" : "Please tick the box first.", () => enter("begin", { consents: true }))),
      node("details", {}, node("summary", {}, "I have a code already"),
        node("form", { class: "row", onsubmit: (event) => { event.preventDefault(); resume(code.value); } },
          node("label", { for: "code" }, "Your code"), code, node("button", {}, "Go on"))),
    ];
  },

  volume: () => [
    heading("Set the volume"),
    prose("Please use headphones if you can, in a quiet place. Play the sound, and set your volume so that it is comfortable. Then leave the volume as it is."),
    node("div", { class: "row" }, playButton(0, "Play the sound")),
    go("The volume is right", () => whenReady(unheard(), () => answer({}))),
  ],

  headphones: () => [
    heading("Headphone check"),
    prose("You hear three tones, one after another. Which one was the quietest?"),
    prose("", { id: "of", class: "soft" }),
    node("div", { class: "row" }, node("button", { type: "button", id: "tones", onclick: playTones }, "Play the three tones")),
    node("div", { class: "row end", role: "group", "aria-label": "The quietest tone" },
      ...["First", "Second", "Third"].map((name, i) =>
        node("button", { type: "button", class: "pick", "aria-disabled": "true", onclick: () => pick(i) }, name))),
    prose(view.is_required ? "The study needs headphones." : "Whatever comes out, you may go on.", { class: "soft" }),
  ],

  training: () => task(`Practice ${Number(view.stage.split("-")[1]) + 1}: this does not count`),
  trial: () => task(""),

  break: () => [
    heading("Time for a pause"),
    prose(`You have done ${view.done} of ${view.of}. Take a break, or close this page and come back later: your code ${dashed(view.code)} goes on from here.`),
    go("Go on", () => answer({})),
  ],

  questionnaire() {
    const items = view.questions.map((item, i) => {
      const id = `item-${i}`;
      if (!item.choices) return node("div", { class: "end" }, node("label", { for: id }, item.ask), node("div", {}, node("textarea", { id, maxlength: 1000 })));
      return node("fieldset", { class: "end", id }, node("legend", {}, item.ask), ...item.choices.map((choice) =>
        node("label", { class: "tick" }, node("input", { type: "radio", name: id, value: choice }), choice)));
    });
    const said = () => view.questions.map((item, i) => $(`item-${i}`).value ?? $(`item-${i}`).querySelector(":checked")?.value ?? "");
    return [heading("A few questions"), prose("You may leave any of them out."), ...items, go("Finish", () => answer({ said: said() }))];
  },

  end: () => [heading("Thank you"), prose(view.text), prose(`Your code was ${dashed(view.code)}.`)],
  refused: () => [heading("Headphones are needed"), prose("The check did not find any. Thank you all the same: you may close this page.")],
  withdrawn: () => [heading("You have withdrawn"), prose("Your answers count no longer. You may close this page.")],
};

const dashed = (code) => `${code.slice(0, 4)}-${code.slice(4)}`;

function task(note) {
  const names = view.kind === "grade" ? gradeItems() : preferItems();
  return [
    note && prose(note, { class: "soft" }),
    heading(view.ask),
    prose(view.instructions, { class: "soft" }),
    node("div", { class: "query row" }, playButton(0, "Query")),
    ...names,
    go("Next", () => whenReady(missing(), submit)),
    prose("", { class: "soft", id: "missing", role: "status" }),
    view.kind === "grade"
      ? node("p", { class: "soft keys" }, node("kbd", {}, "Q"), " query, ", node("kbd", {}, "↑"), " ", node("kbd", {}, "↓"), " plays another sound, ",
        node("kbd", {}, "0"), " to ", node("kbd", {}, "3"), " grades it, ", node("kbd", {}, "Space"), " stops, ", node("kbd", {}, "N"), " next")
      : node("p", { class: "soft keys" }, node("kbd", {}, "Q"), " query, ", node("kbd", {}, "↑"), " ", node("kbd", {}, "↓"), " plays another sound, ",
        node("kbd", {}, "A"), " ", node("kbd", {}, "E"), " ", node("kbd", {}, "B"), " answers, ", node("kbd", {}, "Space"), " stops, ", node("kbd", {}, "N"), " next"),
  ];
}

function radio(name, value, label) {
  const input = node("input", { type: "radio", name, value, onchange: () => { trial.values[name] = value; trial.save(); ready(); } });
  input.checked = trial.values[name] === value;
  return node("label", {}, input, label);
}

const gradeItems = () => [node("ol", { class: "items" }, ...Array.from({ length: view.n[0] }, (_, i) =>
  node("li", {}, playButton(i + 1, `Sound ${i + 1}`),
    node("fieldset", { class: "grades" }, node("legend", {}, `Grade of sound ${i + 1}`),
      ...view.grades.map((words, grade) => radio(`grade-${i}`, grade, `${grade} ${words}`))))))];

const SIDES = ["A", "B"], CHOICES = { left: "A is better", equal: "No difference", right: "B is better" };

function preferItems() {
  let number = 0;
  const lists = view.n.map((n, side) => node("section", { "aria-label": `List ${SIDES[side]}` }, node("h3", {}, `List ${SIDES[side]}`),
    ...Array.from({ length: n }, (_, i) => playButton(++number, `Sound ${SIDES[side]}${i + 1}`))));
  return [node("div", { class: "lists" }, ...lists),
    node("fieldset", { class: "choices" }, node("legend", { class: "soft" }, "Your answer"),
      ...Object.entries(CHOICES).map(([choice, words]) => radio("choice", choice, words)))];
}

const buttons = () => [...document.querySelectorAll(".play[data-sound]")];
const unheard = () => {
  const left = buttons().filter((one) => !one.dataset.heard);
  return left.length ? `To hear yet: ${left.map((one) => one.textContent).join(", ")}.` : "";
};

function missing() {
  const all = [unheard()];
  if (view.kind === "grade") {
    const left = Array.from({ length: view.n[0] }, (_, i) => i).filter((i) => trial.values[`grade-${i}`] === undefined);
    if (left.length) all.push(`To grade yet: ${left.map((i) => `Sound ${i + 1}`).join(", ")}.`);
  } else if (!trial.values.choice) all.push("Your answer is missing.");
  return all.filter(Boolean).join(" ");
}

// A button that can't be used yet says why when pressed, and keeps the focus.
function whenReady(why, call) { if (why) tell(why); else return call(); }

function ready() {
  if (!$("go")) return;
  const why = { welcome: () => !$("consents").checked, volume: unheard, training: missing, trial: missing }[view.screen]?.();
  $("go").setAttribute("aria-disabled", String(Boolean(why)));
  if ($("missing")) $("missing").textContent = why || "All is heard and answered.";
  if (!why && !$("problem").className) tell("");
}

async function submit() {
  player.stop();
  const values = Array.from({ length: view.n[0] }, (_, i) => trial.values[`grade-${i}`]);
  const said = view.kind === "grade" ? { values } : { choice: trial.values.choice };
  const own = trial;
  await answer({ ...said, plays: own.plays, ms: own.elapsed });
}

// What is changed while an answer is on its way would not go with it: nothing can be until the server has it.
const freeze = (is) => document.querySelectorAll("main input, main textarea").forEach((one) => { one.disabled = is; });

async function answer(message) {
  if (busy) return;
  busy = true;
  freeze(true);
  try {
    trial?.save(); // the same post goes on after a reload
    const found = await ask("answer", { stage: view.stage, post: trial?.post, ...message });
    const notes = found.was_kept === false ? "This was answered already, perhaps in another tab: your first answer counts." : "";
    if (found.feedback && view.screen === "training") feedback(found, message);
    else if (found.feedback && view.screen === "headphones" && !found.feedback.passed)
      show(found, view.is_required ? "The check did not find headphones." : "The check did not find headphones. You may go on all the same.");
    else show(found, notes);
  } catch (error) { freeze(false); await failed(error); } finally { busy = false; }
}

// What the labels suggest, after a trial that doesn't count.
function feedback(next, message) {
  const expected = next.feedback;
  if (view.kind === "grade") document.querySelectorAll(".items > li").forEach((item, i) => {
    const [low, high] = expected[i], is_as = message.values[i] >= low && message.values[i] <= high;
    item.append(node("p", { class: `tell ${is_as ? "as" : ""}` }, `${is_as ? "As expected" : "Expected here"}: ${low} or ${high}.`));
  });
  else $("missing").before(prose(`${message.choice === expected[0] ? "As expected" : "Expected here"}: ${CHOICES[expected[0]]}.`, { class: "tell" }));
  $("missing").textContent = "Practice is there to learn the scale. Listen again if you like, then go on.";
  $("go").replaceWith(node("button", { type: "button", class: "main", id: "go", onclick: () => show(next) }, "Go on"));
  $("go").focus();
}

async function failed(error) {
  if (error.status === 409 || error.status === 404) { // another tab went on, or the server doesn't know the code
    if (error.status === 404) kept.drop(CODE);
    await load("This page was behind: here is where you are.");
  } else tell(`${error.message[0].toUpperCase()}${error.message.slice(1)}.`);
}

// ---- headphone check: three tones, one 6 dB down, one in opposite phase

let picked = [];

async function playTones() {
  await player.start();
  const { context } = player, rate = context.sampleRate, tones = view.tones[picked.length], step = 1.5;
  const buffer = context.createBuffer(2, Math.ceil(rate * step * 3), rate);
  tones.forEach((kind, i) => {
    for (const channel of [0, 1]) {
      const data = buffer.getChannelData(channel), sign = kind === "opposite" && channel ? -1 : 1, level = kind === "quiet" ? 0.1 : 0.2;
      for (let k = 0; k < rate; k++) {
        const ramp = Math.min(1, k / (0.1 * rate), (rate - k) / (0.1 * rate));
        data[Math.floor(i * step * rate) + k] = sign * level * ramp * Math.sin((2 * Math.PI * 200 * k) / rate);
      }
    }
  });
  player.play(buffer, -1, () => document.querySelectorAll(".pick").forEach((one) => one.setAttribute("aria-disabled", "false")));
}

function pick(i) {
  if (document.querySelector(".pick").getAttribute("aria-disabled") === "true") return tell("Play the three tones to their end first.");
  tell("");
  picked.push(i);
  document.querySelectorAll(".pick").forEach((one) => one.setAttribute("aria-disabled", "true"));
  if (picked.length < view.tones.length) { count(); $("tones").focus(); return; }
  const all = picked;
  picked = [];
  answer({ picked: all });
}

const count = () => { if ($("of")) $("of").textContent = `${picked.length + 1} of ${view.tones.length}`; };

// ---- going from screen to screen

function show(next, note = "") {
  player.stop();
  const before = view;
  view = next;
  picked = [];
  const has = ["volume", "training", "trial"].includes(view.screen);
  trial = has ? new Stage() : null;
  document.title = view.title;
  document.querySelector("h1").textContent = view.title;
  $("where").textContent = view.of && view.screen === "trial" ? `${view.done + 1} of ${view.of}` : "";
  $("progress").hidden = !view.of;
  if (view.of) Object.assign($("progress"), { max: view.of, value: view.done });
  $("screen").replaceChildren(...screens[view.screen]().filter(Boolean));
  $("foot").replaceChildren(...(view.code ? [
    node("span", {}, `Your code: ${dashed(view.code)}`),
    view.screen !== "withdrawn" && node("button", { type: "button", onclick: withdraw }, "Withdraw my answers"),
  ].filter(Boolean) : []));
  tell(note, "note");
  count();
  ready();
  if (has) prefetch();
  if (before.stage !== undefined) { window.scrollTo(0, 0); $("screen").focus({ preventScroll: true }); }
}

async function prefetch() { // decodes need no gesture, only sound does
  player.context || player.start();
  const own = trial, total = view.n ? view.n.reduce((a, b) => a + b, 1) : 1;
  for (let i = 0; i < total && trial === own; i++) await own.sound(i).catch(() => {});
  if (trial === own) own.check(); // after a reload, of earlier plays
}

async function enter(what, message) {
  if (busy) return tell("The server has not answered yet: try again once it has.");
  busy = true;
  try {
    const found = await ask(what, message);
    kept.set(CODE, found.code);
    show(found);
  } catch (error) { tell(`${error.message[0].toUpperCase()}${error.message.slice(1)}.`); } finally { busy = false; }
}

const resume = (code) => enter("state", { code });

function withdraw() {
  if (confirm("Withdraw all your answers? This can't be undone.")) enter("withdraw", {});
}

async function load(note = "") {
  try {
    show(await ask(kept.get(CODE) ? "state" : "welcome"), note);
  } catch (error) {
    if (error.status === 404) { kept.drop(CODE); return load(); }
    tell(`${error.message}.`);
  }
}

document.addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (!trial || view.screen === "volume" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (target.matches("input[type=text], textarea")) return;
  const all = buttons(), at = Number(target.closest("li")?.querySelector(".play").dataset.sound ?? target.dataset.sound ?? trial.at ?? 0);
  const press = (name, value) => { const one = document.querySelector(`input[name="${name}"][value="${value}"]`); if (one && !one.disabled) one.click(); };
  const choice = { a: "left", e: "equal", b: "right" }[key.toLowerCase()];
  if (key.toLowerCase() === "q") { all[0].focus(); trial.toggle(0); }
  else if ((key === "ArrowDown" || key === "ArrowUp") && !target.matches("#go")) {
    trial.at = Math.min(Math.max(at + (key === "ArrowDown" ? 1 : -1), 0), all.length - 1);
    all[trial.at].focus();
    if (player.number !== trial.at) trial.toggle(trial.at);
  } else if (view.kind === "grade" && /^[0-3]$/.test(key) && at > 0) press(`grade-${at - 1}`, key);
  else if (view.kind === "prefer" && choice) press("choice", choice);
  else if (key.toLowerCase() === "n") $("go").click();
  else if (key === " " && !target.matches("button, input, summary")) player.stop();
  else return;
  event.preventDefault();
});
window.addEventListener("pagehide", () => { player.stop(); trial?.save(); });
window.sssJudge = { player };
load();
