/** The same comparison with many seeds, because one run shows little. */
import { Pair, type Settings } from "./training";

export const SEEDS = 20;
export const STEPS = 500;
const STUDENT = 2.093; // the 97.5 % quantile of Student's t with SEEDS - 1 degrees of freedom

/** Train one pair for each seed after the one of the settings, and yield it after every tenth step and at its end. */
export function* repeated(settings: Settings): Generator<Pair | undefined> {
  for (let k = 1; k <= SEEDS; k++) {
    const pair = new Pair({ ...settings, seed: settings.seed + k });
    pair.every = STEPS;
    for (let step = 1; step <= STEPS; step++) {
      pair.advance();
      if (step % 10 === 0 && step < STEPS) yield undefined;
    }
    yield pair;
  }
}

/** The mean of paired differences, and half of its 95 % confidence interval. */
export function interval(differences: number[]): { mean: number; half: number } {
  const n = differences.length;
  const mean = differences.reduce((sum, one) => sum + one, 0) / n;
  const variance = differences.reduce((sum, one) => sum + (one - mean) ** 2, 0) / (n - 1);
  return { mean, half: STUDENT * Math.sqrt(variance / n) };
}
