// Questions to the kernel: each carries an id, which the answer repeats. A kernel that is silent is busy, or gone:
// the server knows. Pages hear of it by the event "sss-kernel", whose detail says what waits, or that it is gone.

const NO_KERNEL = "No kernel answers: run this notebook's cells to listen, or reload the page.";
const SILENT_MS = 2000; // after which one asks the server
const LOST_MS = 20000; // after which a kernel that has time will not answer any more: a saved page's widgets aren't its own
const MOST_FAILED = 3; // attempts in a row: the network may only be away for a moment
const WAITS = {
  search: "a search", go: "a search", refine: "a search", sound: "a sound", pictures: "pictures", upload: "your sound",
  export: "what you save", points: "the map", about: "a name", play: "a sound", grade: "a judgement", prefer: "a judgement",
};

class Kernel {
  // unasked(content) gets what the kernel sends by itself.
  constructor(model, unasked = () => {}) {
    this.model = model;
    this.unasked = unasked;
    this.waiting = new Map();
    this.nextId = 1;
    this.nFailed = 0;
    this.session = Math.random().toString(36).slice(2); // several pages may show one widget
    this.onMessage = (content, buffers) => this.receive(content, buffers);
    model.on("msg:custom", this.onMessage);
  }

  close() {
    clearTimeout(this.looking);
    this.model.off("msg:custom", this.onMessage);
  }

  // A promise of [content, buffers].
  ask(message, buffers = []) {
    const id = `${this.session}-${this.nextId++}`;
    return new Promise((resolve, reject) => {
      if (!this.waiting.size) this.heard = Date.now();
      this.waiting.set(id, { resolve, reject, what: WAITS[message.ask] ?? "a click" });
      this.looking ??= setTimeout(() => this.look(), SILENT_MS);
      try {
        this.model.send({ ...message, id }, undefined, buffers);
      } catch { // after a restart
        this.giveUp();
      }
    });
  }

  receive(content, buffers) {
    this.heard = Date.now();
    tell({});
    if (content.id === undefined) return this.unasked(content);
    const waiting = this.waiting.get(content.id);
    if (!waiting) return;
    this.waiting.delete(content.id);
    if (content.problem) waiting.reject(new Error(content.problem));
    else waiting.resolve([content, buffers]);
  }

  // Tell what waits, for as long as the kernel is silent.
  async look() {
    const { heard } = this, silent_ms = Date.now() - heard;
    if (this.waiting.size && silent_ms >= SILENT_MS) {
      const isGone = await this.isGone(silent_ms);
      if (isGone && heard === this.heard) return this.giveUp(); // else an answer has come meanwhile
      const all = [...this.waiting.values()].map(({ what }) => what);
      if (all.length) tell({ waits: all.findLast((what) => what !== "pictures") ?? "pictures" }); // nobody asks for these
    }
    this.looking = this.waiting.size ? setTimeout(() => this.look(), SILENT_MS) : undefined;
  }

  async isGone(silent_ms) {
    const { kernel } = this.model.widget_manager ?? {}, isLong = silent_ms > LOST_MS;
    if (document.querySelector(".jupyter-widgets-disconnected")) return true;
    if (!kernel) return isLong;
    try {
      const url = `${kernel.serverSettings.baseUrl}api/kernels/${kernel.id}`;
      const { status } = await fetch(url, { signal: AbortSignal.timeout(SILENT_MS) });
      this.nFailed = 0;
      return status === 404 || (isLong && await this.hasTime(kernel));
    } catch (error) {
      this.nFailed = error.name === "TimeoutError" ? 0 : this.nFailed + 1; // a server that is busy has not ended
      return this.nFailed === MOST_FAILED;
    }
  }

  // Whether the kernel answers others.
  hasTime(kernel) {
    const answered = kernel.requestKernelInfo().then(() => true);
    return Promise.race([answered, new Promise((resolve) => setTimeout(resolve, SILENT_MS))]);
  }

  giveUp() {
    clearTimeout(this.looking);
    this.looking = undefined;
    tell({ gone: true });
    const all = [...this.waiting.values()];
    this.waiting.clear();
    for (const { reject } of all) reject(new Error(NO_KERNEL));
  }
}

function tell(detail) {
  document.dispatchEvent(new CustomEvent("sss-kernel", { detail }));
}
