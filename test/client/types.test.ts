import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { type Served, serve } from "../api/support.ts";
import { project, typesOf } from "./generated.ts";

/** The machine may be busy. */
setDefaultTimeout(120_000);

let served: Served;
let types: string;
beforeAll(async () => {
  served = await serve();
  types = await typesOf((await served.api.openapi()) as object);
});
afterAll(() => served[Symbol.asyncDispose]());

/** Our type, and what the document says of the same thing. */
const PAIRS: Record<string, string> = {
  Download: 'S["Download"]',
  DownloadFile: 'S["File"]',
  DownloadList: 'S["DownloadList"]',
  Summary: 'S["Summary"]',
  EngineCreation: 'S["EngineCreation"]',
  CommandDone: 'S["CommandDone"]',
  Cancellation: 'S["Cancellation"]',
  BulkCancellation: 'S["BulkCancellation"]',
  BulkPause: 'Good<"pauseAllDownloads", 200>',
  BulkResume: 'Good<"resumeAllDownloads", 200>',
  Settings: 'S["Settings"]',
  Engine: 'S["Engine"]',
  EngineList: 'Good<"listEngines", 200>',
  EngineLog: 'Good<"getEngineLog", 200>',
  EngineCreated: 'Good<"addEngine", 201>',
  EngineStarted: 'Good<"addEngine", 202>',
  ModelList: 'Good<"listModels", 200>',
  ModelStatus: 'Good<"getModelStatus", 200>',
  ModelCreated: 'Good<"addModel", 201>',
  ModelStarted: 'Good<"addModel", 202>',
  FileList: 'Good<"listFiles", 200>',
  Verification: 'Good<"verifyFile", 200>',
  RemoteListing: 'Good<"listRemoteFiles", 200>',
  Reading: 'Good<"readReferences", 200>["readings"][number]',
  SourceInfo: 'Good<"listSources", 200>["sources"][number]',
  Health: 'Good<"getHealth", 200>',
  StorageInfo: 'Good<"getStorage", 200>',
  DownloadResponse: 'S["LocalDownloadResponse"]',
  DownloadStatus: 'S["LocalDownloadStatus"]',
};
/** Requests: what our type allows must be what the document allows. */
const BODIES: Record<string, string> = {
  StartRequest: "startDownload",
  ChangeRequest: "changeDownload",
  Settings: "changeSettings",
  AddEngine: "addEngine",
  AddModel: "addModel",
  DownloadRequest: "startLocalDownload",
};

describe("R185 R26 the client's types", () => {
  const source = (pairs: Record<string, string>, bodies: Record<string, string>): string => `
import type * as Client from "${join(import.meta.dir, "../../src/client/index.ts")}";
import type { components, operations } from "./schema.d.ts";
type S = components["schemas"];
type Answers<Id extends keyof operations> = operations[Id]["responses"];
type Good<Id extends keyof operations, Status extends number> = Answers<Id> extends {
  [K in Status]: { content: { "application/json": infer Body } };
} ? Body : never;
type Body<Id extends keyof operations> = operations[Id] extends { requestBody?: { content: { "application/json": infer B } } } ? B : never;
/** Members that the document leaves open do not count. */
type Known<T> = T extends readonly (infer Item)[] ? Known<Item>[]
  : T extends object ? string extends keyof T
    ? { [K in keyof T as string extends K ? never : K]: Known<T[K]> }
    : { [K in keyof T]: Known<T[K]> }
  : T;
${Object.entries(pairs)
  .map(
    ([ours, theirs]) =>
      `{ const theirs = null! as Known<${theirs}>; const ours: Known<Client.${ours}> = theirs; const missing: Exclude<keyof Known<${theirs}>, keyof Client.${ours}> extends never ? true : false = true; const invented: Exclude<keyof Client.${ours}, keyof Known<${theirs}>> extends never ? true : false = true; void [ours, missing, invented]; }`,
  )
  .join("\n")}
${Object.entries(bodies)
  .map(
    ([ours, id]) =>
      `{ const ours = null! as Client.${ours}; const theirs: Known<Body<"${id}">> = ours; const missing: Exclude<keyof Known<Body<"${id}">>, keyof Client.${ours} | "action" | "model_id"> extends never ? true : false = true; void [theirs, missing]; }`,
  )
  .join("\n")}
`;

  test("are those of the document: each answer fits, no member is missing and none invented", async () => {
    using made = await project({ "schema.d.ts": types, "conforms.ts": source(PAIRS, BODIES) });
    expect(await made.compile()).toBe("");
  });

  test("and the comparison finds what is not so", async () => {
    const wrong = source(
      { Summary: 'S["File"]', Health: 'Good<"getStorage", 200>' },
      { AddModel: "startDownload" },
    );
    using made = await project({ "schema.d.ts": types, "conforms.ts": wrong });
    const said = await made.compile();
    expect(said).toContain("conforms.ts");
    expect(said.match(/error TS2322|error TS2739|error TS2740/g)?.length).toBeGreaterThan(3);
  });
});
