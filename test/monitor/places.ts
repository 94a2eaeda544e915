/** Every view and dialog of the monitor and how a person gets there: for what has to hold in all of them. */
import type { View } from "./browser.ts";

export interface Place {
  name: string;
  /** From the page at `/` of a populated service, loaded anew. */
  reach(view: View): Promise<unknown>;
}

const at =
  (hash: string, sign: (view: View) => Promise<unknown>, more?: (view: View) => Promise<unknown>) =>
  async (view: View): Promise<void> => {
    await view.goto(hash);
    await sign(view);
    await more?.(view);
  };

const heading = (name: string | RegExp) => (view: View) =>
  view.page.getByRole("heading", { name }).first().waitFor({ state: "attached" });
const rows = (view: View) =>
  view.page.getByRole("list", { name: "Downloads" }).getByRole("listitem").nth(3).waitFor();
const downloads = (more?: (view: View) => Promise<unknown>) => at("#/downloads", rows, more);
const openMenu = async (view: View, of: string | RegExp): Promise<void> => {
  await view.button(of).first().click();
  await view.page.getByRole("menu").waitFor();
};
const chooseFrom = (menu: string | RegExp, item: string | RegExp) => async (view: View) => {
  await openMenu(view, menu);
  await view.menuItem(item).click();
  await view.page.getByRole("dialog").or(view.page.getByRole("alertdialog")).waitFor();
};
const lookUp = (what: string, sign: string | RegExp) => async (view: View) => {
  await view.field("URL, repository or model").fill(what);
  await view.button("Look up").click();
  await view.page.getByText(sign).first().waitFor();
};

export const PLACES: readonly Place[] = [
  { name: "downloads", reach: downloads() },
  {
    name: "downloads-details",
    reach: downloads(async (view) => {
      await view
        .button(/Mistral-7B-v0.3/)
        .first()
        .click();
      await view.button(/^Show files/).click();
      await view.page.getByRole("list", { name: "Files of this download" }).waitFor();
    }),
  },
  {
    name: "downloads-error",
    reach: downloads(async (view) => {
      await view.button(/^Failed/).click();
      await view
        .button(/^acme\/gemma/)
        .first()
        .click();
      await view.page.getByRole("region", { name: "Error" }).waitFor();
    }),
  },
  {
    name: "downloads-selection",
    reach: downloads(async (view) => {
      for (const box of (await view.page.getByRole("checkbox", { name: /^Select / }).all()).slice(0, 3))
        await box.check();
    }),
  },
  { name: "downloads-menu", reach: downloads((view) => openMenu(view, /^More for acme/)) },
  { name: "downloads-limit", reach: downloads(chooseFrom(/^More for acme/, /^Speed limit/)) },
  { name: "downloads-keyboard", reach: downloads(chooseFrom("More for all downloads", "Keyboard")) },
  {
    name: "downloads-confirm",
    reach: downloads(chooseFrom("More for all downloads", /^Remove finished/)),
  },
  {
    name: "downloads-nothing",
    reach: downloads(async (view) => {
      await view.field("Search").fill("nothing is called that");
      await view.button("Show all").waitFor();
    }),
  },
  { name: "add", reach: at("#/add", heading("Add downloads")) },
  {
    name: "add-repository",
    reach: at("#/add", heading("Add downloads"), lookUp("acme/Llama-3.2-3B-Instruct-GGUF", "Q4_K_M")),
  },
  {
    name: "add-gated",
    reach: at("#/add", heading("Add downloads"), lookUp("acme/gemma-3-4b-it-GGUF", /gated/)),
  },
  {
    name: "add-unknown",
    reach: at("#/add", heading("Add downloads"), async (view) => {
      // The API's own answer about a repository that is not there.
      view.allow(/404/);
      await lookUp("acme/no-such-thing", /acme\/no-such-thing/)(view);
      await view.button("Edit").waitFor();
    }),
  },
  {
    name: "add-options",
    reach: at("#/add", heading("Add downloads"), async (view) => {
      await lookUp("acme/Qwen3-8B-GGUF", "Q4_K_M")(view);
      await view.page.getByText("Options", { exact: true }).click();
      await view.field("Name").waitFor();
      await view.page.getByText(/^Engine ·/).click();
      await view.page.getByLabel("Make an engine of it when it is there").check();
      await view.field("Engine id").waitFor();
    }),
  },
  {
    name: "models",
    reach: at("#/models", heading("Models"), async (view) => {
      await view
        .button(/^Details of/)
        .first()
        .click();
    }),
  },
  {
    name: "models-delete",
    reach: at("#/models", heading("Models"), async (view) => {
      await view
        .button(/^Delete /)
        .first()
        .click();
      await view.page.getByRole("alertdialog").waitFor();
    }),
  },
  {
    name: "engines",
    reach: at("#/engines", heading("Engines"), async (view) => {
      await view
        .button(/^Open log of/)
        .first()
        .click();
      await view
        .button(/^Close log of/)
        .first()
        .waitFor();
    }),
  },
  { name: "settings", reach: at("#/settings", heading("Settings")) },
];

/** Ends what moves, so that two looks at one place are alike and a dialog stands still. */
export const settled = (view: View): Promise<unknown> =>
  view.page.evaluate(() =>
    Promise.all(document.getAnimations().map((it) => it.finished.catch(() => undefined))),
  );
