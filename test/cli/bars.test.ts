import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type Origin, startOrigin } from "../support/origin.ts";
import { until } from "../support/until.ts";
import { Home, MAIN } from "./product.ts";

/** Each test starts processes, and the machine may be busy. */
setDefaultTimeout(30_000);

const MB = 1 << 20;
let origin: Origin;

beforeAll(async () => {
  origin = await startOrigin({
    resources: [
      { path: "/one.bin", seed: 1, size: 6 * MB },
      { path: "/two.bin", seed: 2, size: 6 * MB },
    ],
    rateTotal: 4 * MB,
  });
});
afterAll(() => origin.stop());

test("in a terminal there is a bar for each download and for their total, gone at the end", async () => {
  using home = new Home();
  let screen = "";
  const decoder = new TextDecoder();
  const child = Bun.spawn([process.execPath, MAIN, "pull", origin.url("/one.bin"), origin.url("/two.bin")], {
    cwd: home.dir.path,
    env: { PATH: process.env.PATH ?? "", HOME: home.dir.path, MODELHAUL_DATA_DIR: home.data, TERM: "xterm" },
    terminal: {
      cols: 100,
      rows: 30,
      data: (_terminal, data) => {
        screen += decoder.decode(data, { stream: true });
      },
    },
  });
  expect(await child.exited).toBe(0);
  // The last bytes of a pseudo terminal come after its process has ended.
  await until(() => screen.match(/models\/\w+\.bin\r\n/g)?.length === 2, "both paths on the screen");
  child.terminal?.close();
  for (const name of ["one.bin", "two.bin", "total"])
    expect(screen).toMatch(new RegExp(`${name} +[█░]{10,}`));
  expect(screen).toMatch(/█.* {2}\d+\.\d% .*MB \/ 6 MB {2}.*\/s/);
  // The cursor is shown again, and the paths stand where the bars were.
  expect(screen.lastIndexOf("\u001b[?25h")).toBeGreaterThan(screen.lastIndexOf("\u001b[?25l"));
  expect(screen.indexOf("/models/")).toBeGreaterThan(screen.lastIndexOf("█"));
});
