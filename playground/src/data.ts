/** Two-dimensional points of two classes, within ±2. */
import type { Data } from "./network";
import { Random } from "./random";

export const REACH = 2; // pictures show inputs from -REACH to REACH

/** Return a point of class y, given a number t in [0, 1). */
type Draw = (y: number, t: number, random: Random) => [number, number];

function around(x: number, y: number, deviation: number, random: Random): [number, number] {
  return [x + deviation * random.normal(), y + deviation * random.normal()];
}

const turned = (radius: number, turns: number): [number, number] => [radius * Math.cos(2 * Math.PI * turns), radius * Math.sin(2 * Math.PI * turns)];

export const dataSets: Record<string, Draw> = {
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
  spirals: (y, t, random) => around(...turned(0.2 + 1.5 * t, 1.25 * t + y / 2), 0.07, random),
};

/** Draw as many points of one class as of the other, in turn. */
export function points(name: string, count: number, seed: number, part: "training" | "test"): Data {
  const random = new Random(seed, `${part} data`);
  const y = Uint8Array.from({ length: count }, (_, i) => i % 2);
  const x = new Float64Array(2 * count);
  y.forEach((one, i) => x.set(dataSets[name](one, random.uniform(), random), 2 * i));
  return { x, y };
}
