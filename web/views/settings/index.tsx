import "../page.css";
import "./settings.css";
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Button } from "../../parts/button.tsx";
import { bytes } from "../../parts/format.ts";
import { ErrorBox, Loading } from "../../parts/states.tsx";
import { loadSettings, loadStorage } from "../../state/actions.ts";
import { request } from "../../state/api.ts";
import { isStale } from "../../state/connection.ts";
import { settings, storage } from "../../state/store.ts";
import { BrowserSettings } from "./browser.tsx";
import { ServerSettings } from "./server.tsx";

export function SettingsView() {
  const problem = useSignal<string | undefined>(undefined);
  const load = async (): Promise<void> => {
    try {
      await Promise.all([loadSettings(), loadStorage()]);
      problem.value = undefined;
    } catch (error) {
      problem.value = error instanceof Error ? error.message : String(error);
    }
  };
  const isAway = isStale.value;
  useEffect(() => {
    if (!isAway || settings.peek() === null) void load();
  }, [isAway]);
  const now = settings.value;
  return (
    <div class="page">
      <header class="page-head">
        <h2>Settings</h2>
      </header>
      {problem.value && (
        <ErrorBox
          title="The settings could not be read"
          action={<Button onClick={() => void load()}>Try again</Button>}
        >
          {problem.value}
        </ErrorBox>
      )}
      {now === null ? problem.value === undefined && <Loading /> : <ServerSettings settings={now} />}
      <BrowserSettings />
      <About />
    </div>
  );
}

const LINKS = [
  { href: "/swagger", text: "API, to click through" },
  { href: "/openapi.json", text: "OpenAPI document" },
  { href: "/llms.txt", text: "Guide for programs" },
  { href: "/metrics", text: "Metrics" },
];

function About() {
  const version = useSignal<string | undefined>(undefined);
  const isAway = isStale.value;
  useEffect(() => {
    if (isAway) return;
    request<{ version: string }>("GET", "/health").then(
      (health) => (version.value = health.version),
      () => {},
    );
  }, [isAway]);
  const disk = storage.value;
  return (
    <section class="card" aria-labelledby="settings-about">
      <h3 id="settings-about">About this server</h3>
      <p>modelhaul {version}</p>
      {disk && (
        <dl class="settings-disk">
          <div>
            <dt>Models take</dt>
            <dd>{bytes(disk.models_bytes)}</dd>
          </div>
          <div>
            <dt>Unfinished downloads take</dt>
            <dd>{bytes(disk.partial_bytes)}</dd>
          </div>
          <div>
            <dt>Downloads will take</dt>
            <dd>{bytes(disk.reserved_bytes)}</dd>
          </div>
          <div>
            <dt>Free for more</dt>
            <dd>{bytes(disk.free_bytes)}</dd>
          </div>
        </dl>
      )}
      <ul class="settings-links">
        {LINKS.map(({ href, text }) => (
          <li key={href}>
            <a href={href} target="_blank" rel="noopener">
              {text}
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}
