import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { UNFINISHED } from "../../src/core/download.ts";
import { ggufRepo, startHub } from "../support/hub.ts";
import { startOrigin } from "../support/origin.ts";
import { until } from "../support/until.ts";
import { Contract } from "./contract.ts";
import { EventClient, type Message } from "./event-client.ts";
import { type Body, MB, type Served, serve } from "./support.ts";

/** The machine may be busy. */
setDefaultTimeout(60_000);

const REPO = "acme/tiny-gguf";
const FILE = "tiny-Q4_K_M.gguf";
const KEYS = [
  ..."download_id repo_id filename status progress_percent bytes_downloaded total_bytes".split(" "),
  ..."download_speed_mbps eta_seconds error_message started_at completed_at local_file_path".split(" "),
];
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const UTC = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;
const HOLD = { settings: { paused: true } };
const TEN_MINUTES = 600_000;

const tinyHub = (size = MB, rateTotal?: number) =>
  startHub({
    repos: [ggufRepo(REPO, { quantizations: { Q4_K_M: size, Q8_0: size } })],
    ...(rateTotal && { cdnLimits: { rateTotal } }),
  });
const post = (served: Served, body: unknown = { repo_id: REPO, filename: FILE }) =>
  served.call("POST", "/local/download", body);
const watch = (served: Served) => EventClient.open(`${served.base}/local/download/status`);
/** What the stream told of one download, in order. */
const told = (client: EventClient, id: string): Body[] =>
  client.messages.map(({ data }) => data).filter((data) => data.download_id === id);
const says = (id: string, status: string) => (message: Message) =>
  message.data.download_id === id && message.data.status === status;
const released = (served: Served) =>
  until(() => served.product.downloads.feed.subscribers === 0, "the feed to be let go of");

describe("POST /local/download", () => {
  test("R1 R2 R3 R4 R5 A3 answers 202 with a UUID and the sentence, before the transfer ends", async () => {
    await using hub = await tinyHub(4 * MB, 2 * MB);
    await using served = await serve({ product: { hfEndpoint: hub.endpoint } });
    const { status, body } = await post(served);
    expect([status, Object.keys(body)]).toEqual([202, ["download_id", "message"]]);
    expect(body.download_id).toMatch(UUID);
    expect(body.message).toBe(`Download started for ${REPO}/${FILE}`);
    expect(UNFINISHED).toContain((await served.product.downloads.get(body.download_id)).state);
    await served.product.reaches(body.download_id, "completed");
    const contract = await Contract.of(served);
    const again = await post(served);
    expect(contract.problems("POST", "/local/download", again)).toEqual([]);
  });

  test("F153 the same request again, while one is unfinished, is the same download", async () => {
    await using served = await serve({ product: HOLD });
    const [one, two] = [await post(served), await post(served)];
    expect([two.status, two.body]).toEqual([202, one.body]);
    const other = await post(served, { repo_id: REPO, filename: "tiny-Q8_0.gguf" });
    expect(other.body.download_id).not.toBe(one.body.download_id);
  });

  test("R21 A14 relative and from pages of this machine, an empty origin or another port", async () => {
    await using served = await serve({ product: HOLD });
    for (const headers of [{}, { Origin: "http://localhost:3000" }, { Origin: served.base }]) {
      const { status, headers: got } = await served.call(
        "POST",
        "/local/download",
        { repo_id: REPO, filename: FILE },
        headers as Record<string, string>,
      );
      expect([status, got.get("access-control-allow-origin")]).toEqual([202, "*"]);
    }
    const preflight = await fetch(`${served.base}/local/download/x`, { method: "OPTIONS" });
    expect(preflight.headers.get("access-control-allow-methods")).toContain("DELETE");
  });
});

