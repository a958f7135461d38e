/** What the page says under "Things to try" holds, over its 20 seeds. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { interval, repeated } from "../src/repeat";
import { Pair, type Settings } from "../src/training";

const start: Settings = { data: "spirals", hidden: 3, activation: "relu", route: "bp", rate: 1 / 16, logSigma: 0.5, unitScales: 0, seed: 1, modulations: ["none", "grapes"] };

/** Return the mean accuracies of both arms in percent, and the interval of their differences. */
function compared(changes: Partial<Settings>): { left: number; right: number; low: number; high: number } {
  const scores: [number, number][] = [];
  for (const pair of repeated({ ...start, ...changes })) {
    if (!pair) continue;
    pair.record();
    scores.push([100 * pair.arms[0].score.accuracy, 100 * pair.arms[1].score.accuracy]);
  }
  const { mean, half } = interval(scores.map(([a, b]) => b - a));
  const average = (k: number) => scores.reduce((sum, one) => sum + one[k], 0) / scores.length;
  return { left: average(0), right: average(1), low: mean - half, high: mean + half };
}

/** The mean of a number over the hidden layers and ten seeds, after some steps. */
function measured(changes: Partial<Settings>, what: "dose" | "transport" | "length", steps: number, layer?: number): number {
  const found: number[] = [];
  for (let seed = 1; seed <= 10; seed++) {
    const pair = new Pair({ ...start, ...changes, seed });
    for (let k = 0; k < steps; k++) pair.advance();
    const measures = pair.measure(pair.arms[1]).slice(0, -1);
    found.push(...(layer === undefined ? measures : [measures[layer]]).map((one) => one[what]));
  }
  return found.reduce((sum, one) => sum + one, 0) / found.length;
}

test("at the start settings GRAPES is ahead of plain training, and not of uniform", () => {
  const plain = compared({});
  assert.ok(plain.low > 5, JSON.stringify(plain));
  const uniform = compared({ modulations: ["uniform", "grapes"] });
  assert.ok(uniform.low < 0 && uniform.high > 0 && uniform.high < 5, JSON.stringify(uniform));
  const length = measured({}, "length", 0, 0);
  assert.ok(length > 3 && length < 4, `${length}`);
});

test("factors that differ with a mean of 1 give no gain", () => {
  const unlike = compared({ modulations: ["none", "mean-one"] });
  assert.ok(unlike.low < 0 && unlike.high > 0, JSON.stringify(unlike));
});

test("plain training at four times the rate is better than GRAPES at the start settings", () => {
  const faster = compared({ rate: 1 / 4 });
  assert.ok(faster.high < 0, JSON.stringify(faster));
  assert.ok(faster.left > compared({}).right + 3);
});

test("the dose is 0 without spread and grows in training; it is above ten degrees at σ = 1 and not larger at σ = 2", () => {
  const none: Partial<Settings> = { logSigma: 0, modulations: ["uniform", "grapes"] };
  assert.ok(measured(none, "dose", 0) < 1e-6);
  assert.ok(measured(none, "dose", 300) > 2);
  const one = measured({ logSigma: 1 }, "dose", 0);
  assert.ok(one > 10, `${one}`);
  assert.ok(measured({ logSigma: 2 }, "dose", 0) < one);
});

test("on fa the angle to backpropagation shrinks", () => {
  const changes: Partial<Settings> = { route: "fa", rate: 1 / 8, modulations: ["none", "none"] };
  const [before, after] = [measured(changes, "transport", 0), measured(changes, "transport", 1000)];
  assert.ok(after < before - 10, `${before} ${after}`);
});
