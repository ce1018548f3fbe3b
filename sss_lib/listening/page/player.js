// The player of a board. It has two decks, one for results and one for the query, so that switching has no gap:
// the new sound begins before the old one is faded out. Short sounds are decoded before they are asked for, and begin
// at once; an audio element, which plays the long ones, takes tens of ms more.

const FADE_S = 0.015;
const KEPT = 48; // sounds in memory
const MOST_DECODED = [2 ** 22, 2 ** 26]; // bytes of a file, and of all samples in memory
// What this browser doesn't play is asked for as wav. Some say they play a kind and then fail: that is added later.
const REFUSED = new Set(["audio/flac", "audio/mpeg", "audio/ogg"].filter((mime) => !new Audio().canPlayType(mime)));

// Samples that play as the file of an audio element does.
class Samples {
  constructor(context, to, changed) {
    Object.assign(this, { context, to, changed, at: 0, source: null, readyState: 4 });
  }

  load(sound) {
    this.pause();
    Object.assign(this, { sound, buffer: sound.buffer, at: 0 });
  }

  get duration() { return this.buffer.duration; }
  get paused() { return !this.source; }
  get ended() { return !this.source && this.at >= this.duration; }
  get end() { return Math.min(this.sound.seconds || Infinity, this.duration); } // what goes on beyond it is repeated as the clip
  get loop() { return this.repeats; }

  set loop(on) {
    if (on === this.repeats) return;
    this.repeats = on;
    this.currentTime = this.currentTime; // begins anew where it is
  }

  get currentTime() {
    if (!this.source) return this.at;
    const at = this.at + this.context.currentTime - this.began;
    return this.repeats ? at % this.end : Math.min(at, this.duration);
  }

  set currentTime(seconds) {
    const plays = Boolean(this.source);
    this.pause();
    this.at = seconds;
    if (plays) this.play();
  }

  play() {
    if (this.source) return;
    if (this.at >= (this.repeats ? this.end : this.duration)) this.at = 0;
    const { context } = this, source = context.createBufferSource(), fade = context.createGain();
    Object.assign(source, { buffer: this.buffer, loop: Boolean(this.repeats), loopEnd: this.end });
    source.connect(fade).connect(this.to);
    source.addEventListener("ended", () => {
      fade.disconnect();
      if (this.source !== source) return;
      Object.assign(this, { source: null, at: this.duration });
      this.changed();
    });
    source.start(0, this.at);
    Object.assign(this, { source, fade: fade.gain, began: context.currentTime });
  }

  pause() {
    if (!this.source) return;
    const { source, fade, context } = this, end = context.currentTime + FADE_S;
    Object.assign(this, { at: this.currentTime, source: null });
    fade.setValueAtTime(1, context.currentTime);
    fade.linearRampToValueAtTime(0, end);
    source.stop(end);
  }
}

class Player {
  // ask(message) gives a promise of [content, buffers]; changed() is called when something starts or stops, after that:
  // to show it takes longer than to begin.
  constructor(ask, changed) {
    this.ask = ask;
    this.changed = () => (this.telling ??= setTimeout(() => {
      this.telling = null;
      changed();
    }));
    this.sounds = new Map(); // clip -> promise of {blob, url, gain}
    this.decoded = new Set(); // sounds that hold their samples, the latest last
    this.clip = null; // what plays or was played last
    this.loading = null;
    this.problem = "";
    this.matched = true;
    this.repeats = false;
    this.element = document.createElement("div");
    this.element.hidden = true;
    this.elsewhere = node("div", { class: "sss-elsewhere" }); // the player of a clip that has no file here
    this.decks = ["result", "query"].map((name) => {
      const audio = document.createElement("audio");
      audio.addEventListener("ended", () => this.changed());
      audio.addEventListener("timeupdate", () => { // what goes on beyond its clip is repeated as the clip
        const deck = this.decks.find((one) => one.audio === audio);
        if (deck && audio.loop && audio.currentTime > this.lengthOf(deck)) audio.currentTime = 0;
      });
      this.element.append(audio);
      return { name, audio, file: audio, samples: null, clip: null, gain: null };
    });
    this.deck = this.decks[0];
    this.stopOthers = (event) => event.detail !== this && this.stop();
    document.addEventListener("sss-plays", this.stopOthers);
  }

  get playing() {
    return !this.deck.audio.paused && !this.deck.audio.ended;
  }

  get isPaused() {
    return this.deck.audio.paused && !this.deck.audio.ended && this.deck.audio.currentTime > 0;
  }

  get deckName() {
    return this.deck.name;
  }

  // Of the clip, whose file may go on beyond it.
  lengthOf({ audio, sound }) {
    return sound?.seconds || audio.duration || 0;
  }

  // As a part of the clip; more than 1 where the file goes on.
  get progress() {
    const length = this.lengthOf(this.deck);
    return length > 0 ? this.deck.audio.currentTime / length : 0;
  }

  fetch(clip) {
    let sound = this.sounds.get(clip);
    this.sounds.delete(clip);
    if (!sound) {
      sound = this.ask({ ask: "sound", clip, refused: [...REFUSED] }).then(([about, buffers]) => {
        if (/^\d+$/.test(about.freesound || "")) return { freesound: about.freesound };
        const blob = new Blob(buffers, { type: about.mime });
        return { blob, mime: about.mime, url: URL.createObjectURL(blob), gain: 10 ** (about.gain_db / 20), seconds: about.seconds };
      });
      sound.catch(() => this.sounds.delete(clip)); // it may be asked for again
    }
    this.sounds.set(clip, sound); // the latest come last
    for (const [old, one] of this.sounds) {
      if (this.sounds.size <= KEPT) break;
      if (this.decks.some((deck) => deck.clip === old)) continue;
      this.sounds.delete(old);
      one.then(({ url }) => url && URL.revokeObjectURL(url), () => {});
    }
    return sound;
  }

