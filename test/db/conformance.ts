import { describe } from "bun:test";
import type { Database } from "../../src/core/database.ts";
import { downloadsSuite } from "./conformance-downloads.ts";
import { filesSuite } from "./conformance-files.ts";
import { listsSuite } from "./conformance-lists.ts";
import { queueSuite } from "./conformance-queue.ts";

/** Opens an empty database; whoever gives it also closes it. */
export type Open = () => Promise<Database>;

/** What every implementation of the port must do. A new one passes when this passes. */
export function testDatabase(name: string, open: Open): void {
  describe(name, () => {
    downloadsSuite(open);
    queueSuite(open);
    filesSuite(open);
    listsSuite(open);
  });
}
