// The service under test, and pages that fail a test when the browser complains.
import { spawn } from "node:child_process";
import { createHmac, randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { test as base, expect } from "@playwright/test";

export { expect };

const REPOSITORY = "acme/kit";
const KEY = "a-key-of-the-browser-tests";
const VERSIONS = [
  "11.0.2", "12.0.1", "12.0.2", "12.0.3", "13.0.1", "13.0.2", "13.0.3", "13.0.4", "14.0.0-beta.1", "14.0.0-beta.2",
];

/** A feed with one package, whose old versions are deprecated or vulnerable. */
async function startFeed() {
  const feed = createServer((request, response) => {
    const url = `http://${request.headers.host}`;
    const entry = (version) => ({
      id: "Newtonsoft.Json",
      version,
      listed: true,
      ...(version < "12" && { deprecation: { reasons: ["Legacy"] } }),
      ...(version < "13" && { vulnerabilities: [{ severity: "2" }] }),
    });
    const page = {
      "@id": `${url}/page`,
      count: VERSIONS.length,
      lower: VERSIONS[0],
      upper: VERSIONS.at(-1),
      items: VERSIONS.map((version) => ({ catalogEntry: entry(version) })),
    };
    const documents = {
      "/index.json": { version: "3.0.0", resources: [{ "@id": `${url}/r/`, "@type": "RegistrationsBaseUrl/3.6.0" }] },
      "/r/newtonsoft.json/index.json": { count: 1, items: [page] },
    };
    const document = documents[request.url];
    response.writeHead(document ? 200 : 404, { "content-type": "application/json" });
    response.end(JSON.stringify(document ?? {}));
  });
  await once(feed.listen(0, "127.0.0.1"), "listening");
  return feed;
}

/** `local`, once it has printed the address of its demo. */
async function startLocal(feed) {
  const index = `http://127.0.0.1:${feed.address().port}/index.json`;
  const options = ["--port", "0", "--ephemeral", "--nuget-service-index", index, "--secret", `${REPOSITORY}=${KEY}`];
  const local = spawn(process.env.LOCAL, options, { stdio: ["ignore", "pipe", "ignore"] });
  let url;
  for await (const line of createInterface({ input: local.stdout })) {
    url ??= line.match(/^listening on (.*)$/)?.[1];
    if (line.startsWith("Stop with")) return { local, url };
  }
  throw new Error("local has stopped");
}

export const test = base.extend({
  service: [
    async ({}, use) => {
      const { BADGESMITH_URL: deployed, BADGESMITH_KEY: key = KEY } = process.env;
      const feed = deployed ? undefined : await startFeed();
      const { local, url } = deployed ? { url: deployed } : await startLocal(feed);
      await use({ url, key, repository: REPOSITORY, isDeployed: Boolean(deployed) });
      local?.kill("SIGINT");
      feed?.close();
    },
    { scope: "worker" },
  ],
  baseURL: async ({ service }, use) => use(service.url),
  page: async ({ page, service }, use) => {
    const problems = [];
    page.on("console", (message) => {
      // The browser also logs the status of a page that is not found.
      const isStatus = message.text().startsWith("Failed to load resource") && message.location().url === page.url();
      if (!isStatus) problems.push(message.text());
    });
    page.on("pageerror", (error) => problems.push(error.message));
    page.on("request", (request) => {
      if (!request.url().startsWith(`${service.url}/`)) problems.push(`a request to ${request.url()}`);
    });
    await use(page);
    expect(problems, "what the browser reports").toEqual([]);
  },
});

/** Submits a signed result. */
export async function submit(service, fields) {
  const [owner, repo] = service.repository.split("/");
  const body = JSON.stringify({
    owner, repo, platform: "linux", branch: "main", passed: 1, failed: 0, skipped: 0, total: 1,
    timestamp: new Date().toISOString(), nonce: randomUUID(), run_id: "1", ...fields,
  });
  const signature = createHmac("sha256", service.key).update(body).digest("hex");
  const headers = { "x-signature": `sha256=${signature}`, "x-repo-secret": service.repository };
  const response = await fetch(`${service.url}/tests/results`, { method: "POST", headers, body });
  expect(response.status, await response.text()).toBe(202);
}