  // Let a sound have its samples, as `buffer`; it stays without where it is long, or where only the element may play it.
  decode(sound) {
    this.decoded.delete(sound);
    if (!sound.blob || sound.blob.size > MOST_DECODED[0]) return null;
    this.decoded.add(sound);
    sound.decoding ??= sound.blob.arrayBuffer().then((bytes) => this.open().decodeAudioData(bytes)).then((buffer) => {
      sound.buffer = buffer;
      const sizeOf = ({ buffer: one }) => (one ? 4 * one.length * one.numberOfChannels : 0);
      let size = [...this.decoded].reduce((sum, one) => sum + sizeOf(one), 0);
      for (const old of this.decoded) {
        if (size <= MOST_DECODED[1]) break;
        if (old === sound || this.decks.some((deck) => deck.sound === old)) continue;
        size -= sizeOf(old);
        this.decoded.delete(old);
        old.buffer = old.decoding = null;
      }
    }, () => this.decoded.delete(sound));
    return sound.decoding;
  }

  // Have a sound at hand before it is asked for.
  prepare(clip) {
    return this.fetch(clip).then((sound) => this.decode(sound)).catch(() => {});
  }

  forget(clip) {
    this.sounds.delete(clip);
    for (const deck of this.decks) if (deck.clip === clip) deck.clip = null;
  }

  // From a part of its length, such as 0.6.
  async play(clip, deckName = "result", from = 0) {
    document.dispatchEvent(new CustomEvent("sss-plays", { detail: this }));
    this.resume();
    this.loading = clip;
    this.problem = "";
    this.changed();
    let sound = {};
    try {
      sound = await this.fetch(clip);
      if (this.loading !== clip) return; // another was asked for meanwhile
      this.elsewhere.replaceChildren();
      if (sound.freesound) return this.playElsewhere(clip, sound.freesound);
      const old = this.deck;
      await this.decode(sound);
      if (this.loading !== clip) return;
      const deck = this.decks[deckName === "query" ? 1 : 0], audio = sound.buffer ? deck.samples : deck.file;
      if (deck.clip !== clip || deck.audio !== audio) {
        deck.audio.pause();
        if (sound.buffer) audio.load(sound);
        else audio.src = sound.url;
        Object.assign(deck, { clip, audio });
      }
      audio.loop = this.repeats;
      deck.sound = sound;
      if (from && !deck.audio.readyState) await new Promise((done) => // its length isn't known before
        ["loadedmetadata", "error"].forEach((one) => deck.audio.addEventListener(one, done, { once: true })));
      deck.audio.currentTime = from * this.lengthOf(deck);
      this.setGain(deck);
      await deck.audio.play();
      if (this.loading !== clip) return;
      if (old !== deck) this.fadeOut(old);
      this.deck = deck;
      this.clip = clip;
    } catch (error) {
      const isKind = error.name === "NotSupportedError" && sound.mime !== "audio/wav" && !REFUSED.has(sound.mime);
      if (isKind && this.loading === clip) {
        REFUSED.add(sound.mime);
        this.forget(clip);
        return this.play(clip, deckName, from);
      }
      if (this.loading === clip && error.name !== "AbortError") this.problem = error.message;
    }
    if (this.loading === clip) this.loading = null;
    this.changed();
  }

  // Freesound's own player starts at a click into it: no page may start another's sound.
  playElsewhere(clip, id) {
    this.stop();
    this.clip = clip;
    this.elsewhere.append(node("iframe", {
      src: `https://freesound.org/embed/sound/iframe/${id}/simple/small/`, title: `Freesound ${id}`,
      width: 375, height: 30, sandbox: "allow-scripts allow-same-origin allow-popups", referrerpolicy: "no-referrer",
    }));
  }

  stop() {
    this.pause();
    for (const deck of this.decks) deck.audio.currentTime = 0;
    this.changed();
  }

  pause() {
    this.loading = null;
    for (const deck of this.decks) deck.audio.pause();
    this.changed();
  }

  open() {
    if (this.context) return this.context;
    this.context = new AudioContext();
    for (const deck of this.decks) {
      deck.gain = this.context.createGain();
      this.context.createMediaElementSource(deck.file).connect(deck.gain).connect(this.context.destination);
      deck.samples = new Samples(this.context, deck.gain, () => this.changed());
    }
    return this.context;
  }

  resume() {
    this.open().resume();
  }

  setGain(deck) {
    const gain = this.matched ? deck.sound.gain : 1;
    deck.gain.gain.cancelScheduledValues(0);
    deck.gain.gain.setValueAtTime(gain, this.context.currentTime);
  }

  fadeOut(deck) {
    const now = this.context.currentTime;
    deck.gain.gain.setValueAtTime(deck.gain.gain.value, now);
    deck.gain.gain.linearRampToValueAtTime(0, now + FADE_S);
    setTimeout(() => deck !== this.deck && deck.audio.pause(), 1000 * FADE_S + 10);
  }

  setMatched(on) {
    this.matched = on;
    for (const deck of this.decks) if (deck.sound && deck.gain) this.setGain(deck);
  }

  setLoop(on) {
    this.repeats = on;
    for (const deck of this.decks) deck.audio.loop = on;
  }

  close() {
    this.stop();
    document.removeEventListener("sss-plays", this.stopOthers);
    for (const sound of this.sounds.values()) sound.then(({ url }) => url && URL.revokeObjectURL(url), () => {});
    this.context?.close();
  }
}
