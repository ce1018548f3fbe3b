// The board: a query, and the results of the systems side by side. The trait `view` holds what is shown.

const KEYS = {
  compare: "arrows move · space plays and pauses · , . seek · Q query · B switches result/query · L loop · V volume · Enter searches · M marks · Backspace back",
  grade: "arrows move · space plays · Q query · B switches · 0 1 2 3 grade · U undo",
  prefer: "arrows move · space plays · Q query · B switches · 1 left, 2 right, 0 equal · U undo",
};

const REST_MS = 40; // a pointer that rests on a card may click it

class BoardView {
  constructor(model, el) {
    this.model = model;
    this.at = [0, 0]; // column and rank of the card that the keys act on; column -1 is the query
    this.cards = [];
    this.kernel = new Kernel(model, (content) => this.playUnasked(content));
    this.player = new Player((message) => this.kernel.ask(message), () => this.showPlaying());
    this.build();
    el.append(this.root);
    this.heard = { "change:view": () => this.show(), "change:status": () => this.showStatus(),
      "change:judged": () => this.judging.showJudged() };
    for (const [event, act] of Object.entries(this.heard)) model.on(event, act);
    this.onKernel = ({ detail }) => this.showKernel(detail);
    document.addEventListener("sss-kernel", this.onKernel);
    this.onControl = ({ target }) => target.closest?.(".sss-controls") && this.kernel.ask({ ask: "hello" }).catch(() => {});
    window.addEventListener("click", this.onControl, true);
    window.addEventListener("keydown", keepKeys, true); // before JupyterLab sees it
    this.onTyped = (event) => {
      const missing = spellAsShown(event);
      if (missing) this.say(`There is no ${missing}: choose one of the list.`);
    };
    if (this.model.get("judged") === undefined) window.addEventListener("change", this.onTyped, true);
    this.show();
    this.kernel.ask({ ask: "hello" })
      .then(() => this.model.get("judged") === undefined && this.findings.go(this.findings.wanted, false))
      .catch(() => this.say(NO_KERNEL));
  }

  close() {
    for (const [event, act] of Object.entries(this.heard)) this.model.off(event, act);
    window.removeEventListener("change", this.onTyped, true);
    window.removeEventListener("click", this.onControl, true);
    document.removeEventListener("sss-kernel", this.onKernel);
    cancelAnimationFrame(this.frame);
    for (const part of [this.kernel, this.pictures, this.player, this.upload, this.findings]) part.close();
  }

  build() {
    this.findings = new Findings(this);
    this.marks = new Marks(this);
    const button = (text, title, onclick) => node("button", { type: "button", title, onclick }, text);
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
    this.now = node("span", { class: "sss-now", role: "status", "aria-live": "polite" });
    this.tools = node("div", { class: "sss-tools", role: "toolbar", "aria-label": "player" },
      this.findings.element, button("A/B", "B: between the result and the query", () => this.switchSides()), this.loop, this.volume,
      button("Stop", "Escape: stop", () => this.player.stop()), this.marks.element, this.marks.search, this.now, this.player.elsewhere);
    // Popovers, so that they are in sight wherever on the page one waits: at the map, or as a judge.
    this.gone = node("p", { class: "sss-gone", role: "alert", popover: "manual" }, "The kernel has ended. ",
      button("Reload", "start anew", () => location.reload()));
    this.waits = node("p", { class: "sss-waits", role: "status", popover: "manual" });
    this.status = node("p", { class: "sss-status", role: "alert" });
    this.query = node("div", { class: "sss-query" });
    this.legend = node("p", { class: "sss-legend" });
    this.columns = node("div", { class: "sss-columns" });
    this.judging = new Judging(this);
    this.root = node("section", {
      class: "sss-board",
      onkeydown: (event) => this.onKey(event),
      onclick: (event) => this.onClick(event),
      onpointerdown: () => this.player.resume(), // the browser takes its time until the first sound
      onpointerover: (event) => {
        clearTimeout(this.resting);
        this.resting = setTimeout(() => this.prefetch(event.target.closest(".sss-card")), REST_MS);
      },
    }, ...(this.model.get("judged") ? [] : [this.gone, this.waits]), this.query, this.tools, this.status, this.judging.element, this.legend, this.columns, this.player.element);
    this.upload = new Upload(this);
    this.pictures = new Pictures(this.kernel, this.root);
  }

  say(text, isProgress = false) {
    this.status.textContent = text;
    this.status.classList.toggle("sss-busy", isProgress);
    this.status.setAttribute("role", isProgress ? "status" : "alert");
    this.status.hidden = !text;
  }

