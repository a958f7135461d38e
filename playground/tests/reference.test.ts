/** The playground learns what torch_grapes learns: GRAPES_CASES names the file that reference.py wrote. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, test } from "node:test";
import { activations, allFactors, angle, descend, evaluate, gradient, type ActivationName, type Network } from "../src/network";
import { modulations, routes, type Rule } from "../src/rule";

interface Case extends Rule {
  name: string;
  activation: ActivationName;
  sizes: number[];
  rate: number;
  x: number[];
  y: number[];
  batches: number[][];
  initial: { W: number[]; b: number[]; B: number[] }[];
  factors: number[][];
  final: { W: number[]; b: number[] }[];
  loss: number;
  accuracy: number;
  angles?: ({ transport: number; modulation: number } | null)[];
}

const TOLERANCE = 1e-6; // rounding errors grow in the steps of some networks, to 1e-9 in the largest
let largest = 0;

function assertClose(mine: ArrayLike<number>, theirs: ArrayLike<number>, what: string): void {
  assert.equal(mine.length, theirs.length, what);
  for (let i = 0; i < mine.length; i++) {
    const difference = Math.abs(mine[i] - theirs[i]);
    assert.ok(difference <= TOLERANCE, `${what}: ${mine[i]} instead of ${theirs[i]}`);
    largest = Math.max(largest, difference);
  }
}

const file = process.env.GRAPES_CASES;
assert.ok(file, "GRAPES_CASES must name the file that tests/reference.py wrote");
const cases: Case[] = JSON.parse(readFileSync(file, "utf8"));

test("the cases have every route, modulation and activation of the playground", () => {
  const covered = (name: "route" | "modulation" | "activation") => [...new Set(cases.map((one) => one[name]))].sort();
  assert.deepEqual(covered("route"), Object.keys(routes).sort());
  assert.deepEqual(covered("modulation"), Object.keys(modulations).sort());
  assert.deepEqual(covered("activation"), Object.keys(activations).sort());
});

for (const one of cases) {
  test(one.name, () => {
    const network: Network = {
      activation: one.activation,
      layers: one.initial.map(({ W, b, B }, l) => ({
        inputs: one.sizes[l],
        units: one.sizes[l + 1],
        W: Float64Array.from(W),
        b: Float64Array.from(b),
        B: Float64Array.from(B),
      })),
    };
    const data = { x: Float64Array.from(one.x), y: Uint8Array.from(one.y) };
    const rule: Rule = { route: one.route, modulation: one.modulation };
    const hidden = one.sizes.length - 2;

    allFactors(network, rule).slice(0, hidden).forEach((m, l) => assertClose(m, one.factors[l], `factors of layer ${l}`));
    const before = network.layers.map((layer) => Float64Array.from(layer.W));
    for (const batch of one.batches) descend(network, gradient(network, rule, data, batch), one.rate);
    network.layers.forEach((layer, l) => {
      assertClose(layer.W, one.final[l].W, `weights of layer ${l}`);
      assertClose(layer.b, one.final[l].b, `biases of layer ${l}`);
      assert.ok(Math.max(...layer.W.map((w, i) => Math.abs(w - before[l][i]))) > 1e-6, `layer ${l} has learned`);
    });

    const { loss, accuracy } = evaluate(network, data);
    assertClose([loss, accuracy], [one.loss, one.accuracy], "loss and accuracy");
    const everything = Array.from(one.y, (_, i) => i);
    const whole = gradient(network, rule, data, everything);
    const plain = gradient(network, { ...rule, modulation: "none" }, data, everything);
    const backpropagated = gradient(network, { route: "bp", modulation: "none" }, data, everything);
    one.angles?.forEach((theirs, l) => {
      if (!theirs) return;
      const mine = [angle(plain[l].W, backpropagated[l].W), angle(whole[l].W, plain[l].W)];
      assertClose(mine, [theirs.transport, theirs.modulation], `angles of layer ${l}`);
    });
  });
}

after(() => console.log(`${cases.length} cases; the largest difference is ${largest.toExponential(1)}`));
