import { readFileSync } from "node:fs";
import { expect, test } from "@playwright/test";

test("the function of the CDN copies the public host, whatever a reader sends", () => {
  const template = readFileSync(new URL("../../template.yaml", import.meta.url), "utf8");
  const [, code] = template.match(/^ +FunctionCode: \|\n((?: {8}.*\n)+)/m);
  const handler = new Function(`${code}; return handler;`)();
  for (const headers of [{}, { "x-forwarded-host": { value: "evil.example" } }]) {
    const host = { value: "badges.example.org" };
    const request = { method: "GET", uri: "/repos/acme/kit", headers: { host, ...headers } };
    expect(handler({ request })).toEqual({ ...request, headers: { host, "x-forwarded-host": host } });
  }
});
