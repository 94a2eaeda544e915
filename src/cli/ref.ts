import type { StartRequest } from "../core/ports.ts";

export { parseRef } from "../core/reference.ts";

/** The request as `POST /v1/downloads` takes it. */
export function toBody(request: StartRequest): Record<string, unknown> {
  const body = {
    url: request.url,
    repo_id: request.repoId,
    filename: request.filename,
    include: request.include,
    exclude: request.exclude,
    revision: request.revision,
    provider: request.provider,
    model: request.model,
    base_url: request.baseUrl,
    model_id: request.modelId,
    sha256: request.sha256,
    token: request.token,
    rate_limit_bps: request.rateLimit,
    layout: request.layout,
  };
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined));
}
