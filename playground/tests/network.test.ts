/** Laws of the rule and of a pair, with answers worked out by hand. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { dataSets, points, REACH } from "../src/data";
import { draw, rescale } from "../src/initial";
import { angle, evaluate, gradient } from "../src/network";
import { Random } from "../src/random";
import { interval, SEEDS } from "../src/repeat";
import { factor, factors, modulations, responsibility, type Rule } from "../src/rule";
import { Pair, type Settings } from "../src/training";

const settings: Settings = { data: "moons", hidden: 3, activation: "relu", route: "bp", rate: 0.1, logSigma: 1, unitScales: 0, seed: 4, modulations: ["none", "grapes"] };
const sizes = [2, 8, 8, 2];

test("factors are those of three rows whose absolute weights sum to 1, 2 and 4", () => {
  const W = Float64Array.of(1, 0, 1, -1, 3, 1);
  assert.deepEqual([...responsibility(W, 3)], [1, 2, 4]);
  assert.deepEqual([...factor(responsibility(W, 3), [1, 2])], [1, 1, 2]);
  const of = (modulation: Rule["modulation"]) => [...factors({ route: "fa", modulation }, W, 3)];
  assert.deepEqual(of("grapes"), [0.5, 1, 2]);
  assert.deepEqual(of("uniform"), [3.5 / 3, 3.5 / 3, 3.5 / 3]);
  assert.deepEqual(of("inverse"), [2, 1.5, 0.5]);
  assert.deepEqual(of("mean-one"), [3 / 7, 6 / 7, 12 / 7]);
  assert.deepEqual(of("none"), [1, 1, 1]);
  assert.deepEqual([...factor(new Float64Array(2), [1, 2])], [1, 1]);
});

test("a rescaling does not change what a ReLU network computes, but its factors", () => {
  const network = draw({ ...settings, sizes });
  const data = points("spirals", 100, 1, "test");
  const before = evaluate(network, data);
  const m = factors({ route: "bp", modulation: "grapes" }, network.layers[1].W, 8);
  rescale(network.layers, 1, new Random(1, "test"));
  const after = evaluate(network, data);
  assert.ok(Math.abs(before.loss - after.loss) < 1e-12);
  assert.notDeepEqual(factors({ route: "bp", modulation: "grapes" }, network.layers[1].W, 8), m);
});

test("both networks of a pair start from the same weights and see the same examples", () => {
  const pair = new Pair({ ...settings, modulations: ["grapes", "grapes"] });
  for (let k = 0; k < 25; k++) pair.advance();
  assert.deepEqual(pair.arms[0].network, pair.arms[1].network);
  const other = new Pair(settings);
  assert.deepEqual(other.arms[0].network, other.arms[1].network);
  other.advance();
  assert.notDeepEqual(other.arms[0].network, other.arms[1].network);
});

test("uniform factors do not turn the gradient of a layer, and the local version turns it by at most 19.5 degrees", () => {
  for (const name of Object.keys(modulations) as Rule["modulation"][]) {
    const pair = new Pair({ ...settings, modulations: [name, name] });
    for (const { dose, factor: mean } of pair.measure(pair.arms[0]).slice(0, -1)) {
      if (name === "none" || name === "uniform") assert.ok(dose < 1e-5, `${name} ${dose}`);
      if (name === "grapes-local") assert.ok(dose > 0.1 && dose < 19.48, `${dose}`);
      if (name === "grapes") assert.ok(mean > 1 && mean < 2);
    }
  }
});

test("an angle is exact near 0, at 90 and at 180 degrees", () => {
  const a = Float64Array.of(1, 0);
  assert.equal(angle(a, Float64Array.of(0, 3)), 90);
  assert.equal(angle(a, Float64Array.of(-2, 0)), 180);
  assert.ok(Math.abs(angle(a, Float64Array.of(1, 1e-10)) - (1e-10 * 180) / Math.PI) < 1e-16);
  assert.ok(Number.isNaN(angle(a, new Float64Array(2))));
});

test("plain backpropagation gives the derivative of the loss", () => {
  const network = draw({ ...settings, sizes, activation: "tanh" });
  const data = points("xor", 20, 1, "training");
  const everything = Array.from(data.y, (_, i) => i);
  const gradients = gradient(network, { route: "bp", modulation: "none" }, data, everything);
  network.layers.forEach(({ W }, l) => {
    for (const w of [0, 3, W.length - 1]) {
      const at = (shift: number) => {
        W[w] += shift;
        const { loss } = evaluate(network, data);
        W[w] -= shift;
        return loss;
      };
      assert.ok(Math.abs((at(1e-6) - at(-1e-6)) / 2e-6 - gradients[l].W[w]) < 1e-8);
    }
  });
});

test("data sets are balanced, within the picture, and the same for the same seed", () => {
  for (const name of Object.keys(dataSets)) {
    const data = points(name, 1000, 3, "training");
    assert.equal(data.y.reduce((sum, y) => sum + y, 0), 500);
    assert.ok(Math.max(...data.x.map(Math.abs)) < REACH, name);
    assert.deepEqual(points(name, 1000, 3, "training"), data);
    assert.notDeepEqual(points(name, 1000, 3, "test"), data);
  }
});

test("random numbers have the mean and deviation of their distribution, and a permutation has every number", () => {
  const random = new Random(7, "test");
  const normal = Array.from({ length: 20000 }, () => random.normal());
  const mean = normal.reduce((sum, one) => sum + one, 0) / normal.length;
  const deviation = Math.sqrt(normal.reduce((sum, one) => sum + (one - mean) ** 2, 0) / normal.length);
  assert.ok(Math.abs(mean) < 0.03 && Math.abs(deviation - 1) < 0.02, `${mean} ${deviation}`);
  assert.deepEqual([...random.permutation(50)].sort((a, b) => a - b), Array.from({ length: 50 }, (_, i) => i));
});

test("a run that diverges stops with an accuracy of chance, and curves stay short", () => {
  const pair = new Pair({ ...settings, rate: 1e200 });
  for (let k = 0; k < 20; k++) pair.advance();
  assert.ok(pair.arms[0].diverged && pair.arms[0].score.accuracy === 0.5);
  const long = new Pair({ ...settings, hidden: 1 });
  for (let k = 0; k < 9000; k++) long.advance();
  for (const arm of long.arms) assert.ok(arm.curve.length <= 401 && (arm.curve.length - 1) * long.every === 9000 - (9000 % long.every));
});

test("the interval is Student's t of twenty pairs", () => {
  const { mean, half } = interval(Array.from({ length: SEEDS }, (_, i) => i));
  assert.equal(mean, 9.5);
  assert.ok(Math.abs(half - 2.093024 * Math.sqrt(35 / 20)) < 1e-4); // the variance of 0 to 19 is 35
});
