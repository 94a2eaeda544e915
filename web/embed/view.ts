import type { Shown } from "./shown.ts";
import { styleSheet } from "./style.ts";

function part<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  name: string,
  attributes: Record<string, string> = {},
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries({ part: name, ...attributes })) element.setAttribute(key, value);
  return element;
}

/** The inside of one element. Texts go in as text, never as markup. */
export class View {
  readonly primary = part("button", "button", { type: "button" });
  readonly cancel = part("button", "cancel", { type: "button" });
  readonly #bar = part("div", "bar", { role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100" });
  readonly #fill = part("div", "fill");
  readonly #status = part("div", "status", { tabindex: "-1" });
  readonly #error = part("p", "error", { role: "alert" });
  readonly #live = part("div", "live", { role: "status" });
  readonly #root: ShadowRoot;

  constructor(host: HTMLElement) {
    this.#root = host.attachShadow({ mode: "open" });
    this.#root.adoptedStyleSheets = [styleSheet()];
    this.#bar.append(this.#fill);
    this.#root.append(this.primary, this.cancel, this.#bar, this.#status, this.#error, this.#live);
  }

  /** `name` is what the bar is the progress of. */
  show(it: Shown, name: string, spoken: string, isBusy: boolean): void {
    const focused = this.#root.activeElement;
    put(this.primary, it.primary);
    put(this.cancel, it.cancel);
    put(this.#status, it.status);
    put(this.#error, it.error);
    this.primary.setAttribute("aria-disabled", String(isBusy));
    this.cancel.setAttribute("aria-disabled", String(isBusy));
    this.#progress(it, name);
    // The region itself stays, or what is put into it is not read.
    if (this.#live.textContent !== spoken) this.#live.textContent = spoken;
    if (focused instanceof HTMLElement && focused.hidden)
      (this.primary.hidden ? this.#status : this.primary).focus();
  }

  #progress({ percentage, status }: Shown, name: string): void {
    const bar = this.#bar;
    bar.hidden = percentage === undefined;
    bar.setAttribute("aria-label", name);
    bar.setAttribute("aria-valuetext", status);
    if (typeof percentage === "number") bar.setAttribute("aria-valuenow", percentage.toFixed(1));
    else bar.removeAttribute("aria-valuenow");
    this.#fill.style.setProperty("transform", `scaleX(${(percentage ?? 0) / 100})`);
  }
}

function put(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
  element.hidden = text === "";
}
