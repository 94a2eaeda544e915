import { request } from "../../state/api.ts";

/** What a reference means, as the server reads it. */
export interface Reading {
  provider?: string;
  model_id?: string;
  /** Its files can be listed. */
  lists?: boolean;
  repo_id?: string;
  revision?: string;
  filename?: string;
  include?: string[];
  error?: { message: string; code: string | null };
}

/** One reading per reference, in their order. Throws `ApiError`. */
export async function readReferences(references: readonly string[]): Promise<Reading[]> {
  return (await request<{ readings: Reading[] }>("POST", "/v1/references", { references })).readings;
}
