// The map: points on a canvas. The page asks for the name of one clip at a time; sounds play on the board.

const SIZE = 4.5; // of a point, in pixels
const MARGIN = 18;
const PATIENCE_S = 600; // a kernel that runs the notebook answers when it is through
// Of the families, in the order of the legend: disc, square, triangle, diamond, triangle upside down, cross. They
// repeat the colours, for readers who don't tell those apart.
const SHAPES = [
  (c, x, y, r) => { c.moveTo(x + r, y); c.arc(x, y, r, 0, 7); },
  (c, x, y, r) => c.rect(x - r * 0.85, y - r * 0.85, r * 1.7, r * 1.7),
  (c, x, y, r) => { c.moveTo(x, y - r * 1.2); c.lineTo(x + r * 1.1, y + r * 0.8); c.lineTo(x - r * 1.1, y + r * 0.8); c.closePath(); },
  (c, x, y, r) => { c.moveTo(x, y - r * 1.25); c.lineTo(x + r, y); c.lineTo(x, y + r * 1.25); c.lineTo(x - r, y); c.closePath(); },
  (c, x, y, r) => { c.moveTo(x, y + r * 1.2); c.lineTo(x + r * 1.1, y - r * 0.8); c.lineTo(x - r * 1.1, y - r * 0.8); c.closePath(); },
  (c, x, y, r) => { c.rect(x - r * 1.2, y - r * 0.45, r * 2.4, r * 0.9); c.rect(x - r * 0.45, y - r * 1.2, r * 0.9, r * 2.4); },
];

// Whether a point lies in a polygon: a ray from it crosses the outline an odd number of times.
function inside(polygon, x, y) {
  let within = false;
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
    const [xi, yi] = polygon[i], [xj, yj] = polygon[j];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) within = !within;
  }
  return within;
}

// Bytes come as a DataView that may begin anywhere: copied, they can be read as numbers.
function numbers(view, type) {
  return new type(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}

function stamp(colour, family, size, half, ratio) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = Math.ceil(2 * half * ratio);
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.fillStyle = colour;
  context.beginPath();
  SHAPES[family % SHAPES.length](context, half, half, size);
  context.fill();
  return canvas;
}

