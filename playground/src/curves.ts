/** Charts: the curves of two arms over the steps, and paired differences of many seeds. */
import { interval } from "./repeat";
import type { Palette, Surface } from "./surface";

const LEFT = 46; // pixels for the numbers of the axis
const BOTTOM = 20;
const DASHES = [[5, 3], []]; // the first arm is dashed, so that color is not the only difference

export interface Axis {
  bottom: number;
  top: number;
  format: (value: number) => string;
}

/** Draw one number of both arms over the steps. A number outside the axis is drawn at its end, and one that is not finite not at all. */
export function drawCurves(surface: Surface, curves: number[][], every: number, { bottom, top, format }: Axis, colors: Palette): void {
  const context = surface.begin();
  const [width, height] = [surface.width - LEFT - 8, surface.height - BOTTOM - 8];
  const count = Math.max(2, ...curves.map((curve) => curve.length));
  const x = (k: number) => LEFT + (width * k) / (count - 1);
  const y = (value: number) => 8 + height * (1 - Math.min(Math.max((value - bottom) / (top - bottom), 0), 1));
  context.font = "12px system-ui, sans-serif";
  context.fillStyle = colors.muted;
  context.strokeStyle = colors.hair;
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
    context.strokeStyle = colors.arms[k];
    context.setLineDash(DASHES[k]);
    context.beginPath();
    curve.forEach((value, i) => Number.isFinite(value) && context.lineTo(x(i), y(value)));
    context.stroke();
  });
  context.setLineDash([]);
}

/** Draw one point per seed on an axis of differences, with their mean and its 95 % interval. */
export function drawDifferences(surface: Surface, differences: number[], colors: Palette): void {
  const context = surface.begin();
  const largest = Math.max(5, ...differences.map(Math.abs));
  const middle = surface.height - 40;
  const x = (value: number) => surface.width / 2 + (value / largest) * (surface.width / 2 - 28);
  context.font = "12px system-ui, sans-serif";
  context.textAlign = "center";
  context.fillStyle = colors.muted;
  context.strokeStyle = colors.hair;
  context.lineWidth = 1;
  for (const share of [-1, -0.5, 0, 0.5, 1]) {
    const value = share * largest;
    context.beginPath();
    context.moveTo(x(value), 4);
    context.lineTo(x(value), middle + 18);
    context.stroke();
    context.fillText(`${value > 0 ? "+" : value < 0 ? "−" : ""}${Math.abs(value).toFixed(1)}`, x(value), surface.height - 6);
  }
  const stacks = new Map<number, number>(); // points at the same place stand on each other
  context.fillStyle = colors.arms[1];
  for (const difference of differences) {
    const column = Math.round(x(difference) / 7);
    const below = stacks.get(column) ?? 0;
    stacks.set(column, below + 1);
    context.beginPath();
    context.arc(column * 7, middle - 12 - 7 * below, 3, 0, 2 * Math.PI);
    context.fill();
  }
  if (differences.length < 2) return;
  const { mean, half } = interval(differences);
  context.strokeStyle = context.fillStyle = colors.text;
  context.lineWidth = 2;
  context.beginPath();
  context.moveTo(x(Math.max(mean - half, -largest)), middle + 6);
  context.lineTo(x(Math.min(mean + half, largest)), middle + 6);
  context.stroke();
  context.beginPath();
  context.arc(x(mean), middle + 6, 4.5, 0, 2 * Math.PI);
  context.fill();
}
