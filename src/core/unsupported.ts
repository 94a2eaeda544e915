/** Providers of chat models without anything to download, and why (R183). */
const WITHOUT_DOWNLOADS = new Map(
  Object.entries({
    lmstudio: "LM Studio has no download API; use its application or its lms command",
    openai: "its models run in its cloud only",
    anthropic: "its models run in its cloud only",
  }),
);

/** Whether it is one that people know and nothing can be downloaded from. */
export const hasNoDownloads = (provider: string): boolean => reasonOf(provider) !== undefined;

/** Why this provider cannot be asked. `supported` are the names of the sources. */
export function unsupportedText(provider: string, supported: readonly string[]): string {
  const why = reasonOf(provider);
  const reason = why === undefined ? "" : `: ${why}`;
  return `Provider '${provider}' does not support model downloads${reason}. Supported providers: ${supported.join(", ")}.`;
}

const reasonOf = (provider: string): string | undefined =>
  WITHOUT_DOWNLOADS.get(provider.toLowerCase().replace(/[\s_-]/g, ""));