  // Whether the kernel is gone, or busy, so that something waits.
  showKernel({ gone = false, waits = "" }) {
    document.body.classList.toggle("sss-ended", gone);
    for (const [note, is] of [[this.gone, gone], [this.waits, Boolean(waits)]]) if (note.isConnected) note.togglePopover?.(is);
    this.waits.textContent = waits && `The kernel is busy: ${waits} waits.`;
  }

  showStatus() {
    const isHint = this.model.get("judged") !== undefined && !this.model.get("view")?.query; // before the first query
    this.say(this.model.get("status") || "", isHint);
  }

  show() {
    const view = this.model.get("view") || {};
    if (view.query?.clip !== this.view?.query?.clip) {
      this.player.stop();
      this.at = [0, 0];
    }
    this.player.forget(-1); // the listener's own sound may be another now
    this.pictures.forget(-1);
    this.view = view;
    this.showStatus();
    for (const part of [this.query, this.tools, this.legend, this.columns]) part.hidden = !view.query;
    this.judging.element.hidden = true;
    this.root.setAttribute("aria-label", this.model.get("judged") ? "judging board" : "listening board");
    if (!view.query) return;
    this.findings.show(view.finding);
    for (const input of document.querySelectorAll(".sss-controls .jupyter-widget-taginput:not([aria-label])")) {
      const { placeholder } = input; // ipywidgets drops it beside tags
      const label = placeholder || input.closest(".jupyter-widget-tagsinput").previousElementSibling?.textContent;
      if (label) input.setAttribute("aria-label", label);
    }
    this.player.stop();
    const had = this.root.contains(document.activeElement);
    this.fill(view);
    this.marks.load();
    this.marks.show();
    this.judging.show();
    if (!this.cardAt(...this.at)) this.at = this.beside(-1, 1, 0); // without results the query
    this.root.style.setProperty("--sss-head", `${this.columns.querySelector("header")?.offsetHeight ?? 0}px`);
    this.focus(...this.at, had);
    this.pictures.watch();
    this.prefetch(this.queryCard);
  }

  fill(view) {
    this.queryCard = makeCard(view, view.query.clip, view.query.about, -1, 0);
    this.query.replaceChildren(this.queryCard, ...(view.upload ? [this.upload.element] : []));
    this.legend.replaceChildren(...makeLegend(view), node("span", { class: "sss-keys" }, KEYS[view.mode]));
    this.cards = view.columns.map((column, i) => column.results.map(([clip, score], rank) =>
      makeCard(view, clip, view.clips[clip], i, rank, score, column.score)));
    this.columns.style.setProperty("--sss-n", view.columns.length);
    this.columns.style.setProperty("--sss-rows", 1 + Math.max(1, ...this.cards.map((cards) => cards.length)));
    this.columns.replaceChildren(...view.columns.map((column, i) => makeColumn(column, this.cards[i])));
  }

  prefetch(card) {
    if (card?.dataset.clip !== undefined) this.player.prepare(Number(card.dataset.clip));
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
      one?.querySelectorAll("a, .sss-like").forEach((a) => a.setAttribute("tabindex", index));
    }
    this.at = [column, rank];
    if (really) {
      card.focus({ preventScroll: true });
      card.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
    this.prefetch(card);
  }

  onClick(event) {
    const card = event.target.closest(".sss-card");
    if (!card || event.target.closest("a")) return;
    const pin = event.target.closest(".sss-pin");
    if (pin) return this.marks.toggle(pin.dataset.id);
    if (event.target.closest(".sss-like")) return this.search(this.clipAt(Number(card.dataset.column), Number(card.dataset.rank)));
    const [column, rank] = [Number(card.dataset.column), Number(card.dataset.rank)];
    this.at = [column, rank];
    setTimeout(() => this.focus(column, rank, true)); // the sound first
    const picture = event.target.closest(".sss-picture");
    if (!picture || event.target.closest("button")) return this.toggle(column, rank);
    const { left, width } = picture.getBoundingClientRect();
    this.playFrom(column, rank, Math.min(Math.max((event.clientX - left) / width, 0), 0.99));
  }

  clipAt(column, rank) {
    return column < 0 ? this.view.query.clip : Number(this.cardAt(column, rank).dataset.clip);
  }

  toggle(column, rank) {
    const clip = this.clipAt(column, rank), deck = column < 0 ? "query" : "result";
    const same = this.player.clip === clip && this.player.deckName === deck;
    if (this.player.loading === clip || (same && this.player.playing)) return this.player.pause();
    this.playFrom(column, rank, same && this.player.isPaused ? this.player.progress : 0);
  }

  playFrom(column, rank, from) {
    const clip = this.clipAt(column, rank);
    if (clip == null) return;
    const [atColumn, atRank] = this.at, next = () => this.cardAt(...(atColumn < 0 ? [0, 0] : [atColumn, atRank + 1]));
    this.player.play(clip, column < 0 ? "query" : "result", from).then(() => this.prefetch(next()));
  }

