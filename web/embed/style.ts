/** A constructable stylesheet: no style element or attribute, so a strict policy of the page lets it pass. */
const CSS = `
:host {
  --_accent: var(--model-download-accent, light-dark(#1d4ed8, #8ab4ff));
  --_on-accent: var(--model-download-on-accent, light-dark(#fff, #0b1220));
  --_track: var(--model-download-track, color-mix(in srgb, currentColor 16%, transparent));
  --_error: var(--model-download-error, light-dark(#b42318, #ff9c94));
  --_radius: var(--model-download-radius, .375rem);
  display: inline-grid;
  grid-template-columns: auto auto 1fr;
  gap: .375rem .5rem;
  align-items: center;
  max-inline-size: 100%;
  font: inherit;
  font-variant-numeric: tabular-nums;
  text-align: start;
}
:host([hidden]), [hidden] { display: none !important; }
:host(:state(shown)) { inline-size: var(--model-download-width, 24rem); }
button {
  min-block-size: 2.25em;
  padding: .3em .9em;
  border: 1px solid var(--_accent);
  border-radius: var(--_radius);
  background: var(--_accent);
  color: var(--_on-accent);
  font: inherit;
  cursor: pointer;
  overflow-wrap: anywhere;
}
[part~=cancel] { background: none; color: inherit; border-color: var(--_track); }
button:hover { filter: brightness(1.08); }
button[aria-disabled=true] { opacity: .55; cursor: default; filter: none; }
:focus-visible { outline: 2px solid var(--_accent); outline-offset: 2px; }
[part=status]:focus { outline: none; }
[part=bar] {
  grid-column: 1 / -1;
  block-size: .5rem;
  border-radius: 1rem;
  background: var(--_track);
  overflow: hidden;
}
[part=fill] {
  block-size: 100%;
  inline-size: 100%;
  background: var(--_accent);
  transform-origin: 0 0;
  transition: transform .2s linear;
}
:host(:dir(rtl)) [part=fill] { transform-origin: 100% 0; }
[part=status], [part=error] { grid-column: 1 / -1; overflow-wrap: anywhere; font-size: .875em; }
[part=error] { color: var(--_error); margin: 0; }
[part=live] { position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media (prefers-reduced-motion: reduce) { [part=fill] { transition: none; } }
@media (forced-colors: active) {
  [part=bar] { border: 1px solid; }
  [part=fill] { background: Highlight; }
}
`;

let sheet: CSSStyleSheet | undefined;

export function styleSheet(): CSSStyleSheet {
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(CSS);
  }
  return sheet;
}
