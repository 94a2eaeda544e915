import { Type } from "@sinclair/typebox";
import { operation } from "./doc.ts";
import { refuseKolosal } from "./envelope.ts";
import * as examples from "./examples.ts";
import { type ApiContext, type Family, newRoutes } from "./family.ts";
import { TICKET_SECONDS } from "./guard.ts";
import { json } from "./reply.ts";
import { open } from "./wire.ts";

export const LOGIN_PATH = "/v1/session";

const KeySchema = open(
  { key: Type.String({ minLength: 1, maxLength: 4096, description: "The API key" }) },
  { example: { key: "the API key" } },
);
const DoneSchema = open({ success: Type.Boolean(), message: Type.String() });

/** Login by cookie for browsers, and tickets for streams they cannot send headers with (A15, F183). */
export function sessionFamily({ guard, exchange }: ApiContext): Family {
  const routes = newRoutes()
    .post(
      LOGIN_PATH,
      async ({ body, request }) => {
        const cookie = await guard.login(body.key, exchange(request).source);
        if (cookie === undefined) return json({ success: true, message: "No key is needed" });
        return json({ success: true, message: "Session opened" }, 200, { "Set-Cookie": cookie });
      },
      {
        body: KeySchema,
        parse: ({ request }) => exchange(request).body ?? {},
        ...operation({
          id: "openSession",
          tag: "session",
          summary: "Exchange the API key for a session cookie",
          answers: {
            200: {
              description: "Logged in",
              schema: DoneSchema,
              headers: { "Set-Cookie": "The session" },
              example: examples.SESSION_OPENED,
            },
          },
          changes: true,
        }),
      },
    )
    .delete(
      LOGIN_PATH,
      ({ request }) =>
        json({ success: true, message: "Session closed" }, 200, { "Set-Cookie": guard.logout(request) }),
      operation({
        id: "closeSession",
        tag: "session",
        summary: "End the session and the streams it opened",
        answers: { 200: { description: "Logged out", schema: DoneSchema, example: examples.SESSION_CLOSED } },
        changes: true,
      }),
    )
    .post(
      "/v1/tickets",
      ({ request }) =>
        json({ ticket: guard.issueTicket(exchange(request).access), expires_in: TICKET_SECONDS }),
      operation({
        id: "createTicket",
        tag: "session",
        summary: "A single-use pass to open one stream with ?ticket=",
        answers: {
          200: {
            description: "The ticket",
            schema: open({
              ticket: Type.String(),
              expires_in: Type.Integer({ description: "Seconds" }),
            }),
            example: examples.TICKET,
          },
        },
        changes: true,
      }),
    );
  return { name: "session", prefixes: [], routes, refuse: refuseKolosal };
}
