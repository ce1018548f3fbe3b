// Marked clips, by their ids: kept in the browser for each collection, and taken away as a list, a page or files.

const EXPORTS = {
  csv: ["List (CSV)", "text/csv"], html: ["Page with sounds", "text/html"], zip: ["Files (zip)", "application/zip"],
};

class Marks {
  constructor(board) {
    this.board = board;
    this.ids = new Set();
    this.summary = node("summary", {}, "Save");
    this.element = node("details", { class: "sss-save" }, this.summary, ...Object.entries(EXPORTS).map(([kind, [text]]) =>
      node("button", { type: "button", onclick: () => this.save(kind) }, text)));
  }

  get key() { return `sss-marks-${this.board.view.collection}`; }

  // Of what the browser has kept, which may forbid keeping.
  load() {
    try { this.ids = new Set(JSON.parse(localStorage.getItem(this.key)) || this.ids); } catch {}
  }

  toggle(id) {
    this.load(); // another tab may have marked
    if (!this.ids.delete(id)) this.ids.add(id);
    try { localStorage.setItem(this.key, JSON.stringify([...this.ids])); } catch {}
    this.show();
  }

  show() {
    this.element.hidden = this.board.view.mode !== "compare";
    this.summary.textContent = this.ids.size ? `Save (${this.ids.size} marked)` : "Save";
    for (const button of this.board.root.querySelectorAll(".sss-pin")) {
      const isMarked = this.ids.has(button.dataset.id);
      button.setAttribute("aria-pressed", String(isMarked));
      button.textContent = isMarked ? "✓ Marked" : "Mark";
    }
  }

  async save(kind) {
    const [text, type] = EXPORTS[kind], { board } = this;
    board.say(`Saving: ${text} …`, true);
    try {
      const [, [bytes]] = await board.kernel.ask({ ask: "export", kind, marked: [...this.ids] }, [], 120);
      const url = URL.createObjectURL(new Blob([bytes], { type }));
      node("a", { href: url, download: `${board.view.collection}-${board.view.query.about.id}.${kind}` }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60000);
      board.say("");
    } catch (error) { board.say(error.message); }
  }
}
