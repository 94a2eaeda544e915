import { DownloadError } from "../../src/core/errors.ts";
import type { Database } from "../../src/core/ports.ts";

type Method = keyof Database;

/** What happens around calls of one method of a database. */
export interface Hook {
  /** Before the call: throwing makes the call fail, waiting holds it up. `count` begins with 1. */
  before?(args: readonly unknown[], count: number): void | Promise<void>;
  /** After it, before whoever called learns of it. */
  after?(args: readonly unknown[], count: number): void | Promise<void>;
}

/** The real database, with some of its calls failing or held up on order. Hooks may be set and removed at any time. */
export function interpose(db: Database, hooks: Partial<Record<Method, Hook>>): Database {
  const counts = new Map<Method, number>();
  return new Proxy(db, {
    get(target, name: Method) {
      const method = target[name] as (...args: unknown[]) => unknown;
      if (typeof method !== "function" || name === "nextSeq") return method.bind?.(target) ?? method;
      return async (...args: unknown[]) => {
        const hook = hooks[name];
        const count = (counts.get(name) ?? 0) + 1;
        counts.set(name, count);
        await hook?.before?.(args, count);
        const result = await method.apply(target, args);
        await hook?.after?.(args, count);
        return result;
      };
    },
  });
}

/** What a full or broken disk under the database looks like to core. */
export const diskTrouble = () => new DownloadError("io", "The disk under the database reports an error.");
