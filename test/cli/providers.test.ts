import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { ggufRepo, type Hub, mlxRepo, startHub } from "../support/hub.ts";
import { type ModelScope, startModelScope } from "../support/modelscope.ts";
import { Home, sha256 } from "./product.ts";

/** Each test starts processes, and the machine may be busy. */
setDefaultTimeout(30_000);

const MLX = "acme/tiny-mlx";
const REPO = "acme/tiny-gguf";
const FILE = "tiny-Q4_K_M.gguf";
let hub: Hub;
let site: ModelScope;
let token: string;

beforeAll(async () => {
  hub = await startHub({ repos: [mlxRepo(MLX), ggufRepo(REPO)] });
  const gguf = ggufRepo(REPO, { quantizations: { Q4_K_M: 2 << 20 } });
  site = await startModelScope({ repos: [gguf, { ...ggufRepo("acme/private-gguf"), private: true }] });
  token = site.addUser("ada", { access: { "acme/private-gguf": "granted" } });
});

afterAll(async () => {
  await hub.stop();
  await site.stop();
});

const newHome = (more: Record<string, string> = {}): Home =>
  new Home({ HF_ENDPOINT: hub.endpoint, MODELSCOPE_ENDPOINT: site.endpoint, ...more });

describe("modelhaul pull", () => {
  test("R165 R177 mlx:org/name brings the whole repository", async () => {
    using home = newHome();
    const { code, out, err } = await home.run("pull", `mlx:${MLX}`);
    expect({ code, err }).toMatchObject({ code: 0 });
    expect(out).toBe(`${home.models}/${MLX}`);
    const names = readdirSync(out);
    expect(names.sort()).toEqual([...hub.repo(MLX).resolve("main")!.files.keys()].sort());
    const weights = "model.safetensors";
    expect(await sha256(`${out}/${weights}`)).toBe(hub.repo(MLX).file(weights).sha256);
    expect(err).not.toContain("note:");
  });

  test("mlx: of what is none is a note, not a failure", async () => {
    using home = newHome();
    const { code, err } = await home.run("pull", `mlx:${REPO}`);
    expect({ code, err }).toMatchObject({ code: 0 });
    expect(err).toMatch(/note: .*no sign of the MLX format/);
  });

  test.each([
    ["by name", () => `modelscope:${REPO}/${FILE}`],
    ["by the address of its page", () => `${site.endpoint}/models/${REPO}/file/view/master/${FILE}?status=2`],
    ["by the address of the API", () => `${site.endpoint}/api/v1/models/${REPO}/repo?FilePath=${FILE}`],
  ])("modelscope: a file %s", async (_, ref) => {
    using home = newHome();
    const { code, out, err } = await home.run("pull", ref());
    expect({ code, err }).toMatchObject({ code: 0 });
    expect(out).toBe(`${home.models}/${REPO}/${FILE}`);
    expect(await sha256(out)).toBe(site.repo(REPO).file(FILE).sha256);
  });

  test("modelscope: a private model with MODELSCOPE_API_TOKEN, also through a daemon without it", async () => {
    using stranger = newHome();
    const refused = await stranger.run("pull", "modelscope:acme/private-gguf");
    expect(refused.code).toBe(4);
    expect(refused.err).toMatch(/private or gated: give a token/);
    // One data folder: the daemon has no token, the command has.
    const { child } = await stranger.serve();
    using home = newHome({
      MODELSCOPE_API_TOKEN: token,
      MODELHAUL_DATA_DIR: stranger.data,
      MODELHAUL_MODELS_DIR: stranger.models,
    });
    const { code, out, err } = await home.run("pull", "modelscope:acme/private-gguf");
    expect({ code, err }).toMatchObject({ code: 0 });
    expect(out).toBe(`${stranger.models}/acme/private-gguf`);
    expect(`${out}${err}${refused.err}`).not.toContain(token);
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
  });

  test("4 for a model or revision that is not there, 2 for a reference that is none", async () => {
    using home = newHome();
    expect((await home.run("pull", "modelscope:acme/none")).code).toBe(4);
    const revision = await home.run("pull", `modelscope:${REPO}@main`);
    expect(revision.code).toBe(4);
    expect(revision.err).toMatch(/no revision "main".*"master"/);
    expect((await home.run("pull", "modelscope:one-word")).code).toBe(2);
  });
});
