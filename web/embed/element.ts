import { BASE, type Download, ServiceError, serviceFor, type TokenProvider } from "./service.ts";
import { type Command, type State, shown, spoken } from "./shown.ts";
import { View } from "./view.ts";
import { WORDS, type Words } from "./words.ts";

/** Attributes of the element and what they are called in a request. */
const SOURCE: Record<string, string> = {
  repo: "repo_id",
  file: "filename",
  revision: "revision",
  url: "url",
  sha256: "sha256",
  provider: "provider",
  model: "model",
};
const ENDED = new Set<State>(["idle", "completed", "failed", "cancelled"]);

/**
 * `<model-download repo="org/name" file="name.gguf">`: a button that becomes the progress of the download it starts.
 * Fires `progress`, `done` (detail: the download) and `error` (detail: `{code, message}`); none of them bubbles.
 */
export class ModelDownload extends HTMLElement {
  static readonly observedAttributes = ["label", ...Object.keys(SOURCE)];

  readonly #view = new View(this);
  readonly #internals = this.attachInternals();
  #provider: TokenProvider | undefined;
  #words: Words = WORDS;
  #state: State = "idle";
  #download: Download | undefined;
  #fault = "";
  #isLost = false;
  #isAsking = false;
  #isBusy = false;
  #leave: () => void = () => {};

  constructor() {
    super();
    this.#view.primary.addEventListener("click", () => void this.#press());
    this.#view.cancel.addEventListener("click", ({ detail }) => {
      // The second click of a double click is no answer to what the first one asked.
      if (this.#isBusy || detail > 1) return;
      if (this.#isAsking) void this.cancel();
      else this.#ask(true);
    });
    this.shadowRoot?.addEventListener("keydown", (event) => {
      if ((event as KeyboardEvent).key === "Escape") this.#ask(false);
    });
    for (const name of ["tokenProvider", "words"] as const) this.#adopt(name);
  }

