/** The page in a browser: Chromium opens docs/playground/index.html as a file, without a server. CHROMIUM names another program. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium, type Browser, type Page } from "playwright-core";

const folder = resolve("../docs/playground");
const address = pathToFileURL(resolve(folder, "index.html")).href;
const axe = readFileSync(createRequire(resolve("package.json")).resolve("axe-core/axe.min.js"), "utf8");
const desktop = { width: 1280, height: 900 };
const phone = { width: 390, height: 844 };

let browser: Browser;
before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium" });
});
after(() => browser.close());

/** Open the page, and close it after `use`. An error or a request to a server is a fault. */
async function open(options: Parameters<Browser["newPage"]>[0], hash: string, use: (page: Page) => Promise<void>): Promise<void> {
  const page = await browser.newPage({ viewport: desktop, ...options });
  const faults: string[] = [];
  page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("request", (request) => /^(file|data):/.test(request.url()) || faults.push(request.url()));
  await page.goto(address + hash);
  await use(page);
  assert.deepEqual(faults, []);
  await page.close();
}

const step = async (page: Page): Promise<number> => Number((await page.textContent("#step"))!.replace(",", ""));
const cell = (page: Page, side: string, row: number) => page.locator(`section[aria-label="${side} network"] tr:nth-child(${row})`).textContent();

/** Return a number that changes with the pixels of a canvas. */
const pixels = (page: Page, selector: string) =>
  page.locator(selector).first().evaluate((canvas: HTMLCanvasElement) => {
    const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
    return data.reduce((sum, value, i) => (sum * 31 + value + i) % 1e9, 0);
  });

test("the page is smaller than 1 MB", () => {
  const bytes = readdirSync(folder).reduce((sum, name) => sum + statSync(resolve(folder, name)).size, 0);
  console.log(`${(bytes / 1024).toFixed(0)} KiB in all`);
  assert.ok(bytes < 1e6);
});

test("training, pausing, stepping, starting again and a new seed", () =>
  open({}, "", async (page) => {
    const [plane, network, loss] = [await pixels(page, ".plane"), await pixels(page, ".network"), await pixels(page, "#loss")];
    await page.click("#run");
    await page.waitForFunction(() => Number(document.querySelector("#step")!.textContent!.replace(",", "")) > 100);
    await page.click("#run");
    await page.waitForTimeout(100);
    const stopped = await step(page);
    assert.notEqual(await pixels(page, ".plane"), plane);
    assert.notEqual(await pixels(page, ".network"), network);
    assert.notEqual(await pixels(page, "#loss"), loss);
    await page.waitForTimeout(300);
    assert.equal(await step(page), stopped);
    await page.click("#once");
    assert.ok((await step(page)) > stopped);
    await page.click("#again");
    assert.equal(await step(page), 0);
    assert.equal(await pixels(page, ".plane"), plane);
    await page.click("#reseed");
    assert.equal(await page.inputValue("[name=seed]"), "2");
    assert.notEqual(await pixels(page, ".plane"), plane);
  }));

test("every control changes what is learned, and the address restores it", () =>
  open({}, "", async (page) => {
    const names = await page.locator("select, input").evaluateAll((all) => all.map((one) => (one as HTMLInputElement).name));
    assert.deepEqual(names.sort(), ["activation", "data", "hidden", "left", "logSigma", "rate", "right", "route", "seed", "speed", "unitScales"]);
    const learned = async () => {
      await page.click("#again");
      for (let k = 0; k < 3; k++) await page.click("#once");
      return [await pixels(page, ".plane"), await pixels(page, ".arm:last-child .plane"), await pixels(page, "#loss")].join();
    };
    const before = await learned();
    const values = { activation: "tanh", data: "xor", left: "uniform", right: "grapes-local", route: "dfa" };
    for (const [name, value] of Object.entries(values)) {
      await page.selectOption(`[name=${name}]`, value);
      assert.notEqual(await learned(), before, name);
      assert.ok(page.url().includes(`${name}=${value}`));
      await page.goto(address + "#");
      assert.equal(await learned(), before);
    }
    for (const name of ["hidden", "logSigma", "rate", "unitScales"]) {
      await page.focus(`[name=${name}]`);
      await page.keyboard.press("ArrowRight");
      assert.notEqual(await learned(), before, name);
      await page.goto(address + "#");
    }
    await page.fill("[name=speed]", "20");
    assert.equal(await learned(), before, "speed");
    await page.goto(address + "#data=nonsense&hidden=99&rate=-4");
    assert.equal(await page.inputValue("[name=data]"), "spirals");
    assert.equal(await page.inputValue("[name=hidden]"), "6");
    assert.equal(await page.textContent("output[for=rate]"), "0.25");
    await page.selectOption("[name=activation]", "tanh");
    assert.ok(await page.isDisabled("[name=unitScales]"));
  }));

