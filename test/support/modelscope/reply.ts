import { randomUUID } from "node:crypto";
import type { Reply } from "../origin.ts";

export type Headers = [name: string, value: string][];

/** Codes of refusals as the site has been seen to give them; nearly all come with HTTP 404. */
export const CODES = {
  notFound: 10010205001,
  noAccess: 10010200001,
  noTree: 10990101004,
  noFile: 10990101007,
} as const;

/** The envelope of every answer of the API. Messages are Chinese, as on the real site. */
export function envelope(
  status: number,
  { code = status, data = null, message = "", headers = [] }: Envelope,
): Reply {
  const body = { Code: code, Data: data, Message: message, RequestId: randomUUID(), Success: code === 200 };
  return {
    status,
    headers: [
      ["Content-Type", "application/json; charset=utf-8"],
      ["X-Request-Id", body.RequestId],
      ...headers,
    ],
    body: JSON.stringify(body),
  };
}

interface Envelope {
  code?: number;
  data?: unknown;
  message?: string;
  headers?: Headers;
}

export const ok = (data: unknown): Reply => envelope(200, { data, message: "success" });

export const NOT_FOUND = envelope(404, {
  code: CODES.notFound,
  message: "获取模型信息失败，信息：record not found",
});
export const NO_ACCESS = envelope(404, { code: CODES.noAccess, message: "无权限访问该模型" });
export const NO_TREE = envelope(404, { code: CODES.noTree, message: "获取模型目录树失败" });
export const noFile = (status: number): Reply =>
  envelope(status, { code: CODES.noFile, message: "获取模型文件失败，文件内容为空" });
/** Trouble of the site's own database, as it has been seen: a 404 that is none. */
export const TROUBLE = envelope(404, {
  code: CODES.notFound,
  message: "获取模型信息失败，信息：Error 1461: Can't create more than max_prepared_stmt_count statements",
});
export const tooMany = (seconds: number): Reply =>
  envelope(429, { message: "请求过于频繁", headers: [["Retry-After", String(seconds)]] });
