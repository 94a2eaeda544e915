import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { until } from "../support/until.ts";
import { hasBrowser, LOOKS, type View } from "./browser.ts";
import { begin, downloadsWorld, slow } from "./downloads-world.ts";

setDefaultTimeout(180_000);

const PAYLOADS = [
  "<script>hit()</script>",
  "<img src=x onerror=hit()>",
  "<svg/onload=hit()>",
  '"><script>hit()</script>',
  "' onmouseover='hit()",
  '" autofocus onfocus="hit()',
  "javascript:hit()",
  "<a href=javascript:hit()>click</a>",
  "</title><script>hit()</script>",
  "</style><script>hit()</script>",
  "<iframe srcdoc='<script>parent.hit()</script>'>",
  "<style>@import 'http://127.0.0.1:9/x.css'</style>",
  "<base href=http://127.0.0.1:9/>",
  "{{constructor.constructor('hit()')()}}",
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is to stay as it is
  "${hit()}",
  "<!--<img src=--><img src=x onerror=hit()//>",
  "<math><mtext></mtext><mglyph><svg><mtext><textarea><img src=x onerror=hit()></textarea>",
  "\u202Egnp.exe<b>",
  "__proto__",
  "constructor",
  "%3Cscript%3Ehit()%3C/script%3E",
  "&lt;script&gt;hit()&lt;/script&gt;",
  "x\u0000<script>hit()</script>",
  "<object data=javascript:hit()>",
  "`-hit()-`",
];
const COUNT = 500;
const hostile = (index: number): string => `${PAYLOADS[index % PAYLOADS.length]} ${index}`;

/** Names and texts as a server of ill will would send them, in every place that a download has for one. */
function downloads(): object[] {
  const states = [
    "failed",
    "queued",
    "paused",
    "downloading",
    "completed",
    "cancelled",
    "creating_engine",
    "verifying",
  ];
  return Array.from({ length: COUNT }, (_, index) => {
    const text = hostile(index);
    const state = states[index % states.length]!;
    return {
      id: `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`,
      model_id: text,
      status: state,
      state,
      download_type: "startup",
      type: "startup",
      url: index % 2 === 0 ? `javascript:hit(${index})` : `http://127.0.0.1:9/${text}`,
      local_path: text,
      progress: { downloaded_bytes: index, total_bytes: COUNT, percentage: index / 5, download_speed_bps: 1 },
      timing: { start_time: 1_750_000_000_000 + index, elapsed_seconds: 1 },
      ...(state === "failed"
        ? { error_message: text, error_code: index % 3 === 0 ? text : "not_found" }
        : {}),
      ...(state === "queued" ? { last_error: { code: text, message: text } } : {}),
      engine_creation: {
        model_id: text,
        engine_id: text,
        load_immediately: true,
        main_gpu_id: 0,
        model_type: "llm",
        inference_engine: text,
      },
      attempts: 1,
      speed: 1,
      connections: 1,
      status_line: text,
      warnings: [text, text],
      priority: 0,
      rate_limit_bps: 0,
      provider: text,
      repo_id: text,
      filename: text,
      commit: text,
      layout: "flat",
      model_type: "llm",
      files_total: 2,
      files_done: 1,
      labels: { [text]: text },
    };
  });
}

const files = () =>
  PAYLOADS.map((path, id) => ({
    id,
    path,
    size: 1,
    bytes: 0,
    state: "failed",
    verified: false,
    local_path: path,
    error: { code: path, message: path },
  }));

/** Takes the place of the server's list; commands are refused with a hostile text. */
async function serveHostile(view: View): Promise<void> {
  const all = downloads();
  await view.page.route("**/v1/**", async (route) => {
    const request = route.request();
    const { pathname } = new URL(request.url());
    const summary = { total_active: COUNT };
    if (request.method() !== "GET")
      return route.fulfill({
        status: 500,
        json: { error: { message: PAYLOADS[1], type: "server_error", param: null, code: null } },
      });
    if (pathname === "/v1/downloads")
      return route.fulfill({ json: { active_downloads: all, total_active: COUNT, summary, timestamp: 1 } });
    const one = all.find((each) => pathname.endsWith((each as { id: string }).id));
    return one ? route.fulfill({ json: { ...one, files: files() } }) : route.continue();
  });
  await view.page.routeWebSocket("**/v1/ws", (socket) => {
    socket.onMessage(() => {
      socket.send(JSON.stringify({ type: "snapshot", seq: 1, downloads: all }));
    });
    socket.send(JSON.stringify({ type: "hello", seq: 1, version: "1", heartbeat_seconds: 5 }));
  });
  await view.page.addInitScript(() => {
    Object.assign(window, { hits: 0, hit: () => void (window as unknown as { hits: number }).hits++ });
  });
  await view.page.reload();
}

