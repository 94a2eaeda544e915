import type { Locator, Page } from "playwright-core";
import type { View } from "./browser.ts";

/** Adds downloads as a person does. */
export class Adding {
  readonly page: Page;
  constructor(readonly view: View) {
    this.page = view.page;
  }
  get field(): Locator {
    return this.view.field("URL, repository or model");
  }
  item(name: string): Locator {
    return this.page.getByRole("list", { name: "To download" }).getByRole("listitem", { name, exact: true });
  }
  async lookUp(text: string): Promise<void> {
    await this.field.fill(text);
    await this.view.button("Look up").click();
  }
  async download(): Promise<void> {
    await this.view.button(/^Download( \d+)?$/).click();
    await this.page.waitForURL(/#\/downloads$/);
  }
  chosen(within: Locator): Promise<string[]> {
    const boxes = within.getByRole("checkbox", { checked: true });
    return boxes.evaluateAll((all) =>
      all.map((it) => it.closest("label")?.querySelector("strong")?.textContent ?? ""),
    );
  }
}
