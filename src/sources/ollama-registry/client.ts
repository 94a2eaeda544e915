import { parseNamedDigest } from "../../core/download.ts";
import { DownloadError } from "../../core/errors.ts";
import type { Clock, Credentials, Http, HttpRequest, HttpResponse, SourceContext } from "../../core/ports.ts";
import { credentialsFor } from "../headers.ts";
import { statusError } from "../status.ts";
import { type Challenge, parseChallenge, tokenUrl } from "./challenge.ts";
import { registryError, tagMissing, unauthorized } from "./errors.ts";
import { DEFAULT_TAG } from "./name.ts";
import { type Place, urlOf } from "./place.ts";

const MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
/** Models of single tensors have manifests of some hundred KB. */
const LARGEST_MANIFEST = 8 << 20;
/** A token without a word about its time is good for so long (Docker's token specification). */
const TOKEN_SECONDS = 60;
/** A token is not used in the last moments of its time. */
const MARGIN_MS = 10_000;
/** Longest silence in the middle of a manifest. */
const SILENCE_MS = 30_000;
/** Most servers and callers whose way in is remembered. */
const MOST_KNOWN = 200;

/** How one caller gets into one model's part of a registry. */
interface Access {
  credentials: Credentials | undefined;
  /** Monotonic milliseconds. */
  until: number;
}

type Call = Pick<SourceContext, "secret" | "signal">;

/** The routes of a registry that a pull needs, and the tokens it may ask for. */
export class RegistryClient {
  readonly #http: Http;
  readonly #clock: Clock;
  readonly #known = new Map<string, Promise<Access>>();

  constructor(http: Http, clock: Clock) {
    this.#http = http;
    this.#clock = clock;
  }

