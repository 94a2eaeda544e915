import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { hasBrowser, LOOKS, monitorWorld, PHONE } from "./browser.ts";
import { rowOf } from "./downloads-world.ts";

setDefaultTimeout(60_000);

const SHORT = "acme/small.gguf";
const LONG = "acme/Llama-3.2-3B-Instruct-GGUF/Llama-3.2-3B-Instruct-Q4_K_M.gguf";

describe.skipIf(!hasBrowser)("names in the list", () => {
  const world = monitorWorld({ origin: { resources: [{ path: "/m.bin", seed: 1, size: 1000 }] } });

  test.each(LOOKS)("A27 a name is cut where it tells least, in %s at %i px", async (theme, width) => {
    await world.daemon.must("PATCH", "/v1/settings", { paused: true });
    for (const model_id of [SHORT, LONG])
      await world.daemon.begin({ url: world.origin.url(`/m.bin?${model_id}`), model_id });
    const view = await world.open({ theme, width });
    const cut = (name: string) =>
      rowOf(view, name)
        .locator(".dl-id")
        .evaluate((element) => {
          const part = (selector: string) => element.querySelector<HTMLElement>(selector)!;
          const isWhole = (it: HTMLElement) => it.scrollWidth <= it.clientWidth;
          const [repo, file] = [part(".dl-repo"), part(".dl-file > :first-child")];
          const isSeen = repo.getBoundingClientRect().bottom > element.getBoundingClientRect().top + 1;
          const end = part(".dl-file > :last-child").getBoundingClientRect();
          const box = element.getBoundingClientRect();
          return {
            repo: !isSeen ? "left out" : isWhole(repo) ? "whole" : "cut",
            file: isWhole(file) ? "whole" : "cut",
            hasEnd: end.right <= box.right + 1 && end.bottom <= box.bottom + 1,
          };
        });
    expect(await cut(SHORT)).toEqual({ repo: "whole", file: "whole", hasEnd: true });
    // The end of the file's name tells one quantization from another.
    const long =
      width === PHONE
        ? { repo: "left out", file: "cut", hasEnd: true }
        : { repo: "cut", file: "whole", hasEnd: true };
    expect(await cut(LONG)).toEqual(long);
  });
});
