/** The built executable, the test hub and real headless Chromium: what tests of the monitor are written with. */
import { afterAll, afterEach, beforeAll } from "bun:test";
import { type Browser, type BrowserContext, chromium, type Locator, type Page } from "playwright-core";
import { type Daemon, startDaemon } from "../support/daemon.ts";
import { type Hub, type HubOptions, startHub } from "../support/hub.ts";
import { type Origin, type OriginOptions, startOrigin } from "../support/origin.ts";
import { type TempDir, tempDir } from "../support/temp.ts";

/** Undefined where there is none: tests that need it are skipped, `describe.skipIf(!hasBrowser)`. */
const browserPath = Bun.which("chromium") ?? Bun.which("chromium-browser") ?? Bun.which("google-chrome");
export const hasBrowser = browserPath !== null;
if (!hasBrowser)
  console.warn("SKIPPED: no Chromium, the monitor is not tried in a browser; install the package 'chromium'");

export type Theme = "light" | "dark";
export const PHONE = 390;
export const WIDE = 1440;

/** Every look a view has to stand: for `test.each(LOOKS)("… in %s at %i px", (theme, width) => …)`. */
export const LOOKS: readonly (readonly [theme: Theme, width: number])[] = [
  ["light", PHONE],
  ["light", WIDE],
  ["dark", PHONE],
  ["dark", WIDE],
];

export interface ViewOptions {
  /** Default light. */
  theme?: Theme;
  /** Pixels, default `WIDE`. */
  width?: number;
  /** Path and hash on the daemon, or a whole URL. Default `/`. */
  at?: string;
  locale?: string;
  reducedMotion?: boolean;
  /** Things to do before the page is opened: routes, init scripts, cookies. */
  prepare?: (page: Page, context: BrowserContext) => Promise<unknown>;
}

/** A page as a person has it open, and everything that went wrong in it. */
export class View {
  readonly complaints: string[] = [];
  readonly #allowed: RegExp[] = [];

  constructor(
    readonly page: Page,
    readonly context: BrowserContext,
  ) {
    page.on("pageerror", (error) => this.#complain(`uncaught: ${error.stack ?? error.message}`));
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning")
        this.#complain(`console: ${message.text()} (${message.location().url})`);
    });
    page.on("response", (answer) => {
      if (answer.status() >= 400)
        this.#complain(`answer: ${answer.status()} ${answer.request().method()} ${answer.url()}`);
    });
    page.on("requestfailed", (request) => {
      const why = request.failure()?.errorText ?? "";
      // A stream that the page itself closes, or whatever is under way at a reload, is no failure.
      if (why !== "net::ERR_ABORTED") this.#complain(`request: ${why} ${request.method()} ${request.url()}`);
    });
  }

  #complain(what: string): void {
    this.complaints.push(what);
  }

  /** From now on and before, complaints like this are expected: a server that is killed, a 401 with a key set. */
  allow(...patterns: RegExp[]): void {
    this.#allowed.push(...patterns);
  }

  /** What went wrong and was not expected. */
  get unexpected(): string[] {
    return this.complaints.filter((it) => !this.#allowed.some((pattern) => pattern.test(it)));
  }

  button(name: string | RegExp, within: Page | Locator = this.page): Locator {
    return within.getByRole("button", { name, exact: typeof name === "string" });
  }

  field(label: string | RegExp, within: Page | Locator = this.page): Locator {
    return within.getByLabel(label, { exact: typeof label === "string" });
  }

  link(name: string | RegExp, within: Page | Locator = this.page): Locator {
    return within.getByRole("link", { name, exact: typeof name === "string" });
  }

  /** The row of a list or table that has this text in it. */
  row(text: string | RegExp, within: Page | Locator = this.page): Locator {
    return within.getByRole("row").or(within.getByRole("listitem")).filter({ hasText: text });
  }

  dialog(name?: string | RegExp): Locator {
    return this.page.getByRole("dialog", name === undefined ? {} : { name });
  }

  menuItem(name: string | RegExp): Locator {
    return this.page.getByRole("menuitem", { name });
  }

  /** Goes to a view of the monitor by its hash route, such as `#/models`, without loading the page again. */
  async goto(hash: string): Promise<void> {
    await this.page.evaluate((to) => {
      location.hash = to;
    }, hash);
  }

  /** Whether something can be scrolled sideways into view: a page that is wider than its window. */
  overflows(): Promise<boolean> {
    return this.page.evaluate(
      () => document.documentElement.scrollWidth > document.documentElement.clientWidth,
    );
  }
}