describe("GET /local/download/status", () => {
  test("R6 R7 R8 R9 R10 R11 R12 R13 R15 R16 R17 A8 A9 unnamed events of one download from its start to its file", async () => {
    await using hub = await tinyHub(4 * MB, 2 * MB);
    await using served = await serve({ product: { hfEndpoint: hub.endpoint } });
    const contract = await Contract.of(served);
    const client = await watch(served);
    const { body } = await post(served);
    const id: string = body.download_id;
    const { data: done } = await client.waitFor(says(id, "completed"), 30_000);
    const steps = told(client, id);
    for (const message of client.messages) {
      expect([message.event, message.id]).toEqual(["", ""]);
      expect(Object.keys(message.data)).toEqual([...KEYS, "state"]);
      expect(contract.misfits("LocalDownloadStatus", message.data)).toEqual([]);
      const { status, started_at, completed_at } = message.data;
      if (status !== "pending") expect(started_at).toMatch(UTC);
      if (status !== "completed") expect(completed_at).toBeNull();
    }
    expect(steps[0]).toMatchObject({ repo_id: REPO, filename: FILE, status: "pending", progress_percent: 0 });
    expect(steps[0]).toMatchObject({ total_bytes: null, download_speed_mbps: null, eta_seconds: null });
    const moving = steps.filter(
      ({ status, eta_seconds }) => status === "downloading" && eta_seconds !== null,
    );
    expect(moving.length).toBeGreaterThan(1);
    for (const step of moving) {
      expect(step).toMatchObject({ total_bytes: 4 * MB, error_message: null, local_file_path: null });
      expect(step.download_speed_mbps).toBeNumber();
      expect(Number.isInteger(step.eta_seconds)).toBe(true);
    }
    const percents = steps.map(({ progress_percent }) => progress_percent);
    expect(percents).toEqual(percents.toSorted((a, b) => a - b));
    expect(done).toMatchObject({ progress_percent: 100, bytes_downloaded: 4 * MB, total_bytes: 4 * MB });
    expect(done).toMatchObject({ download_speed_mbps: null, eta_seconds: null, error_message: null });
    expect(done.completed_at).toMatch(UTC);
    expect(await Bun.file(done.local_file_path).exists()).toBe(true);
    client.close();
    await released(served);
  });

  test("R8 R9 all downloads are in one stream, which stays open when one of them ends", async () => {
    await using hub = await tinyHub();
    await using served = await serve({ product: { hfEndpoint: hub.endpoint } });
    const client = await watch(served);
    const first = await post(served);
    await client.waitFor(says(first.body.download_id, "completed"));
    const second = await post(served, { repo_id: REPO, filename: "tiny-Q8_0.gguf" });
    await client.waitFor(says(second.body.download_id, "completed"));
    expect(client.ended).toBe(false);
    client.close();
  });

  test("R14 R17 a failed one says why, and no file is named", async () => {
    await using hub = await tinyHub();
    await using served = await serve({ product: { hfEndpoint: hub.endpoint } });
    const client = await watch(served);
    const { body } = await post(served, { repo_id: REPO, filename: "nowhere.gguf" });
    const { data } = await client.waitFor(says(body.download_id, "failed"));
    expect(data.error_message).toContain("nowhere.gguf");
    expect([data.local_file_path, data.completed_at, data.status]).toEqual([null, null, "failed"]);
    client.close();
  });

  test("R24 R25 R9 A23 on connecting everything unfinished and what has ended in the last ten minutes", async () => {
    await using served = await serve({ product: HOLD });
    const { db, downloads } = served.product;
    const ids: Record<string, string> = {};
    for (const name of ["waits", "paused", "cancelled", "nine", "eleven"]) {
      ids[name] = (await post(served, { repo_id: REPO, filename: `${name}.gguf` })).body.download_id;
    }
    await downloads.pause(ids.paused!);
    for (const name of ["cancelled", "nine", "eleven"]) await downloads.cancel(ids[name]!);
    await db.update(ids.nine!, {}, { endedAt: Date.now() - TEN_MINUTES + 60_000 });
    await db.update(ids.eleven!, {}, { endedAt: Date.now() - TEN_MINUTES - 60_000 });
    const words = { waits: "pending", paused: "pending", cancelled: "cancelled", nine: "cancelled" };
    for (let round = 0; round < 2; round++) {
      const client = await EventClient.open(`${served.base}/local/download/status`);
      for (const [name, word] of Object.entries(words)) await client.waitFor(says(ids[name]!, word));
      expect(client.messages.length).toBe(4);
      expect(client.retry).toBeWithin(500, 5000);
      client.close();
      await released(served);
    }
    // Somebody who subscribes after the POST has returned hears of it, too.
    const late = await watch(served);
    await downloads.cancel(ids.waits!);
    await late.waitFor(says(ids.waits!, "cancelled"));
    late.close();
  });

  test("R24 a header of an earlier connection changes nothing: the states come again", async () => {
    await using served = await serve({ product: HOLD });
    const { body } = await post(served);
    const url = `${served.base}/local/download/status`;
    const client = await EventClient.open(url, { "Last-Event-ID": "999999999" });
    await client.waitFor(says(body.download_id, "pending"));
    client.close();
  });

  test("R9 F216 a record that is removed is no event, an empty list sends none, and a comment shows life", async () => {
    await using served = await serve({ product: HOLD, live: { heartbeatMs: 20 } });
    const client = await watch(served);
    await client.whenCommented();
    expect(client.messages).toEqual([]);
    const { body } = await post(served);
    await served.call("DELETE", `/local/download/${body.download_id}`);
    await client.waitFor(says(body.download_id, "cancelled"));
    const count = client.messages.length;
    await served.call("DELETE", `/v1/history/${body.download_id}`);
    const next = await post(served, { repo_id: REPO, filename: "next.gguf" });
    await client.waitFor(says(next.body.download_id, "pending"));
    expect(client.messages.length).toBe(count + 1);
    client.close();
  });

  test("R26a the stream is let go of when the client closes it", async () => {
    await using served = await serve({ product: HOLD });
    const clients = await Promise.all(Array.from({ length: 20 }, () => watch(served)));
    await until(() => served.product.downloads.feed.subscribers === 1, "the feed to be watched once");
    for (const client of clients) client.close();
    await released(served);
  });

  test("R6 HEAD has the headers and no stream", async () => {
    await using served = await serve({ product: HOLD });
    const head = await fetch(`${served.base}/local/download/status`, { method: "HEAD" });
    expect(head.status).toBe(200);
    expect(head.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    expect(served.product.downloads.feed.subscribers).toBe(0);
  });
});

describe("DELETE /local/download/{download_id}", () => {
  test("R18 R20 cancels: the transfer stops, its partial data goes, the stream says so", async () => {
    await using hub = await tinyHub(64 * MB, MB);
    await using served = await serve({ product: { hfEndpoint: hub.endpoint } });
    const client = await watch(served);
    const { download_id } = (await post(served)).body;
    await served.product.has(download_id, 1);
    const answer = await served.call("DELETE", `/local/download/${download_id}`);
    expect([answer.status, answer.body]).toEqual([200, { message: "Download cancelled successfully" }]);
    const { data } = await client.waitFor(says(download_id, "cancelled"));
    expect(data).toMatchObject({ error_message: null, completed_at: null, local_file_path: null });
    expect(data).toMatchObject({ download_speed_mbps: null, eta_seconds: null });
    // How far it came (A4).
    expect(data.bytes_downloaded).toBeGreaterThan(0);
    await hub.cdn.waitFor(({ stats }) => stats.active === 0, "no request under way");
    expect([...new Bun.Glob("**/*.part").scanSync(served.product.dir)]).toEqual([]);
    client.close();
  });

  test("A10 a finished one is 409 DOWNLOAD_NOT_ACTIVE and stays as it is", async () => {
    await using served = await serve({ product: HOLD });
    const { download_id } = (await post(served)).body;
    await served.call("DELETE", `/local/download/${download_id}`);
    const before = await served.product.downloads.get(download_id);
    const { status, body } = await served.call("DELETE", `/local/download/${download_id}`);
    expect([status, body.code]).toEqual([409, "DOWNLOAD_NOT_ACTIVE"]);
    expect((await served.product.downloads.get(download_id)).seq).toBe(before.seq);
  });

  test("R19 A3 a model id is no download id here, even one that looks like it", async () => {
    await using served = await serve({ product: HOLD });
    const { download_id } = (await post(served)).body;
    const url = "http://127.0.0.1:9/m.bin";
    for (const model_id of ["by-name", crypto.randomUUID(), download_id]) {
      const other = await served.call("POST", "/v1/downloads", { url: `${url}?${model_id}`, model_id });
      expect(other.status).toBe(202);
      const { status, body } = await served.call("DELETE", `/local/download/${model_id}`);
      expect([status, body.code]).toEqual([404, "DOWNLOAD_NOT_FOUND"]);
      expect((await served.product.downloads.get(other.body.id)).state).toBe("queued");
    }
  });
});

describe("A24 downloads of other families", () => {
  test("A24 R10 R12 a URL, a whole repository, one file and an engine are seen here as they are", async () => {
    await using hub = await tinyHub();
    await using origin = await startOrigin({ resources: [{ path: "/m.bin", seed: 1, size: MB }] });
    await using served = await serve({ product: { hfEndpoint: hub.endpoint } });
    const client = await watch(served);
    const begin = async (body: object) => (await served.call("POST", "/v1/downloads", body)).body.id;
    const url = origin.url("/m.bin");
    const rows: [string, string, string][] = [
      [await begin({ url, model_id: "mine" }), "mine", "m.bin"],
      [await begin({ repo_id: REPO }), REPO, ""],
      [await begin({ repo_id: REPO, filename: FILE, layout: "hf-cache" }), REPO, FILE],
      [
        await begin({ repo_id: REPO, filename: "tiny-Q8_0.gguf", engine: { engine_id: "e" } }),
        REPO,
        "tiny-Q8_0.gguf",
      ],
    ];
    for (const [id, repo_id, filename] of rows) {
      const { data } = await client.waitFor(says(id, "completed"));
      expect(data).toMatchObject({ repo_id, filename, progress_percent: 100 });
      expect(data.total_bytes).toBeGreaterThanOrEqual(MB);
      expect(data.local_file_path).toBe((await served.product.downloads.get(id)).localPath);
    }
    client.close();
  });

  test("A24 A4 R17 it is paused, resumed and cancelled elsewhere, and each step is told here in this family's words", async () => {
    await using hub = await tinyHub(16 * MB, 4 * MB);
    await using served = await serve({ product: { hfEndpoint: hub.endpoint } });
    const client = await watch(served);
    const { download_id: id } = (await post(served)).body;
    await served.product.has(id, 1);
    for (const verb of ["pause", "resume", "cancel"]) {
      expect((await served.call("POST", `/downloads/${id}/${verb}`)).status).toBe(200);
      if (verb === "resume") await served.product.reaches(id, "downloading");
    }
    await client.waitFor(says(id, "cancelled"));
    const words = told(client, id).map(({ status, state }) => `${state}: ${status}`);
    const steps = words.filter((word, i) => word !== words[i - 1]);
    expect(steps).toEqual([
      "queued: pending",
      "downloading: downloading",
      "paused: pending",
      "queued: pending",
      "downloading: downloading",
      "cancelled: cancelled",
    ]);
    client.close();
  });
});
