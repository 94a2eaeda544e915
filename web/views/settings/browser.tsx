import { useSignal } from "@preact/signals";
import { Select } from "../../parts/select.tsx";
import { Switch } from "../../parts/switch.tsx";
import { DENSITIES, type Density, INTERVALS, prefs, THEMES, type Theme } from "../../state/prefs.ts";

const THEME_WORDS: Record<Theme, string> = { auto: "As the system", light: "Light", dark: "Dark" };
const DENSITY_WORDS: Record<Density, string> = { comfortable: "Comfortable", compact: "Compact" };

/** What this browser keeps for itself. */
export function BrowserSettings() {
  return (
    <section class="card" aria-labelledby="settings-browser">
      <h3 id="settings-browser">This browser</h3>
      <p class="faint">Kept here, for nobody else.</p>
      <div class="settings-fields">
        <Select
          label="Colours"
          value={prefs.theme.value}
          options={THEMES.map((value) => ({ value, label: THEME_WORDS[value] }))}
          onChange={(theme) => (prefs.theme.value = theme)}
        />
        <Select
          label="Rows"
          value={prefs.density.value}
          options={DENSITIES.map((value) => ({ value, label: DENSITY_WORDS[value] }))}
          onChange={(density) => (prefs.density.value = density)}
        />
        <Select
          label="Refresh every"
          value={prefs.interval.value}
          options={INTERVALS.map((value) => ({ value, label: `${value} s` }))}
          onChange={(interval) => (prefs.interval.value = interval)}
        />
      </div>
      <p class="hint">
        The interval is used where there is no live connection, and for engines and their logs.
      </p>
      <Switch
        label="Live connection"
        checked={prefs.live.value}
        onChange={(live) => (prefs.live.value = live)}
      />
      <Notifications />
    </section>
  );
}

function Notifications() {
  const isRefused = useSignal(false);
  const isPossible = "Notification" in globalThis && globalThis.isSecureContext;
  const change = async (isWanted: boolean): Promise<void> => {
    const isAllowed = !isWanted || (await Notification.requestPermission()) === "granted";
    prefs.notifications.value = isWanted && isAllowed;
    isRefused.value = isWanted && !isAllowed;
  };
  return (
    <>
      <Switch
        label="Notify when a download ends"
        checked={prefs.notifications.value}
        disabled={!isPossible}
        onChange={(isWanted) => void change(isWanted)}
      />
      {!isPossible && <p class="hint">Browsers allow this on localhost and over https only.</p>}
      {isRefused.value && (
        <p class="field-error" role="alert">
          The browser refused. Allow notifications for this page in its settings, and try again.
        </p>
      )}
    </>
  );
}
