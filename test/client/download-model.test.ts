import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type DownloadProgress, downloadModel, Modelhaul } from "../../src/client/index.ts";
import { KEY, MB, type Served, serve } from "../api/support.ts";
import { ggufRepo, type Hub, startHub } from "../support/hub.ts";
import { collect, Door } from "./world.ts";

/** The machine may be busy. */
setDefaultTimeout(30_000);

let hub: Hub;
let served: Served;
beforeAll(async () => {
  hub = await startHub({
    repos: [
      ggufRepo("acme/tiny-gguf", { quantizations: { Q4_K_M: 4 * MB } }),
      { ...ggufRepo("acme/gated-gguf", { quantizations: { F16: MB } }), gated: "auto" },
    ],
  });
  served = await serve({ apiKey: KEY, product: { hfEndpoint: hub.endpoint } });
});
afterAll(async () => {
  await served[Symbol.asyncDispose]();
  await hub.stop();
});

const options = () => ({ baseUrl: served.base, apiKey: KEY });

function expectProgress(steps: readonly DownloadProgress[]): void {
  for (const step of steps)
    expect(Object.keys(step)).toEqual([
      "status",
      "message",
      "percent",
      "downloaded_bytes",
      "total_bytes",
      "id",
    ]);
  const percents = steps.flatMap(({ percent }) => percent ?? []);
  expect(percents).toEqual(percents.toSorted((a, b) => a - b));
}

describe("downloadModel", () => {
  test("R165 R166 R167 R185 starting, downloading, verifying, complete", async () => {
    hub.cdn.limits.rateTotal = 8 * MB;
    const steps = await collect(downloadModel("huggingface", "acme/tiny-gguf", options()));
    expectProgress(steps);
    expect([...new Set(steps.map(({ status }) => status))]).toEqual([
      "starting",
      "downloading",
      "verifying",
      "complete",
    ]);
    expect(steps.at(-1)).toMatchObject({ percent: 100, status: "complete" });
    expect(steps.at(-1)?.downloaded_bytes ?? 0).toBeGreaterThan(4 * MB - 1);
    expect(steps.at(-1)?.downloaded_bytes).toBe(steps.at(-1)?.total_bytes ?? 0);
    const again = await collect(downloadModel("huggingface", "acme/tiny-gguf", options()));
    expect(again.map(({ status }) => status)).toEqual(["starting", "complete"]);
  });

  test("R176 R179 R180 R182 R183 every error is the last step, and none is thrown", async () => {
    const last = async (provider: string, model: string, more = {}) => {
      const steps = await collect(downloadModel(provider, model, { ...options(), ...more }));
      expectProgress(steps);
      expect(steps.filter(({ status }) => status === "error").length).toBe(1);
      expect(steps.at(-1)?.status).toBe("error");
      return steps.at(-1)?.message;
    };
    expect(await last("huggingface", "nonexistent/model")).toStartWith(
      "Model 'nonexistent/model' not found on HuggingFace Hub",
    );
    expect(await last("huggingface", "acme/gated-gguf")).toStartWith(
      "Model requires authentication. Provide token parameter.",
    );
    expect(await last("openai", "gpt-4")).toContain("does not support");
    expect(await last("huggingface", "")).toContain("'model' must be");
    expect(await last("huggingface", "acme/tiny-gguf", { apiKey: null })).toContain("API key");
    expect(await last("huggingface", "acme/tiny-gguf", { baseUrl: "http://127.0.0.1:9" })).toContain(
      "No answer from",
    );
    const token = hub.addUser("ada", { access: { "acme/gated-gguf": "granted" } });
    const steps = await collect(downloadModel("huggingface", "acme/gated-gguf", { ...options(), token }));
    expect(steps.at(-1)?.status).toBe("complete");
    expect(served.logged.join()).not.toContain(token);
  });

  test("R184 a broken connection is taken up again; a download cancelled meanwhile is not started anew", async () => {
    hub.cdn.limits.rateTotal = 2 * MB;
    const client = new Modelhaul(options());
    using door = new Door(served.base);
    for (const ending of ["complete", "cancel"] as const) {
      await client.history.clear({ files: true });
      const steps: DownloadProgress[] = [];
      let isCut = false;
      for await (const step of downloadModel("huggingface", "acme/tiny-gguf", {
        ...options(),
        baseUrl: door.base,
      })) {
        steps.push(step);
        if (isCut || (step.percent ?? 0) < 10) continue;
        isCut = true;
        door.cut();
        if (ending === "cancel") await client.downloads.cancel(step.id!);
      }
      expect(isCut).toBe(true);
      expectProgress(steps);
      if (ending === "complete") expect(steps.at(-1)?.status).toBe("complete");
      else expect(steps.at(-1)).toMatchObject({ status: "error", message: "Download cancelled" });
      expect((await client.downloads.list({ state: "all" })).active_downloads.length).toBe(1);
    }
  });

  test("the signal and leaving end it; the download goes on", async () => {
    const client = new Modelhaul(options());
    await client.history.clear({ files: true });
    const abort = new AbortController();
    const steps: DownloadProgress[] = [];
    for await (const step of client.downloadModel("huggingface", "acme/tiny-gguf", {
      signal: abort.signal,
    })) {
      steps.push(step);
      if (step.status === "downloading") abort.abort();
    }
    expect(steps.at(-1)?.status).toBe("downloading");
    hub.cdn.limits.rateTotal = undefined;
    expect((await client.wait(steps.at(-1)!.id!)).state).toBe("completed");
  });
});
