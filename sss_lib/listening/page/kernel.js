// Questions to the kernel: each carries an id, which the answer repeats.

const NO_KERNEL = "No kernel answers: run this notebook's cells to listen, or reload the page.";

class Kernel {
  // unasked(content) gets what the kernel sends by itself.
  constructor(model, unasked = () => {}) {
    this.model = model;
    this.unasked = unasked;
    this.waiting = new Map();
    this.nextId = 1;
    this.session = Math.random().toString(36).slice(2); // several pages may show one widget
    this.onMessage = (content, buffers) => this.receive(content, buffers);
    model.on("msg:custom", this.onMessage);
  }

  close() {
    this.model.off("msg:custom", this.onMessage);
  }

  // A promise of [content, buffers].
  ask(message, buffers = [], patience_s = 20) {
    const id = `${this.session}-${this.nextId++}`;
    return new Promise((resolve, reject) => {
      const giveUp = (why) => {
        document.body.classList.add("sss-unanswered"); // a banner says so, until an answer comes
        if (this.waiting.delete(id)) reject(new Error(why));
      };
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
    document.body.classList.remove("sss-unanswered");
    if (content.id === undefined) return this.unasked(content);
    const waiting = this.waiting.get(content.id);
    if (!waiting) return;
    this.waiting.delete(content.id);
    clearTimeout(waiting.timer);
    if (content.problem) waiting.reject(new Error(content.problem));
    else waiting.resolve([content, buffers]);
  }
}
