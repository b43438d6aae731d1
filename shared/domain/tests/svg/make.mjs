// Makes the files that the SVG badges come from and are compared with: `npm ci && npm run make`.
//
//   badges.jsonl             what npm's badge-maker draws, one badge on each line
//   ../../src/svg/widths/    the widths of characters, from npm's anafanafo
//   ../../src/svg/logos/     logos from npm's simple-icons
//   ../../src/svg/colors.txt the names of CSS colors, from npm's color-name
//
// The results are committed, so that neither a build nor a test needs node.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { makeBadge } from 'badge-maker'
import colorNames from 'color-name'
import * as simpleIcons from 'simple-icons'
import { brightness, toSvgColor } from './node_modules/badge-maker/lib/color.js'

const here = path => new URL(path, import.meta.url)
const source = path => here(`../../src/svg/${path}`)

// Registries, CI systems and test tools. Only logos under CC0, the license of simple-icons: the others name their own.
const slugs = [
  'cucumber', 'cypress', 'docker', 'dotnet', 'github', 'githubactions', 'gitlab', 'go', 'jasmine', 'jest', 'junit5',
  'mocha', 'nodedotjs', 'npm', 'nuget', 'pytest', 'python', 'selenium', 'testcafe', 'vitest',
]
const icons = Object.fromEntries(slugs.map(slug => [slug, simpleIcons[`si${slug[0].toUpperCase()}${slug.slice(1)}`]]))

function writeLogos() {
  mkdirSync(source('logos'), { recursive: true })
  for (const [slug, { svg, license }] of Object.entries(icons)) {
    if (license && license.type !== 'CC0-1.0') throw new Error(`${slug} has the license ${license.type}`)
    writeFileSync(source(`logos/${slug}.svg`), svg)
  }
}

// An entry for each range of characters that are equally wide: the first character in 20 bits, and the width in hundredths
// of a pixel in 12. All bits of a width are set if it is unknown.
function writeWidths() {
  mkdirSync(source('widths'), { recursive: true })
  for (const font of ['verdana-11px-normal', 'verdana-10px-normal', 'verdana-10px-bold', 'helvetica-11px-bold']) {
    const entries = []
    let next = 0
    for (const [first, last, width] of JSON.parse(readFileSync(here(`node_modules/anafanafo/data/${font}.json`)))) {
      if (first > next) entries.push(next * 4096 + 4095)
      entries.push(first * 4096 + Math.round(width * 100))
      next = last + 1
    }
    entries.push(next * 4096 + 4095)
    const bytes = Buffer.alloc(entries.length * 4)
    entries.forEach((entry, index) => bytes.writeUInt32LE(entry, index * 4))
    writeFileSync(source(`widths/${font}.bin`), bytes)
  }
}

function writeColors() {
  const hex = rgb => Buffer.from(rgb).toString('hex')
  const names = Object.entries(colorNames).sort()
  writeFileSync(source('colors.txt'), names.map(([name, rgb]) => `${name} #${hex(rgb)}\n`).join(''))
}

// What shields.io draws of an endpoint badge and the parameters of its URL (core/base-service/coalesce-badge.js and
// lib/logos.js of badges/shields). One thing differs: a color that does not exist leaves the badge's own, not bright green.
function draw(badge, parameters) {
  const known = color => (toSvgColor(color) ? color : undefined)
  const override = name => (badge.isError ? undefined : known(parameters[name]))
  const styles = ['flat', 'flat-square', 'plastic', 'for-the-badge', 'social']
  const style = styles.includes(parameters.style) ? parameters.style : 'flat'
  const labelColor = override('labelColor')
  const logoBase64 = logo(parameters.logo || badge.namedLogo, parameters.logoColor, style)
  return makeBadge({
    style,
    label: parameters.label ?? badge.label,
    message: badge.message,
    color: override('color') ?? badge.color,
    ...(labelColor && { labelColor }),
    ...(logoBase64 && { logoBase64 }),
  })
}

function logo(name, color, style) {
  const icon = icons[name?.toLowerCase()]
  if (!icon) return undefined
  const light = brightness(`#${icon.hex}`)
  const isLost = style === 'social' ? light >= 0.6 : light <= 0.4
  const standard = isLost ? (style === 'social' ? '#333' : 'whitesmoke') : `#${icon.hex}`
  const svg = icon.svg.replace('<svg', `<svg fill="${toSvgColor(color) ?? standard}"`)
  return `data:image/svg+xml;base64,${Buffer.from(svg.trim()).toString('base64')}`
}

