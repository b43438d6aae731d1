// The pictures of docs/images/pages: what the pages of the demo look like.
import { expect, test } from "./service.js";

test.skip(({ service }) => service.isDeployed, "only local has the demo");

const REPOSITORY = "/repos/demo/badgesmith";
const PACKAGE = "/packages/nuget/Newtonsoft.Json?version=%5B12.0%2C13.0%29";
// Of each page, both color schemes and both widths are among the pictures. Those 1,280 pixels wide are the first screen.
const PICTURES = [
  ["first-screen-light", REPOSITORY, 1280, "light"],
  ["first-screen-dark", REPOSITORY, 1280, "dark"],
  ["repository-light", REPOSITORY, 1920, "light"],
  ["repository-dark", REPOSITORY, 1920, "dark"],
  ["repository-narrow-light", REPOSITORY, 320, "light"],
  ["repository-narrow-dark", REPOSITORY, 320, "dark"],
  ["package-light", PACKAGE, 1920, "light"],
  ["package-narrow-dark", PACKAGE, 320, "dark"],
  ["start-dark", "/", 1920, "dark"],
  ["start-narrow-light", "/", 320, "light"],
];

/** Replaces what depends on the time and the port. */
function settle() {
  const dates = ["2026-09-27", "2026-10-19", "2026-11-28", "2026-11-26"];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    text.data = text.data
      .replace(/^\d{4}-\d\d-\d\d$/, () => dates.shift())
      .replace(/^(just now|\d min ago)$/, "4 min ago")
      .replaceAll(location.origin, "https://badges.example.org");
  }
}

for (const [name, path, width, colorScheme] of PICTURES) {
  test(`${name} looks as reviewed`, async ({ page }) => {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 860 });
    await expect(async () => {
      await page.goto(path);
      await expect(page.getByText(/pending|being looked up/)).toHaveCount(0, { timeout: 10 });
    }).toPass();
    await page.evaluate(settle);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect(overflow, "the page does not scroll sideways").toBeLessThanOrEqual(0);
    await expect(page).toHaveScreenshot(`${name}.png`, { fullPage: width !== 1280 });
  });
}
