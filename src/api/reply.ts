const JSON_TYPE = "application/json; charset=utf-8";

/** A finished JSON answer. Handlers return it as it is, so that nothing is validated or serialized twice. */
export function json(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), { status, headers: { "Content-Type": JSON_TYPE, ...headers } });
}

export function text(body: string, type: string, status = 200): Response {
  return new Response(body, { status, headers: { "Content-Type": type } });
}
