/** Pictures of a network: what it answers at each point of the plane, and its units and weights. */
import { REACH } from "./data";
import { forward, Pass, softmax, type Data, type Network } from "./network";
import { css, mix, type Color, type Palette, type Surface } from "./surface";

const GRID = 56; // cells along each side of the picture of the plane
const STRONGEST = 0.62; // share of a class's color where the network is certain

const cells = Object.assign(document.createElement("canvas"), { width: GRID, height: GRID });
const cellContext = cells.getContext("2d")!;
const image = cellContext.createImageData(GRID, GRID);

/** Draw the probability of the second class as a color, and the training data. The shape of a point shows its class too. */
export function drawPlane(surface: Surface, network: Network, data: Data, colors: Palette): void {
  const context = surface.begin();
  const pass = new Pass(network);
  const [x, p] = [new Float64Array(2), new Float64Array(2)];
  for (let row = 0, at = 0; row < GRID; row++) {
    for (let column = 0; column < GRID; column++, at += 4) {
      x[0] = ((column + 0.5) / GRID) * 2 * REACH - REACH;
      x[1] = REACH - ((row + 0.5) / GRID) * 2 * REACH;
      softmax(forward(network, x, 0, pass), 0, p);
      const certain = Math.abs(p[1] - 0.5) * 2 * STRONGEST;
      image.data.set(mix(colors.card, colors.classes[p[1] > 0.5 ? 1 : 0], certain), at);
      image.data[at + 3] = 255;
    }
  }
  cellContext.putImageData(image, 0, 0);
  context.drawImage(cells, 0, 0, surface.width, surface.height);
  const place = (value: number) => (value + REACH) / (2 * REACH);
  const radius = Math.max(2.4, surface.width / 90);
  context.lineWidth = 1;
  context.strokeStyle = css(colors.card);
  for (const y of [0, 1]) {
    context.fillStyle = css(colors.classes[y]);
    context.beginPath();
    for (let i = 0; i < data.y.length; i++) {
      if (data.y[i] !== y) continue;
      const [left, top] = [place(data.x[2 * i]) * surface.width, (1 - place(data.x[2 * i + 1])) * surface.height];
      if (y === 0) {
        context.moveTo(left + radius, top);
        context.arc(left, top, radius, 0, 2 * Math.PI);
      } else {
        context.rect(left - radius * 0.9, top - radius * 0.9, 1.8 * radius, 1.8 * radius);
      }
    }
    context.fill();
    context.stroke();
  }
}

/** Draw hidden units in the color of their factor, from `low` to 2, and weights as lines, as wide as the weight is large. */
export function drawNetwork(surface: Surface, network: Network, factors: Float64Array[], low: number, colors: Palette): void {
  const context = surface.begin();
  const { layers } = network;
  const columns = layers.length + 1;
  const most = Math.max(...layers.map((layer) => layer.units));
  const radius = Math.min((surface.height / most) * 0.38, (surface.width / columns) * 0.3, 11);
  const x = (column: number) => radius + 2 + ((surface.width - 2 * radius - 4) * column) / (columns - 1);
  const y = (n: number, count: number) => (surface.height * (n + 0.5 + (most - count) / 2)) / most;
  layers.forEach(({ W, units, inputs }, l) => {
    const largest = Math.max(...W.map(Math.abs));
    for (const sign of [-1, 1]) {
      const hue: Color = mix(colors.classes[sign < 0 ? 0 : 1], colors.card, 0.2);
      for (let n = 0, w = 0; n < units; n++) {
        for (let i = 0; i < inputs; i++, w++) {
          const size = (W[w] * sign) / largest;
          if (!(size > 0.02)) continue;
          context.strokeStyle = css(hue, 0.2 + 0.7 * size);
          context.lineWidth = 0.4 + 3 * size;
          context.beginPath();
          context.moveTo(x(l), y(i, inputs));
          context.lineTo(x(l + 1), y(n, units));
          context.stroke();
        }
      }
    }
  });
  context.lineWidth = 1.25;
  context.strokeStyle = colors.text;
  for (let column = 0; column < columns; column++) {
    const count = column === 0 ? layers[0].inputs : layers[column - 1].units;
    const hidden = column > 0 && column < columns - 1;
    for (let n = 0; n < count; n++) {
      const share = hidden ? (factors[column - 1][n] - low) / (2 - low) : 0;
      const output = column === columns - 1;
      context.fillStyle = css(hidden ? mix(colors.card, colors.factor, share) : output ? colors.classes[n] : colors.card);
      context.beginPath();
      context.arc(x(column), y(n, count), radius, 0, 2 * Math.PI);
      context.fill();
      context.stroke();
    }
  }
}
