"use strict";
(() => {
  const networks = JSON.parse(document.getElementById("data").textContent);
  const make = (name, className, text) => {
    const element = document.createElement(name);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const svg = (name, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const key in attributes) element.setAttribute(key, attributes[key]);
    return element;
  };
  const color = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim().split(/\s+/).map(Number);
  const number = n => n.toLocaleString("en");

  // Base64 -> function (index) -> value.
  const reader = (text, kind) => {
    const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0));
    if (kind === "bits") return i => (bytes[i >> 3] >> (i & 7)) & 1;
    const view = new DataView(bytes.buffer);
    if (kind === "i1") return i => view.getInt8(i);
    return kind === "i2" ? i => view.getInt16(2 * i, true) : i => view.getInt32(4 * i, true);
  };

  // One color for one value: 0 is the ground, the largest value the strongest; negative ones have another hue.
  const shades = layer => {
    const ground = color("--ground"), spike = color("--spike"), off = color("--off");
    const mix = (a, b, t) => a.map((x, i) => x + (b[i] - x) * t);
    const most = Math.max(Math.abs(layer.low), Math.abs(layer.high), 1);
    return v => mix(ground, v < 0 ? off : spike, v === 0 ? 0 : 0.15 + 0.85 * Math.min(Math.abs(v) / most, 1));
  };

  class Layer {
    constructor(viewer, spec) {
      this.viewer = viewer;
      this.spec = spec;
      this.isImage = spec.shape.length === 3;
      this.size = spec.shape.reduce((a, b) => a * b, 1);
      this.chosen = null;
      const box = make("div", "layer");
      this.heading = make("h3", "", spec.name + " ");
      this.counts = make("small");
      this.heading.append(this.counts);
      this.map = make("canvas", "map");
      this.map.tabIndex = 0;
      this.map.setAttribute("role", "img");
      this.strip = make("canvas", "strip");
      this.strip.setAttribute("role", "img");
      this.note = make("div", "chosen");
      this.note.setAttribute("aria-live", "polite");
      this.trace = svg("svg", { class: "trace", viewBox: "0 0 640 84", preserveAspectRatio: "none", "aria-hidden": "true" });
      this.trace.style.display = "none";
      box.append(this.heading, this.map, ...(this.isImage ? [this.strip] : []), this.note, this.trace);
      this.map.addEventListener("click", event => this.click(event));
      this.map.addEventListener("keydown", event => this.key(event));
      this.strip.addEventListener("click", event => this.jump(event, this.strip));
      this.box = box;
      this.layOut();
    }

    layOut() {
      if (!this.isImage) {
        this.map.width = this.viewer.steps;
        this.map.height = this.size;
        this.map.style.width = this.viewer.width;
        this.map.style.height = Math.round(Math.min(Math.max(this.size * 14, 24), 220)) + "px";
        return;
      }
      const [w, h, channels] = this.spec.shape;
      this.planes = this.colorInput() ? 1 : channels;
      // The largest whole scale at which all channels fit beside and below each other.
      let scale = this.planes === 1 ? Math.max(1, Math.floor(192 / Math.max(w, h))) : 6;
      for (; scale >= 1; scale--) {
        this.columns = Math.max(1, Math.min(this.planes, Math.floor(640 / ((w + 1) * scale))));
        if (Math.ceil(this.planes / this.columns) * (h + 1) * scale <= 240) break;
      }
      scale = Math.max(scale, 1);
      const rows = Math.ceil(this.planes / this.columns);
      this.map.width = this.columns * (w + 1) - 1;
      this.map.height = rows * (h + 1) - 1;
      this.map.style.width = "min(100%, " + this.map.width * scale + "px)";
      this.wide = this.viewer.steps > 80 ? 1 : 8;
      this.strip.width = this.viewer.steps * this.wide;
      this.strip.height = 34;
      this.strip.style.width = this.viewer.width;
    }

    colorInput() {
      const channels = this.spec.shape[2];
      return this.spec.isInput && (channels === 1 || channels === 2 || channels === 3);
    }

    load(sample) {
      this.read = reader(this.spec.data[sample], this.spec.kind);
      this.states = Object.entries(this.spec.states).map(([name, s]) => [name, reader(s.data[sample], s.kind)]);
      this.perStep = Array.from({ length: this.viewer.steps }, (_, t) => {
        let n = 0;
        for (let i = 0; i < this.size; i++) if (this.read(t * this.size + i) !== 0) n++;
        return n;
      });
    }

    at(step, neuron) { return this.read(step * this.size + neuron); }

    pixel(step, x, y, plane) {
      const [w, h, channels] = this.spec.shape, area = w * h, i = y * w + x;
      if (!this.colorInput()) return this.shade(this.at(step, plane * area + i));
      const low = Math.min(this.spec.low, 0), span = Math.max(this.spec.high - low, 1);
      const grey = c => Math.max(0, Math.min(255, 255 * (this.at(step, c * area + i) - low) / span));
      if (channels === 3) return [grey(0), grey(1), grey(2)];
      if (channels === 1) { const v = grey(0); return [v, v, v]; }
      const on = this.at(step, area + i) !== 0, off = this.at(step, i) !== 0;
      if (on && off) return this.on.map((c, i) => (c + this.offColor[i]) / 2);
      return on ? this.on : off ? this.offColor : this.ground;
    }

    draw() {
      const step = this.viewer.step;
      this.shade = shades(this.spec);
      [this.on, this.offColor, this.ground] = [color("--spike"), color("--off"), color("--ground")];
      this.isImage ? this.drawImage(step) : this.drawRaster(step);
      const total = this.perStep.reduce((a, b) => a + b, 0);
      const counted = (n) => number(n) + (this.spec.sendsValues ? (n === 1 ? " value" : " values") + " other than 0" : n === 1 ? " spike" : " spikes");
      const shape = this.spec.shape.join(" × ") + (this.size < this.spec.neurons ? " shown of " + number(this.spec.neurons) + " neurons" : "");
      const text = shape + ", " + counted(this.perStep[step]) + " in step " + (step + 1) + ", " + number(total) + " in the sample";
      this.counts.textContent = text;
      this.map.setAttribute("aria-label", this.spec.name + ": " + text + ". Arrow keys choose a neuron.");
      this.describe();
    }

    put(canvas, paint) {
      const context = canvas.getContext("2d"), image = context.createImageData(canvas.width, canvas.height);
      paint((x, y, rgb, alpha = 255) => {
        const k = 4 * (y * canvas.width + x);
        image.data[k] = rgb[0]; image.data[k + 1] = rgb[1]; image.data[k + 2] = rgb[2]; image.data[k + 3] = alpha;
      });
      context.putImageData(image, 0, 0);
    }

    drawImage(step) {
      const [w, h] = this.spec.shape;
      this.put(this.map, set => {
        for (let p = 0; p < this.planes; p++) {
          const x0 = (p % this.columns) * (w + 1), y0 = Math.floor(p / this.columns) * (h + 1);
          for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) set(x0 + x, y0 + y, this.pixel(step, x, y, p));
        }
        if (this.chosen !== null) { const [x, y] = this.place(this.chosen); set(x, y, [255, 60, 60]); }
      });
      const most = Math.max(...this.perStep, 1), on = color("--spike"), now = color("--off"), ground = color("--ground");
      this.put(this.strip, set => this.perStep.forEach((n, t) => {
        const height = Math.round(34 * n / most);
        for (let x = 0; x < Math.max(1, this.wide - 1); x++) for (let y = 0; y < 34; y++) {
          set(t * this.wide + x, y, 34 - y <= height ? (t === step ? now : on) : ground);
        }
      }));
      this.strip.setAttribute("aria-label", "activity of " + this.spec.name + " in each step, at most " + number(most));
    }

    drawRaster(step) {
      const now = color("--off");
      this.put(this.map, set => {
        for (let t = 0; t < this.viewer.steps; t++) for (let n = 0; n < this.size; n++) {
          const v = this.at(t, n);
          const rgb = this.shade(v);
          set(t, n, t === step ? rgb.map((c, i) => c * 0.55 + now[i] * 0.45) : n === this.chosen ? rgb.map((c, i) => c * 0.75 + [255, 60, 60][i] * 0.25) : rgb);
        }
      });
    }

    place(neuron) {
      const [w, h] = this.spec.shape, area = w * h, c = Math.floor(neuron / area), plane = this.colorInput() ? 0 : c;
      return [(plane % this.columns) * (w + 1) + neuron % w, Math.floor(plane / this.columns) * (h + 1) + Math.floor((neuron % area) / w)];
    }

    click(event) {
      const box = this.map.getBoundingClientRect();
      const x = Math.floor((event.clientX - box.left) / box.width * this.map.width);
      const y = Math.floor((event.clientY - box.top) / box.height * this.map.height);
      if (!this.isImage) {
        this.chosen = Math.min(y, this.size - 1);
        this.viewer.go(x);
        return;
      }
      const [w, h] = this.spec.shape, px = x % (w + 1), py = y % (h + 1);
      const plane = Math.floor(y / (h + 1)) * this.columns + Math.floor(x / (w + 1));
      if (px < w && py < h && plane < this.planes) { this.chosen = plane * w * h + py * w + px; this.draw(); }
    }

    jump(event, canvas) {
      const box = canvas.getBoundingClientRect();
      this.viewer.go(Math.floor((event.clientX - box.left) / box.width * this.viewer.steps));
    }

    key(event) {
      const wide = this.isImage ? this.spec.shape[0] : 1, area = this.isImage ? wide * this.spec.shape[1] : 16;
      const moves = { ArrowUp: -wide, ArrowDown: wide, PageUp: -area, PageDown: area };
      if (this.isImage) { moves.ArrowLeft = -1; moves.ArrowRight = 1; }
      if (event.key in moves) {
        this.chosen = this.chosen === null ? 0 : Math.max(0, Math.min(this.size - 1, this.chosen + moves[event.key]));
        this.draw();
      } else if (!this.isImage && (event.key === "ArrowLeft" || event.key === "ArrowRight")) {
        this.viewer.go(this.viewer.step + (event.key === "ArrowLeft" ? -1 : 1));
      } else if (event.key === "Escape") {
        this.chosen = null;
        this.draw();
      } else return;
      event.preventDefault();
    }

    describe() {
      this.trace.replaceChildren();
      this.trace.style.display = "none";
      if (this.chosen === null) { this.note.textContent = ""; return; }
      const n = this.chosen, step = this.viewer.step, parts = [];
      let who = "neuron " + n;
      if (this.isImage) {
        const [w, h] = this.spec.shape, area = w * h;
        who = (this.spec.isInput ? "pixel" : "neuron") + " x " + n % w + ", y " + Math.floor((n % area) / w) + ", channel " + Math.floor(n / area);
      } else if (this.spec.classes.length > n) who += " (" + this.spec.classes[n] + ")";
      if (this.spec.kind === "bits") {
        const when = [];
        for (let t = 0; t < this.viewer.steps; t++) if (this.at(t, n)) when.push(t + 1);
        parts.push(when.length ? "fires in step " + when.slice(0, 40).join(", ") + (when.length > 40 ? " …" : "") : "never fires here");
      } else parts.push("value " + number(this.at(step, n)) + " in step " + (step + 1));
      for (const [name, read] of this.states) parts.push(name + " " + number(read(step * this.size + n)));
      if (this.states.length && this.spec.threshold !== null) parts.push("threshold " + number(this.spec.threshold));
      this.note.textContent = who + ": " + parts.join("; ");
      if (this.states.length && this.viewer.steps > 1) this.drawTrace(n);
    }

    drawTrace(n) {
      const steps = this.viewer.steps, all = [0], lines = {};
      for (const [name, read] of this.states) {
        lines[name] = Array.from({ length: steps }, (_, t) => read(t * this.size + n));
        all.push(...lines[name]);
      }
      const th = this.spec.threshold;
      if (th !== null && th <= 4 * Math.max(...all.map(Math.abs), 1)) all.push(th);
      const low = Math.min(...all), span = Math.max(Math.max(...all) - low, 1);
      const x = t => 640 * (t + 0.5) / steps, y = v => 78 - 72 * (v - low) / span;
      const straight = (cls, x1, y1, x2, y2) => this.trace.append(svg("line", { class: cls, x1, y1, x2, y2 }));
      if (th !== null && all.includes(th)) straight("th", 0, y(th), 640, y(th));
      straight("now", x(this.viewer.step), 0, x(this.viewer.step), 84);
      for (const name in lines) {
        const points = lines[name].map((v, t) => x(t).toFixed(1) + "," + y(v).toFixed(1)).join(" ");
        this.trace.append(svg("polyline", { class: name === "v" ? "v" : "u", points }));
      }
      if (this.spec.kind === "bits") for (let t = 0; t < steps; t++) if (this.at(t, n)) straight("sp", x(t), 0, x(t), 10);
      this.trace.style.display = "";
    }
  }

  class Viewer {
    constructor(root, data) {
      this.steps = data.steps;
      this.step = 0;
      this.width = "min(100%, " + Math.min(640, 64 * data.steps) + "px)";
      this.timer = null;
      const find = name => root.querySelector(name);
      this.slider = find(".step"); this.output = find(".at"); this.play = find(".play");
      const choose = find(".choose"), layers = find(".layers");
      data.samples.forEach((title, i) => { const option = make("option", "", title); option.value = i; choose.append(option); });
      this.layers = data.layers.map(spec => new Layer(this, spec));
      layers.append(...this.layers.map(layer => layer.box));
      const limits = [];
      if (data.steps < data.allSteps) limits.push("the first " + number(data.steps) + " of " + number(data.allSteps) + " steps are shown");
      if (data.hidden) limits.push(number(data.hidden) + " more layers are not drawn");
      if (limits.length) layers.append(make("p", "note", "So that the page stays small, " + limits.join("; ") + "."));
      this.slider.max = data.steps;
      this.slider.addEventListener("input", () => this.go(Number(this.slider.value) - 1));
      choose.addEventListener("change", () => this.load(Number(choose.value)));
      this.play.addEventListener("click", () => (this.timer === null ? this.start() : this.stop()));
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
      this.load(0);
    }
    load(sample) { for (const layer of this.layers) layer.load(sample); this.draw(); }
    go(step) { this.step = Math.max(0, Math.min(this.steps - 1, step)); this.draw(); }
    start() {
      this.play.textContent = "Stop";
      this.timer = setInterval(() => this.go((this.step + 1) % this.steps), 250);
    }
    stop() { clearInterval(this.timer); this.timer = null; this.play.textContent = "Play"; }
    draw() {
      this.slider.value = this.step + 1;
      this.output.textContent = this.step + 1 + " of " + this.steps;
      for (const layer of this.layers) layer.draw();
    }
  }

  for (const root of document.querySelectorAll(".viewer")) new Viewer(root, networks[Number(root.dataset.number)]);
})();
