// Judging: grades of single results, or a preference between two lists.

const GRADES = ["0 nothing in common", "1 a little", "2 similar", "3 means the same"];
const CHOICES = { 1: ["left", "1 left is better"], 0: ["equal", "0 no difference"], 2: ["right", "2 right is better"] };

class Judging {
  constructor(board) {
    this.board = board;
    this.pending = new Map(); // clips whose grades are on their way, and how many
    this.progress = node("span", { role: "status" });
    this.element = node("div", { class: "sss-judge", hidden: true });
  }

  get judged() {
    return this.board.model.get("judged") || {};
  }

  // What each key does, by the mode of the view.
  keys() {
    const { mode } = this.board.view, keys = { u: () => this.tell({ ask: "undo" }) };
    if (mode === "grade") for (const grade of GRADES.keys()) keys[grade] = () => this.grade(grade);
    else if (mode === "prefer") for (const key in CHOICES) keys[key] = () => this.prefer(CHOICES[key][0]);
    else return {};
    return keys;
  }

  // Tell the kernel a judgement of the query that is shown. It takes one after the other, and refuses what comes once
  // another query is shown.
  tell(message) {
    return this.board.kernel.ask({ ...message, query: this.board.view.query.clip })
      .catch((error) => this.board.say(error.message));
  }

  prefer(choice) {
    return !this.judged.done && this.tell({ ask: "prefer", choice });
  }

  // The focus goes on at once: who is quick grades the next sound before this grade is kept.
  grade(grade) {
    const { cards, at: [column, rank] } = this.board;
    if (column < 0) return;
    const clip = Number(this.board.cardAt(column, rank).dataset.clip);
    const add = (n) => { this.pending.set(clip, (this.pending.get(clip) || 0) + n); this.showJudged(); };
    add(1);
    this.tell({ ask: "grade", clip, grade }).finally(() => add(-1));
    const later = cards.flatMap((some, c) => some.map((card, r) => [c, r, card]))
      .filter(([c, r]) => c > column || (c === column && r > rank));
    const next = later.find(([, , card]) => !card.querySelector(".sss-grade").textContent);
    if (next) this.board.focus(next[0], next[1], true);
  }

  // Offer the buttons of the view's mode.
  show() {
    const { mode } = this.board.view;
    this.element.hidden = mode === "compare";
    if (mode === "compare") return;
    const buttons = mode === "grade" ? GRADES : ["1", "0", "2"].map((key) => CHOICES[key][1]);
    this.element.replaceChildren(this.progress, ...[...buttons, "U undo"].map((text) => {
      const key = text[0].toLowerCase();
      return node("button", { type: "button", "data-key": key, onclick: () => this.keys()[key]() }, text);
    }));
    this.showJudged();
  }

  showJudged() {
    const { grades = {}, progress, done } = this.judged, isOver = Boolean(done) && this.board.view.mode === "prefer";
    this.progress.textContent = progress || "";
    this.element.querySelectorAll("button:not([data-key='u'])").forEach((one) => one.setAttribute("aria-disabled", isOver)); // keeps the focus
    this.board.root.querySelectorAll(".sss-card[data-clip]").forEach((card) => {
      const place = card.querySelector(".sss-grade"), grade = grades[card.dataset.clip];
      if (place) place.textContent = this.pending.get(Number(card.dataset.clip)) ? "…" : grade == null ? "" : `graded ${grade}`;
    });
  }
}
