/** The page: buttons, one loop over the frames of the screen, and what is drawn in each. */
import { drawCurves, drawDifferences } from "./curves";
import { Form } from "./form";
import { allFactors } from "./network";
import { drawNetwork, drawPlane } from "./picture";
import { interval, repeated, SEEDS, STEPS } from "./repeat";
import { modulations, routes } from "./rule";
import { palette, Surface } from "./surface";
import { Pair, type Arm, type Score } from "./training";

const find = <Kind extends Element>(selector: string, within: ParentNode = document): Kind => within.querySelector<Kind>(selector)!;
const button = (id: string, pressed: () => void): HTMLButtonElement => {
  const found = find<HTMLButtonElement>(`#${id}`);
  found.addEventListener("click", pressed);
  return found;
};
const signed = (value: number): string => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(1)}`;

/** The card of one network. */
const cards = [...document.querySelectorAll<HTMLElement>(".arm")].map((root) => ({
  root,
  plane: new Surface(find<HTMLCanvasElement>(".plane", root)),
  network: new Surface(find<HTMLCanvasElement>(".network", root)),
}));
const loss = new Surface(find<HTMLCanvasElement>("#loss"));
const accuracy = new Surface(find<HTMLCanvasElement>("#accuracy"));
const differences = new Surface(find<HTMLCanvasElement>("#differences"));
const calm = matchMedia("(prefers-reduced-motion: reduce)");

let colors = palette();
let running = false;
let frame = 0;
let repetition: Generator<Pair | undefined> | undefined;
let found: number[] = []; // paired differences, in points of test accuracy
let diverged = 0; // runs of the repetition

const form = new Form(find<HTMLFormElement>("#settings"), (name) => name !== "speed" && restart());
let pair = new Pair(form.settings());

const run = button("run", () => setRunning(!running));
button("once", () => {
  setRunning(false);
  pair.advance();
  pair.record();
  drawAll();
});
button("again", () => restart());
button("reseed", () => (form.seed = (form.settings().seed % 999999) + 1));
const repeat = button("repeat", () => {
  if (repetition) return stopRepetition();
  setRunning(false);
  stopRepetition();
  repetition = repeated(form.settings());
  repeat.textContent = "Stop";
  differences.canvas.hidden = false;
  drawRepetition();
});

function setRunning(on: boolean): void {
  running = on;
  run.textContent = on ? "Pause" : "Train";
}

function restart(): void {
  pair = new Pair(form.settings());
  stopRepetition();
  drawAll();
}

/** End the repetition and forget what it found. */
function stopRepetition(): void {
  repetition = undefined;
  [found, diverged] = [[], 0];
  repeat.textContent = `Repeat with ${SEEDS} seeds`;
  differences.canvas.hidden = true;
  find("#repeated").textContent = "";
}

const low = (arm: Arm): number => (routes[arm.rule.route].clip[0] === 0 || arm.rule.modulation === "mean-one" ? 0 : 1);

function drawPictures(k: number): void {
  const arm = pair.arms[k];
  drawPlane(cards[k].plane, arm.network, pair.training, colors);
  drawNetwork(cards[k].network, arm.network, allFactors(arm.network, arm.rule), low(arm), colors);
}

function drawCharts(): void {
  const curves = (name: keyof Score) => pair.arms.map((arm) => arm.curve.map((score) => score[name]));
  const largest = Math.max(...curves("loss").flat().filter(Number.isFinite));
  const top = Math.min(Math.max(Math.ceil(largest / 0.4) * 0.4, 0.8), 2);
  drawCurves(loss, curves("loss"), pair.every, { bottom: 0, top, format: (value) => value.toFixed(1) }, colors);
  const percent = (value: number) => `${Math.round(100 * value)} %`;
  drawCurves(accuracy, curves("accuracy"), pair.every, { bottom: 0.4, top: 1, format: percent }, colors);
}

const scoreText = ({ diverged, score }: Arm): string =>
  diverged ? "diverged: the loss is not finite" : `training loss ${score.loss.toFixed(3)}, test accuracy ${(100 * score.accuracy).toFixed(1)} %`;

/** Write the numbers of a network, and describe its pictures to those who do not see them. */
function writeNumbers(k: number): void {
  const { root, plane, network } = cards[k];
  const arm = pair.arms[k];
  const side = k === 0 ? "left" : "right";
  find("#step").textContent = pair.step.toLocaleString("en");
  find(".summary", root).textContent = modulations[arm.rule.modulation].summary;
  find(".score", root).textContent = scoreText(arm);
  find(".low", root).textContent = `${low(arm)}`;
  const measures = pair.measure(arm).slice(0, -1);
  const rows: [string, string[]][] = [
    ["hidden layer", measures.map((_, l) => `${l + 1}`)],
    ["mean factor", measures.map(({ factor }) => factor.toFixed(2))],
    ["dose", measures.map(({ dose }) => degrees(dose))],
    ["step length", measures.map(({ length }) => (Number.isFinite(length) ? `×${length.toFixed(length < 9.95 ? 1 : 0)}` : "–"))],
  ];
  if (arm.rule.route !== "bp") rows.push(["angle to bp", measures.map(({ transport }) => degrees(transport))]);
  find("table", root).replaceChildren(...rows.map(([title, cells], r) => rowOf(title, cells, r === 0)));
  plane.describe(`Answers of the ${side} network, ${arm.rule.modulation} on route ${arm.rule.route}: ${scoreText(arm)}`);
  network.describe(`Units and weights of the ${side} network; mean factors by layer: ${rows[1][1].join(", ")}`);
}

/** Describe the charts to those who do not see them. */
function describeCharts(): void {
  const both = (format: (score: Score) => string) => `left ${format(pair.arms[0].score)}, right ${format(pair.arms[1].score)}`;
  loss.describe(`Training loss after ${pair.step} steps: ${both((score) => score.loss.toFixed(3))}`);
  accuracy.describe(`Test accuracy after ${pair.step} steps: ${both((score) => `${(100 * score.accuracy).toFixed(1)} %`)}`);
}

const degrees = (angle: number): string => (Number.isFinite(angle) ? `${angle.toFixed(1)}°` : "–");

function rowOf(title: string, cells: string[], head: boolean): HTMLTableRowElement {
  const row = document.createElement("tr");
  const cell = (text: string, scope: string) => {
    const made = document.createElement(scope ? "th" : "td");
    if (scope) made.setAttribute("scope", scope);
    made.textContent = text;
    return made;
  };
  row.append(cell(title, head ? "col" : "row"), ...cells.map((text) => cell(text, head ? "col" : "")));
  return row;
}

function drawRepetition(): void {
  if (differences.canvas.hidden) return;
  drawDifferences(differences, found, colors);
  const [left, right] = pair.settings.modulations;
  let text = `${found.length} of ${SEEDS} seeds`;
  if (found.length === SEEDS) {
    const { mean, half } = interval(found);
    text = `After ${STEPS} steps, ${right} − ${left} = ${signed(mean)} points of test accuracy, 95 % interval [${signed(mean - half)}, ${signed(mean + half)}], n = ${SEEDS}.`;
    text += mean - half > 0 || mean + half < 0 ? " This is at one learning rate, which may suit one of the two better." : " No difference is shown.";
    if (diverged) text += ` ${diverged} runs diverged; each counts as 50 %.`;
    differences.describe(`One point per seed. ${text}`);
    repeat.textContent = `Repeat with ${SEEDS} seeds`;
  }
  find("#repeated").textContent = text;
}

function drawAll(): void {
  for (const k of [0, 1]) {
    drawPictures(k);
    writeNumbers(k);
  }
  drawCharts();
  describeCharts();
  drawRepetition();
}

/** Train more pairs of the repetition, for at most ten milliseconds. */
function continueRepetition(): void {
  const until = performance.now() + 10;
  while (repetition && performance.now() < until) {
    const next = repetition.next();
    if (next.done) repetition = undefined;
    else if (next.value) {
      next.value.record();
      const [a, b] = next.value.arms;
      found.push(100 * (b.score.accuracy - a.score.accuracy));
      diverged += Number(a.diverged) + Number(b.diverged);
    }
  }
  drawRepetition();
}

/** What changes slowly is drawn in few frames, so that each frame has time. Those who ask for less motion get two pictures a second. */
function onFrame(): void {
  frame += 1;
  if (repetition) continueRepetition();
  if (running) {
    for (let k = 0; k < form.speed; k++) pair.advance();
    if (calm.matches) {
      if (frame % 30 === 0) drawAll();
    } else {
      drawPictures(frame % 2);
      if (frame % 4 === 0) drawCharts();
      if (frame % 8 === 1) writeNumbers((frame >> 3) % 2);
      if (frame % 64 === 2) describeCharts();
    }
  }
  requestAnimationFrame(onFrame);
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  colors = palette();
  drawAll();
});
new ResizeObserver(drawAll).observe(document.body);
drawAll();
requestAnimationFrame(onFrame);
