// Marked clips, by their ids: kept in the browser for each collection, and taken away as a list, a page or files.
// A second mark says that results should not sound like a clip; "Like the marked" searches with both kinds.

const EXPORTS = {
  csv: ["List (CSV)", "text/csv"], html: ["Page with sounds", "text/html"], zip: ["Files (zip)", "application/zip"],
};

class Marks {
  constructor(board) {
    this.board = board;
    this.ids = new Set();
    this.unlike = new Set();
    this.search = node("button", { type: "button", hidden: true, title: "Search with the marked clips, away from unlike ones",
      onclick: () => this.refine() }, "Like the marked");
    this.summary = node("summary", {}, "Save");
    this.element = node("details", { class: "sss-save" }, this.summary, ...Object.entries(EXPORTS).map(([kind, [text]]) =>
      node("button", { type: "button", onclick: () => this.save(kind) }, text)));
  }

  get key() { return `sss-marks-${this.board.view.collection}`; }

  // Of what the browser has kept, which may forbid keeping.
  load() {
    const kept = (key, ids) => new Set(JSON.parse(localStorage.getItem(key)) || ids);
    try { [this.ids, this.unlike] = [kept(this.key, this.ids), kept(`${this.key}-unlike`, this.unlike)]; } catch {}
  }

  toggle(id) {
    this.load(); // another tab may have marked
    if (this.ids.delete(id)) this.unlike.add(id);
    else if (!this.unlike.delete(id)) this.ids.add(id);
    try {
      localStorage.setItem(this.key, JSON.stringify([...this.ids]));
      localStorage.setItem(`${this.key}-unlike`, JSON.stringify([...this.unlike]));
    } catch {}
    this.show();
  }

  show() {
    this.element.hidden = this.board.view.mode !== "compare";
    this.search.hidden = this.element.hidden || !this.ids.size;
    this.summary.textContent = this.ids.size ? `Save (${this.ids.size} marked)` : "Save";
    for (const button of this.board.root.querySelectorAll(".sss-pin")) {
      const isMarked = this.ids.has(button.dataset.id);
      button.setAttribute("aria-pressed", String(isMarked));
      button.textContent = isMarked ? "✓ Marked" : this.unlike.has(button.dataset.id) ? "✗ Unlike" : "Mark";
    }
  }

  refine() {
    const { board } = this;
    board.kernel.ask({ ask: "refine", hits: [...this.ids], misses: [...this.unlike] }).catch((error) => board.say(error.message));
  }

  async save(kind) {
    const [text, type] = EXPORTS[kind], { board } = this;
    board.say(`Saving: ${text} …`, true);
    try {
      const [, [bytes]] = await board.kernel.ask({ ask: "export", kind, marked: [...this.ids] });
      const url = URL.createObjectURL(new Blob([bytes], { type }));
      node("a", { href: url, download: `${board.view.collection}-${board.view.query.about.id}.${kind}` }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60000);
      board.say("");
    } catch (error) { board.say(error.message); }
  }
}
