import { readFileSync } from "node:fs";
import { DownloadError } from "../../src/core/errors.ts";
import { startOrigin } from "../support/origin.ts";

export const MB = 1 << 20;

export const digest = (path: string): string =>
  new Bun.CryptoHasher("sha256").update(readFileSync(path)).digest("hex");

/** Code of the error that work ends in, or `fulfilled`. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "fulfilled";
  } catch (error) {
    return error instanceof DownloadError ? error.code : String(error);
  }
}

/** Resources that take a few seconds, so that commands meet them while they run. */
export const slowOrigin = () =>
  startOrigin({
    resources: [
      { path: "/slow.gguf", seed: 3, size: 8 * MB },
      { path: "/other.gguf", seed: 4, size: 8 * MB },
    ],
    ratePerConnection: MB,
    rateTotal: 4 * MB,
  });