  /** What a page has set before the script was there. */
  #adopt(name: "tokenProvider" | "words"): void {
    if (!Object.hasOwn(this, name)) return;
    const early = this[name];
    delete (this as Partial<ModelDownload>)[name];
    Object.assign(this, { [name]: early });
  }

  /** Answers the API key of the service, where it wants one and the page is of another origin. */
  get tokenProvider(): TokenProvider | undefined {
    return this.#provider;
  }

  set tokenProvider(provider: TokenProvider | undefined) {
    this.#provider = provider;
    if (this.isConnected) void this.#find();
  }

  /** Words of its own instead of the English ones; what is not given stays. */
  get words(): Partial<Words> {
    return this.#words;
  }

  set words(words: Partial<Words>) {
    this.#words = { ...WORDS, ...words };
    this.#render();
  }

  get state(): State {
    return this.#state;
  }

  /** As the service told of it last. */
  get download(): Download | undefined {
    return this.#download;
  }

  connectedCallback(): void {
    this.#render();
    if (this.#download && !ENDED.has(this.#state)) this.#watch();
    else void this.#find();
  }

  disconnectedCallback(): void {
    this.#leave();
  }

  attributeChangedCallback(): void {
    this.#render();
  }

  /** Starts it, or joins an equal one that is under way. */
  async start(): Promise<void> {
    this.#state = "starting";
    await this.#attempt(async () => {
      const download = await this.#service.call<Download>("POST", "v1/downloads", this.#request());
      remember(this.#key(), download.id);
      this.#take(download);
      this.#watch();
    });
    if (this.#fault !== "") this.#state = this.#download ? this.#download.state : "failed";
    this.#render();
  }

  pause(): Promise<void> {
    return this.#run("pause");
  }

  resume(): Promise<void> {
    return this.#run("resume");
  }

  retry(): Promise<void> {
    return this.#run("retry");
  }

  cancel(): Promise<void> {
    return this.#run("cancel");
  }

  get #service() {
    return serviceFor(this.#provider);
  }

  #request(): Record<string, string> {
    const given = Object.entries(SOURCE).map(([name, field]) => [field, this.getAttribute(name)]);
    return Object.fromEntries(given.filter(([, value]) => value !== null));
  }

  #key(): string {
    return `model-download ${BASE} ${JSON.stringify(this.#request())}`;
  }

  get #name(): string {
    const { filename, repo_id: repo, model, url } = this.#request();
    const path = url === undefined ? "" : (URL.parse(url)?.pathname ?? url);
    return filename ?? repo ?? model ?? path.split("/").at(-1) ?? "";
  }

  /** A download that this tab started before the page was loaded again; nothing is asked where there is none. */
  async #find(): Promise<void> {
    const id = recall(this.#key());
    if (id === null || this.#download) return;
    try {
      const download = await this.#service.call<Download>("GET", `v1/downloads/${id}`);
      if (this.#download || !this.isConnected) return;
      this.#take(download);
      this.#watch();
    } catch {
      // It is gone, or the key comes later: the button starts it as ever.
    }
  }

  #press(): void {
    if (this.#isBusy) return;
    const { command } = this.#shown();
    if (this.#isAsking) this.#ask(false);
    else if (command !== null) void this[command]();
  }

  #ask(isAsking: boolean): void {
    this.#isAsking = isAsking;
    this.#render();
  }

  /** The truth about what a command did is asked for, and whatever follows comes by itself. */
  async #run(verb: Command | "cancel"): Promise<void> {
    const id = this.#download?.id;
    if (id === undefined) return;
    await this.#attempt(async () => {
      await this.#service.call("POST", `v1/downloads/${id}/${verb}`);
      this.#take(await this.#service.call<Download>("GET", `v1/downloads/${id}`));
      this.#watch();
    });
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    this.#isBusy = true;
    this.#isAsking = false;
    this.#fault = "";
    this.#render();
    try {
      await work();
    } catch (error) {
      const { code, message } =
        error instanceof ServiceError ? error : { code: "page_error", message: String(error) };
      this.#fault = message;
      this.#fire("error", { code, message });
    }
    this.#isBusy = false;
    this.#render();
  }

  #watch(): void {
    this.#leave();
    const id = this.#download?.id;
    if (id === undefined || ENDED.has(this.#state) || !this.isConnected) return;
    this.#leave = this.#service.watch(id, (what) => {
      this.#isLost = what === "lost";
      if (what === null) this.#forget();
      else if (what !== "lost") this.#take(what);
      this.#render();
    });
  }

  #take(download: Download): void {
    const before = this.#state;
    this.#download = download;
    this.#state = download.state;
    this.#isLost = false;
    this.#render();
    this.#fire("progress", download);
    if (before === this.#state || !ENDED.has(this.#state)) return;
    this.#leave();
    this.#isAsking = false;
    if (this.#state === "completed") this.#fire("done", download);
    if (this.#state === "failed")
      this.#fire("error", { code: download.error_code, message: download.error_message });
    this.#render();
  }

  /** Its record was deleted. */
  #forget(): void {
    this.#leave();
    this.#download = undefined;
    this.#state = "idle";
  }

  #fire(type: string, detail: object): void {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  #situation() {
    const words = this.#words;
    return {
      state: this.#state,
      download: this.#download,
      fault: this.#fault,
      isLost: this.#isLost,
      isAsking: this.#isAsking,
      label: this.getAttribute("label") ?? `${words.download} ${this.#name}`.trim(),
      words,
    };
  }

  #shown() {
    return shown(this.#situation());
  }

  #render(): void {
    const { states } = this.#internals;
    states.clear();
    states.add(this.#state);
    if (this.#state !== "idle") states.add("shown");
    this.#view.show(this.#shown(), this.#name, spoken(this.#situation()), this.#isBusy);
  }
}

/** A page that may keep nothing loses nothing but this. */
function remember(key: string, id: string): void {
  try {
    sessionStorage.setItem(key, id);
  } catch {}
}

function recall(key: string): string | null {
  try {
    return sessionStorage.getItem(key);
  } catch {
    return null;
  }
}
