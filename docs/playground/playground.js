// Made by make playground from playground/src; do not edit.
"use strict";
(() => {
  var __defProp = Object.defineProperty;
  var __defNormalProp = (obj, key, value) => key in obj ? __defProp(obj, key, { enumerable: true, configurable: true, writable: true, value }) : obj[key] = value;
  var __publicField = (obj, key, value) => __defNormalProp(obj, typeof key !== "symbol" ? key + "" : key, value);

  // src/random.ts
  var Random = class {
    constructor(seed, name) {
      __publicField(this, "a");
      __publicField(this, "b");
      let hash = 2166136261 ^ seed;
      for (const letter of name) hash = Math.imul(hash ^ letter.charCodeAt(0), 16777619);
      this.a = hash | 1;
      this.b = seed;
      for (let i = 0; i < 16; i++) this.bits();
    }
    /** Return 32 random bits as a whole number from 0. */
    bits() {
      const { a, b } = this;
      const mixed = Math.imul(a, 2654435771);
      const result = Math.imul(mixed << 5 | mixed >>> 27, 5);
      const c = a ^ b;
      this.a = (a << 26 | a >>> 6) ^ c ^ c << 9;
      this.b = c << 13 | c >>> 19;
      return result >>> 0;
    }
    /** Return a number in [low, high). */
    uniform(low2 = 0, high = 1) {
      return low2 + (high - low2) * this.bits() / 2 ** 32;
    }
    /** Return a normal number with mean 0 and standard deviation 1 (Box and Muller 1958). */
    normal() {
      return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
    }
    /** Return the numbers from 0 to count - 1 in random order (Fisher and Yates). */
    permutation(count) {
      const order = Uint32Array.from({ length: count }, (_, i) => i);
      for (let i = count - 1; i > 0; i--) {
        const j = Math.floor(this.uniform(0, i + 1));
        [order[i], order[j]] = [order[j], order[i]];
      }
      return order;
    }
  };

  // src/data.ts
  var REACH = 2;
  function around(x, y, deviation, random) {
    return [x + deviation * random.normal(), y + deviation * random.normal()];
  }
  var turned = (radius, turns) => [radius * Math.cos(2 * Math.PI * turns), radius * Math.sin(2 * Math.PI * turns)];
  var dataSets = {
    moons: (y, t, random) => {
      const [a, b] = turned(1, t / 2);
      return y === 0 ? around(a - 0.5, b - 0.25, 0.13, random) : around(0.5 - a, 0.25 - b, 0.13, random);
    },
    circles: (y, t, random) => around(...turned(y === 0 ? 0.55 : 1.4, t), 0.15, random),
    xor: (y, t, random) => {
      const side = t < 0.5 ? 1 : -1;
      const [a, b] = [random.uniform(0.08, 1.7), random.uniform(0.08, 1.7)];
      return around(side * a, side * (y === 0 ? b : -b), 0.06, random);
    },
    spirals: (y, t, random) => around(...turned(0.2 + 1.5 * t, 1.25 * t + y / 2), 0.07, random)
  };
  function points(name, count, seed, part) {
    const random = new Random(seed, `${part} data`);
    const y = Uint8Array.from({ length: count }, (_, i) => i % 2);
    const x = new Float64Array(2 * count);
    y.forEach((one, i) => x.set(dataSets[name](one, random.uniform(), random), 2 * i));
    return { x, y };
  }

  // src/rule.ts
  var routes = {
    bp: { summary: "backpropagation", clip: [1, 2], feedback: "none" },
    fa: { summary: "feedback alignment", clip: [0, 2], feedback: "above" },
    dfa: { summary: "direct feedback alignment", clip: [0, 2], feedback: "direct" }
  };
  var mean = (m) => m.reduce((sum, one) => sum + one, 0) / m.length;
  var same = (m) => m;
  var modulations = {
    none: { summary: "plain training: the error is not scaled", local: false, of: (m) => m.fill(1) },
    grapes: { summary: "propagating: the layers below receive the scaled error", local: false, of: same },
    "grapes-local": { summary: "local: the layers below receive the unscaled error", local: true, of: same },
    uniform: { summary: "control: every unit of a layer gets the layer's mean factor", local: false, of: (m) => m.fill(mean(m)) },
    inverse: {
      summary: "control: the most responsible unit gets the smallest factor",
      local: false,
      of: (m) => {
        const sum = Math.max(...m) + Math.min(...m);
        return m.map((one) => sum - one);
      }
    },
    "mean-one": {
      summary: "control: factors differ between units, but their mean is 1",
      local: false,
      of: (m) => {
        const average = mean(m);
        return m.map((one) => one / average);
      }
    }
  };
  function responsibility(W, units) {
    const inputs = W.length / units;
    const r = new Float64Array(units);
    for (let n = 0; n < units; n++) for (let i = 0; i < inputs; i++) r[n] += Math.abs(W[n * inputs + i]);
    return r;
  }
  function factor(r, [low2, high]) {
    const largest = Math.max(...r);
    return largest === 0 ? r.map(() => 1) : r.map((one) => Math.min(Math.max(2 * one / largest, low2), high));
  }
  function factors(rule, W, units) {
    const row = modulations[rule.modulation];
    return row.of(factor(responsibility(W, units), routes[rule.route].clip));
  }

  // src/initial.ts
  function draw(start) {
    const { sizes, logSigma: sigma } = start;
    const weights = new Random(start.seed, "weights");
    const outputs = sizes[sizes.length - 1];
    const layers = sizes.slice(1).map((units, l) => {
      const inputs = sizes[l];
      const one = () => Math.sign(weights.uniform(-1, 1)) * Math.exp(sigma * weights.normal() - sigma ** 2) * Math.sqrt(2 / inputs);
      const feedback = new Random(start.seed, `feedback ${l}`);
      const route = routes[start.route];
      const senders = { none: 0, above: units, direct: outputs }[route.feedback];
      const bound = 1 / Math.sqrt(senders);
      return {
        inputs,
        units,
        W: Float64Array.from({ length: units * inputs }, one),
        b: new Float64Array(units),
        B: Float64Array.from({ length: inputs * senders }, () => feedback.uniform(-bound, bound))
        // Nøkland 2016
      };
    });
    rescale(layers, start.unitScales, new Random(start.seed, "unit scales"));
    return { layers, activation: start.activation };
  }
  function rescale(layers, deviation, random) {
    for (let l = 0; l + 1 < layers.length; l++) {
      const { W, b, inputs, units } = layers[l];
      const above = layers[l + 1];
      for (let n = 0; n < units; n++) {
        const c = Math.exp(deviation * random.normal());
        b[n] *= c;
        for (let i = 0; i < inputs; i++) W[n * inputs + i] *= c;
        for (let k = 0; k < above.units; k++) above.W[k * units + n] /= c;
      }
    }
  }

  // src/network.ts
  var activations = {
    relu: { value: (z) => z > 0 ? z : 0, slope: (z, _h) => z > 0 ? 1 : 0, homogeneous: true },
    tanh: { value: Math.tanh, slope: (_z, h) => 1 - h * h, homogeneous: false }
  };
  var Pass = class {
    constructor({ layers }) {
      __publicField(this, "z");
      __publicField(this, "h");
      __publicField(this, "error");
      __publicField(this, "gradient");
      const empty = () => layers.map((layer) => new Float64Array(layer.units));
      [this.z, this.h, this.error] = [empty(), empty(), empty()];
      this.gradient = layers.map(({ W, b }) => ({ W: new Float64Array(W.length), b: new Float64Array(b.length) }));
    }
  };
  function forward(network, x, at, pass) {
    const value = activations[network.activation].value;
    const last = network.layers.length - 1;
    let below = x;
    let offset = at;
    for (let l = 0; l <= last; l++) {
      const { W, b, inputs, units } = network.layers[l];
      const z = pass.z[l];
      const h = pass.h[l];
      for (let n = 0, w = 0; n < units; n++) {
        let sum = b[n];
        for (let i = 0; i < inputs; i++) sum += W[w++] * below[offset + i];
        z[n] = sum;
        h[n] = l < last ? value(sum) : sum;
      }
      below = h;
      offset = 0;
    }
    return pass.z[last];
  }
  function softmax(logits, y, p) {
    let largest = -Infinity;
    for (let k = 0; k < p.length; k++) largest = Math.max(largest, logits[k]);
    let sum = 0;
    for (let k = 0; k < p.length; k++) sum += p[k] = Math.exp(logits[k] - largest);
    const loss2 = Math.log(sum) + largest - logits[y];
    for (let k = 0; k < p.length; k++) p[k] /= sum;
    return loss2;
  }
  function allFactors(network, rule) {
    const last = network.layers.length - 1;
    return network.layers.map(({ W, units }, l) => l < last ? factors(rule, W, units) : new Float64Array(units).fill(1));
  }
  function send(network, route, pass, l, arriving) {
    const { W, B, inputs, units } = network.layers[l];
    const error = route.feedback === "direct" ? pass.error[network.layers.length - 1] : pass.error[l];
    for (let i = 0; i < inputs; i++) {
      let sum = 0;
      if (route.feedback === "none") for (let n = 0; n < units; n++) sum += W[n * inputs + i] * error[n];
      else for (let n = 0; n < error.length; n++) sum += B[i * error.length + n] * error[n];
      arriving[i] = sum;
    }
  }
  function gradient(network, rule, data, batch, pass = new Pass(network)) {
    const { layers } = network;
    const route = routes[rule.route];
    const { local } = modulations[rule.modulation];
    const slope = activations[network.activation].slope;
    const last = layers.length - 1;
    const m = allFactors(network, rule);
    const total = pass.gradient;
    for (const { W, b } of total) {
      W.fill(0);
      b.fill(0);
    }
    for (let k = 0; k < batch.length; k++) {
      const example = batch[k];
      const at = example * layers[0].inputs;
      softmax(forward(network, data.x, at, pass), data.y[example], pass.error[last]);
      pass.error[last][data.y[example]] -= 1;
      for (let l = last; l >= 0; l--) {
        const { inputs, units } = layers[l];
        const error = pass.error[l];
        if (l < last) {
          send(network, route, pass, l + 1, error);
          for (let n = 0; n < units; n++) error[n] *= slope(pass.z[l][n], pass.h[l][n]) * (local ? 1 : m[l][n]);
        }
        const below = l > 0 ? pass.h[l - 1] : data.x;
        const offset = l > 0 ? 0 : at;
        for (let n = 0, w = 0; n < units; n++) {
          const own = error[n] * (local ? m[l][n] : 1) / batch.length;
          total[l].b[n] += own;
          for (let i = 0; i < inputs; i++) total[l].W[w++] += own * below[offset + i];
        }
      }
    }
    return total;
  }
  function descend(network, gradients, rate) {
    network.layers.forEach((layer, l) => {
      for (let w = 0; w < layer.W.length; w++) layer.W[w] -= rate * gradients[l].W[w];
      for (let n = 0; n < layer.units; n++) layer.b[n] -= rate * gradients[l].b[n];
    });
  }
  function evaluate(network, data, pass = new Pass(network)) {
    const { inputs } = network.layers[0];
    const p = new Float64Array(network.layers[network.layers.length - 1].units);
    let loss2 = 0;
    let right = 0;
    for (let example = 0; example < data.y.length; example++) {
      loss2 += softmax(forward(network, data.x, example * inputs, pass), data.y[example], p);
      let answer = 0;
      for (let k = 1; k < p.length; k++) if (p[k] > p[answer]) answer = k;
      if (answer === data.y[example]) right++;
    }
    return { loss: loss2 / data.y.length, accuracy: right / data.y.length };
  }
  var norm = (a) => Math.sqrt(a.reduce((sum, one) => sum + one * one, 0));
  function angle(a, b) {
    const [lengthA, lengthB] = [norm(a), norm(b)];
    if (!(lengthA * lengthB > 0)) return NaN;
    const u = a.map((one) => one * lengthB);
    const difference = norm(u.map((one, i) => one - b[i] * lengthA));
    const sum = norm(u.map((one, i) => one + b[i] * lengthA));
    return 2 * Math.atan2(difference, sum) * 180 / Math.PI;
  }

  // src/training.ts
  var UNITS = 8;
  var EXAMPLES = 200;
  var BATCH = 20;
  var EVERY = 10;
  var LONGEST = 400;
  var Pair = class {
    constructor(settings) {
      __publicField(this, "settings", settings);
      __publicField(this, "training");
      __publicField(this, "test");
      __publicField(this, "arms");
      __publicField(this, "step", 0);
      __publicField(this, "every", EVERY);
      // steps between two points of the curves
      __publicField(this, "order", new Uint32Array());
      __publicField(this, "random");
      const { data, hidden, seed, route } = settings;
      this.training = points(data, EXAMPLES, seed, "training");
      this.test = points(data, EXAMPLES, seed, "test");
      this.random = new Random(seed, "order");
      const arm = (modulation) => {
        const network = draw({ ...settings, sizes: [2, ...Array(hidden).fill(UNITS), 2] });
        const pass = new Pass(network);
        const score = this.scoreOf(network, pass);
        return { rule: { route, modulation }, network, pass, diverged: false, score, curve: [score] };
      };
      this.arms = [arm(settings.modulations[0]), arm(settings.modulations[1])];
    }
    scoreOf(network, pass) {
      return { loss: evaluate(network, this.training, pass).loss, accuracy: evaluate(network, this.test, pass).accuracy };
    }
    /** Train both networks on the next batch. A network whose loss is not finite has diverged, and stays as it is. */
    advance() {
      const at = this.step * BATCH % EXAMPLES;
      if (at === 0) this.order = this.random.permutation(EXAMPLES);
      const batch = this.order.subarray(at, at + BATCH);
      for (const arm of this.arms) {
        if (arm.diverged) continue;
        descend(arm.network, gradient(arm.network, arm.rule, this.training, batch, arm.pass), this.settings.rate);
      }
      this.step += 1;
      if (this.step % this.every === 0) this.record();
    }
    /** Evaluate both networks, and add a point to their curves. */
    record() {
      for (const arm of this.arms) {
        if (!arm.diverged) arm.score = this.scoreOf(arm.network, arm.pass);
        if (!Number.isFinite(arm.score.loss)) [arm.diverged, arm.score] = [true, { loss: Infinity, accuracy: 0.5 }];
        arm.curve.push(arm.score);
      }
      if (this.arms[0].curve.length > LONGEST) {
        for (const arm of this.arms) arm.curve = arm.curve.filter((_, i) => i % 2 === 0);
        this.every *= 2;
      }
    }
    /** Measure each layer of an arm, [layer]. */
    measure({ network, rule }) {
      const everything = Uint32Array.from(this.training.y, (_, i) => i);
      const by = (other) => gradient(network, other, this.training, everything);
      const whole = by(rule);
      const routed = by({ ...rule, modulation: "none" });
      const plain = rule.route === "bp" ? routed : by({ route: "bp", modulation: "none" });
      return allFactors(network, rule).map((m, l) => ({
        factor: m.reduce((sum, one) => sum + one, 0) / m.length,
        dose: angle(whole[l].W, routed[l].W),
        length: norm(whole[l].W) / norm(routed[l].W),
        transport: angle(routed[l].W, plain[l].W)
      }));
    }
  };

  // src/repeat.ts
  var SEEDS = 20;
  var STEPS = 500;
  var STUDENT = 2.093;
  function* repeated(settings) {
    for (let k = 1; k <= SEEDS; k++) {
      const pair2 = new Pair({ ...settings, seed: settings.seed + k });
      pair2.every = STEPS;
      for (let step = 1; step <= STEPS; step++) {
        pair2.advance();
        if (step % 10 === 0 && step < STEPS) yield void 0;
      }
      yield pair2;
    }
  }
  function interval(differences2) {
    const n = differences2.length;
    const mean2 = differences2.reduce((sum, one) => sum + one, 0) / n;
    const variance = differences2.reduce((sum, one) => sum + (one - mean2) ** 2, 0) / (n - 1);
    return { mean: mean2, half: STUDENT * Math.sqrt(variance / n) };
  }

  // src/curves.ts
  var LEFT = 46;
  var BOTTOM = 20;
  var DASHES = [[5, 3], []];
  function drawCurves(surface, curves, every, { bottom, top, format }, colors2) {
    const context = surface.begin();
    const [width, height] = [surface.width - LEFT - 8, surface.height - BOTTOM - 8];
    const count = Math.max(2, ...curves.map((curve) => curve.length));
    const x = (k) => LEFT + width * k / (count - 1);
    const y = (value) => 8 + height * (1 - Math.min(Math.max((value - bottom) / (top - bottom), 0), 1));
    context.font = "12px system-ui, sans-serif";
    context.fillStyle = colors2.muted;
    context.strokeStyle = colors2.hair;
    context.lineWidth = 1;
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const value of [bottom, (bottom + top) / 2, top]) {
      context.beginPath();
      context.moveTo(LEFT, y(value));
      context.lineTo(LEFT + width, y(value));
      context.stroke();
      context.fillText(format(value), LEFT - 6, y(value));
    }
    context.textBaseline = "alphabetic";
    context.fillText(`${((count - 1) * every).toLocaleString("en")} steps`, LEFT + width, surface.height - 4);
    context.textAlign = "left";
    context.fillText("0", LEFT, surface.height - 4);
    context.lineWidth = 2;
    context.lineJoin = "round";
    curves.forEach((curve, k) => {
      context.strokeStyle = colors2.arms[k];
      context.setLineDash(DASHES[k]);
      context.beginPath();
      curve.forEach((value, i) => Number.isFinite(value) && context.lineTo(x(i), y(value)));
      context.stroke();
    });
    context.setLineDash([]);
  }
  function drawDifferences(surface, differences2, colors2) {
    const context = surface.begin();
    const largest = Math.max(5, ...differences2.map(Math.abs));
    const middle = surface.height - 40;
    const x = (value) => surface.width / 2 + value / largest * (surface.width / 2 - 28);
    context.font = "12px system-ui, sans-serif";
    context.textAlign = "center";
    context.fillStyle = colors2.muted;
    context.strokeStyle = colors2.hair;
    context.lineWidth = 1;
    for (const share of [-1, -0.5, 0, 0.5, 1]) {
      const value = share * largest;
      context.beginPath();
      context.moveTo(x(value), 4);
      context.lineTo(x(value), middle + 18);
      context.stroke();
      context.fillText(`${value > 0 ? "+" : value < 0 ? "−" : ""}${Math.abs(value).toFixed(1)}`, x(value), surface.height - 6);
    }
    const stacks = /* @__PURE__ */ new Map();
    context.fillStyle = colors2.arms[1];
    for (const difference of differences2) {
      const column = Math.round(x(difference) / 7);
      const below = stacks.get(column) ?? 0;
      stacks.set(column, below + 1);
      context.beginPath();
      context.arc(column * 7, middle - 12 - 7 * below, 3, 0, 2 * Math.PI);
      context.fill();
    }
    if (differences2.length < 2) return;
    const { mean: mean2, half } = interval(differences2);
    context.strokeStyle = context.fillStyle = colors2.text;
    context.lineWidth = 2;
    context.beginPath();
    context.moveTo(x(Math.max(mean2 - half, -largest)), middle + 6);
    context.lineTo(x(Math.min(mean2 + half, largest)), middle + 6);
    context.stroke();
    context.beginPath();
    context.arc(x(mean2), middle + 6, 4.5, 0, 2 * Math.PI);
    context.fill();
  }

  // src/form.ts
  var CHOICES = {
    data: [Object.keys(dataSets), "spirals"],
    route: [Object.keys(routes), "bp"],
    activation: [Object.keys(activations), "relu"],
    left: [Object.keys(modulations), "none"],
    right: [Object.keys(modulations), "grapes"]
  };
  var LABELS = Object.fromEntries(Object.entries(routes).map(([name, route]) => [name, `${name}: ${route.summary}`]));
  var FORMATS = {
    hidden: (value) => `${value}`,
    rate: (value) => Number(rateOf(value).toPrecision(2)).toString(),
    logSigma: (value) => value.toFixed(1),
    unitScales: (value) => value.toFixed(1),
    speed: (value) => `${value}`
  };
  var rateOf = (position) => 2 ** (position / 2);
  var Form = class {
    /** @param changed  called when a control has changed, with its name, or with "" for a new address */
    constructor(form2, changed) {
      __publicField(this, "form", form2);
      __publicField(this, "controls");
      __publicField(this, "starts");
      for (const [name, [names, start]] of Object.entries(CHOICES)) {
        this.control(name).append(...names.map((one) => new Option(LABELS[one] ?? one, one, one === start, one === start)));
      }
      this.controls = [...form2.elements].filter((one) => one instanceof HTMLSelectElement || one instanceof HTMLInputElement);
      this.starts = new Map(this.controls.map((one) => [one.name, one.value]));
      for (const control of this.controls) {
        control.addEventListener("input", () => {
          if (!control.checkValidity()) return;
          this.show();
          history.replaceState(null, "", this.address());
          changed(control.name);
        });
      }
      window.addEventListener("hashchange", () => {
        this.take();
        changed("");
      });
      form2.addEventListener("submit", (event) => event.preventDefault());
      this.take();
    }
    control(name) {
      return this.form.elements.namedItem(name);
    }
    number(name) {
      return Number(this.control(name).value);
    }
    /** Set every control to its value in the address, or else to its start. */
    take() {
      const given = new URLSearchParams(location.hash.slice(1));
      for (const control of this.controls) {
        control.value = given.get(control.name) ?? this.starts.get(control.name);
        if (control.value === "" || !control.checkValidity()) control.value = this.starts.get(control.name);
      }
      this.show();
    }
    /** Return the part of the address that names the settings which differ from the start. */
    address() {
      const changed = this.controls.filter((one) => one.value !== this.starts.get(one.name));
      return `#${new URLSearchParams(changed.map((one) => [one.name, one.value]))}`;
    }
    /** Write the numbers beside the sliders. */
    show() {
      for (const [name, format] of Object.entries(FORMATS)) {
        const text = format(this.number(name));
        this.form.querySelector(`output[for=${name}]`).textContent = text;
        this.control(name).setAttribute("aria-valuetext", text);
      }
      this.control("unitScales").disabled = !activations[this.settings().activation].homogeneous;
    }
    get speed() {
      return this.number("speed");
    }
    set seed(value) {
      this.control("seed").value = `${value}`;
      this.control("seed").dispatchEvent(new Event("input"));
    }
    settings() {
      const choice = (name) => this.control(name).value;
      const activation = choice("activation");
      return {
        data: choice("data"),
        hidden: this.number("hidden"),
        activation,
        route: choice("route"),
        rate: rateOf(this.number("rate")),
        logSigma: this.number("logSigma"),
        unitScales: activations[activation].homogeneous ? this.number("unitScales") : 0,
        seed: this.number("seed"),
        modulations: [choice("left"), choice("right")]
      };
    }
  };

  // src/surface.ts
  function palette() {
    const style = getComputedStyle(document.documentElement);
    const text = (name) => style.getPropertyValue(`--${name}`).trim();
    const color = (name) => {
      const bits = parseInt(text(name).slice(1), 16);
      return [bits >> 16, bits >> 8 & 255, bits & 255];
    };
    return {
      text: text("text"),
      muted: text("muted"),
      hair: text("hair"),
      card: color("card"),
      classes: [color("class-0"), color("class-1")],
      arms: [text("arm-0"), text("arm-1")],
      factor: color("arm-1")
    };
  }
  function mix(from, to, share) {
    const s = Math.min(Math.max(share, 0), 1);
    return [from[0] + (to[0] - from[0]) * s, from[1] + (to[1] - from[1]) * s, from[2] + (to[2] - from[2]) * s];
  }
  var css = ([r, g, b], alpha = 1) => `rgb(${Math.round(r)} ${Math.round(g)} ${Math.round(b)} / ${alpha})`;
  var Surface = class {
    constructor(canvas) {
      __publicField(this, "canvas", canvas);
      __publicField(this, "context");
      __publicField(this, "width", 0);
      __publicField(this, "height", 0);
      this.context = canvas.getContext("2d");
    }
    /** Take the size that the page gives to the canvas, and clear it. */
    begin() {
      const ratio = Math.min(window.devicePixelRatio, 2);
      [this.width, this.height] = [this.canvas.clientWidth, this.canvas.clientHeight];
      const [width, height] = [Math.round(this.width * ratio), Math.round(this.height * ratio)];
      if (this.canvas.width !== width || this.canvas.height !== height) [this.canvas.width, this.canvas.height] = [width, height];
      this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
      this.context.clearRect(0, 0, this.width, this.height);
      return this.context;
    }
    /** Say to those who do not see the picture what it shows. */
    describe(label) {
      this.canvas.setAttribute("aria-label", label);
    }
  };

  // src/picture.ts
  var GRID = 56;
  var STRONGEST = 0.62;
  var cells = Object.assign(document.createElement("canvas"), { width: GRID, height: GRID });
  var cellContext = cells.getContext("2d");
  var image = cellContext.createImageData(GRID, GRID);
  function drawPlane(surface, network, data, colors2) {
    const context = surface.begin();
    const pass = new Pass(network);
    const [x, p] = [new Float64Array(2), new Float64Array(2)];
    for (let row = 0, at = 0; row < GRID; row++) {
      for (let column = 0; column < GRID; column++, at += 4) {
        x[0] = (column + 0.5) / GRID * 2 * REACH - REACH;
        x[1] = REACH - (row + 0.5) / GRID * 2 * REACH;
        softmax(forward(network, x, 0, pass), 0, p);
        const certain = Math.abs(p[1] - 0.5) * 2 * STRONGEST;
        image.data.set(mix(colors2.card, colors2.classes[p[1] > 0.5 ? 1 : 0], certain), at);
        image.data[at + 3] = 255;
      }
    }
    cellContext.putImageData(image, 0, 0);
    context.drawImage(cells, 0, 0, surface.width, surface.height);
    const place = (value) => (value + REACH) / (2 * REACH);
    const radius = Math.max(2.4, surface.width / 90);
    context.lineWidth = 1;
    context.strokeStyle = css(colors2.card);
    for (const y of [0, 1]) {
      context.fillStyle = css(colors2.classes[y]);
      context.beginPath();
      for (let i = 0; i < data.y.length; i++) {
        if (data.y[i] !== y) continue;
        const [left, top] = [place(data.x[2 * i]) * surface.width, (1 - place(data.x[2 * i + 1])) * surface.height];
        if (y === 0) {
          context.moveTo(left + radius, top);
          context.arc(left, top, radius, 0, 2 * Math.PI);
        } else {
          context.rect(left - radius * 0.9, top - radius * 0.9, 1.8 * radius, 1.8 * radius);
        }
      }
      context.fill();
      context.stroke();
    }
  }
  function drawNetwork(surface, network, factors2, low2, colors2) {
    const context = surface.begin();
    const { layers } = network;
    const columns = layers.length + 1;
    const most = Math.max(...layers.map((layer) => layer.units));
    const radius = Math.min(surface.height / most * 0.38, surface.width / columns * 0.3, 11);
    const x = (column) => radius + 2 + (surface.width - 2 * radius - 4) * column / (columns - 1);
    const y = (n, count) => surface.height * (n + 0.5 + (most - count) / 2) / most;
    layers.forEach(({ W, units, inputs }, l) => {
      const largest = Math.max(...W.map(Math.abs));
      for (const sign of [-1, 1]) {
        const hue = mix(colors2.classes[sign < 0 ? 0 : 1], colors2.card, 0.2);
        for (let n = 0, w = 0; n < units; n++) {
          for (let i = 0; i < inputs; i++, w++) {
            const size = W[w] * sign / largest;
            if (!(size > 0.02)) continue;
            context.strokeStyle = css(hue, 0.2 + 0.7 * size);
            context.lineWidth = 0.4 + 3 * size;
            context.beginPath();
            context.moveTo(x(l), y(i, inputs));
            context.lineTo(x(l + 1), y(n, units));
            context.stroke();
          }
        }
      }
    });
    context.lineWidth = 1.25;
    context.strokeStyle = colors2.text;
    for (let column = 0; column < columns; column++) {
      const count = column === 0 ? layers[0].inputs : layers[column - 1].units;
      const hidden = column > 0 && column < columns - 1;
      for (let n = 0; n < count; n++) {
        const share = hidden ? (factors2[column - 1][n] - low2) / (2 - low2) : 0;
        const output = column === columns - 1;
        context.fillStyle = css(hidden ? mix(colors2.card, colors2.factor, share) : output ? colors2.classes[n] : colors2.card);
        context.beginPath();
        context.arc(x(column), y(n, count), radius, 0, 2 * Math.PI);
        context.fill();
        context.stroke();
      }
    }
  }

  // src/page.ts
  var find = (selector, within = document) => within.querySelector(selector);
  var button = (id, pressed) => {
    const found2 = find(`#${id}`);
    found2.addEventListener("click", pressed);
    return found2;
  };
  var signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(1)}`;
  var cards = [...document.querySelectorAll(".arm")].map((root) => ({
    root,
    plane: new Surface(find(".plane", root)),
    network: new Surface(find(".network", root))
  }));
  var loss = new Surface(find("#loss"));
  var accuracy = new Surface(find("#accuracy"));
  var differences = new Surface(find("#differences"));
  var calm = matchMedia("(prefers-reduced-motion: reduce)");
  var colors = palette();
  var running = false;
  var frame = 0;
  var repetition;
  var found = [];
  var diverged = 0;
  var form = new Form(find("#settings"), (name) => name !== "speed" && restart());
  var pair = new Pair(form.settings());
  var run = button("run", () => setRunning(!running));
  button("once", () => {
    setRunning(false);
    pair.advance();
    pair.record();
    drawAll();
  });
  button("again", () => restart());
  button("reseed", () => form.seed = form.settings().seed % 999999 + 1);
  var repeat = button("repeat", () => {
    if (repetition) return stopRepetition();
    setRunning(false);
    stopRepetition();
    repetition = repeated(form.settings());
    repeat.textContent = "Stop";
    differences.canvas.hidden = false;
    drawRepetition();
  });
  function setRunning(on) {
    running = on;
    run.textContent = on ? "Pause" : "Train";
  }
  function restart() {
    pair = new Pair(form.settings());
    stopRepetition();
    drawAll();
  }
  function stopRepetition() {
    repetition = void 0;
    [found, diverged] = [[], 0];
    repeat.textContent = `Repeat with ${SEEDS} seeds`;
    differences.canvas.hidden = true;
    find("#repeated").textContent = "";
  }
  var low = (arm) => routes[arm.rule.route].clip[0] === 0 || arm.rule.modulation === "mean-one" ? 0 : 1;
  function drawPictures(k) {
    const arm = pair.arms[k];
    drawPlane(cards[k].plane, arm.network, pair.training, colors);
    drawNetwork(cards[k].network, arm.network, allFactors(arm.network, arm.rule), low(arm), colors);
  }
  function drawCharts() {
    const curves = (name) => pair.arms.map((arm) => arm.curve.map((score) => score[name]));
    const largest = Math.max(...curves("loss").flat().filter(Number.isFinite));
    const top = Math.min(Math.max(Math.ceil(largest / 0.4) * 0.4, 0.8), 2);
    drawCurves(loss, curves("loss"), pair.every, { bottom: 0, top, format: (value) => value.toFixed(1) }, colors);
    const percent = (value) => `${Math.round(100 * value)} %`;
    drawCurves(accuracy, curves("accuracy"), pair.every, { bottom: 0.4, top: 1, format: percent }, colors);
  }
  var scoreText = ({ diverged: diverged2, score }) => diverged2 ? "diverged: the loss is not finite" : `training loss ${score.loss.toFixed(3)}, test accuracy ${(100 * score.accuracy).toFixed(1)} %`;
  function writeNumbers(k) {
    const { root, plane, network } = cards[k];
    const arm = pair.arms[k];
    const side = k === 0 ? "left" : "right";
    find("#step").textContent = pair.step.toLocaleString("en");
    find(".summary", root).textContent = modulations[arm.rule.modulation].summary;
    find(".score", root).textContent = scoreText(arm);
    find(".low", root).textContent = `${low(arm)}`;
    const measures = pair.measure(arm).slice(0, -1);
    const rows = [
      ["hidden layer", measures.map((_, l) => `${l + 1}`)],
      ["mean factor", measures.map(({ factor: factor2 }) => factor2.toFixed(2))],
      ["dose", measures.map(({ dose }) => degrees(dose))],
      ["step length", measures.map(({ length }) => Number.isFinite(length) ? `×${length.toFixed(length < 9.95 ? 1 : 0)}` : "–")]
    ];
    if (arm.rule.route !== "bp") rows.push(["angle to bp", measures.map(({ transport }) => degrees(transport))]);
    find("table", root).replaceChildren(...rows.map(([title, cells2], r) => rowOf(title, cells2, r === 0)));
    plane.describe(`Answers of the ${side} network, ${arm.rule.modulation} on route ${arm.rule.route}: ${scoreText(arm)}`);
    network.describe(`Units and weights of the ${side} network; mean factors by layer: ${rows[1][1].join(", ")}`);
  }
  function describeCharts() {
    const both = (format) => `left ${format(pair.arms[0].score)}, right ${format(pair.arms[1].score)}`;
    loss.describe(`Training loss after ${pair.step} steps: ${both((score) => score.loss.toFixed(3))}`);
    accuracy.describe(`Test accuracy after ${pair.step} steps: ${both((score) => `${(100 * score.accuracy).toFixed(1)} %`)}`);
  }
  var degrees = (angle2) => Number.isFinite(angle2) ? `${angle2.toFixed(1)}°` : "–";
  function rowOf(title, cells2, head) {
    const row = document.createElement("tr");
    const cell = (text, scope) => {
      const made = document.createElement(scope ? "th" : "td");
      if (scope) made.setAttribute("scope", scope);
      made.textContent = text;
      return made;
    };
    row.append(cell(title, head ? "col" : "row"), ...cells2.map((text) => cell(text, head ? "col" : "")));
    return row;
  }
  function drawRepetition() {
    if (differences.canvas.hidden) return;
    drawDifferences(differences, found, colors);
    const [left, right] = pair.settings.modulations;
    let text = `${found.length} of ${SEEDS} seeds`;
    if (found.length === SEEDS) {
      const { mean: mean2, half } = interval(found);
      text = `After ${STEPS} steps, ${right} − ${left} = ${signed(mean2)} points of test accuracy, 95 % interval [${signed(mean2 - half)}, ${signed(mean2 + half)}], n = ${SEEDS}.`;
      text += mean2 - half > 0 || mean2 + half < 0 ? " This is at one learning rate, which may suit one of the two better." : " No difference is shown.";
      if (diverged) text += ` ${diverged} runs diverged; each counts as 50 %.`;
      differences.describe(`One point per seed. ${text}`);
      repeat.textContent = `Repeat with ${SEEDS} seeds`;
    }
    find("#repeated").textContent = text;
  }
  function drawAll() {
    for (const k of [0, 1]) {
      drawPictures(k);
      writeNumbers(k);
    }
    drawCharts();
    describeCharts();
    drawRepetition();
  }
  function continueRepetition() {
    const until = performance.now() + 10;
    while (repetition && performance.now() < until) {
      const next = repetition.next();
      if (next.done) repetition = void 0;
      else if (next.value) {
        next.value.record();
        const [a, b] = next.value.arms;
        found.push(100 * (b.score.accuracy - a.score.accuracy));
        diverged += Number(a.diverged) + Number(b.diverged);
      }
    }
    drawRepetition();
  }
  function onFrame() {
    frame += 1;
    if (repetition) continueRepetition();
    if (running) {
      for (let k = 0; k < form.speed; k++) pair.advance();
      if (calm.matches) {
        if (frame % 30 === 0) drawAll();
      } else {
        drawPictures(frame % 2);
        if (frame % 4 === 0) drawCharts();
        if (frame % 8 === 1) writeNumbers((frame >> 3) % 2);
        if (frame % 64 === 2) describeCharts();
      }
    }
    requestAnimationFrame(onFrame);
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    colors = palette();
    drawAll();
  });
  new ResizeObserver(drawAll).observe(document.body);
  drawAll();
  requestAnimationFrame(onFrame);
})();
