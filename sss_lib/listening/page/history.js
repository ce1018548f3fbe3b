// Findings that were shown: the query, its class and the systems. On a page of our own they are its addresses, as in
// ?q=dog1&class=Dog&systems=yamnet-mean-pcanone-l2/nns, and the browser goes back; in JupyterLab a button does.

const FINDING = ["q", "class", ...FILTERS]; // these filter results

class Findings {
  constructor(board) {
    this.board = board;
    this.past = [];
    this.isPage = document.body.dataset.voila !== undefined;
    this.element = node("button", { type: "button", title: "Backspace: the query before", disabled: true,
      onclick: () => this.back() }, "‹ Last query");
    this.onPop = () => this.go(this.read());
    this.wanted = this.read(); // before what is shown becomes the address
    if (this.isPage) window.addEventListener("popstate", this.onPop);
  }

  // The finding that the page's address names, or null.
  read() {
    const words = new URLSearchParams(this.isPage ? location.search : "");
    const found = Object.fromEntries(FINDING.filter((name) => words.get(name)).map((name) => [name, words.get(name)]));
    return Object.keys(found).length || words.has("systems") ? { ...found, systems: words.getAll("systems") } : null;
  }

  address(finding) {
    const url = new URL(location.href);
    for (const name of [...FINDING, "systems"]) url.searchParams.delete(name);
    for (const name of FINDING) if (finding[name]) url.searchParams.set(name, finding[name]);
    for (const name of finding.systems) url.searchParams.append("systems", name);
    return url.href;
  }

  show(finding) {
    if (finding && same(finding, this.now)) return;
    const isGone = leads(this.going, finding); // to what the address or a button says
    this.going = null;
    if (this.now && !isGone) this.past.push(this.now);
    if (finding && this.isPage && !isGone) {
      if (this.now) history.pushState(null, "", this.address(finding));
      else if (!this.read()) history.replaceState(null, "", this.address(finding));
    }
    this.now = finding; // none of a sound of one's own
    this.element.disabled = !this.past.length;
  }

  go(finding, isStep = true) {
    if (!finding) return;
    if (same(finding, this.past.at(-1))) this.past.pop();
    else if (isStep && this.now) this.past.push(this.now); // forwards
    this.going = finding;
    this.board.kernel.ask({ ask: "go", ...finding }).catch((error) => this.board.say(error.message));
  }

  back() {
    if (!this.past.length) return;
    if (this.isPage && this.now) history.back();
    else this.go(this.past.at(-1));
  }

  close() {
    window.removeEventListener("popstate", this.onPop);
  }
}

// Whether an address, which may leave out the class and the systems, leads to a finding.
function leads(address, finding) {
  if (!address || !finding) return false;
  const given = Object.entries(address).filter(([, value]) => value?.length);
  return given.every(([name, value]) => String(finding[name]) === String(value));
}

function same(a, b) {
  return Boolean(a && b) && [...FINDING, "systems"].every((name) => String(a[name] ?? "") === String(b[name] ?? ""));
}
