import { ATTRIBUTES, flawOf, inAttributes, requestOf } from "./request.ts";
import { BASE, type Download, ServiceError, serviceFor, type TokenProvider } from "./service.ts";
import { type Command, isOn, type State, shown, spoken } from "./shown.ts";
import { View } from "./view.ts";
import { WORDS, type Words } from "./words.ts";

/**
 * `<model-download repo="org/name" file="name.gguf">`: a button that becomes the progress of the download it starts.
 * Fires `progress`, `done` (detail: the download) and `error` (detail: `{code, message}`); none of them bubbles.
 */
export class ModelDownload extends HTMLElement {
  static readonly observedAttributes = ["label", ...ATTRIBUTES];

  readonly #view = new View(this);
  readonly #internals = this.attachInternals();
  #provider: TokenProvider | undefined;
  #words: Words = WORDS;
  #state: State = "idle";
  #download: Download | undefined;
  /** What the download, or the lack of one, is the state of. */
  #asked: string | undefined;
  #fault: { code: string; message: string } | undefined;
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
    this.#asked = this.#key();
    this.#render();
    document.addEventListener("visibilitychange", this.#lookAgain);
    if (this.#download && isOn(this.#state)) this.#watch();
    else void this.#find();
  }

  disconnectedCallback(): void {
    document.removeEventListener("visibilitychange", this.#lookAgain);
    this.#leave();
  }

  attributeChangedCallback(): void {
    const key = this.#key();
    if (this.#asked !== undefined && this.#asked !== key) {
      this.#asked = key;
      this.#forget();
      if (this.isConnected) void this.#find();
    }
    this.#render();
  }

  /** Starts it, or joins an equal one that is under way. */
  start(): Promise<void> {
    this.#asked = this.#key();
    this.#state = "starting";
    return this.#attempt(() => this.#begin());
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

  #key(): string {
    return `model-download ${BASE} ${JSON.stringify(requestOf(this))}`;
  }

  get #name(): string {
    const { filename, repo_id: repo, model, url } = requestOf(this);
    const path = url === undefined ? "" : (URL.parse(url)?.pathname ?? url);
    return filename ?? repo ?? model ?? path.split("/").at(-1) ?? "";
  }

  /** A download that this tab started before the page was loaded again; nothing is asked where there is none. */
  async #find(): Promise<void> {
    const asked = this.#key();
    const id = recall(asked);
    if (id === null || this.#download) return;
    try {
      const download = await this.#service.get(id);
      if (this.#download || !this.isConnected || asked !== this.#asked) return;
      this.#take(download);
      this.#watch();
    } catch {
      // It is gone, or the key comes later: the button starts it as ever.
    }
  }

  /** Its reader is back in the page: what was downloaded may have been deleted meanwhile, of which nobody tells. */
  readonly #lookAgain = async (): Promise<void> => {
    const known = this.#download;
    if (document.visibilityState !== "visible" || known?.state !== "completed") return;
    const fault = await this.#service.get(known.id).then(() => undefined, faultOf);
    if (fault?.code !== "download_not_found" || this.#download !== known) return;
    this.#forget();
    this.#render();
  };

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

  async #begin(): Promise<Download> {
    const request = requestOf(this);
    const flaw = flawOf(request, this.#words);
    if (flaw) throw new ServiceError("invalid_request", flaw);
    const key = this.#key();
    const download = await this.#service.call<Download>("POST", "v1/downloads", request);
    remember(key, download.id);
    return download;
  }

  /** The truth about what a command did is asked for, and whatever follows comes by itself. */
  async #run(verb: Command | "cancel"): Promise<void> {
    const id = this.#download?.id;
    if (id === undefined) return;
    await this.#attempt(async () => {
      try {
        await this.#service.call("POST", `v1/downloads/${id}/${verb}`);
        return await this.#service.get(id);
      } catch (error) {
        // Its record was deleted, or a newer download has its name: who wants it on wants it anew, or joins that.
        if (!/^(download_not_found|model_id_conflict)$/.test(faultOf(error).code)) throw error;
        return verb === "retry" || verb === "resume" ? this.#begin() : undefined;
      }
    });
  }

  /** `work` answers the download as it is after it, or undefined when it is gone. */
  async #attempt(work: () => Promise<Download | undefined>): Promise<void> {
    const asked = this.#asked;
    this.#isBusy = true;
    this.#isAsking = false;
    this.#fault = undefined;
    this.#render();
    const outcome = await work().catch(faultOf);
    // Something else is asked for by now, and whatever came of this is not about it.
    if (asked !== this.#asked) return;
    this.#isBusy = false;
    if (outcome === undefined) this.#forget();
    else if ("id" in outcome) {
      this.#take(outcome);
      this.#watch();
    } else {
      this.#fault = outcome;
      if (this.#state === "starting") this.#state = this.#download?.state ?? "failed";
      this.#fire("error", outcome);
    }
    this.#render();
  }

  #watch(): void {
    this.#leave();
    const id = this.#download?.id;
    if (id === undefined || !isOn(this.#state) || !this.isConnected) return;
    this.#leave = this.#service.watch(id, (what) => {
      if (what === null) this.#forget();
      else if (what === "lost") this.#isLost = true;
      else this.#take(what);
      this.#render();
    });
  }

  #take(download: Download): void {
    const before = this.#state;
    // That the service could not be reached is over, and so is whatever was said about another state.
    if (this.#isLost || this.#fault?.code === "unreachable" || before !== download.state)
      this.#fault = undefined;
    this.#download = download;
    this.#state = download.state;
    this.#isLost = false;
    this.#render();
    this.#fire("progress", download);
    if (before === this.#state || isOn(this.#state)) return;
    this.#leave();
    this.#isAsking = false;
    if (this.#state === "completed") this.#fire("done", download);
    if (this.#state === "failed")
      this.#fire("error", { code: download.error_code, message: download.error_message });
    this.#render();
  }

  /** As new: its record was deleted, or something else is asked for. What runs goes on without it. */
  #forget(): void {
    this.#leave();
    this.#download = undefined;
    this.#fault = undefined;
    this.#isLost = this.#isAsking = this.#isBusy = false;
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
      fault: this.#fault?.message ?? "",
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

function faultOf(error: unknown): { code: string; message: string } {
  if (!(error instanceof ServiceError)) return { code: "page_error", message: String(error) };
  const { code, message } = error;
  return { code, message: code === "invalid_request" ? inAttributes(message) : message };
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
