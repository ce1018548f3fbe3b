// The board: a query, and beside each other the results of the systems. What is shown is in the trait `view`;
// sounds and pictures are asked for when they are needed. All text goes in as text, never as HTML.

const MARKS = {
  class: ["★", "has the query class"],
  shared: ["●", "shares a class"],
  none: ["○", "shares no class"],
  hidden: ["", ""],
};
const KEYS = {
  compare: "arrows move · space plays · Q query · B switches result/query · L loop · V volume · Enter searches",
  grade: "arrows move · space plays · Q query · B switches · 0 1 2 3 grade · U undo",
  prefer: "arrows move · space plays · Q query · B switches · 1 left, 2 right, 0 equal · U undo",
};
const GRADES = ["0 nothing in common", "1 a little", "2 similar", "3 means the same"];
const CHOICES = [["left", "1 left is better"], ["equal", "0 no difference"], ["right", "2 right is better"]];
const COLUMNS = 128, BANDS = 32; // of a picture
const UPLOAD_PIECE = 2 ** 21;
const NO_KERNEL = "No kernel answers: run this notebook's cells to listen, or reload the page.";

function node(tag, about = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(about)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (value !== false && value != null) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child != null && child !== ""));
  return element;
}

function link(text, url) {
  if (!/^https?:\/\//.test(url || "")) return node("span", {}, text);
  return node("a", { href: url, target: "_blank", rel: "noopener noreferrer", tabindex: -1 }, text, " ↗");
}

const seconds = (value) => (value < 0.95 ? value.toFixed(2) : value < 9.95 ? value.toFixed(1) : Math.round(value)) + "\u00a0s";

// Black, violet, orange, cream: dark to bright in even steps, so that it reads without colour too.
const COLOURS = [[16, 14, 40], [86, 36, 110], [180, 60, 90], [240, 140, 60], [252, 240, 200]];
const PALETTE = Array.from({ length: 256 }, (_, i) => {
  const at = (i / 256) * (COLOURS.length - 1), low = Math.floor(at), part = at - low;
  return COLOURS[low].map((value, c) => value + part * (COLOURS[low + 1][c] - value));
});

function drawPicture(canvas, bytes) {
  const waveHeight = 16;
  canvas.width = COLUMNS;
  canvas.height = BANDS + waveHeight;
  const context = canvas.getContext("2d");
  const image = context.createImageData(COLUMNS, BANDS);
  for (let band = 0; band < BANDS; band++) {
    for (let x = 0; x < COLUMNS; x++) {
      const colour = PALETTE[bytes[COLUMNS * (1 + band) + x]];
      image.data.set([...colour, 255], 4 * ((BANDS - 1 - band) * COLUMNS + x));
    }
  }
  context.putImageData(image, 0, 0);
  context.fillStyle = "#0072B2";
  for (let x = 0; x < COLUMNS; x++) {
    const height = Math.max(1, (bytes[x] / 255) * waveHeight);
    context.fillRect(x, BANDS + (waveHeight - height) / 2, 1, height);
  }
}

// JupyterLab's shortcuts take Enter and letters from whatever has the focus, unless that says not to. It may
// have those with Ctrl and the like, such as to save.
function keepKeys({ target, ctrlKey, metaKey, altKey }) {
  if (!target.closest?.(".sss-controls, .sss-board, .sss-map")) return;
  target.toggleAttribute("data-lm-suppress-shortcuts", !ctrlKey && !metaKey && !altKey);
}

class View {
  constructor(model, el) {
    this.model = model;
    this.el = el;
    this.waiting = new Map();
    this.nextId = 1;
    this.pictures = new Map(); // clip -> bytes
    this.at = [0, 0]; // column and rank of the card that the keys act on; column -1 is the query
    this.cards = [];
    this.session = Math.random().toString(36).slice(2);
    this.player = new Player((message) => this.ask(message), () => this.showPlaying());
    this.onMessage = (content, buffers) => this.receive(content, buffers);
    this.onView = () => this.show();
    this.onStatus = () => this.showStatus();
    this.onJudged = () => this.showJudged();
    model.on("msg:custom", this.onMessage);
    model.on("change:view", this.onView);
    model.on("change:status", this.onStatus);
    model.on("change:judged", this.onJudged);
    window.addEventListener("keydown", keepKeys, true); // before JupyterLab sees it
    this.build();
    this.show();
    this.ask({ ask: "hello" }, [], 10).catch(() => this.say(NO_KERNEL));
  }

  close() {
    this.model.off("msg:custom", this.onMessage);
    this.model.off("change:view", this.onView);
    this.model.off("change:status", this.onStatus);
    this.model.off("change:judged", this.onJudged);
    cancelAnimationFrame(this.frame);
    this.observer.disconnect();
    this.player.close();
  }

  // Ask the kernel; a promise of [content, buffers].
  ask(message, buffers = [], patience_s = 20) {
    const id = `${this.session}-${this.nextId++}`;
    return new Promise((resolve, reject) => {
      const giveUp = (why) => this.waiting.delete(id) && reject(new Error(why));
      const timer = setTimeout(() => giveUp(`The kernel is busy, or gone. ${NO_KERNEL}`), 1000 * patience_s);
      this.waiting.set(id, { resolve, reject, timer });
      try {
        this.model.send({ ...message, id }, undefined, buffers);
      } catch { // after a restart
        clearTimeout(timer);
        giveUp(NO_KERNEL);
      }
    });
  }

  receive(content, buffers) {
    if (content.play !== undefined) {
      this.named = content;
      return this.player.play(content.play);
    }
    const waiting = this.waiting.get(content.id);
    if (!waiting) return;
    this.waiting.delete(content.id);
    clearTimeout(waiting.timer);
    if (content.problem) waiting.reject(new Error(content.problem));
    else waiting.resolve([content, buffers]);
  }

  build() {
    const toggle = (text, title, on, change) =>
      node("button", {
        type: "button", class: "sss-toggle", title, "aria-pressed": String(on),
        onclick: (event) => {
          const pressed = event.currentTarget.getAttribute("aria-pressed") !== "true";
          event.currentTarget.setAttribute("aria-pressed", String(pressed));
          change(pressed);
        },
      }, text);
    this.loop = toggle("Loop", "L: play again and again", false, (on) => this.player.setLoop(on));
    this.volume = toggle("Match volume", "V: the same loudness (BS.1770) for all", true,
      (on) => this.player.setMatched(on));
    this.switchButton = node("button", { type: "button", onclick: () => this.switchSides(),
      title: "B: between the result and the query" }, "A/B");
    this.stopButton = node("button", { type: "button", onclick: () => this.player.stop() }, "Stop");
    this.now = node("span", { class: "sss-now", role: "status", "aria-live": "polite" });
    this.status = node("p", { class: "sss-status", role: "alert" });
    this.tools = node("div", { class: "sss-tools", role: "toolbar", "aria-label": "player" },
      this.switchButton, this.loop, this.volume, this.stopButton, this.now);
    this.query = node("div", { class: "sss-query" });
    this.legend = node("p", { class: "sss-legend" });
    this.columns = node("div", { class: "sss-columns" });
    this.judge = node("div", { class: "sss-judge" });
    this.root = node("section", {
      class: "sss-board",
      onkeydown: (event) => this.onKey(event),
    }, this.query, this.tools, this.status, this.judge, this.legend, this.columns, this.player.element);
    this.el.append(this.root);
    this.observer = new IntersectionObserver((seen) => {
      const clips = seen.filter((one) => one.isIntersecting).map((one) => Number(one.target.dataset.clip));
      this.want(clips);
    }, { rootMargin: "200px" });
    this.dropZone();
  }

  say(text) {
    this.status.textContent = text;
    this.status.hidden = !text;
  }

  showStatus() {
    this.say(this.model.get("status") || "");
  }

  show() {
    const view = this.model.get("view") || {};
    if (view.query?.clip !== this.view?.query?.clip) {
      this.player.stop();
      this.at = [0, 0];
    }
    this.player.forget(-1); // the listener's own sound may be another now
    this.pictures.delete(-1);
    this.view = view;
    this.showStatus();
    for (const part of [this.query, this.tools, this.legend, this.columns]) part.hidden = !view.query;
    this.judge.hidden = true;
    this.root.setAttribute("aria-label", this.model.get("judged") ? "judging board" : "listening board");
    if (!view.query) return;
    this.player.stop();
    this.observer.disconnect();
    this.cards = [];
    const had = this.root.contains(document.activeElement);
    this.queryCard = this.card(view.query.clip, view.query.about, -1, 0, null);
    this.query.replaceChildren(this.queryCard);
    if (view.upload) this.query.append(this.drop);
    this.legend.replaceChildren(...this.legendParts());
    this.columns.style.setProperty("--sss-n", view.columns.length);
    this.columns.style.setProperty("--sss-rows", 1 + Math.max(1, ...view.columns.map((one) => one.results.length)));
    this.columns.replaceChildren(...view.columns.map((column, i) => this.column(column, i)));
    this.showJudging();
    if (!this.cardAt(...this.at)) this.at = this.beside(-1, 1, 0); // without results the query
    this.focus(...this.at, had);
    this.root.querySelectorAll("[data-clip]").forEach((element) => this.observer.observe(element));
    this.prefetch(this.queryCard);
  }

  prefetch(card) {
    if (card?.dataset.clip !== undefined) this.player.fetch(Number(card.dataset.clip)).catch(() => {});
  }

  legendParts() {
    const parts = this.view.label ? ["class", "shared", "none"].map((name) => {
      const what = name === "class" ? `has ${this.view.label.replaceAll("_", " ")}` : MARKS[name][1];
      return node("span", { class: `sss-mark-${name}` }, node("b", {}, MARKS[name][0]), " ", what);
    }) : [];
    return [...parts, node("span", { class: "sss-keys" }, KEYS[this.view.mode])];
  }

  column(column, index) {
    const summary = node("dl", {}, ...column.summary.map(([name, value]) =>
      node("div", {}, node("dt", {}, name), node("dd", {}, value))));
    const cards = column.results.map(([clip, score], rank) =>
      this.card(clip, this.view.clips[clip], index, rank, score, column.score));
    this.cards.push(cards);
    const words = column.words && `${column.words} (${column.score})`;
    return node("div", { class: "sss-column", role: "group", "aria-label": [column.title, column.words].filter(Boolean).join(", ") },
      node("header", {}, node("h3", {}, column.title), words && node("p", {}, words), summary),
      ...(cards.length ? cards : [node("p", { class: "sss-empty" }, column.note)]));
  }

  mark(label) {
    if (label === this.view.label) return "class";
    return this.view.query.about.labels.includes(label) ? "shared" : "none";
  }

  card(clip, about, column, rank, score, scoreName) {
    const marks = about.labels.map((label) => this.mark(label));
    const kind = column < 0 || !this.view.label ? "hidden" // judged blind, or for a query without classes
      : ["class", "shared", "none"].find((name) => marks.includes(name)) || "none";
    const order = ["class", "shared", "none"];
    const sorted = about.labels.map((label, i) => [label, marks[i]])
      .sort((a, b) => order.indexOf(a[1]) - order.indexOf(b[1]));
    const labels = node("p", { class: "sss-labels" }, ...sorted.map(([label, mark]) => {
      const sign = mark === "none" || column < 0 && mark !== "class" ? "" : MARKS[mark][0];
      return node("span", { class: `sss-mark-${column < 0 && mark === "shared" ? "none" : mark}` },
        sign, label.replaceAll("_", " "));
    }));
    const canvas = node("canvas", { "aria-hidden": "true" });
    if (this.pictures.has(clip)) drawPicture(canvas, this.pictures.get(clip));
    const play = node("button", { type: "button", class: "sss-play", tabindex: -1, "aria-label": "play" }, "▶");
    const head = node("p", { class: "sss-head" },
      node("span", { class: "sss-rank" }, column < 0 ? "Query" : String(rank + 1)),
      MARKS[kind][0] && node("b", { class: "sss-sign", title: MARKS[kind][1] }, MARKS[kind][0]),
      node("span", { class: "sss-title", title: about.id }, about.title || about.id),
      score != null && this.view.mode === "compare"
        ? node("span", { class: "sss-score", title: scoreName }, score.toPrecision(3)) : "");
    const from = [about.title && about.id, about.uploader && link(about.uploader, about.source),
      about.licence && link(about.licence, about.licence_url), clip != null && seconds(about.seconds)].filter(Boolean);
    const spoken = [column < 0 ? "query" : `rank ${rank + 1}`, about.title || about.id, MARKS[kind][1],
      about.labels.join(", ").replaceAll("_", " "), scoreName && `${scoreName} ${score.toPrecision(3)}`,
      clip != null && seconds(about.seconds)];
    const picture = clip != null && node("div", { class: "sss-picture" }, canvas, node("i", { class: "sss-cursor" }), play);
    return node("div", {
      class: `sss-card sss-is-${kind}`, role: "group", tabindex: -1,
      "data-clip": clip, "data-column": column, "data-rank": rank,
      "aria-label": spoken.filter(Boolean).join(", "),
      onclick: (event) => {
        if (event.target.closest("a")) return;
        this.focus(column, rank, true);
        this.toggle(clip, column);
      },
    }, head, picture || "", labels,
      node("p", { class: "sss-from" }, ...from.flatMap((one, i) => (i ? [" · ", one] : [one]))),
      this.view.mode === "grade" && column >= 0 ? node("p", { class: "sss-grade" }) : "");
  }

  // Pictures are asked for a few at a time, so that a sound never waits long behind them.
  want(clips) {
    this.wanted = new Set([...(this.wanted || []), ...clips.filter((clip) => !this.pictures.has(clip))]);
    if (!this.asking) this.askPictures();
  }

  async askPictures() {
    this.asking = true;
    while (this.wanted.size) {
      const clips = [...this.wanted].slice(0, 4);
      clips.forEach((clip) => this.wanted.delete(clip));
      try {
        const [, buffers] = await this.ask({ ask: "pictures", clips });
        clips.forEach((clip, i) => {
          const data = buffers[i];
          const bytes = new Uint8Array(data.buffer ?? data, data.byteOffset ?? 0, data.byteLength);
          this.pictures.set(clip, bytes);
          this.root.querySelectorAll(`[data-clip="${clip}"] canvas`).forEach((one) => drawPicture(one, bytes));
        });
      } catch {
        this.wanted.clear(); // no kernel: the board stays readable without pictures
      }
    }
    this.asking = false;
  }

  cardAt(column, rank) {
    return column < 0 ? this.queryCard : this.cards[column]?.[rank];
  }

  // The place beside one: in the next column that has results, at most as far down as they go.
  beside(column, by, rank) {
    let to = column + by;
    while (this.cards[to]?.length === 0) to += by;
    return this.cards[to] ? [to, Math.min(rank, this.cards[to].length - 1)] : [column, rank];
  }

  focus(column, rank, really) {
    const card = this.cardAt(column, rank);
    if (!card) return;
    const old = this.root.querySelector(".sss-card[tabindex='0']");
    for (const [one, index] of [[old, -1], [card, 0]]) {
      one?.setAttribute("tabindex", index);
      one?.querySelectorAll("a").forEach((a) => a.setAttribute("tabindex", index));
    }
    this.at = [column, rank];
    if (really) {
      card.focus({ preventScroll: true });
      card.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
    this.prefetch(card);
  }

  prefetchAfter(column, rank) {
    this.prefetch(column < 0 ? this.cardAt(0, 0) : this.cardAt(column, rank + 1));
  }

  toggle(clip, column) {
    if (clip == null) return;
    const deck = column < 0 ? "query" : "result";
    const same = this.player.clip === clip && this.player.deck.audio.dataset.deck === deck;
    if (this.player.loading === clip || (same && this.player.playing)) return this.player.stop();
    this.player.play(clip, deck).then(() => this.prefetchAfter(...this.at));
  }

  switchSides() {
    const onQuery = this.player.deck.audio.dataset.deck === "query" && this.player.playing;
    if (this.view.query.clip == null) return;
    if (!onQuery) return this.player.play(this.view.query.clip, "query");
    const [column, rank] = this.at[0] < 0 ? this.beside(-1, 1, 0) : this.at;
    const card = column >= 0 && this.cardAt(column, rank);
    if (card) this.player.play(Number(card.dataset.clip), "result");
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const [column, rank] = this.at;
    const moves = {
      ArrowUp: () => (rank ? [column, rank - 1] : [-1, 0]),
      ArrowDown: () => (column < 0 ? this.beside(-1, 1, 0) : [column, rank + 1]),
      ArrowLeft: () => this.beside(column, -1, rank),
      ArrowRight: () => this.beside(column, 1, rank),
      Home: () => [Math.max(0, column), 0],
      End: () => [Math.max(0, column), (this.cards[Math.max(0, column)]?.length || 1) - 1],
    };
    const card = this.cardAt(column, rank);
    const onButton = event.target.closest("button, a, input") && !event.target.closest(".sss-play");
    const acts = {
      " ": () => !onButton && this.toggle(column < 0 ? this.view.query.clip : Number(card.dataset.clip), column),
      q: () => this.toggle(this.view.query.clip, -1),
      b: () => this.switchSides(),
      l: () => this.loop.click(),
      v: () => this.volume.click(),
      Escape: () => this.player.stop(),
      Enter: () => !onButton && this.view.mode === "compare" && column >= 0 && this.search(Number(card.dataset.clip)),
      ...this.judgingKeys(card),
    };
    const move = moves[event.key], act = acts[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (move) this.focus(...move(), true);
    else if (!act || (!event.repeat && act() === false)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  search(clip) {
    if (clip === this.view.query.clip) return;
    this.ask({ ask: "search", clip }).catch((error) => this.say(error.message));
  }

  // Which card plays, and how far it is.
  showPlaying() {
    const { player } = this;
    cancelAnimationFrame(this.frame);
    for (const card of this.root.querySelectorAll(".sss-card")) {
      const own = Number(card.dataset.clip);
      const ofDeck = (card === this.queryCard) === (player.deck.audio.dataset.deck === "query");
      const plays = player.playing && player.clip === own && ofDeck;
      card.classList.toggle("sss-plays", plays);
      card.classList.toggle("sss-loads", player.loading === own);
      const button = card.querySelector(".sss-play");
      if (button) button.textContent = plays ? "■" : player.loading === own ? "…" : "▶";
    }
    const about = player.clip === this.view?.query?.clip ? this.view?.query?.about : this.view?.clips?.[player.clip];
    const name = about ? about.title || about.id : this.named?.play === player.clip ? this.named.name : "";
    this.now.textContent = player.problem || (player.playing ? `playing ${name}` : player.loading !== null ? "loading …" : "");
    this.now.classList.toggle("sss-problem", Boolean(player.problem));
    if (player.playing) this.frame = requestAnimationFrame(() => this.showProgress());
  }

  showProgress() {
    const at = `${100 * this.player.progress}%`;
    this.root.querySelectorAll(".sss-plays .sss-cursor").forEach((cursor) => (cursor.style.left = at));
    if (this.player.playing) this.frame = requestAnimationFrame(() => this.showProgress());
  }

  // Judging: grades of single results, or a preference between two lists.
  judgingKeys(card) {
    const clip = Number(card?.dataset.clip);
    const undo = { u: () => this.tell({ ask: "undo" }) };
    if (this.view.mode === "grade") {
      const grade = (value) => this.at[0] >= 0 && this.grade(clip, value);
      return { ...undo, 0: () => grade(0), 1: () => grade(1), 2: () => grade(2), 3: () => grade(3) };
    }
    if (this.view.mode === "prefer") {
      const prefer = (choice) => !this.model.get("judged").done && this.tell({ ask: "prefer", choice });
      return { ...undo, 1: () => prefer("left"), 2: () => prefer("right"), 0: () => prefer("equal") };
    }
    return {};
  }

  // Tell the kernel a judgement of the query that is shown; what is pressed until it is kept counts for nothing.
  async tell(message) {
    if (this.telling) return false;
    this.telling = true;
    const kept = await this.ask({ ...message, query: this.view.query.clip })
      .then(() => true, (error) => this.say(error.message));
    this.telling = false;
    return kept;
  }

  async grade(clip, value) {
    const [column, rank] = this.at, { view } = this;
    const kept = await this.tell({ ask: "grade", clip, grade: value });
    if (!kept || this.view !== view) return; // the view is another after the last of a query
    const later = this.cards.flatMap((cards, c) => cards.map((card, r) => [c, r, card]))
      .filter(([c, r]) => c > column || (c === column && r > rank));
    const next = later.find(([, , card]) => !card.querySelector(".sss-grade").textContent);
    if (next) this.focus(next[0], next[1], true);
  }

  showJudged() {
    const { grades = {}, progress, done } = this.model.get("judged") || {};
    this.progress.textContent = progress || "";
    this.root.querySelectorAll(".sss-judge button:not([data-key='u'])").forEach((one) => (one.disabled = done));
    this.root.querySelectorAll(".sss-card[data-clip]").forEach((card) => {
      const place = card.querySelector(".sss-grade"), grade = grades[card.dataset.clip];
      if (place) place.textContent = grade == null ? "" : `graded ${grade}`;
    });
  }

  showJudging() {
    const { mode } = this.view;
    this.judge.hidden = mode === "compare";
    if (mode === "compare") return;
    const keys = this.judgingKeys.bind(this);
    const press = (key) => keys(this.cardAt(...this.at))[key]();
    const buttons = mode === "grade"
      ? GRADES.map((text, i) => [String(i), text]) : CHOICES.map(([, text]) => [text[0], text]);
    this.progress = node("span", { role: "status" });
    this.judge.replaceChildren(this.progress, ...[...buttons, ["u", "U undo"]].map(([key, text]) =>
      node("button", { type: "button", "data-key": key, onclick: () => press(key) }, text)));
    this.showJudged();
  }

  // A sound of the listener's own: dropped on the board, or chosen.
  dropZone() {
    const input = node("input", { type: "file", accept: "audio/*", "aria-label": "a sound of your own",
      onchange: () => input.files[0] && this.upload(input.files[0]) });
    this.drop = node("label", { class: "sss-drop" }, node("span", {}, "Search your own sound: drop a file here, or "),
      input);
    this.root.addEventListener("dragover", (event) => {
      if (!this.view.upload) return;
      event.preventDefault();
      this.root.classList.add("sss-dragged");
    });
    this.root.addEventListener("dragleave", () => this.root.classList.remove("sss-dragged"));
    this.root.addEventListener("drop", (event) => {
      this.root.classList.remove("sss-dragged");
      if (!this.view.upload || !event.dataTransfer.files.length) return;
      event.preventDefault();
      this.upload(event.dataTransfer.files[0]);
    });
  }

  async upload(file) {
    const { most_bytes } = this.view.upload;
    if (file.size > most_bytes) {
      const mb = (n) => (n / 1e6).toFixed(1);
      return this.say(`${file.name} is too large: ${mb(file.size)} MB, at most ${mb(most_bytes)} MB.`);
    }
    this.say(`Sending ${file.name} …`);
    try {
      for (let at = 0; at === 0 || at < file.size; at += UPLOAD_PIECE) {
        const piece = await file.slice(at, at + UPLOAD_PIECE).arrayBuffer();
        const last = at + UPLOAD_PIECE >= file.size;
        if (last) this.say(`Listening to ${file.name} with each system's model …`);
        await this.ask({ ask: "upload", name: file.name, at, last }, [piece], last ? 300 : 20);
      }
      this.showStatus();
    } catch (error) {
      this.say(error.message);
    }
  }
}

export default {
  render({ model, el }) {
    const view = new View(model, el);
    el.sssBoard = view; // for tests
    return () => view.close();
  },
};