export interface WorldOptions {
  /** The hub's repositories and rates. `hub.cdn.limits.rateTotal` may be changed while bytes flow. */
  hub?: HubOptions;
  /** An origin for plain URLs beside it; none when absent. */
  origin?: OriginOptions;
  /** Further arguments of `serve`. */
  args?: readonly string[];
  env?: Record<string, string>;
  apiKey?: string;
  /** Default a free one. Give one where the daemon is restarted: a free port is another one each time. */
  port?: number;
  /** Further arguments of Chromium. */
  chromiumArgs?: readonly string[];
}

/** What a file of tests shares. Its parts are there inside tests and their hooks. */
export interface World {
  readonly daemon: Daemon;
  readonly hub: Hub;
  readonly origin: Origin;
  readonly browser: Browser;
  /** Opens a page with a storage of its own. Whatever goes wrong in it fails the test; it is closed at its end. */
  open(options?: ViewOptions): Promise<View>;
  /** Cancels and forgets all downloads and their files. */
  forget(): Promise<void>;
}

/** A port that is free now, for a daemon that is to come back on it. */
export function freePort(): number {
  const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  server.stop(true);
  return server.port;
}

export const launch = (...args: string[]): Promise<Browser> =>
  chromium.launch({
    executablePath: browserPath ?? "",
    args: ["--no-sandbox", "--disable-gpu", ...args],
  });

/** With a key set the service is not the local user's alone, and private addresses are refused unless named (A26). */
const OUR_ADDRESSES = ["127.0.0.0/8", "::1", "localhost"].flatMap((it) => ["--allow-address", it]);

const HEIGHTS: Record<number, number> = { [PHONE]: 844, [WIDE]: 900 };

/** Opens one page of its own context; the caller closes the context. */
export async function openView(browser: Browser, base: string, options: ViewOptions = {}): Promise<View> {
  const { theme = "light", width = WIDE, at = "/", locale = "en-US", reducedMotion = false } = options;
  const context = await browser.newContext({
    colorScheme: theme,
    viewport: { width, height: HEIGHTS[width] ?? 800 },
    locale,
    timezoneId: "UTC",
    reducedMotion: reducedMotion ? "reduce" : "no-preference",
    isMobile: width <= PHONE,
    hasTouch: width <= PHONE,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const view = new View(page, context);
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", ({ effectiveDirective, blockedURI, sample }) => {
      console.error(`CSP report: ${effectiveDirective} ${blockedURI} ${sample}`);
    });
  });
  await options.prepare?.(page, context);
  await page.goto(new URL(at, base).href);
  return view;
}

/**
 * The world of one file of tests (or one `describe`), started before its first test and ended after the last one:
 * `const world = monitorWorld({ hub: { repos: […] } })`.
 */
export function monitorWorld(options: WorldOptions = {}): World {
  let dir: TempDir | undefined;
  let daemon: Daemon | undefined;
  let hub: Hub | undefined;
  let origin: Origin | undefined;
  let browser: Browser | undefined;
  let views: View[] = [];

  beforeAll(async () => {
    dir = tempDir("monitor");
    hub = await startHub(options.hub);
    if (options.origin) origin = await startOrigin(options.origin);
    const { apiKey, port, args = [], env = {} } = options;
    daemon = await startDaemon({
      dir: dir.path,
      args: [...(apiKey === undefined ? [] : OUR_ADDRESSES), ...args],
      env: {
        HF_ENDPOINT: hub.endpoint,
        ...(apiKey === undefined ? {} : { MODELHAUL_API_KEY: apiKey }),
        ...env,
      },
      ...(apiKey === undefined ? {} : { apiKey }),
      ...(port === undefined ? {} : { port }),
    });
    browser = await launch(...(options.chromiumArgs ?? []));
  }, 120_000);

  afterEach(async () => {
    const closing = views;
    views = [];
    for (const { context } of closing) await context.close();
    const wrong = closing.flatMap((view) => view.unexpected);
    if (wrong.length > 0) throw new Error(`the page complained:\n${wrong.join("\n")}`);
  });

  afterAll(async () => {
    await browser?.close();
    await daemon?.[Symbol.asyncDispose]();
    await hub?.stop();
    await origin?.stop();
    dir?.[Symbol.dispose]();
  });

  const there = <T>(part: T | undefined, name: string): T => {
    if (part === undefined) throw new Error(`there is no ${name} outside tests`);
    return part;
  };
  return {
    get daemon() {
      return there(daemon, "daemon");
    },
    get hub() {
      return there(hub, "hub");
    },
    get origin() {
      return there(origin, "origin");
    },
    get browser() {
      return there(browser, "browser");
    },
    async open(view = {}) {
      const opened = await openView(this.browser, this.daemon.base, view);
      views.push(opened);
      return opened;
    },
    async forget() {
      await this.daemon.must("DELETE", "/v1/downloads");
      await this.daemon.must("DELETE", "/v1/history?files=true");
    },
  };
}
