import { useComputed } from "@preact/signals";
import { IconButton } from "../parts/button.tsx";
import { bytes, speed } from "../parts/format.ts";
import { Icon, type IconName } from "../parts/icon.tsx";
import { logout, tell } from "../state/actions.ts";
import { isStale } from "../state/connection.ts";
import { prefs, THEMES, type Theme } from "../state/prefs.ts";
import { href } from "../state/route.ts";
import { hasSession } from "../state/session.ts";
import { storage, totalSpeed } from "../state/store.ts";
import { ConnectionControl } from "./connection.tsx";
import { Nav } from "./nav.tsx";

export function Header() {
  return (
    <header class="head">
      <h1 class="brand">
        <Icon name="down" size={20} />
        modelhaul
      </h1>
      <Nav />
      <div class="figures">
        <Speed />
        <FreeSpace />
      </div>
      <a class="button primary add-link" href={href("add")}>
        <Icon name="plus" />
        Add
      </a>
      <div class="head-tools">
        <ConnectionControl />
        <span class="theme-button">
          <ThemeButton />
        </span>
        {hasSession.value && (
          <IconButton icon="logout" label="Log out" onClick={() => void logout().catch(tell)} />
        )}
      </div>
    </header>
  );
}

function Speed() {
  const shown = useComputed(() => (isStale.value ? "–" : speed(totalSpeed.value)));
  return (
    <span class="figure" title="Speed of all downloads together">
      <Icon name="speed" />
      <span class="unseen">Total speed</span> <b>{shown}</b>
    </span>
  );
}

function FreeSpace() {
  if (!storage.value) return null;
  return (
    <span class="figure" title="Free space for models">
      <Icon name="disk" />
      <b>{bytes(storage.value.free_bytes)}</b> free
    </span>
  );
}

const THEME_ICONS: Record<Theme, IconName> = { auto: "auto", light: "sun", dark: "moon" };

function ThemeButton() {
  const now = prefs.theme.value;
  const next = THEMES[(THEMES.indexOf(now) + 1) % THEMES.length]!;
  return (
    <IconButton
      icon={THEME_ICONS[now]}
      label={`Theme: ${now}. Change to ${next}`}
      onClick={() => (prefs.theme.value = next)}
    />
  );
}
