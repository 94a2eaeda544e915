import { describe, expect, test } from "bun:test";
import { parseRemoteUrl } from "../../src/core/remote-url.ts";
import { addressRules, allowList, reach } from "../../src/http/addresses.ts";

const parsed = (text: string): URL => new URL(parseRemoteUrl(text));

test.each([
  ["8.8.8.8", "public"],
  ["2606:4700::1111", "public"],
  ["127.0.0.1", "private"],
  ["127.255.1.2", "private"],
  ["::1", "private"],
  ["0.0.0.0", "private"],
  ["0.1.2.3", "private"],
  ["::", "private"],
  ["10.1.2.3", "private"],
  ["172.16.0.1", "private"],
  ["172.32.0.1", "public"],
  ["192.168.1.1", "private"],
  ["100.64.0.1", "private"],
  ["198.18.0.1", "private"],
  ["192.0.2.1", "private"],
  ["240.0.0.1", "private"],
  ["fd00::1", "private"],
  ["fec0::1", "private"],
  ["2001:db8::1", "private"],
  ["2001::1", "private"],
  ["100::1", "private"],
  ["169.254.1.1", "never"],
  ["169.254.169.254", "never"],
  ["fe80::1", "never"],
  ["fd00:ec2::254", "never"],
  ["fd20:ce::254", "never"],
  ["100.100.100.200", "never"],
  ["168.63.129.16", "never"],
  ["224.0.0.1", "never"],
  ["ff02::1", "never"],
  ["255.255.255.255", "never"],
  ["::ffff:127.0.0.1", "private"],
  ["::ffff:7f00:1", "private"],
  ["::ffff:a9fe:a9fe", "never"],
  ["::ffff:808:808", "public"],
  ["::7f00:1", "private"],
  ["::ffff:0:7f00:1", "private"],
  ["64:ff9b::7f00:1", "private"],
  ["64:ff9b::a9fe:a9fe", "never"],
  ["64:ff9b::808:808", "public"],
  ["64:ff9b:1::808:808", "private"],
  ["2002:7f00:1::1", "private"],
  ["2002:a9fe:a9fe::1", "never"],
  ["2002:808:808::1", "public"],
  ["not an address", "never"],
])("F166 F167 F169 %s is %s", (address, expected) => {
  expect(reach(address)).toBe(expected as ReturnType<typeof reach>);
});

const codeOf = (run: () => void): string | undefined => {
  try {
    run();
  } catch (error) {
    return (error as { code: string }).code;
  }
  return undefined;
};
const closed = addressRules({ allowPrivate: false, allowAddresses: [] });
const open = addressRules({ allowPrivate: true, allowAddresses: [] });

test.each([
  "http://127.0.0.1/",
  "http://0x7f.1/",
  "http://2130706433/",
  "http://0177.0.0.1/",
  "http://①②⑦.⓪.⓪.①/",
  "http://127.1/",
  "http://[::1]/",
  "http://[::]/",
  "http://0/",
  "http://[::ffff:7f00:1]/",
  "http://[::ffff:127.0.0.1]/",
  "http://[64:ff9b::7f00:1]/",
  "http://localhost/",
  "http://LOCALHOST./",
  "http://localhost..../",
  "http://a.localhost/",
  "http://169.254.169.254/latest/meta-data/",
  "http://metadata.google.internal/",
  "http://METADATA.google.internal./",
  "http://192.168.0.1./",
  "http://10.0.0.1:8080/",
])("F166 F168 F169 %s is refused before anything is resolved", (url) => {
  expect(codeOf(() => closed.checkHost(parsed(url)))).toBe("forbidden_address");
});

test("F166 one bad address among good ones condemns the name", () => {
  const url = parsed("http://mixed.example/");
  const good = { address: "8.8.8.8", family: 4 } as const;
  expect(codeOf(() => closed.checkAddresses(url, [good]))).toBeUndefined();
  expect(codeOf(() => closed.checkAddresses(url, [good, { address: "10.0.0.1", family: 4 }]))).toBe(
    "forbidden_address",
  );
});

test("F167 metadata and link-local stay closed when private is open, allowed and operator-named", () => {
  const rules = addressRules({
    allowPrivate: true,
    allowAddresses: ["169.254.0.0/16", "metadata.google.internal", "fd00:ec2::254"],
  });
  for (const url of [
    "http://169.254.169.254/",
    "http://metadata.google.internal/",
    "http://[fd00:ec2::254]/",
  ])
    expect(codeOf(() => rules.checkHost(parsed(url), true))).toBe("forbidden_address");
});

