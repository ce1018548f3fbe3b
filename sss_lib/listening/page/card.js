// Cards of clips, and the columns that hold them: one for each system.

// Shapes repeat the colours, for readers who don't tell those apart.
const MARKS = {
  class: ["★", "has the query class"],
  shared: ["●", "shares a class"],
  none: ["○", "shares no class"],
  hidden: ["", ""],
};
const ORDER = ["class", "shared", "none"];

function markOf(view, label) {
  if (label === view.label) return "class";
  return view.query.about.labels.includes(label) ? "shared" : "none";
}

// The mark of a card is the best of its labels; none when judged blind, or for a query without classes.
function kindOf(view, about, isQuery) {
  if (isQuery || !view.label) return "hidden";
  const marks = about.labels.map((label) => markOf(view, label));
  return ORDER.find((mark) => marks.includes(mark)) || "none";
}

function labelsOf(view, about, isQuery) {
  const sorted = about.labels.map((label) => [label, markOf(view, label)])
    .sort((a, b) => ORDER.indexOf(a[1]) - ORDER.indexOf(b[1]));
  return node("p", { class: "sss-labels" }, ...sorted.map(([label, mark]) => {
    const shown = isQuery && mark === "shared" ? "none" : mark; // a query shares all of its own classes
    return node("span", { class: `sss-mark-${shown}` }, shown === "none" ? "" : MARKS[shown][0], plain(label));
  }));
}

function headOf(view, about, column, rank, kind, score, scoreName) {
  return node("p", { class: "sss-head" },
    node("span", { class: "sss-rank" }, column < 0 ? "Query" : String(rank + 1)),
    MARKS[kind][0] && node("b", { class: "sss-sign", title: MARKS[kind][1] }, MARKS[kind][0]),
    node("span", { class: "sss-title", title: about.id }, about.title || about.id),
    score != null && view.mode === "compare" && node("span", { class: "sss-score", title: scoreName }, score.toPrecision(3)));
}

function originOf(about, clip) {
  const parts = [about.title && about.id, about.uploader && link(about.uploader, about.source),
    about.licence && link(about.licence, about.licence_url), clip != null && seconds(about.seconds)].filter(Boolean);
  return node("p", { class: "sss-from" }, ...parts.flatMap((one, i) => (i ? [" · ", one] : [one])));
}

// The card of a clip; column -1 is the query, whose clip is null if it is words.
function makeCard(view, clip, about, column, rank, score = null, scoreName = "") {
  const isQuery = column < 0, kind = kindOf(view, about, isQuery);
  const spoken = [isQuery ? "query" : `rank ${rank + 1}`, about.title || about.id, MARKS[kind][1],
    plain(about.labels.join(", ")), scoreName && `${scoreName} ${score.toPrecision(3)}`,
    clip != null && seconds(about.seconds)];
  return node("div", {
    class: `sss-card sss-is-${kind}`, role: "group", tabindex: -1,
    "data-clip": clip, "data-column": column, "data-rank": rank,
    "aria-label": spoken.filter(Boolean).join(", "),
  }, headOf(view, about, column, rank, kind, score, scoreName),
  clip != null && node("div", { class: "sss-picture" }, node("canvas", { "aria-hidden": "true" }),
    node("i", { class: "sss-cursor" }),
    node("button", { type: "button", class: "sss-play", tabindex: -1, "aria-label": "play" }, "▶")),
  labelsOf(view, about, isQuery), originOf(about, clip),
  !isQuery && view.mode === "compare" && node("p", { class: "sss-acts" },
    node("button", { type: "button", class: "sss-like", tabindex: -1, title: "Enter: search with this sound" }, "More like this"),
    node("button", { type: "button", class: "sss-like sss-pin", tabindex: -1, title: "M: mark this clip, then mark it as unlike, then neither",
      "aria-pressed": "false", "data-id": about.id }, "Mark")),
  view.mode === "grade" && !isQuery && node("p", { class: "sss-grade" }));
}

function makeColumn(column, cards) {
  const summary = node("dl", {}, ...column.summary.map(([name, value]) =>
    node("div", {}, node("dt", {}, name), node("dd", {}, value))));
  const name = [column.title, column.words].filter(Boolean).join(", ");
  return node("div", { class: "sss-column", role: "group", "aria-label": name },
    node("header", {}, node("h3", {}, column.title),
      column.words && node("p", {}, `${column.words} (${column.score})`), summary),
    ...(cards.length ? cards : [node("p", { class: "sss-empty" }, column.note)]));
}

function makeLegend(view) {
  if (!view.label) return [];
  return ORDER.map((mark) => {
    const what = mark === "class" ? `has ${plain(view.label)}` : MARKS[mark][1];
    return node("span", { class: `sss-mark-${mark}` }, node("b", {}, MARKS[mark][0]), " ", what);
  });
}
