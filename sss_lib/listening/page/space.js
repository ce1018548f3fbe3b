// One space of the map: the points of one system on a canvas. What is marked, pointed at and heard is its view's.

const SIZE = 4.5; // of a point at most, in pixels
const MARGIN = 18;
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

class Space {
  constructor(view) {
    this.view = view;
    this.zoom = 1;
    this.shift = [0, 0];
    this.pointers = new Map();
    this.layer = document.createElement("canvas");
    this.canvas = node("canvas", { tabindex: 0, role: "application",
      "aria-label": "map of the sounds: arrows move, space plays, M marks, Enter searches" });
    this.tip = node("span", { class: "sss-map-tip", "aria-hidden": "true", hidden: true });
    this.title = node("p", { class: "sss-map-keys" });
    this.element = node("div", { class: "sss-map-space" }, this.canvas, this.tip, this.title);
    this.listen();
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.canvas);
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("dblclick", (event) => {
      const point = this.nearest(event.offsetX, event.offsetY, 14);
      if (point >= 0) this.view.ask("search", this.rows[point]);
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
    canvas.addEventListener("focus", () => this.view.draw());
    canvas.addEventListener("blur", () => this.view.draw());
  }

  close() {
    this.resized.disconnect();
    cancelAnimationFrame(this.frame);
  }

  take(places, rows, families, words) {
    this.places = numbers(places, Uint16Array);
    this.rows = numbers(rows, Int32Array);
    this.families = numbers(families, Uint8Array);
    this.pointOf = new Map([...this.rows].map((row, i) => [row, i]));
    this.extent = [0, 1].map((axis) => {
      const of = this.places.filter((_, i) => i % 2 === axis);
      return Math.max((of.reduce((a, b) => Math.max(a, b), 0) - of.reduce((a, b) => Math.min(a, b), 65535)) / 65535, 0.01);
    });
    this.title.textContent = words;
    this.draw();
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
    const context = canvas.getContext("2d"), text = getComputedStyle(canvas).color, { view } = this;
    const markedRows = view.model.get("marked"), marked = new Set(markedRows);
    const state = [this.zoom, ...this.shift, canvas.width, canvas.height, ...view.off].join();
    if (state !== this.layerState || this.layerOf !== this.places || this.layerMarked !== markedRows) {
      [this.layerState, this.layerOf, this.layerMarked] = [state, this.places, markedRows];
      this.paintPoints(marked, ratio);
    }
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.drawImage(this.layer, 0, 0);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.strokeStyle = text;
    const { query, results = [] } = view.model.get("linked");
    for (const row of results) this.ring(context, row, 7, 1.4);
    this.ring(context, query, 10, 2.5);
    this.ring(context, view.hovered, 8, 2);
    context.strokeStyle = "#d55e00";
    this.ring(context, view.heardClip, 8, 4); // what plays
    if (view.isFocused()) this.ring(context, view.focused, 13, 3);
    if (view.lasso && this.drag?.path.length > 1) {
      context.strokeStyle = text;
      context.setLineDash([5, 4]);
      context.lineWidth = 1.5;
      context.beginPath();
      this.drag.path.forEach(([x, y]) => context.lineTo(x, y));
      context.stroke();
      context.setLineDash([]);
    }
    this.painted_ms = performance.now() - started;
  }

  // The points have a canvas of their own, so that rings and the lasso move without drawing them again. Each
  // family's shape is drawn once and stamped: ten thousand stamps are far faster than as many paths.
  paintPoints(marked, ratio) {
    this.layer.width = this.canvas.width;
    this.layer.height = this.canvas.height;
    const context = this.layer.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    // Many points get small and clear, so that dense places are darker; zoomed in, they grow again. Those of small
    // groups are larger, and lie above the others, the legend's last group, which would hide them.
    const n = this.rows.length || 1, { view } = this, others = view.model.get("legend").length - 1;
    const counts = new Array(others + 1).fill(0);
    for (const group of this.families) counts[group] += 1;
    const room = (this.zoom * Math.sqrt((this.width * this.height) / n)) / 5;
    const styles = counts.map((count, group) => {
      const size = Math.min(SIZE, Math.max(1.3, room * (group === others ? 1 : (n / Math.max(count, 1)) ** 0.25)));
      const half = Math.ceil(size * 1.5);
      const alpha = Math.min(0.85, 0.35 + size / 9) * (group === others && count < n ? 0.6 : 1);
      return { half, alpha, stamp: stamp(view.model.get("legend")[group][1], group, size, half, ratio) };
    });
    for (const faint of marked.size ? [true, false] : [false]) {
      for (const isOthers of [true, false]) {
        for (let i = 0; i < this.rows.length; i++) {
          const group = this.families[i], { half, alpha, stamp } = styles[group];
          if ((group === others) !== isOthers || view.off.has(group)) continue;
          if (marked.size && marked.has(this.rows[i]) === faint) continue;
          const [x, y] = this.at(i);
          context.globalAlpha = faint ? alpha / 4 : alpha;
          context.drawImage(stamp, x - half, y - half, 2 * half, 2 * half);
        }
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
      if (this.view.off.has(this.families[i])) continue;
      const [px, py] = this.at(i);
      const distance = (px - x) ** 2 + (py - y) ** 2;
      if (distance < least) [found, least] = [i, distance];
    }
    return found;
  }

  // The point under the pointer, with its name beside it once the pointer rests.
  hover(point) {
    const row = this.rows[point];
    if (row === this.view.hovered) return;
    this.tip.hidden = true;
    this.view.hover(row, (text) => {
      const [x, y] = this.at(point);
      this.tip.textContent = text;
      this.tip.hidden = false;
      Object.assign(this.tip.style, { left: `${Math.min(x + 12, this.width - this.tip.offsetWidth)}px`, top: `${y + 12}px` });
    });
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
      if (this.view.lasso) {
        const within = (i) => !this.view.off.has(this.families[i]) && inside(path, ...this.at(i));
        this.view.mark([...this.rows.keys()].filter(within).map((i) => this.rows[i]));
      }
    } else if (!shift) {
      const point = this.nearest(event.offsetX, event.offsetY, 14);
      if (point >= 0) {
        this.view.choose(this.rows[point]);
        this.view.ask("play", this.rows[point]);
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
    const [x, y] = this.at(this.focusedPoint());
    let found = this.focusedPoint(), least = Infinity;
    for (let i = 0; i < this.rows.length; i++) {
      const [px, py] = this.at(i);
      const ahead = (px - x) * dx + (py - y) * dy;
      const aside = Math.abs((px - x) * dy - (py - y) * dx);
      if (ahead > 0.5 && ahead + 2 * aside < least) [found, least] = [i, ahead + 2 * aside];
    }
    return found;
  }

  // The chosen clip, or the first one where this system lacks it.
  focusedPoint() {
    return this.pointOf.get(this.view.focused) ?? 0;
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const directions = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
    const zoom = (factor) => this.zoomBy(factor, ...this.at(this.focusedPoint()));
    const { view } = this, row = this.rows[this.focusedPoint()];
    const acts = {
      " ": () => view.ask("play", row),
      Enter: () => view.ask("search", row),
      m: () => view.toggleMark(row),
      "+": () => zoom(1.4), "=": () => zoom(1.4), "-": () => zoom(1 / 1.4),
      Escape: () => view.mark([]),
    };
    if (directions[event.key]) view.choose(this.rows[this.towards(...directions[event.key])]);
    else if (acts[event.key]) acts[event.key]();
    else return;
    event.preventDefault();
    event.stopPropagation();
    view.draw();
  }
}
