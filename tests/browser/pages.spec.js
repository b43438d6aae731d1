import axe from "axe-core";
import { expect, submit, test } from "./service.js";

const BRANCH = "browser/a#b";
const ADDRESS = "?branch=browser%2Fa%23b";

test("a submitted result is on the page of its branch, with a link to its run", async ({ page, service }) => {
  const url = "https://example.com/runs/7";
  const failures = ["kit::<b>parses</b>", "kit::prints"];
  await submit(service, { branch: BRANCH, suite: "unit", passed: 5, failed: 2, total: 7, failures, url_html: url });
  const row = page.getByRole("region", { name: "Suites" }).getByRole("row", { name: "unit linux failed 5 2 0" });
  await expect(async () => {
    await page.goto(`/repos/${service.repository}${ADDRESS}`);
    await expect(row).toBeVisible({ timeout: 10 });
  }).toPass();
  await expect(row.getByRole("link")).toHaveAttribute("href", url);
  await expect(page.getByRole("main")).toContainText("5 passed, 2 failed on browser/a#b, last result");
  for (const name of failures) await expect(page.getByRole("rowheader", { name })).toBeVisible();
});

test("the snippets of a branch have the public address, its badge, and its newest run", async ({ page, service }) => {
  await submit(service, { branch: "snippets#", suite: "unit", workflow_run_url: "https://example.com/runs/8" });
  await page.goto(`/repos/${service.repository}?branch=snippets%23`);
  const target = `all/${service.repository}?branch=snippets%23`;
  const [image, link] = [`${service.url}/svg/tests/${target}`, `${service.url}/redirect/test-results/${target}`];
  for (const [name, snippet] of Object.entries({
    Markdown: `[![Tests](${image})](${link})`,
    HTML: `<a href="${link}"><img src="${image}" alt="Tests"></a>`,
    reStructuredText: `.. image:: ${image}\n   :target: ${link}\n   :alt: Tests`,
    AsciiDoc: `image:${image}[Tests,link="${link}"]`,
    URL: image,
  })) {
    await expect(page.getByRole("textbox", { name, exact: true })).toHaveValue(snippet);
  }
  expect(await page.getByAltText("Badge: Tests").evaluate((image) => image.naturalWidth)).toBeGreaterThan(50);
  await expect(async () => {
    const { status, headers } = await fetch(link, { redirect: "manual" });
    expect([status, headers.get("location")]).toEqual([302, "https://example.com/runs/8"]);
  }).toPass({ timeout: 60_000, intervals: [1000] });
});

test("the start page leads to a branch by keyboard", async ({ page, service }) => {
  const [owner, repo] = service.repository.split("/");
  await page.goto("/");
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Skip to content" })).toBeFocused();
  await expect(page.getByRole("link", { name: "Skip to content" })).toBeInViewport();
  await page.keyboard.press("Enter");
  for (const text of [owner, repo, BRANCH]) {
    await page.keyboard.press("Tab");
    await page.keyboard.type(text);
  }
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(`/repos/${service.repository}${ADDRESS}`);
});

for (const colorScheme of ["light", "dark"]) {
  test(`no page has a barrier that axe-core finds, ${colorScheme}`, async ({ page, service }) => {
    await page.emulateMedia({ colorScheme });
    const paths = ["/", `/repos/${service.repository}${ADDRESS}`, "/repos/acme/unknown", "/?owner=acme&repo=%20"];
    if (!service.isDeployed) paths.push("/repos/demo/badgesmith", "/packages/nuget/Newtonsoft.Json");
    for (const path of paths) {
      await page.goto(path);
      await page.evaluate(axe.source);
      const { violations } = await page.evaluate(() => axe.run());
      expect(violations, path).toEqual([]);
    }
  });
}