const styles = ['flat', 'flat-square', 'plastic', 'for-the-badge', 'social']
const tests = (message, color, isError) => ({ schemaVersion: 1, label: 'tests', message, color, ...(isError && { isError }) })
const versionOf = (provider, message, color, isError) => ({
  schemaVersion: 1, label: provider, message, color, ...(isError && { isError }), namedLogo: provider,
})
const passed = tests('190 passed', 'brightgreen')
const nuget = versionOf('nuget', '13.0.3', 'blue')
const badges = [
  passed,
  tests('4294967295 passed', 'brightgreen'),
  tests('188 passed, 2 failed', 'red'),
  tests('2 failed', 'red'),
  tests('190 passed, run failed', 'red'),
  tests('no tests', 'lightgrey'),
  tests('too many suites', 'lightgrey', true),
  tests('no results', 'lightgrey', true),
  tests('no recent results', 'lightgrey', true),
  tests('not found', 'red', true),
  tests('unavailable', 'lightgrey', true),
  nuget,
  versionOf('nuget', '14.0.0-beta.1', 'orange'),
  versionOf('nuget', `1.0.0-${'preview-'.repeat(30)}`, 'orange'),
  versionOf('nuget', 'invalid range', 'red', true),
  versionOf('nuget', 'pending', 'lightgrey'),
  versionOf('github', '2.4.0', 'green'),
  versionOf('github', 'not found', 'red', true),
]
const texts = [
  '', ' ', 'unit tests', 'WWWWiiii', '  padded  ', 'a\tb', '<script>alert(1)</script>', `"quotes" & 'apostrophes'`,
  '&amp;', ']]>', '%&/()=?', 'stra\u00dfe', '\u00dfeta', 'caf\u00e9', 'cafe\u0301', '\u0442\u0435\u0441\u0442\u044b',
  '\u6d4b\u8bd5', '\u30c6\u30b9\u30c8', '\ud14c\uc2a4\ud2b8', '\u05d1\u05d3\u05d9\u05e7\u05d5\u05ea',
  '\u0627\u062e\u062a\u0628\u0627\u0631 tests', '\u2705 tests', '\ud83d\udc68\u200d\ud83d\udc69\u200d\ud83d\udc67 \ud83c\uddf9\ud83c\uddf7', '\ud801\udc28 deseret',
  '\u200b\u202eevil\u2028', '\u00a0\ufefftests\ufeff', '\u{e0fff}\u{10ffff}', 'x'.repeat(255), '\u6d4b'.repeat(85), '\u044f'.repeat(127) + '!',
]
const colors = [
  'brightgreen', 'green', 'yellow', 'yellowgreen', 'orange', 'red', 'blue', 'grey', 'lightgrey', 'gray', 'lightgray',
  'critical', 'important', 'success', 'informational', 'inactive', 'rebeccapurple', 'Teal', 'transparent', 'gold', 'white',
  'black', 'fff', '#ABC', '007ec6', '#B1B1B1', 'b0b0b0', 'b1b1b1', 'b2b2b2', 'afb4a9', 'nocolor', '12345', '##fff', 'url(#s)', '""',
]

function cases() {
  const cases = []
  const add = (badge, parameters) => cases.push({ badge, parameters, svg: draw(badge, parameters) })
  for (const style of styles) {
    for (const badge of badges) add(badge, { style })
    for (const label of texts) add(passed, { style, label })
    for (const label of ['', 'downloads']) {
      add(nuget, { style, label })
      add(nuget, { style, label, labelColor: 'fff' })
      add(nuget, { style, label, labelColor: 'nocolor', logo: 'none' })
      add(passed, { style, label, labelColor: 'navy' })
      add(passed, { style, label, color: 'lightyellow', logo: 'GitHub' })
      add(badges.at(-1), { style, label, color: 'green', labelColor: 'green', logoColor: 'red' })
    }
    add(passed, { style, color: 'fff', labelColor: 'eee', logo: 'jest', logoColor: 'tomato' })
  }
  for (const color of colors) {
    add(passed, { color })
    add(passed, { color, style: 'for-the-badge' })
    add(passed, { labelColor: color, style: 'flat-square' })
    add(passed, { color, labelColor: color, label: '', style: 'plastic' })
    add(passed, { logo: 'mocha', logoColor: color })
  }
  for (const logo of slugs) for (const style of ['flat', 'social', 'for-the-badge']) add(passed, { style, logo })
  for (const style of ['', 'FLAT', 'round', 'plastic ']) add(passed, { style })
  for (const logo of ['', 'none', 'data:image/svg+xml;base64,PHN2Zy8+']) add(nuget, { logo })
  return cases
}

writeLogos()
writeWidths()
writeColors()
const lines = cases().map(line => JSON.stringify(line))
writeFileSync(here('badges.jsonl'), lines.map(line => line + '\n').join(''))
console.log(`${lines.length} badges`)
