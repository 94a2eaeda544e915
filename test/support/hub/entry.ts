import { type Content, gitSha1Of, literal, sha256 } from "../bytes.ts";

/** A file as a test declares it. */
export interface FileSpec {
  path: string;
  content: Content | string;
  /** Kept in large file storage. Default: by the ending of the name, as a usual `.gitattributes` says. */
  lfs?: boolean;
}

const LARGE = /\.(gguf|safetensors|bin|pt|pth|onnx|h5|msgpack|npz|zip|model)$/i;

/** A file of one commit. Digests are computed when first asked for, because big ones cost seconds. */
export class Entry {
  readonly path: string;
  readonly content: Content;
  readonly isLfs: boolean;
  private digest: string | undefined;
  private blob: string | undefined;

  constructor({ path, content, lfs }: FileSpec) {
    this.path = path;
    this.content = typeof content === "string" ? literal(content) : content;
    this.isLfs = lfs ?? LARGE.test(path);
  }

  get size(): number {
    return this.content.size;
  }

  get name(): string {
    return this.path.slice(this.path.lastIndexOf("/") + 1);
  }

  /** SHA-256 of the content. */
  get sha256(): string {
    this.digest ??= sha256(this.content);
    return this.digest;
  }

  /** What git holds: the content, or for large files the pointer to it (git-lfs pointer specification, v1). */
  get blobContent(): Content {
    if (!this.isLfs) return this.content;
    return literal(
      `version https://git-lfs.github.com/spec/v1\noid sha256:${this.sha256}\nsize ${this.size}\n`,
    );
  }

  /** The git blob id of that. */
  get oid(): string {
    this.blob ??= gitSha1Of(this.blobContent);
    return this.blob;
  }

  /** Not the real Xet hash, but as the real one different from every other digest of the file. */
  get xetHash(): string {
    return sha256(literal(`xet ${this.sha256}`));
  }
}