test("F177 private targets open by permission: local use, operator's list, operator's own address", () => {
  const listed = addressRules({
    allowPrivate: false,
    allowAddresses: ["10.0.0.0/8", "mirror.lan", "fd12::/16"],
  });
  const private4 = [{ address: "192.168.7.7", family: 4 }] as const;
  expect(codeOf(() => open.checkHost(parsed("http://127.0.0.1/")))).toBeUndefined();
  expect(codeOf(() => listed.checkHost(parsed("http://10.9.9.9/")))).toBeUndefined();
  expect(codeOf(() => listed.checkHost(parsed("http://[fd12::5]/")))).toBeUndefined();
  expect(codeOf(() => listed.checkHost(parsed("http://11.9.9.9/")))).toBeUndefined();
  expect(codeOf(() => listed.checkHost(parsed("http://192.168.7.7/")))).toBe("forbidden_address");
  expect(codeOf(() => listed.checkAddresses(parsed("http://mirror.lan/"), private4))).toBeUndefined();
  expect(codeOf(() => listed.checkAddresses(parsed("http://other.lan/"), private4))).toBe(
    "forbidden_address",
  );
  expect(codeOf(() => closed.checkAddresses(parsed("http://other.lan/"), private4, true))).toBeUndefined();
});

describe("F175 our own listeners", () => {
  const refused = (listener: { host: string; port: number }, url: string): boolean =>
    codeOf(() =>
      addressRules({ allowPrivate: true, allowAddresses: [], ownPorts: () => [listener] }).checkHost(
        parsed(url),
        true,
      ),
    ) === "forbidden_address";

  test.each([
    ["127.0.0.1", "http://127.0.0.1:8080/"],
    ["127.0.0.1", "http://localhost:8080/"],
    ["127.0.0.1", "http://0.0.0.0:8080/"],
    ["127.0.0.1", "http://[::ffff:127.0.0.1]:8080/"],
    ["::1", "http://[::1]:8080/"],
    ["[::1]", "http://[::1]:8080/"],
    ["0.0.0.0", "http://127.0.0.2:8080/"],
    ["::", "http://[::1]:8080/"],
    ["localhost", "http://127.0.0.1:8080/"],
  ])("%s is not reached by %s", (host, url) => {
    expect(refused({ host, port: 8080 }, url)).toBe(true);
  });

  test.each([
    ["127.0.0.1", "http://127.0.0.1:8081/"],
    ["127.0.0.1", "http://127.0.0.2:8080/"],
    ["0.0.0.0", "http://10.255.1.2:8080/"],
  ])("%s does not stand in the way of %s", (host, url) => {
    expect(refused({ host, port: 8080 }, url)).toBe(false);
  });
});

test("F176 one text for every reason, naming the host and nothing else", () => {
  const textOf = (url: string): string => {
    try {
      closed.checkHost(parsed(url));
    } catch (error) {
      return (error as Error).message.replaceAll(new URL(url).hostname.replace(/\.$/, ""), "HOST");
    }
    return "";
  };
  const text = textOf("http://127.0.0.1/path?sig=s3cret");
  expect(text).toContain("HOST");
  expect(text).not.toContain("s3cret");
  expect(textOf("http://169.254.169.254/")).toBe(text);
  expect(textOf("http://metadata.google.internal/")).toBe(text);
});

test("an allow list takes names, addresses and ranges, and refuses anything else", () => {
  const allowed = allowList([" Mirror.LAN. ", "10.0.0.5", "192.168.0.0/16", "[fd00::1]", "::ffff:10.0.0.6"]);
  expect(allowed("mirror.lan")).toBe(true);
  expect(allowed("x.mirror.lan")).toBe(false);
  expect(allowed("x", "10.0.0.5")).toBe(true);
  expect(allowed("x", "::ffff:10.0.0.5")).toBe(true);
  expect(allowed("x", "10.0.0.6")).toBe(true);
  expect(allowed("x", "192.168.200.1")).toBe(true);
  expect(allowed("x", "fd00::1")).toBe(true);
  expect(allowed("x", "fd00::2")).toBe(false);
  expect(codeOf(() => allowList(["10.0.0.0/99 or so"]))).toBe("invalid_request");
});