  // On or back by a part of the sound, if the card's own is heard.
  seek(column, rank, by) {
    const { player } = this;
    if (player.clip !== this.clipAt(column, rank) || !(player.playing || player.isPaused)) return;
    this.playFrom(column, rank, Math.min(Math.max(player.progress + by, 0), 0.99));
  }

  switchSides() {
    if (this.view.query.clip == null) return;
    const onQuery = this.player.deckName === "query" && this.player.playing;
    if (!onQuery) return this.player.play(this.view.query.clip, "query");
    const place = this.at[0] < 0 ? this.beside(-1, 1, 0) : this.at;
    if (place[0] >= 0 && this.cardAt(...place)) this.player.play(this.clipAt(...place), "result");
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const own = event.target.closest(".sss-card"); // Tab, a finger or a reader may have moved the focus to it
    if (own) this.at = [Number(own.dataset.column), Number(own.dataset.rank)];
    const [column, rank] = this.at;
    const moves = {
      ArrowUp: () => (rank ? [column, rank - 1] : [-1, 0]),
      ArrowDown: () => (column < 0 ? this.beside(-1, 1, 0) : [column, rank + 1]),
      ArrowLeft: () => this.beside(column, -1, rank),
      ArrowRight: () => this.beside(column, 1, rank),
      Home: () => [Math.max(0, column), 0],
      End: () => [Math.max(0, column), (this.cards[Math.max(0, column)]?.length || 1) - 1],
    };
    const onButton = event.target.closest("button, a, input") && !event.target.closest(".sss-play");
    const acts = {
      " ": () => !onButton && this.toggle(column, rank),
      q: () => this.toggle(-1, 0),
      b: () => this.switchSides(),
      l: () => this.loop.click(),
      v: () => this.volume.click(),
      m: () => this.cardAt(column, rank).querySelector(".sss-pin")?.click() ?? true,
      Backspace: () => this.findings.back(),
      ",": () => this.seek(column, rank, -0.1),
      ".": () => this.seek(column, rank, 0.1),
      Escape: () => this.player.stop(),
      Enter: () => !onButton && this.view.mode === "compare" && column >= 0 && this.search(this.clipAt(column, rank)),
      ...this.judging.keys(),
    };
    const move = moves[event.key], act = acts[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (move) this.focus(...move(), true);
    else if (!act || (!event.repeat && act() === false)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  search(clip) {
    if (clip === this.view.query.clip) return;
    this.kernel.ask({ ask: "search", clip }).catch((error) => this.say(error.message));
  }

  // The map has clips played that no card shows.
  playUnasked(content) {
    if (content.progress) return this.say(content.progress, true);
    if (content.play === undefined) return;
    this.named = content;
    this.player.play(content.play);
  }

  // Which card plays, and how far it is.
  showPlaying() {
    const { player } = this;
    cancelAnimationFrame(this.frame);
    for (const card of this.root.querySelectorAll(".sss-card")) {
      const own = Number(card.dataset.clip);
      const ofDeck = (card === this.queryCard) === (player.deckName === "query");
      const isHeard = player.clip === own && ofDeck, plays = player.playing && isHeard;
      card.classList.toggle("sss-plays", plays);
      card.classList.toggle("sss-paused", isHeard && player.isPaused);
      card.classList.toggle("sss-loads", player.loading === own);
      const button = card.querySelector(".sss-play");
      if (!button) continue;
      const sign = plays ? "❚❚" : player.loading === own ? "…" : "▶";
      if (button.textContent === sign) continue;
      button.textContent = sign;
      button.setAttribute("aria-label", plays ? "pause" : "play");
    }
    this.now.textContent = player.problem || (player.playing ? `playing ${this.nameOf(player.clip)}` : player.loading !== null ? "loading …" : "");
    const detail = { clip: player.playing ? player.clip : null };
    document.dispatchEvent(new CustomEvent("sss-heard", { detail })); // the map shows it
    this.now.classList.toggle("sss-problem", Boolean(player.problem));
    if (player.playing) this.frame = requestAnimationFrame(() => this.showProgress());
  }

  nameOf(clip) {
    const about = clip === this.view?.query?.clip ? this.view?.query?.about : this.view?.clips?.[clip];
    if (about) return about.title || about.id;
    return this.named?.play === clip ? this.named.name : "";
  }

  showProgress() {
    const at = `${100 * Math.min(this.player.progress, 1)}%`;
    this.root.querySelectorAll(".sss-plays .sss-cursor").forEach((cursor) => (cursor.style.left = at));
    if (this.player.playing) this.frame = requestAnimationFrame(() => this.showProgress());
  }
}

export default {
  render({ model, el }) {
    const view = new BoardView(model, el);
    el.sssBoard = view; // for tests
    return () => view.close();
  },
};
