interface Grant {
  repo: string;
  until: number;
}

/** Tokens that open one repository each for a while, and users who may have them for private ones. */
export class Tokens {
  private readonly users = new Map<string, string>();
  private readonly grants = new Map<string, Grant>();
  private count = 0;

  constructor(readonly seconds: number) {}

  addUser(name: string): string {
    const token = `user-token-of-${name}`;
    this.users.set(token, name);
    return token;
  }

  /** Whether the header is that of a user. */
  isUser(authorization: string | undefined): boolean {
    return this.users.has(bearer(authorization));
  }

  give(repo: string): string {
    const token = `pull-token-${++this.count}`;
    this.grants.set(token, { repo, until: Date.now() + this.seconds * 1000 });
    return token;
  }

  opens(repo: string, authorization: string | undefined): boolean {
    const grant = this.grants.get(bearer(authorization));
    return grant !== undefined && grant.repo === repo && Date.now() < grant.until;
  }

  expireAll(): void {
    this.grants.clear();
  }
}

const bearer = (authorization = ""): string => authorization.replace(/^Bearer /i, "");
