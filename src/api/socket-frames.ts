import { type Static, Type } from "@sinclair/typebox";
import { StartSchema } from "./downloads/schemas.ts";
import { open } from "./wire.ts";

const MOST_IDS = 1000;

export const Ref = Type.Union([Type.String({ maxLength: 256 }), Type.Number()], {
  description: "Chosen by the client; stands in the reply",
});
export type RefValue = Static<typeof Ref>;

const Ids = Type.Array(Type.String({ minLength: 1, maxLength: 512 }), {
  maxItems: MOST_IDS,
  description: "model_ids or UUIDs; all downloads when not given",
});

const Command = open({ ref: Ref, id: Type.String({ minLength: 1, maxLength: 512 }) });

/** What a client may send over the WebSocket, by the frame's `type`; the four commands have one form. */
export const CLIENT_FRAMES = {
  subscribe: open({
    ref: Type.Optional(Ref),
    ids: Type.Optional(Ids),
    since: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: Number.MAX_SAFE_INTEGER,
        description: "Continue after this event; a snapshot comes when that is too long ago, or not given",
      }),
    ),
  }),
  unsubscribe: open({ ref: Type.Optional(Ref), ids: Type.Optional(Ids) }),
  start: open({ ref: Ref, body: StartSchema }),
  command: Command,
};
