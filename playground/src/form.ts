/** The settings as controls of the page, and as the part of its address after #. */
import { dataSets } from "./data";
import { activations } from "./network";
import { modulations, routes } from "./rule";
import type { Settings } from "./training";

const CHOICES: Record<string, [names: string[], start: string]> = {
  data: [Object.keys(dataSets), "spirals"],
  route: [Object.keys(routes), "bp"],
  activation: [Object.keys(activations), "relu"],
  left: [Object.keys(modulations), "none"],
  right: [Object.keys(modulations), "grapes"],
};
const LABELS: Record<string, string> = Object.fromEntries(Object.entries(routes).map(([name, route]) => [name, `${name}: ${route.summary}`]));
const FORMATS: Record<string, (value: number) => string> = {
  hidden: (value) => `${value}`,
  rate: (value) => Number(rateOf(value).toPrecision(2)).toString(),
  logSigma: (value) => value.toFixed(1),
  unitScales: (value) => value.toFixed(1),
  speed: (value) => `${value}`,
};

/** Learning rates differ by √2, as in the grids of the project's experiments. */
const rateOf = (position: number): number => 2 ** (position / 2);

type Control = HTMLInputElement | HTMLSelectElement;

export class Form {
  private readonly controls: Control[];
  private readonly starts: Map<string, string>;

  /** @param changed  called when a control has changed, with its name, or with "" for a new address */
  constructor(private readonly form: HTMLFormElement, changed: (name: string) => void) {
    for (const [name, [names, start]] of Object.entries(CHOICES)) {
      this.control(name).append(...names.map((one) => new Option(LABELS[one] ?? one, one, one === start, one === start)));
    }
    this.controls = [...form.elements].filter((one): one is Control => one instanceof HTMLSelectElement || one instanceof HTMLInputElement);
    this.starts = new Map(this.controls.map((one) => [one.name, one.value]));
    for (const control of this.controls) {
      control.addEventListener("input", () => {
        if (!control.checkValidity()) return; // a number that is being typed
        this.show();
        history.replaceState(null, "", this.address());
        changed(control.name);
      });
    }
    window.addEventListener("hashchange", () => {
      this.take();
      changed("");
    });
    form.addEventListener("submit", (event) => event.preventDefault());
    this.take();
  }

  private control(name: string): Control {
    return this.form.elements.namedItem(name) as Control;
  }

  private number(name: string): number {
    return Number(this.control(name).value);
  }

  /** Set every control to its value in the address, or else to its start. */
  private take(): void {
    const given = new URLSearchParams(location.hash.slice(1));
    for (const control of this.controls) {
      control.value = given.get(control.name) ?? this.starts.get(control.name)!;
      if (control.value === "" || !control.checkValidity()) control.value = this.starts.get(control.name)!;
    }
    this.show();
  }

  /** Return the part of the address that names the settings which differ from the start. */
  private address(): string {
    const changed = this.controls.filter((one) => one.value !== this.starts.get(one.name));
    return `#${new URLSearchParams(changed.map((one) => [one.name, one.value]))}`;
  }

  /** Write the numbers beside the sliders. */
  private show(): void {
    for (const [name, format] of Object.entries(FORMATS)) {
      const text = format(this.number(name));
      this.form.querySelector(`output[for=${name}]`)!.textContent = text;
      this.control(name).setAttribute("aria-valuetext", text);
    }
    this.control("unitScales").disabled = !activations[this.settings().activation].homogeneous;
  }

  get speed(): number {
    return this.number("speed");
  }

  set seed(value: number) {
    this.control("seed").value = `${value}`;
    this.control("seed").dispatchEvent(new Event("input"));
  }

  settings(): Settings {
    const choice = <Name extends string>(name: string) => this.control(name).value as Name;
    const activation = choice<Settings["activation"]>("activation");
    return {
      data: choice("data"),
      hidden: this.number("hidden"),
      activation,
      route: choice("route"),
      rate: rateOf(this.number("rate")),
      logSigma: this.number("logSigma"),
      unitScales: activations[activation].homogeneous ? this.number("unitScales") : 0,
      seed: this.number("seed"),
      modulations: [choice("left"), choice("right")],
    };
  }
}
