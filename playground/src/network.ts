/** A dense network in float64: its forward pass, the gradients of a learning rule, and gradient descent. */
import { factors, modulations, routes, type Modulation, type Route, type Rule } from "./rule";

/** Each hidden activation h = φ(z), and its derivative from z and h. */
export const activations = {
  relu: { value: (z: number) => (z > 0 ? z : 0), slope: (z: number, _h: number) => (z > 0 ? 1 : 0), homogeneous: true },
  tanh: { value: Math.tanh, slope: (_z: number, h: number) => 1 - h * h, homogeneous: false },
};
export type ActivationName = keyof typeof activations;

export interface Layer {
  inputs: number;
  units: number;
  W: Float64Array; // weights [unit, input]
  b: Float64Array; // biases [unit]
  B: Float64Array; // feedback weights [input, sender]: senders are the layer's units on fa, and the outputs on dfa; else empty
}

export interface Network {
  layers: Layer[]; // the last one gives the logits
  activation: ActivationName;
}

/** Examples: x [example, input] and the class of each. */
export interface Data {
  x: Float64Array;
  y: Uint8Array;
}

export interface Gradient {
  W: Float64Array;
  b: Float64Array;
}

/** Memory for the passes of single examples, z and h of every layer and the error δ at z, and for the gradient of a batch. */
export class Pass {
  readonly z: Float64Array[];
  readonly h: Float64Array[];
  readonly error: Float64Array[];
  readonly gradient: Gradient[];

  constructor({ layers }: Network) {
    const empty = () => layers.map((layer) => new Float64Array(layer.units));
    [this.z, this.h, this.error] = [empty(), empty(), empty()];
    this.gradient = layers.map(({ W, b }) => ({ W: new Float64Array(W.length), b: new Float64Array(b.length) }));
  }
}

/** Compute the logits of an example, z = W h + b in every layer; `at` is the index of its first input in x. */
export function forward(network: Network, x: Float64Array, at: number, pass: Pass): Float64Array {
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

/** Replace logits by softmax probabilities. Return the cross-entropy of the class y. */
export function softmax(logits: Float64Array, y: number, p: Float64Array): number {
  let largest = -Infinity;
  for (let k = 0; k < p.length; k++) largest = Math.max(largest, logits[k]);
  let sum = 0;
  for (let k = 0; k < p.length; k++) sum += p[k] = Math.exp(logits[k] - largest);
  const loss = Math.log(sum) + largest - logits[y];
  for (let k = 0; k < p.length; k++) p[k] /= sum;
  return loss;
}

/** The factors of every layer [layer][unit]. The output layer is never modulated. */
export function allFactors(network: Network, rule: Rule): Float64Array[] {
  const last = network.layers.length - 1;
  return network.layers.map(({ W, units }, l) => (l < last ? factors(rule, W, units) : new Float64Array(units).fill(1)));
}

/** Send the error at layer l down to the activations of layer l - 1. */
function send(network: Network, route: Route, pass: Pass, l: number, arriving: Float64Array): void {
  const { W, B, inputs, units } = network.layers[l];
  const error = route.feedback === "direct" ? pass.error[network.layers.length - 1] : pass.error[l];
  for (let i = 0; i < inputs; i++) {
    let sum = 0;
    if (route.feedback === "none") for (let n = 0; n < units; n++) sum += W[n * inputs + i] * error[n];
    else for (let n = 0; n < error.length; n++) sum += B[i * error.length + n] * error[n];
    arriving[i] = sum;
  }
}

/**
 * The mean gradient of a batch by a rule:
 *   δ^L = p - t,   δ^l = m^l ⊙ [error from above] ⊙ φ'(z^l),   G^l = mean over the batch of δ^l (h^{l-1})ᵀ
 * In the local version m^l stands in G^l alone. The result is in the memory of the pass.
 */
export function gradient(network: Network, rule: Rule, data: Data, batch: ArrayLike<number>, pass = new Pass(network)): Gradient[] {
  const { layers } = network;
  const route: Route = routes[rule.route];
  const { local }: Modulation = modulations[rule.modulation];
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
        const own = (error[n] * (local ? m[l][n] : 1)) / batch.length;
        total[l].b[n] += own;
        for (let i = 0; i < inputs; i++) total[l].W[w++] += own * below[offset + i];
      }
    }
  }
  return total;
}

/** Gradient descent: subtract rate times the gradient. */
export function descend(network: Network, gradients: Gradient[], rate: number): void {
  network.layers.forEach((layer, l) => {
    for (let w = 0; w < layer.W.length; w++) layer.W[w] -= rate * gradients[l].W[w];
    for (let n = 0; n < layer.units; n++) layer.b[n] -= rate * gradients[l].b[n];
  });
}

/** The mean cross-entropy and the share of right answers. */
export function evaluate(network: Network, data: Data, pass = new Pass(network)): { loss: number; accuracy: number } {
  const { inputs } = network.layers[0];
  const p = new Float64Array(network.layers[network.layers.length - 1].units);
  let loss = 0;
  let right = 0;
  for (let example = 0; example < data.y.length; example++) {
    loss += softmax(forward(network, data.x, example * inputs, pass), data.y[example], p);
    let answer = 0;
    for (let k = 1; k < p.length; k++) if (p[k] > p[answer]) answer = k;
    if (answer === data.y[example]) right++;
  }
  return { loss: loss / data.y.length, accuracy: right / data.y.length };
}

export const norm = (a: Float64Array): number => Math.sqrt(a.reduce((sum, one) => sum + one * one, 0));

/** The angle between two gradients in degrees; NaN if one of them is 0. The arc tangent is exact near 0 and 180. */
export function angle(a: Float64Array, b: Float64Array): number {
  const [lengthA, lengthB] = [norm(a), norm(b)];
  if (!(lengthA * lengthB > 0)) return NaN;
  const u = a.map((one) => one * lengthB);
  const difference = norm(u.map((one, i) => one - b[i] * lengthA));
  const sum = norm(u.map((one, i) => one + b[i] * lengthA));
  return (2 * Math.atan2(difference, sum) * 180) / Math.PI;
}
