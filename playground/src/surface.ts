/** Canvases that fit their place on the page, and the colors of the page's style. */
export type Color = [number, number, number];

export interface Palette {
  text: string;
  muted: string;
  hair: string;
  card: Color;
  classes: [Color, Color];
  arms: [string, string];
  factor: Color;
}

/** Read the colors from the variables of style.css, which differ in light and dark. */
export function palette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const text = (name: string) => style.getPropertyValue(`--${name}`).trim();
  const color = (name: string): Color => {
    const bits = parseInt(text(name).slice(1), 16);
    return [bits >> 16, (bits >> 8) & 255, bits & 255];
  };
  return {
    text: text("text"),
    muted: text("muted"),
    hair: text("hair"),
    card: color("card"),
    classes: [color("class-0"), color("class-1")],
    arms: [text("arm-0"), text("arm-1")],
    factor: color("arm-1"),
  };
}

/** Return the color a share of the way from one color to another. */
export function mix(from: Color, to: Color, share: number): Color {
  const s = Math.min(Math.max(share, 0), 1);
  return [from[0] + (to[0] - from[0]) * s, from[1] + (to[1] - from[1]) * s, from[2] + (to[2] - from[2]) * s];
}

export const css = ([r, g, b]: Color, alpha = 1): string => `rgb(${Math.round(r)} ${Math.round(g)} ${Math.round(b)} / ${alpha})`;

/** A canvas whose coordinates are CSS pixels, and whose pixels are those of the screen. */
export class Surface {
  readonly context: CanvasRenderingContext2D;
  width = 0;
  height = 0;

  constructor(readonly canvas: HTMLCanvasElement) {
    this.context = canvas.getContext("2d")!;
  }

  /** Take the size that the page gives to the canvas, and clear it. */
  begin(): CanvasRenderingContext2D {
    const ratio = Math.min(window.devicePixelRatio, 2);
    [this.width, this.height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    const [width, height] = [Math.round(this.width * ratio), Math.round(this.height * ratio)];
    if (this.canvas.width !== width || this.canvas.height !== height) [this.canvas.width, this.canvas.height] = [width, height];
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.context.clearRect(0, 0, this.width, this.height);
    return this.context;
  }

  /** Say to those who do not see the picture what it shows. */
  describe(label: string): void {
    this.canvas.setAttribute("aria-label", label);
  }
}
