import { expect } from "bun:test";
import { LiveSocket } from "../support/live.ts";
import { until } from "../support/until.ts";
import { EventClient } from "./event-client.ts";
import { type Kept, query } from "./wingman-world.ts";

/** What is to be downloaded. */
export interface Target {
  repo: string;
  file: string;
}

/** One way to start it. */
export interface Starter {
  name: string;
  /** Whether it names one file or the whole repository. */
  of: "file" | "repository";
  /** Whether an engine is made of the file. */
  withEngine?: true;
  begin(kept: Kept, target: Target): Promise<unknown>;
}

async function accepted(kept: Kept, path: string, body: object): Promise<void> {
  const answer = await kept.call("POST", path, body);
  expect([path, answer.status]).toEqual([path, 202]);
}

const engine = { engine_id: "e" };
/** Every route and frame that starts a download, each family's own. */
export const STARTERS: Starter[] = [
  {
    name: "kolosal: POST /v1/downloads",
    of: "file",
    begin: (kept, { repo, file }) => accepted(kept, "/v1/downloads", { repo_id: repo, filename: file }),
  },
  {
    name: "kolosal: POST /v1/downloads with an engine",
    of: "file",
    withEngine: true,
    begin: (kept, { repo, file }) =>
      accepted(kept, "/v1/downloads", { repo_id: repo, filename: file, engine }),
  },
  {
    name: "kolosal: POST /engines",
    of: "file",
    withEngine: true,
    begin: (kept, { repo, file }) =>
      accepted(kept, "/engines", { ...engine, model_path: `hf:${repo}/${file}` }),
  },
  {
    name: "kolosal: POST /models",
    of: "file",
    withEngine: true,
    begin: (kept, { repo, file }) =>
      accepted(kept, "/v1/models", { model_id: "m", model_type: "llm", model_path: `hf:${repo}/${file}` }),
  },
  {
    name: "native: WebSocket /v1/ws",
    of: "file",
    async begin(kept, { repo, file }) {
      using socket = new LiveSocket(new WebSocket(`${kept.base.replace("http", "ws")}/v1/ws`));
      await socket.next(({ type }) => type === "hello");
      socket.send({ type: "start", ref: "1", body: { repo_id: repo, filename: file } });
      expect(await socket.next(({ type }) => type === "reply")).toMatchObject({ ok: true });
    },
  },
  {
    name: "local: POST /local/download",
    of: "file",
    begin: (kept, { repo, file }) => accepted(kept, "/local/download", { repo_id: repo, filename: file }),
  },
  {
    name: "wingman: GET /api/download",
    of: "file",
    async begin(kept, { repo, file }) {
      expect((await kept.call("GET", `/api/download${query(repo, file)}`)).status).toBe(202);
    },
  },
  {
    name: "kolosal: POST /downloads of a repository",
    of: "repository",
    begin: (kept, { repo }) => accepted(kept, "/downloads", { repo_id: repo, layout: "hf-cache" }),
  },
  {
    name: "abstractcore: GET /api/models/download",
    of: "repository",
    // Its listener goes at once: the download does not need it (A25).
    async begin(kept, { repo }) {
      const listener = await EventClient.open(
        `${kept.base}/api/models/download?provider=huggingface&model=${encodeURIComponent(repo)}`,
      );
      await listener.waitFor(({ data }) => data.status === "starting");
      await until(async () => (await kept.product.downloads.active()).length === 1, "the download to begin");
      listener.close();
    },
  },
];