const hits = (view: View): Promise<number> =>
  view.page.evaluate(() => (window as unknown as { hits: number }).hits);

describe.skipIf(!hasBrowser)("names and texts of ill will", () => {
  const world = downloadsWorld();

  test.each(LOOKS)("F202 R126 five hundred of them run no script, in %s at %i px", async (theme, width) => {
    const view = await world.open({ theme, width });
    await serveHostile(view);
    view.allow(/answer: 500/, /status of 500/);
    const { page } = view;
    const list = page.getByRole("list", { name: "Downloads" });
    await list.getByRole("listitem").first().waitFor();
    const seen = new Set<string>();
    const rows = () => list.locator("> [role=listitem]");
    await rows().first().focus();
    // Every row is looked at; of each kind one is opened, with its files, and asked for what it will refuse.
    for (let presses = 0; seen.size < COUNT && presses < 200; presses++) {
      for (const label of await list
        .getByRole("progressbar")
        .evaluateAll((all) => all.map((it) => it.ariaLabel ?? "")))
        if (label.startsWith("Progress of ")) seen.add(label.slice("Progress of ".length));
      await page.keyboard.press("PageDown");
    }
    expect(seen.size).toBe(COUNT);
    for (let index = 0; index < COUNT; index += 1) expect(seen.has(hostile(index))).toBe(true);

    await page.keyboard.press("Home");
    for (let index = 0; index < PAYLOADS.length; index += 1) {
      await page.keyboard.press("Enter");
      const open = list.getByRole("button", { name: /Show files/ }).first();
      await open.waitFor();
      if (index < 3) {
        await open.click();
        await list
          .getByRole("list", { name: "Files of this download" })
          .getByRole("listitem")
          .first()
          .waitFor();
        await list
          .getByRole("button", { name: /Hide files/ })
          .first()
          .click();
        await page.locator(":focus").evaluate((it) => it.closest<HTMLElement>("[data-id]")?.focus());
      }
      for (const address of await list
        .locator("a[href]")
        .evaluateAll((all) => all.map((it) => (it as HTMLAnchorElement).protocol)))
        expect(address).toMatch(/^https?:$/);
      await page.keyboard.press("Enter");
      await page.keyboard.press("ArrowDown");
    }
    for (const key of ["p", "r"]) {
      await page.keyboard.press(key);
      await page.keyboard.press("ArrowDown");
    }
    await page
      .getByRole("button", { name: /^Cancel .*hit/ })
      .first()
      .click();
    await page.getByRole("alertdialog").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("alertdialog").waitFor({ state: "detached" });
    await page.getByRole("searchbox").fill(PAYLOADS[1]!);
    await until(async () => (await rows().count()) > 0, "what matches");
    await page.getByRole("searchbox").fill(`${PAYLOADS[0]} nowhere`);
    await page.getByText(/downloads match/).waitFor();
    expect(await hits(view)).toBe(0);
    expect(await page.title()).not.toBe("");
    expect(await view.overflows()).toBe(false);
  });

  test("F202 the server's own errors about such names are told as they are", async () => {
    slow(world);
    for (const [index, text] of ["<img src=x onerror=hit()>", '"><svg onload=hit()>'].entries())
      await begin(world, index, text);
    await world.daemon
      .begin({
        url: world.origin.url("/nowhere/<script>hit()</script>.gguf"),
        model_id: "<script>hit()</script>",
      })
      .catch(() => {});
    const view = await world.open({
      prepare: (page) =>
        page.addInitScript(() => {
          Object.assign(window, { hits: 0, hit: () => void (window as unknown as { hits: number }).hits++ });
        }),
    });
    await view.page.getByText("<img src=x onerror=hit()>").first().waitFor();
    for (const name of ["<img src=x onerror=hit()>", '"><svg onload=hit()>']) {
      await view.button(`Cancel ${name}`).click();
      await view.page.getByRole("alertdialog", { name: `Cancel ${name}?` }).waitFor();
      await view.button("Cancel download").click();
      await view.page.getByText(`${name} cancelled`).waitFor();
    }
    expect(await hits(view)).toBe(0);
  });
});
