// Waveform and spectrogram of each card, asked for when the card comes into sight.

const COLUMNS = 128, BANDS = 32, WAVE_HEIGHT = 16;
const AT_ONCE = 4; // few, so that a sound never waits long behind pictures

// Black, violet, orange, cream: brightness rises evenly, so that the picture reads without colour too.
const COLOURS = [[16, 14, 40], [86, 36, 110], [180, 60, 90], [240, 140, 60], [252, 240, 200]];
const PALETTE = Array.from({ length: 256 }, (_, i) => {
  const at = (i / 256) * (COLOURS.length - 1), low = Math.floor(at), part = at - low;
  return COLOURS[low].map((value, c) => value + part * (COLOURS[low + 1][c] - value));
});

// bytes: a peak of the waveform for each column, then the bands of the spectrogram, lowest first.
function drawPicture(canvas, bytes) {
  canvas.width = COLUMNS;
  canvas.height = BANDS + WAVE_HEIGHT;
  const context = canvas.getContext("2d");
  const image = context.createImageData(COLUMNS, BANDS);
  for (let band = 0; band < BANDS; band++) {
    for (let x = 0; x < COLUMNS; x++) {
      const colour = PALETTE[bytes[COLUMNS * (1 + band) + x]];
      image.data.set([...colour, 255], 4 * ((BANDS - 1 - band) * COLUMNS + x));
    }
  }
  context.putImageData(image, 0, 0);
  context.fillStyle = "#0072B2";
  for (let x = 0; x < COLUMNS; x++) {
    const height = Math.max(1, (bytes[x] / 255) * WAVE_HEIGHT);
    context.fillRect(x, BANDS + (WAVE_HEIGHT - height) / 2, 1, height);
  }
}

class Pictures {
  constructor(kernel, root) {
    this.kernel = kernel;
    this.root = root;
    this.ofClip = new Map(); // bytes
    this.wanted = new Set();
    this.observer = new IntersectionObserver((seen) => {
      for (const { isIntersecting, target } of seen) {
        const clip = Number(target.dataset.clip);
        if (isIntersecting && !this.ofClip.has(clip)) this.wanted.add(clip);
      }
      if (!this.asking) this.askAll();
    }, { rootMargin: "200px" });
  }

  // Draw what is known on the cards that are shown now, and ask for the rest as they come into sight.
  watch() {
    this.observer.disconnect();
    for (const card of this.root.querySelectorAll("[data-clip]")) {
      const bytes = this.ofClip.get(Number(card.dataset.clip));
      if (bytes) drawPicture(card.querySelector("canvas"), bytes);
      this.observer.observe(card);
    }
  }

  async askAll() {
    this.asking = true;
    while (this.wanted.size) {
      const clips = [...this.wanted].slice(0, AT_ONCE);
      clips.forEach((clip) => this.wanted.delete(clip));
      try {
        const [, buffers] = await this.kernel.ask({ ask: "pictures", clips });
        clips.forEach((clip, i) => this.take(clip, buffers[i]));
      } catch {
        this.wanted.clear(); // no kernel: the board stays readable without pictures
      }
    }
    this.asking = false;
  }

  take(clip, data) {
    const bytes = new Uint8Array(data.buffer ?? data, data.byteOffset ?? 0, data.byteLength);
    this.ofClip.set(clip, bytes);
    this.root.querySelectorAll(`[data-clip="${clip}"] canvas`).forEach((canvas) => drawPicture(canvas, bytes));
  }

  forget(clip) {
    this.ofClip.delete(clip);
  }

  close() {
    this.observer.disconnect();
  }
}
