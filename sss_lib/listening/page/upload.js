// A sound of the listener's own that queries: dropped on the board, or chosen.

const UPLOAD_PIECE = 2 ** 21;

class Upload {
  constructor(board) {
    this.board = board;
    const input = node("input", { type: "file", accept: "audio/*", "aria-label": "a sound of your own",
      onchange: () => input.files[0] && this.send(input.files[0]) });
    this.element = node("label", { class: "sss-drop" },
      node("span", {}, "Search your own sound: drop a file here, or "), input);
    const { root } = board;
    root.addEventListener("dragover", (event) => {
      if (!board.view.upload) return;
      event.preventDefault();
      root.classList.add("sss-dragged");
    });
    root.addEventListener("dragleave", () => root.classList.remove("sss-dragged"));
    root.addEventListener("drop", (event) => {
      root.classList.remove("sss-dragged");
      if (!board.view.upload || !event.dataTransfer.files.length) return;
      event.preventDefault();
      this.send(event.dataTransfer.files[0]);
    });
  }

  async send(file) {
    const { board } = this, { most_bytes } = board.view.upload;
    if (file.size > most_bytes) {
      const mb = (n) => (n / 1e6).toFixed(1);
      return board.say(`${file.name} is too large: ${mb(file.size)} MB, at most ${mb(most_bytes)} MB.`);
    }
    board.say(`Sending ${file.name} …`);
    try {
      for (let at = 0; at === 0 || at < file.size; at += UPLOAD_PIECE) {
        const piece = await file.slice(at, at + UPLOAD_PIECE).arrayBuffer();
        const last = at + UPLOAD_PIECE >= file.size;
        if (last) board.say(`Listening to ${file.name} with each system's model …`);
        await board.kernel.ask({ ask: "upload", name: file.name, at, last }, [piece], last ? 300 : 20);
      }
      board.showStatus();
    } catch (error) {
      board.say(error.message);
    }
  }
}
