// The map: one space or two of the same sounds. The page asks for the name of one clip at a time; sounds play on
// the board.

class SoundMapView {
  constructor(model, el) {
    this.model = model;
    this.asked = {}; // how often each thing was asked for
    this.kernel = new Kernel(model);
    this.off = new Set(); // groups that the legend leaves out
    this.heardClip = null;
    this.lasso = matchMedia("(pointer: fine)").matches; // a finger scrolls the page until it is to mark
    this.legend = node("p", { class: "sss-map-legend" });
    this.about = node("p", { class: "sss-map-about", role: "status", "aria-live": "polite" });
    const button = (text, title, onclick, about = {}) => node("button", { type: "button", title, onclick, ...about }, text);
    const zoom = (factor) => this.spaces.forEach((one) => one.zoomBy(factor, one.width / 2, one.height / 2));
    this.like = button("More like this", "Enter, or a double click", () => this.ask("search", this.focused));
    this.marking = button("Draw to mark", "whether dragging marks a set", () => this.setLasso(!this.lasso));
    this.views = [button("+", "zoom in", () => zoom(1.4)), button("−", "zoom out", () => zoom(1 / 1.4)),
      button("Fit", "show all", () => zoom(0))];
    this.count = node("span");
    this.clear = node("button", { type: "button", onclick: () => this.mark([]) }, "Unmark all");
    this.spaces = [];
    this.row = node("div", { class: "sss-map-spaces" });
    this.root = node("section", { class: "sss-map", "aria-label": "map of the sounds" },
      this.legend, this.row, this.about,
      node("div", { class: "sss-map-tools" }, this.like, ...this.views, this.marking, this.count, this.clear),
      node("p", { class: "sss-map-keys" }, "click plays, double click searches · drag marks a set · " +
        "wheel zooms once the map was clicked, shift-drag moves, two fingers do both · " +
        "keys: arrows move, space plays, Enter searches, M marks, + and - zoom, Escape unmarks"));
    el.append(this.root);
    this.take(Array(3).fill(new DataView(new ArrayBuffer(0)))); // until they come
    this.listen();
    this.load();
  }

  listen() {
    this.heard = {
      "change:laid_out": () => this.load(), "change:linked": () => this.draw(), "change:marked": () => this.draw(),
      "change:status": () => (this.about.textContent = this.model.get("status")),
    };
    for (const [event, act] of Object.entries(this.heard)) this.model.on(event, act);
    this.onHeard = ({ detail }) => { this.heardClip = detail.clip; this.draw(); };
    document.addEventListener("sss-heard", this.onHeard);
  }

  close() {
    for (const [event, act] of Object.entries(this.heard)) this.model.off(event, act);
    document.removeEventListener("sss-heard", this.onHeard);
    this.kernel.close();
    this.spaces.forEach((one) => one.close());
  }

  load() {
    this.ask("points", undefined, (content, buffers) => this.take(buffers));
  }

  // Places, rows and groups of the clips of each space.
  take(buffers) {
    const n = buffers.length / 3;
    while (this.spaces.length > n) this.spaces.pop().close();
    while (this.spaces.length < n) this.spaces.push(new Space(this));
    this.row.replaceChildren(...this.spaces.map((one) => one.element));
    this.setLasso(this.lasso);
    this.off.clear();
    this.spaces.forEach((one, i) => one.take(...buffers.slice(3 * i, 3 * i + 3), this.model.get("titles")[i] ?? ""));
    this.focused ??= this.spaces[0].rows[0];
    this.legend.replaceChildren(...this.model.get("legend").map(([name, colour], i) => this.sign(name, colour, i)));
    this.draw();
  }

  sign(name, colour, i) {
    const picture = stamp(colour, i, 5, 7, 2);
    picture.className = "sss-map-sign";
    return node("button", { type: "button", "aria-pressed": "true", title: "show or hide", onclick: ({ currentTarget }) => {
      if (!this.off.delete(i)) this.off.add(i);
      currentTarget.setAttribute("aria-pressed", String(!this.off.has(i)));
      this.draw();
    } }, picture, plain(name));
  }

  // Ask for something about a clip. An answer counts only if the same wasn't asked for again meanwhile.
  async ask(what, clip, answered = () => {}) {
    const nth = (this.asked[what] = (this.asked[what] ?? 0) + 1);
    try {
      const answer = await this.kernel.ask({ ask: what, clip });
      if (nth === this.asked[what]) answered(...answer);
    } catch (error) {
      this.about.textContent = error.message;
    }
  }

  // A clip that a click or an arrow leads to: what is said of it, and its ring, on all spaces.
  choose(row) {
    this.focused = row;
    this.ask("about", row, ({ text }) => (this.about.textContent = text));
    this.draw();
  }

  hover(row, named) {
    this.hovered = row;
    clearTimeout(this.resting);
    if (row !== undefined) this.resting = setTimeout(() => this.ask("about", row, ({ text }) => {
      this.about.textContent = text;
      if (row === this.hovered) named(text);
    }), 40);
    this.draw();
  }

  isFocused() {
    return this.spaces.some((one) => one.canvas === document.activeElement);
  }

  mark(rows) {
    this.model.set("marked", rows);
    this.model.save_changes();
  }

  toggleMark(row) {
    const marked = this.model.get("marked");
    this.mark(marked.includes(row) ? marked.filter((one) => one !== row) : [...marked, row]);
  }

  setLasso(on) {
    this.lasso = on;
    this.marking.setAttribute("aria-pressed", String(on));
    for (const { canvas } of this.spaces) canvas.style.touchAction = on ? "none" : "pan-y";
  }

  draw() {
    const n = this.model.get("marked").length;
    this.count.textContent = n ? `${n} marked` : `${this.spaces[0].rows.length} sounds, none marked`;
    this.clear.disabled = !n;
    this.spaces.forEach((one) => one.draw());
  }
}

export default {
  render({ model, el }) {
    const view = new SoundMapView(model, el);
    el.sssMap = view; // for tests
    return () => view.close();
  },
};