  /** The manifest's own text, byte for byte. */
  async manifest(place: Place, call: Call): Promise<string> {
    const stop = new AbortController();
    const signal = AbortSignal.any([call.signal, stop.signal]);
    const request = this.#manifestRequest(place, place.name.tag);
    const { response, access } = await this.#enter(place, { ...call, signal }, request);
    this.#remember(place, call, Promise.resolve(access));
    const read = () => this.#patiently(place, stop, response.read());
    if (response.status === 200) return readManifest(place, { ...response, read });
    const body = await response.text();
    const error = registryError(place, response.status, response.headers, body, this.#clock.now());
    if (error.code === "not_found" && (await this.#hasLatest(place, call, access))) throw tagMissing(place);
    throw error;
  }

  /** Stops with `timeout` when nothing comes for too long. */
  async #patiently<T>(place: Place, stop: AbortController, wait: Promise<T>): Promise<T> {
    const heard = new AbortController();
    const late = () =>
      stop.abort(new DownloadError("timeout", `${place.server} fell silent in the middle of a manifest.`));
    this.#clock.sleep(SILENCE_MS, heard.signal).then(late, () => {});
    return wait.finally(() => heard.abort());
  }

  /** A small blob as JSON. */
  async json(place: Place, call: Call, digest: string): Promise<unknown> {
    const url = urlOf(place, "blobs", digest);
    const credentials = await this.credentials(place, call, digest);
    const response = await this.#ask(place, call, { url }, credentials);
    if (response.status === 200) return response.json(1 << 20);
    const body = await response.text();
    throw registryError(place, response.status, response.headers, body, this.#clock.now());
  }

  /** What opens the model's blobs, as the last answer showed; asks once when nothing is known (after a restart). */
  async credentials(place: Place, call: Call, digest: string): Promise<Credentials | undefined> {
    const key = keyOf(place, call);
    for (;;) {
      const known = this.#known.get(key);
      if (!known) return (await this.#remember(place, call, this.#knock(place, call, digest))).credentials;
      try {
        const { credentials, until } = await known;
        if (until > this.#clock.monotonic()) return credentials;
        if (this.#known.get(key) === known) this.#known.delete(key);
      } catch (error) {
        // Whoever asked may have been called off; that is no answer for others.
        if (call.signal.aborted || error instanceof DownloadError) throw error;
      }
    }
  }

  /** A registry has refused what it took before. */
  forget(place: Place): void {
    for (const key of this.#known.keys()) if (key.startsWith(prefixOf(place))) this.#known.delete(key);
  }

  async #knock(place: Place, call: Call, digest: string): Promise<Access> {
    const request = { url: urlOf(place, "blobs", digest), method: "HEAD", redirect: "manual" } as const;
    const { response, access } = await this.#enter(place, call, request);
    await response.cancel();
    return access;
  }

  /** Asks; where that is answered with a challenge, gets the token and asks again. */
  async #enter(
    place: Place,
    call: Call,
    request: HttpRequest,
  ): Promise<{ response: HttpResponse; access: Access }> {
    const own = credentialsFor(new URL(place.base).origin, call.secret);
    const response = await this.#ask(place, call, request, own);
    const challenge = parseChallenge(response.headers.get("www-authenticate"), new URL(place.base));
    const open = { credentials: own, until: Number.POSITIVE_INFINITY };
    if (response.status !== 401 || !challenge) return { response, access: open };
    await response.cancel();
    const access = await this.#token(place, call, challenge, own);
    return { response: await this.#ask(place, call, request, access.credentials), access };
  }

  async #token(
    place: Place,
    call: Call,
    challenge: Challenge,
    own: Credentials | undefined,
  ): Promise<Access> {
    const asked = this.#clock.monotonic();
    const response = await this.#ask(place, call, { url: tokenUrl(challenge) }, own);
    const { status, headers } = response;
    if (status !== 200) await response.cancel();
    if (status === 400 || status === 401 || status === 403)
      throw new DownloadError("auth_required", unauthorized(place), { status });
    if (status !== 200)
      throw statusError(status, headers, `The token server of ${place.server}`, this.#clock.now());
    const answer = (await response.json(1 << 16)) as Record<string, unknown> | null;
    const token = answer?.token ?? answer?.access_token;
    if (typeof token !== "string" || !/^[\u0021-\u007e]{1,16384}$/.test(token))
      throw new DownloadError("protocol", `The token server of ${place.server} gave no token.`);
    const seconds = typeof answer?.expires_in === "number" ? answer.expires_in : TOKEN_SECONDS;
    const { origin } = new URL(place.base);
    const credentials = { origin, headers: { Authorization: `Bearer ${token}` } };
    return { credentials, until: asked + Math.max(0, seconds * 1000 - MARGIN_MS) };
  }

  /** Registries answer alike whether the model or only its tag is missing: most models have a `latest`. */
  async #hasLatest(place: Place, call: Call, { credentials }: Access): Promise<boolean> {
    if (place.name.tag === DEFAULT_TAG) return false;
    try {
      const response = await this.#ask(place, call, this.#manifestRequest(place, DEFAULT_TAG), credentials);
      await response.cancel();
      return response.status === 200;
    } catch (error) {
      if (!(error instanceof DownloadError)) throw error;
      return false;
    }
  }

  #manifestRequest(place: Place, tag: string): HttpRequest {
    const headers = { Accept: MANIFEST, "Accept-Encoding": "identity" };
    return { url: urlOf(place, "manifests", tag), headers };
  }

  #ask(
    place: Place,
    { signal }: Call,
    request: HttpRequest,
    credentials: Credentials | undefined,
  ): Promise<HttpResponse> {
    const { operator } = place;
    return this.#http.request({ ...request, ...(credentials ? { credentials } : {}), signal, operator });
  }

  #remember(place: Place, call: Call, access: Promise<Access>): Promise<Access> {
    const key = keyOf(place, call);
    this.#known.delete(key);
    this.#known.set(key, access);
    access.catch(() => {
      if (this.#known.get(key) === access) this.#known.delete(key);
    });
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= MOST_KNOWN) break;
      this.#known.delete(oldest);
    }
    return access;
  }
}

const prefixOf = ({ base, name }: Place): string => `${base} ${name.namespace}/${name.model} `;

/** What one caller was given opens nothing for another. */
const keyOf = (place: Place, { secret }: Call): string =>
  prefixOf(place) + new Bun.CryptoHasher("sha256").update(JSON.stringify(secret)).digest("hex");

/** Throws `protocol` for what is no text in UTF-8, too long, or not what its own digest header says. */
async function readManifest(place: Place, response: HttpResponse): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (let chunk = await response.read(); chunk; chunk = await response.read()) {
    length += chunk.length;
    chunks.push(chunk);
    if (length <= LARGEST_MANIFEST) continue;
    await response.cancel();
    throw unreadable(place, `it is longer than ${LARGEST_MANIFEST} bytes`);
  }
  const bytes = Buffer.concat(chunks);
  const promised = parseNamedDigest(response.headers.get("docker-content-digest") ?? "");
  const found = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
  if (promised !== undefined && promised.hex !== found)
    throw unreadable(place, "its digest is not the one promised");
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw unreadable(place, "it is not text");
  }
}

function unreadable({ shown, name, server }: Place, why: string): DownloadError {
  return new DownloadError(
    "protocol",
    `The manifest of ${shown}:${name.tag} from ${server} cannot be used: ${why}. Try again, or check the address of the registry.`,
  );
}
