// A sound of the listener's own that queries: dropped on the board, or chosen.

const UPLOAD_PIECE = 2 ** 21;

class Upload {
  constructor(board) {
    this.board = board;
    const input = node("input", { type: "file", accept: "audio/*", "aria-label": "a sound of your own",
      onchange: () => {
        if (input.files[0]) this.send(input.files[0]);
        input.value = ""; // the same file may be chosen again
      } });
    this.element = node("label", { class: "sss-drop" },
      node("span", {}, "Search your own sound: drop a file here, or "), input);
    // The models are loaded while one chooses a file: that takes seconds.
    for (const kind of ["pointerenter", "focusin"]) this.element.addEventListener(kind, () => this.load());
    // Anywhere on the page: beside the board, the browser would replace the page by the file.
    for (const kind of ["dragover", "dragleave", "drop"]) document.addEventListener(kind, this);
  }

  handleEvent(event) {
    const { root, view } = this.board;
    const isOurs = view?.upload && event.dataTransfer?.types.includes("Files") && !event.defaultPrevented &&
      [null, root].includes(event.target.closest?.(".sss-board") ?? null);
    root.classList.toggle("sss-dragged", Boolean(isOurs) && event.type === "dragover");
    if (!isOurs || event.type === "dragleave") return;
    event.preventDefault();
    this.load();
    if (event.type === "drop" && event.dataTransfer.files.length) this.send(event.dataTransfer.files[0]);
  }

  load() {
    const systems = String(this.board.view.finding?.systems ?? "");
    if (this.loaded === systems) return;
    this.loaded = systems;
    this.board.kernel.ask({ ask: "load" }).catch(() => {}); // whoever sends a sound is told
  }

  close() {
    for (const kind of ["dragover", "dragleave", "drop"]) document.removeEventListener(kind, this);
  }

  async send(file) {
    const { board } = this, { most_bytes } = board.view.upload;
    if (file.size > most_bytes) {
      const mb = (n) => (n / 1e6).toFixed(1);
      return board.say(`${file.name} is too large: ${mb(file.size)} MB, at most ${mb(most_bytes)} MB.`);
    }
    board.say(`Sending ${file.name} …`, true);
    try {
      for (let at = 0; at === 0 || at < file.size; at += UPLOAD_PIECE) {
        const piece = await file.slice(at, at + UPLOAD_PIECE).arrayBuffer();
        const last = at + UPLOAD_PIECE >= file.size;
        if (last) board.say(`Listening to ${file.name} with each system's model …`, true);
        await board.kernel.ask({ ask: "upload", name: file.name, at, last }, [piece]);
      }
      board.showStatus();
    } catch (error) {
      board.say(error.message);
    }
  }
}
