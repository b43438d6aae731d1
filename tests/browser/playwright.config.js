// The pages of `local`, or of the service at BADGESMITH_URL, in Chromium. tests/browser/run starts this.
import { writeFileSync } from "node:fs";
import { defineConfig } from "@playwright/test";

const target = new URL("../../target/browser/", import.meta.url).pathname;
const fonts = new URL("node_modules/@expo-google-fonts", import.meta.url).pathname;

// Pictures have the same fonts on every machine, drawn without hinting.
writeFileSync(`${target}fonts.conf`, `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
  <dir>${fonts}</dir>
  <cachedir>${target}fonts</cachedir>
  <match target="pattern">
    <test name="family"><string>monospace</string></test>
    <edit name="family" mode="assign" binding="strong"><string>JetBrains Mono</string></edit>
  </match>
  <match target="pattern"><edit name="family" mode="append"><string>Inter</string></edit></match>
  <match target="font">
    <edit name="hinting" mode="assign"><bool>false</bool></edit>
    <edit name="rgba" mode="assign"><const>none</const></edit>
  </match>
</fontconfig>
`);

export default defineConfig({
  testDir: ".",
  outputDir: `${target}results`,
  snapshotPathTemplate: "../../docs/images/pages/{arg}{ext}",
  workers: 1,
  reporter: "list",
  forbidOnly: true,
  timeout: 120_000,
  expect: { timeout: 15_000, toHaveScreenshot: { maxDiffPixelRatio: 0.001 } },
  use: {
    launchOptions: {
      executablePath: process.env.CHROMIUM,
      args: [
        "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync",
      ],
      env: { ...process.env, FONTCONFIG_FILE: `${target}fonts.conf` },
    },
  },
});
