import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { shapeOf } from "../rig/fuzz/judge.ts";
import { RawClient, rawAnswer } from "../support/raw.ts";
import { type Served, serve } from "./support.ts";

/** Bun looks at connections every few seconds, and the machine may be busy. */
setDefaultTimeout(60_000);

let served: Served;
beforeAll(async () => {
  served = await serve({ bodySeconds: 0.3, idleSeconds: 1, product: { settings: { paused: true } } });
  await served.call("POST", "/v1/downloads", { url: "http://127.0.0.1:9/a.bin", model_id: "here" });
});
afterAll(() => served[Symbol.asyncDispose]());

const LENGTH = "Content-Length: 100000";
const head = (method: string, path: string, ...more: string[]): string =>
  [`${method} ${path} HTTP/1.1`, "Host: localhost", "Content-Type: application/json", ...more, "", ""].join(
    "\r\n",
  );

/** Sends the head, then a piece of the body now and then for as long as the connection stands. */
async function trickle(text: string, piece = " ") {
  const client = await RawClient.connect(served.port);
  const timer = setInterval(() => client.send(piece), 20);
  try {
    client.send(text);
    // Until the server ends the connection.
    const received = await client.read({ timeoutMs: 50_000 });
    return rawAnswer(received, client.ending);
  } finally {
    clearInterval(timer);
    client.close();
  }
}

const parsed = (body: Uint8Array) => JSON.parse(Buffer.from(body).toString());

test("F144 a body that trickles in is refused on every route that takes one, in its family's shape, and the connection closed; others are answered meanwhile", async () => {
  const routes = served.api.routes().filter(({ method }) => !["GET", "HEAD", "OPTIONS"].includes(method));
  expect(routes.length).toBeGreaterThan(30);
  const answers = routes.map(async ({ method, path }) => {
    const asked = path.replace(/:[^/]+/g, "here");
    const { status, body, header, ending } = await trickle(head(method, asked, LENGTH));
    const answer = {
      status,
      headers: new Headers({ "content-type": header("content-type")[0] ?? "" }),
      body: parsed(body),
    };
    return [method, path, status, shapeOf(asked).problems(answer), header("connection"), ending];
  });
  expect((await served.call("GET", "/health")).status).toBe(200);
  const expected = routes.map(({ method, path }) => [method, path, 408, [], ["close"], expect.any(String)]);
  expect(await Promise.all(answers)).toEqual(expected);
  expect((await served.call("GET", "/v1/downloads/here")).body.state).toBe("queued");
});

test("F144 one in chunks too", async () => {
  const { status, body } = await trickle(
    head("POST", "/v1/downloads", "Transfer-Encoding: chunked"),
    "1\r\n \r\n",
  );
  const { code, message } = parsed(body).error;
  expect([status, code]).toEqual([408, "request_timeout"]);
  expect(message).toContain("send all of it at once");
});

test.each([
  ["of a read", "GET", "/v1/downloads", 200],
  ["of what nobody takes", "POST", "/v1/nothing", 400],
  ["of a method nobody takes", "PUT", "/v1/downloads", 405],
])(
  "F144 a body %s that trickles in holds no connection: it is answered at once, and closed",
  async (...it) => {
    const [, method, path, status] = it;
    const answer = await trickle(head(method, path, LENGTH));
    expect([answer.status, answer.ending === "open"]).toEqual([status, false]);
  },
);