class SoundMapView {
  constructor(model, el) {
    this.model = model;
    this.zoom = 1;
    this.shift = [0, 0];
    this.focused = 0;
    this.asked = {}; // how often each thing was asked for
    this.kernel = new Kernel(model);
    this.off = new Set(); // groups that the legend leaves out
    this.heardClip = null;
    this.pointers = new Map();
    this.lasso = matchMedia("(pointer: fine)").matches; // a finger scrolls the page until it is to mark
    this.layer = document.createElement("canvas");
    this.canvas = node("canvas", { tabindex: 0, role: "application",
      "aria-label": "map of the sounds: arrows move, space plays, M marks, Enter searches" });
    this.legend = node("p", { class: "sss-map-legend" });
    this.about = node("p", { class: "sss-map-about", role: "status", "aria-live": "polite" });
    this.axes = node("p", { class: "sss-map-keys" });
    this.tip = node("span", { class: "sss-map-tip", "aria-hidden": "true", hidden: true });
    const button = (text, title, onclick, about = {}) => node("button", { type: "button", title, onclick, ...about }, text);
    const zoom = (factor) => this.zoomBy(factor, this.width / 2, this.height / 2);
    this.like = button("More like this", "Enter, or a double click", () => this.ask("search", this.focused));
    this.marking = button("Draw to mark", "whether dragging marks a set", () => this.setLasso(!this.lasso));
    this.views = [button("+", "zoom in", () => zoom(1.4)), button("−", "zoom out", () => zoom(1 / 1.4)),
      button("Fit", "show all", () => zoom(0))];
    this.count = node("span");
    this.clear = node("button", { type: "button", onclick: () => this.mark([]) }, "Unmark all");
    this.root = node("section", { class: "sss-map", "aria-label": "map of the sounds" },
      this.legend, node("div", { class: "sss-map-space" }, this.canvas, this.tip), this.axes, this.about,
      node("div", { class: "sss-map-tools" }, this.like, ...this.views, this.marking, this.count, this.clear),
      node("p", { class: "sss-map-keys" }, "click plays, double click searches · drag marks a set · " +
        "wheel zooms once the map was clicked, shift-drag moves, two fingers do both · " +
        "keys: arrows move, space plays, Enter searches, M marks, + and - zoom, Escape unmarks"));
    el.append(this.root);
    this.setLasso(this.lasso);
    this.take(Array(3).fill(new DataView(new ArrayBuffer(0)))); // until they come
    this.listen();
    this.load();
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.canvas);
  }

  listen() {
    this.heard = {
      "change:laid_out": () => this.load(), "change:linked": () => this.draw(), "change:marked": () => this.draw(),
      "change:status": () => (this.about.textContent = this.model.get("status")),
    };
    for (const [event, act] of Object.entries(this.heard)) this.model.on(event, act);
    this.onHeard = ({ detail }) => { this.heardClip = detail.clip; this.draw(); };
    document.addEventListener("sss-heard", this.onHeard);
    const { canvas } = this;
    canvas.addEventListener("dblclick", (event) => {
      const point = this.nearest(event.offsetX, event.offsetY, 14);
      if (point >= 0) this.ask("search", point);
    });
    canvas.addEventListener("pointerleave", () => this.hover(-1));
    canvas.addEventListener("touchmove", (event) => event.touches.length > 1 && event.preventDefault(), { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.release(event));
    canvas.addEventListener("pointercancel", ({ pointerId }) => {
      this.pointers.delete(pointerId);
      this.drag = null;
      this.draw();
    });
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("keydown", (event) => this.onKey(event));
    canvas.addEventListener("focus", () => this.draw());
    canvas.addEventListener("blur", () => this.draw());
  }

  close() {
    for (const [event, act] of Object.entries(this.heard)) this.model.off(event, act);
    document.removeEventListener("sss-heard", this.onHeard);
    this.kernel.close();
    this.resized.disconnect();
    cancelAnimationFrame(this.frame);
  }

  load() {
    this.ask("points", undefined, (content, buffers) => this.take(buffers));
  }

  take([places, rows, families]) {
    this.places = numbers(places, Uint16Array);
    this.rows = numbers(rows, Int32Array);
    this.families = numbers(families, Uint8Array);
    this.pointOf = new Map([...this.rows].map((row, i) => [row, i]));
    this.extent = [0, 1].map((axis) => {
      const of = this.places.filter((_, i) => i % 2 === axis);
      return Math.max((of.reduce((a, b) => Math.max(a, b), 0) - of.reduce((a, b) => Math.min(a, b), 65535)) / 65535, 0.01);
    });
    this.off.clear();
    this.axes.textContent = this.model.get("axes");
    this.legend.replaceChildren(...this.model.get("legend").map(([name, colour], i) => this.sign(name, colour, i)));
    this.draw();
  }

  sign(name, colour, i) {
    const picture = stamp(colour, i, 5, 7, 2);
    picture.className = "sss-map-sign";
    return node("button", { type: "button", "aria-pressed": "true", title: "show or hide", onclick: ({ currentTarget }) => {
      if (!this.off.delete(i)) this.off.add(i);
      currentTarget.setAttribute("aria-pressed", String(!this.off.has(i)));
      this.layerState = "";
      this.draw();
    } }, picture, plain(name));
  }

  // Ask for something about a point. An answer counts only if the same wasn't asked for again meanwhile.
  async ask(what, point, answered = () => {}) {
    const nth = (this.asked[what] = (this.asked[what] ?? 0) + 1);
    try {
      const answer = await this.kernel.ask({ ask: what, clip: this.rows[point] }, [], PATIENCE_S);
      if (nth === this.asked[what]) answered(...answer);
    } catch (error) {
      this.about.textContent = error.message;
    }
  }

  showAbout(point) {
    this.ask("about", point, (content) => (this.about.textContent = content.text));
  }

  mark(points) {
    this.model.set("marked", points.map((point) => this.rows[point]));
    this.model.save_changes();
  }

  at(point) {
    const [wide, high] = this.extent; // one scale for both axes: distances are what is to be seen
    const side = Math.min((this.width - 2 * MARGIN) / wide, (this.height - 2 * MARGIN) / high);
    const x = (this.places[2 * point] / 65535 - 0.5) * side;
    const y = (this.places[2 * point + 1] / 65535 - 0.5) * side;
    return [this.width / 2 + this.zoom * x + this.shift[0], this.height / 2 + this.zoom * y + this.shift[1]];
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.paint());
  }

  paint() {
    const started = performance.now();
    const { canvas } = this, ratio = window.devicePixelRatio || 1;
    this.width = canvas.clientWidth;
    this.height = canvas.clientHeight;
    if (!this.width) return;
    if (canvas.width !== Math.round(this.width * ratio)) canvas.width = Math.round(this.width * ratio);
    if (canvas.height !== Math.round(this.height * ratio)) canvas.height = Math.round(this.height * ratio);
    const context = canvas.getContext("2d"), text = getComputedStyle(this.root).color;
    const marked = new Set(this.model.get("marked"));
    const state = [this.zoom, ...this.shift, canvas.width, canvas.height].join();
    if (state !== this.layerState || this.layerOf !== this.places || this.layerMarked !== this.model.get("marked")) {
      [this.layerState, this.layerOf, this.layerMarked] = [state, this.places, this.model.get("marked")];
      this.paintPoints(marked, ratio);
    }
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.drawImage(this.layer, 0, 0);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.strokeStyle = text;
    const { query, results = [] } = this.model.get("linked");
    for (const row of results) this.ring(context, row, 7, 1.4);
    this.ring(context, query, 10, 2.5);
    if (this.hovered >= 0) this.ring(context, this.rows[this.hovered], 8, 2);
    context.strokeStyle = "#d55e00";
    this.ring(context, this.heardClip, 8, 4); // what plays
    if (document.activeElement === canvas) {
      context.strokeStyle = "#d55e00";
      this.ring(context, this.rows[this.focused], 13, 3);
    }
    if (this.lasso && this.drag?.path.length > 1) {
      context.strokeStyle = text;
      context.setLineDash([5, 4]);
      context.lineWidth = 1.5;
      context.beginPath();
      this.drag.path.forEach(([x, y]) => context.lineTo(x, y));
      context.stroke();
      context.setLineDash([]);
    }
    this.count.textContent = marked.size ? `${marked.size} marked` : `${this.rows.length} sounds, none marked`;
    this.clear.disabled = !marked.size;
    this.painted_ms = performance.now() - started;
  }

  // The points have a canvas of their own, so that rings and the lasso move without drawing them again. Each
  // family's shape is drawn once and stamped: ten thousand stamps are far faster than as many paths.
  paintPoints(marked, ratio) {
    this.layer.width = this.canvas.width;
    this.layer.height = this.canvas.height;
    const context = this.layer.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const size = this.rows.length > 3000 ? SIZE * 0.55 : SIZE;
    const half = Math.ceil(size * 1.5);
    const stamps = this.model.get("legend").map(([, colour], family) => stamp(colour, family, size, half, ratio));
    for (const faint of marked.size ? [true, false] : [false]) {
      context.globalAlpha = faint ? 0.2 : 0.85;
      for (let i = 0; i < this.rows.length; i++) {
        if (this.off.has(this.families[i]) || (marked.size && marked.has(this.rows[i]) === faint)) continue;
        const [x, y] = this.at(i);
        context.drawImage(stamps[this.families[i]], x - half, y - half, 2 * half, 2 * half);
      }
    }
  }

  ring(context, row, radius, width) {
    const point = this.pointOf.get(row);
    if (point === undefined) return;
    context.lineWidth = width;
    context.beginPath();
    context.arc(...this.at(point), radius, 0, 7);
    context.stroke();
  }

  nearest(x, y, most) {
    let found = -1, least = most * most;
    for (let i = 0; i < this.rows.length; i++) {
      if (this.off.has(this.families[i])) continue;
      const [px, py] = this.at(i);
      const distance = (px - x) ** 2 + (py - y) ** 2;
      if (distance < least) [found, least] = [i, distance];
    }
    return found;
  }

  // The point under the pointer, with its name beside it once the pointer rests.
  hover(point) {
    if (point === this.hovered) return;
    this.hovered = point;
    this.tip.hidden = true;
    clearTimeout(this.resting);
    if (point >= 0) this.resting = setTimeout(() => this.ask("about", point, ({ text }) => {
      this.about.textContent = text;
      const [x, y] = this.at(point);
      this.tip.textContent = text;
      this.tip.hidden = this.hovered !== point;
      Object.assign(this.tip.style, { left: `${Math.min(x + 12, this.width - this.tip.offsetWidth)}px`, top: `${y + 12}px` });
    }), 40);
    this.draw();
  }

  setLasso(on) {
    this.lasso = on;
    this.marking.setAttribute("aria-pressed", String(on));
    this.canvas.style.touchAction = on ? "none" : "pan-y";
  }

  // Two fingers: their middle moves the map, their distance zooms it.
  pinch(event) {
    const middle = ([[ax, ay], [bx, by]]) => [(ax + bx) / 2, (ay + by) / 2, Math.hypot(ax - bx, ay - by) || 1];
    const before = middle([...this.pointers.values()]);
    this.pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
    const after = middle([...this.pointers.values()]);
    this.shift = [0, 1].map((i) => this.shift[i] + after[i] - before[i]);
    this.zoomBy(after[2] / before[2], after[0], after[1]);
  }

  press(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
    if (this.pointers.size > 1) this.drag = null;
    if (this.pointers.size > 1) return;
    this.drag = { from: [event.offsetX, event.offsetY], shift: event.shiftKey && [...this.shift],
      path: [[event.offsetX, event.offsetY]] };
  }

  move(event) {
    const [x, y] = [event.offsetX, event.offsetY];
    if (this.pointers.size === 2) return this.pinch(event);
    if (!this.drag) return this.hover(this.nearest(x, y, 10));
    if (this.drag.shift) this.shift = [0, 1].map((i) => this.drag.shift[i] + [x, y][i] - this.drag.from[i]);
    else this.drag.path.push([x, y]);
    this.draw();
  }

  release(event) {
    this.pointers.delete(event.pointerId);
    if (!this.drag) return;
    const { path, from, shift } = this.drag;
    this.drag = null;
    const moved = path.some(([x, y]) => Math.hypot(x - from[0], y - from[1]) > 5);
    if (!shift && moved) {
      if (this.lasso) this.mark([...this.rows.keys()].filter((i) => !this.off.has(this.families[i]) && inside(path, ...this.at(i))));
    } else if (!shift) {
      const point = this.nearest(event.offsetX, event.offsetY, 14);
      if (point >= 0) {
        this.focused = point;
        this.ask("play", point);
        this.showAbout(point);
      }
    }
    this.draw();
  }

  wheel(event) {
    if (document.activeElement !== this.canvas && !event.ctrlKey) return; // the page scrolls
    event.preventDefault();
    this.zoomBy(Math.exp(-event.deltaY / 400), event.offsetX, event.offsetY);
  }

  zoomBy(factor, x, y) {
    const zoom = Math.min(40, Math.max(1, this.zoom * factor));
    const change = zoom / this.zoom;
    this.shift = [x - this.width / 2 - (x - this.width / 2 - this.shift[0]) * change,
      y - this.height / 2 - (y - this.height / 2 - this.shift[1]) * change];
    if (zoom === 1) this.shift = [0, 0];
    this.zoom = zoom;
    this.draw();
  }

  // The nearest point in a direction; a distance to the side counts twice, so that those straight ahead come first.
  towards(dx, dy) {
    const [x, y] = this.at(this.focused);
    let found = this.focused, least = Infinity;
    for (let i = 0; i < this.rows.length; i++) {
      const [px, py] = this.at(i);
      const ahead = (px - x) * dx + (py - y) * dy;
      const aside = Math.abs((px - x) * dy - (py - y) * dx);
      if (ahead > 0.5 && ahead + 2 * aside < least) [found, least] = [i, ahead + 2 * aside];
    }
    return found;
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const directions = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
    const zoom = (factor) => this.zoomBy(factor, ...this.at(this.focused));
    const acts = {
      " ": () => this.ask("play", this.focused),
      Enter: () => this.ask("search", this.focused),
      m: () => this.toggleMark(),
      "+": () => zoom(1.4), "=": () => zoom(1.4), "-": () => zoom(1 / 1.4),
      Escape: () => this.mark([]),
    };
    if (directions[event.key]) {
      this.focused = this.towards(...directions[event.key]);
      this.showAbout(this.focused);
    } else if (acts[event.key]) acts[event.key]();
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.draw();
  }

  toggleMark() {
    const row = this.rows[this.focused], marked = this.model.get("marked");
    const rows = marked.includes(row) ? marked.filter((one) => one !== row) : [...marked, row];
    this.mark(rows.map((one) => this.pointOf.get(one)).filter((point) => point !== undefined));
  }
}

export default {
  render({ model, el }) {
    const view = new SoundMapView(model, el);
    el.sssMap = view; // for tests
    return () => view.close();
  },
};