test("the numbers show the dose, and the control uniform has none", () =>
  open({}, "#left=uniform&route=fa", async (page) => {
    assert.match((await cell(page, "Left", 3))!, /^dose0\.0°0\.0°0\.0°$/);
    assert.match((await cell(page, "Right", 3))!, /^dose(\d+\.\d°){3}$/);
    assert.match((await cell(page, "Right", 5))!, /^angle to bp\d+/);
    assert.match((await page.textContent("header"))!, /no experiment of this project has found a benefit of GRAPES beyond that of larger steps/);
  }));

test("a repetition gives an interval over 20 seeds", () =>
  open({}, "#data=moons&hidden=1", async (page) => {
    await page.click("#repeat");
    await page.waitForFunction(() => document.querySelector("#repeated")!.textContent!.includes("95 % interval"), null, { timeout: 120000 });
    assert.match((await page.textContent("#repeated"))!, /^After 500 steps, grapes − none = [+−]\d+\.\d points of test accuracy, 95 % interval \[.*\], n = 20\./);
    assert.ok(await page.isVisible("#differences"));
    await page.click("#again");
    assert.ok(await page.isHidden("#differences"));
  }));

for (const colorScheme of ["light", "dark"] as const) {
  for (const viewport of [desktop, phone]) {
    test(`accessible, without horizontal scroll: ${colorScheme}, ${viewport.width} pixels`, () =>
      open({ viewport, colorScheme }, "#hidden=6&route=fa", async (page) => {
        await page.click("#once");
        assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= viewport.width);
        const dark = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
        assert.equal(dark, colorScheme === "dark" ? "rgb(15, 18, 22)" : "rgb(247, 248, 249)");
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() => (window as unknown as { axe: { run(options: object): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> } }).axe.run({ preload: false })); // a page from the disk may not read its style sheet
        assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), []);
      }));
  }
}

test("every control can be reached and used by keyboard", () =>
  open({}, "", async (page) => {
    const reached = new Set<string>();
    for (let k = 0; k < 40; k++) {
      await page.keyboard.press("Tab");
      reached.add(await page.evaluate(() => document.activeElement!.id || (document.activeElement as HTMLInputElement).name || "link"));
    }
    const wanted = await page.locator("button, select, input").evaluateAll((all) => all.map((one) => one.id || (one as HTMLInputElement).name));
    assert.deepEqual(wanted.filter((name) => !reached.has(name)), []);
    await page.focus("#run");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.querySelector("#step")!.textContent !== "0");
    await page.keyboard.press("Space");
    assert.equal(await page.textContent("#run"), "Train");
  }));

test("with less motion, pictures change at most twice a second", () =>
  open({ reducedMotion: "reduce" }, "", async (page) => {
    await page.click("#run");
    const changes = await page.evaluate(async () => {
      let count = 0;
      const observer = new MutationObserver(() => count++);
      observer.observe(document.querySelector("#step")!, { childList: true, characterData: true, subtree: true });
      await new Promise((done) => setTimeout(done, 3000));
      return count;
    });
    assert.ok(changes >= 1 && changes <= 14, `${changes}`); // both networks write it
  }));

test("training leaves time for 60 frames a second", () =>
  open({}, "", async (page) => {
    await page.evaluate(() => {
      const times: number[] = ((window as unknown as { times: number[] }).times = []);
      const note = (time: number) => (times.push(time), requestAnimationFrame(note));
      requestAnimationFrame(note);
    });
    await page.click("#run");
    await page.waitForTimeout(2000); // compiled by now
    const session = await page.context().newCDPSession(page);
    await session.send("Performance.enable", { timeDomain: "threadTicks" });
    const measured = async () => {
      const { metrics } = await session.send("Performance.getMetrics");
      const busy = metrics.find(({ name }) => name === "TaskDuration")!.value;
      return { busy, ...(await page.evaluate(() => ({ frames: (window as unknown as { times: number[] }).times.length, now: performance.now() }))) };
    };
    const a = await measured();
    await page.waitForTimeout(4000);
    const b = await measured();
    const perFrame = (1000 * (b.busy - a.busy)) / (b.frames - a.frames);
    console.log(`${((1000 * (b.frames - a.frames)) / (b.now - a.now)).toFixed(1)} frames per second, ${perFrame.toFixed(1)} ms of the main thread's processor time per frame`);
    assert.ok(perFrame > 0 && perFrame < 1000 / 60); // time of the processor, because the machine may be busy with something else
  }));
