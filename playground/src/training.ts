/** Two networks that learn side by side, from the same initial weights, data and order of examples. */
import { points } from "./data";
import { draw } from "./initial";
import { allFactors, angle, descend, evaluate, gradient, norm, Pass, type ActivationName, type Data, type Network } from "./network";
import { Random } from "./random";
import type { Rule } from "./rule";

export const UNITS = 8; // of each hidden layer
export const EXAMPLES = 200; // in the training data, and as many in the test data
export const BATCH = 20;
const EVERY = 10; // steps between two points of a curve, at first
const LONGEST = 400; // points of a curve; of a longer one, every other point is left out

export interface Settings {
  data: string;
  hidden: number; // layers
  activation: ActivationName;
  route: Rule["route"];
  rate: number;
  logSigma: number;
  unitScales: number;
  seed: number;
  modulations: [Rule["modulation"], Rule["modulation"]];
}

export interface Score {
  loss: number; // on the training data
  accuracy: number; // on the test data
}

export interface Arm {
  rule: Rule;
  network: Network;
  pass: Pass;
  diverged: boolean;
  score: Score;
  curve: Score[];
}

/** What a rule does to one layer, measured on all training data. Angles are in degrees. */
export interface Measure {
  factor: number; // mean over the layer's units
  dose: number; // angle between the gradients with and without the modulation
  length: number; // norm of the gradient with the modulation over that without
  transport: number; // angle between the route's gradient without modulation and that of backpropagation
}

export class Pair {
  readonly training: Data;
  readonly test: Data;
  readonly arms: [Arm, Arm];
  step = 0;
  every = EVERY; // steps between two points of the curves
  private order: Uint32Array = new Uint32Array();
  private readonly random: Random;

  constructor(readonly settings: Settings) {
    const { data, hidden, seed, route } = settings;
    this.training = points(data, EXAMPLES, seed, "training");
    this.test = points(data, EXAMPLES, seed, "test");
    this.random = new Random(seed, "order");
    const arm = (modulation: Rule["modulation"]): Arm => {
      const network = draw({ ...settings, sizes: [2, ...Array<number>(hidden).fill(UNITS), 2] });
      const pass = new Pass(network);
      const score = this.scoreOf(network, pass);
      return { rule: { route, modulation }, network, pass, diverged: false, score, curve: [score] };
    };
    this.arms = [arm(settings.modulations[0]), arm(settings.modulations[1])];
  }

  private scoreOf(network: Network, pass: Pass): Score {
    return { loss: evaluate(network, this.training, pass).loss, accuracy: evaluate(network, this.test, pass).accuracy };
  }

  /** Train both networks on the next batch. A network whose loss is not finite has diverged, and stays as it is. */
  advance(): void {
    const at = (this.step * BATCH) % EXAMPLES;
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
  record(): void {
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
  measure({ network, rule }: Arm): Measure[] {
    const everything = Uint32Array.from(this.training.y, (_, i) => i);
    const by = (other: Rule) => gradient(network, other, this.training, everything);
    const whole = by(rule);
    const routed = by({ ...rule, modulation: "none" });
    const plain = rule.route === "bp" ? routed : by({ route: "bp", modulation: "none" });
    return allFactors(network, rule).map((m, l) => ({
      factor: m.reduce((sum, one) => sum + one, 0) / m.length,
      dose: angle(whole[l].W, routed[l].W),
      length: norm(whole[l].W) / norm(routed[l].W),
      transport: angle(routed[l].W, plain[l].W),
    }));
  }
}
