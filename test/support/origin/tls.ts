import { createSign, generateKeyPairSync, type KeyObject } from "node:crypto";
import { bits, context, type Der, integer, octets, oid, sequence, set, time, utf8 } from "./der.ts";

/** Which certificate an origin shows. All but `self-signed` come from the origin's own CA. */
export type CertificateKind = "valid" | "self-signed" | "wrong-host" | "expired";

export interface Certificate {
  key: string;
  cert: string;
  /** PEM of the authority that a client has to trust. */
  ca: string;
}

const DAY_MS = 86_400_000;
const ECDSA_SHA256 = sequence(oid("1.2.840.10045.4.3.2"));
const COMMON_NAME = "2.5.4.3";
const SUBJECT_ALT_NAME = "2.5.29.17";
const BASIC_CONSTRAINTS = "2.5.29.19";
const KEY_USAGE = "2.5.29.15";

interface Request {
  subject: string;
  issuer: string;
  publicKey: KeyObject;
  signedBy: KeyObject;
  validFrom: Date;
  validTo: Date;
  extensions: Der[];
}

const keyPair = (): { publicKey: KeyObject; privateKey: KeyObject } =>
  generateKeyPairSync("ec", { namedCurve: "prime256v1" });

const nameOf = (commonName: string): Der => sequence(set(sequence(oid(COMMON_NAME), utf8(commonName))));

function extension(id: string, critical: boolean, value: Der): Der {
  return sequence(oid(id), ...(critical ? [Uint8Array.of(0x01, 0x01, 0xff)] : []), octets(value));
}

/** An X.509 v3 certificate in PEM (RFC 5280 §4.1). */
function certify(request: Request): string {
  const body = sequence(
    context(0, integer(2)),
    integer(Date.now() * 1000 + Math.floor(Math.random() * 1000)),
    ECDSA_SHA256,
    nameOf(request.issuer),
    sequence(time(request.validFrom), time(request.validTo)),
    nameOf(request.subject),
    request.publicKey.export({ type: "spki", format: "der" }),
    context(3, sequence(...request.extensions)),
  );
  const signature = createSign("sha256").update(body).sign(request.signedBy);
  const der = sequence(body, ECDSA_SHA256, bits(signature));
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

/** Subject alternative names: loopback, or a host that the client did not ask for. */
function altNames(kind: CertificateKind): Der {
  const dns = (name: string): Der => context(2, Buffer.from(name), "primitive");
  const ip = (...octetsOfIp: number[]): Der => context(7, Uint8Array.from(octetsOfIp), "primitive");
  if (kind === "wrong-host") return sequence(dns("elsewhere.example"));
  return sequence(dns("localhost"), ip(127, 0, 0, 1), ip(...new Array<number>(15).fill(0), 1));
}

/** A fresh key and certificate, with the authority that signed it. */
export function certificate(kind: CertificateKind = "valid"): Certificate {
  const now = Date.now();
  const authority = keyPair();
  const server = keyPair();
  const life = { validFrom: new Date(now - 30 * DAY_MS), validTo: new Date(now + 30 * DAY_MS) };
  const ca = certify({
    subject: "modelhaul test authority",
    issuer: "modelhaul test authority",
    publicKey: authority.publicKey,
    signedBy: authority.privateKey,
    ...life,
    extensions: [
      extension(BASIC_CONSTRAINTS, true, sequence(Uint8Array.of(0x01, 0x01, 0xff))),
      extension(KEY_USAGE, true, bits(Uint8Array.of(0x06), 1)),
    ],
  });
  const selfSigned = kind === "self-signed";
  const cert = certify({
    subject: "modelhaul test origin",
    issuer: selfSigned ? "modelhaul test origin" : "modelhaul test authority",
    publicKey: server.publicKey,
    signedBy: selfSigned ? server.privateKey : authority.privateKey,
    validFrom: life.validFrom,
    validTo: kind === "expired" ? new Date(now - DAY_MS) : life.validTo,
    extensions: [extension(SUBJECT_ALT_NAME, false, altNames(kind))],
  });
  return { key: server.privateKey.export({ type: "pkcs8", format: "pem" }).toString(), cert, ca };
}
