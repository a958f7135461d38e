/** Initial weights: a distribution whose width is the dose, and a rescaling that makes units unlike. */
import type { ActivationName, Layer, Network } from "./network";
import { Random } from "./random";
import { routes, type Route, type Rule } from "./rule";

export interface Start {
  sizes: number[]; // inputs, hidden units of each layer, outputs
  activation: ActivationName;
  route: Rule["route"];
  logSigma: number; // standard deviation of log |w|
  unitScales: number; // standard deviation of log c
  seed: number;
}

/** Draw a network: a random sign, and |w| log-normal with the mean square 2/inputs of He et al. (2015). Biases are 0. */
export function draw(start: Start): Network {
  const { sizes, logSigma: sigma } = start;
  const weights = new Random(start.seed, "weights");
  const outputs = sizes[sizes.length - 1];
  const layers = sizes.slice(1).map((units, l): Layer => {
    const inputs = sizes[l];
    const one = () => Math.sign(weights.uniform(-1, 1)) * Math.exp(sigma * weights.normal() - sigma ** 2) * Math.sqrt(2 / inputs);
    const feedback = new Random(start.seed, `feedback ${l}`);
    const route: Route = routes[start.route];
    const senders = { none: 0, above: units, direct: outputs }[route.feedback];
    const bound = 1 / Math.sqrt(senders);
    return {
      inputs,
      units,
      W: Float64Array.from({ length: units * inputs }, one),
      b: new Float64Array(units),
      B: Float64Array.from({ length: inputs * senders }, () => feedback.uniform(-bound, bound)), // Nøkland 2016
    };
  });
  rescale(layers, start.unitScales, new Random(start.seed, "unit scales"));
  return { layers, activation: start.activation };
}

/** Multiply the incoming weights of each hidden unit by c and divide its outgoing ones by c. A ReLU network computes the same. */
export function rescale(layers: Layer[], deviation: number, random: Random): void {
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
