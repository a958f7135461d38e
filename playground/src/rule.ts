/** A learning rule: a route, which says how the error reaches a layer, and a modulation, which says how it is scaled there. */
export interface Rule {
  route: keyof typeof routes;
  modulation: keyof typeof modulations;
}

export interface Route {
  summary: string;
  /** Range of the factors; as in the authors' program they are only clipped on bp. */
  clip: [number, number];
  /** Where feedback weights B send the error: to the layer below, or from the logits. */
  feedback: "none" | "above" | "direct";
}

/** The routes of torch_grapes that the playground has. */
export const routes = {
  bp: { summary: "backpropagation", clip: [1, 2], feedback: "none" },
  fa: { summary: "feedback alignment", clip: [0, 2], feedback: "above" },
  dfa: { summary: "direct feedback alignment", clip: [0, 2], feedback: "direct" },
} satisfies Record<string, Route>;

export interface Modulation {
  summary: string;
  /** Whether only the layer's own update is scaled, and the layers below receive the unscaled error. */
  local: boolean;
  /** Compute the modulation's factors from the GRAPES factors m of a layer, [unit]. */
  of: (m: Float64Array) => Float64Array;
}

const mean = (m: Float64Array): number => m.reduce((sum, one) => sum + one, 0) / m.length;
const same = (m: Float64Array): Float64Array => m;

/** The modulations of torch_grapes that the playground has. */
export const modulations = {
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
    },
  },
  "mean-one": {
    summary: "control: factors differ between units, but their mean is 1",
    local: false,
    of: (m) => {
      const average = mean(m);
      return m.map((one) => one / average);
    },
  },
} satisfies Record<string, Modulation>;

/** r[n] = Σ_i |W[n,i]|, the responsibility of each unit of a layer with weights W [unit, input]. */
export function responsibility(W: Float64Array, units: number): Float64Array {
  const inputs = W.length / units;
  const r = new Float64Array(units);
  for (let n = 0; n < units; n++) for (let i = 0; i < inputs; i++) r[n] += Math.abs(W[n * inputs + i]);
  return r;
}

/** m[n] = clip(2 r[n] / max r, low, high), and 1 in a layer whose weights are all 0 (Dellaferrera et al. 2022). */
export function factor(r: Float64Array, [low, high]: [number, number]): Float64Array {
  const largest = Math.max(...r);
  return largest === 0 ? r.map(() => 1) : r.map((one) => Math.min(Math.max((2 * one) / largest, low), high));
}

/** The factors of a hidden layer by a rule, [unit]. They depend on nothing but its weights. */
export function factors(rule: Rule, W: Float64Array, units: number): Float64Array {
  const row: Modulation = modulations[rule.modulation];
  return row.of(factor(responsibility(W, units), (routes[rule.route] as Route).clip));
}
