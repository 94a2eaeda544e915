import { expect, test } from "bun:test";
import { join } from "node:path";
import { VERSION } from "../src/version.ts";
import { checkPage } from "./cli/page.ts";
import { Home, sha256 } from "./cli/product.ts";
import { startOrigin } from "./support/origin.ts";
import { tempDir } from "./support/temp.ts";
import { Lines } from "./support/until.ts";

const BUILD = join(import.meta.dir, "../build.ts");

test("one executable: version, page, a verified download, no file beside it needed", async () => {
  using dir = tempDir("build");
  const made = Bun.spawnSync([process.execPath, BUILD, "--outdir", dir.path], { stderr: "pipe" });
  expect(made.stderr.toString()).toBe("");
  expect(made.exitCode).toBe(0);
  const executable = dir.at("modelhaul");
  using home = new Home();
  await using origin = await startOrigin({ resources: [{ path: "/model.bin", seed: 1, size: 5 << 20 }] });
  const env = {
    HOME: home.dir.path,
    PATH: "/usr/bin:/bin",
    MODELHAUL_DATA_DIR: home.data,
    MODELHAUL_MODELS_DIR: home.models,
  };
  const spawn = (...argv: string[]) =>
    Bun.spawn([executable, ...argv], { cwd: home.dir.path, env, stdout: "pipe", stderr: "pipe" });

  expect(await new Response(spawn("version").stdout).text()).toBe(`modelhaul ${VERSION}\n`);

  const serve = spawn("serve", "--listen", "127.0.0.1:0");
  const url = (await new Lines(serve.stdout).waitFor(/^listening on /)).replace("listening on ", "");
  await checkPage((path) => fetch(url + path));

  const pull = spawn("pull", origin.url("/model.bin"), "--sha256", origin.sha256("/model.bin"), "--quiet");
  const path = (await new Response(pull.stdout).text()).trim();
  expect(await pull.exited).toBe(0);
  expect(await sha256(path)).toBe(origin.sha256("/model.bin"));
  serve.kill("SIGTERM");
  expect(await serve.exited).toBe(0);
}, 60_000);

test("an unknown target is refused with the known ones", () => {
  const made = Bun.spawnSync([process.execPath, BUILD, "--target", "amiga"], { stderr: "pipe" });
  expect(made.exitCode).toBe(1);
  expect(made.stderr.toString()).toContain("amiga: no such target; one of linux-x64");
});
