// Walks a sign-in in a real browser: the gateway's verification page, the provider's, and back.
//
// One argument, JSON: {"url": "…/device?user_code=…", "user_code": "ABCD-EFGH", "person": "alice", "deny": false,
// "pictures": "directory", "width": 1280, "dark": false}. Says one JSON line: what each page was called and said, the
// console's complaints (a blocked script or style is one), and whether every control had a name for a screen reader.

import { join } from 'node:path';
import { chromium } from 'playwright-core';

const wish = { width: 1280, dark: false, deny: false, ...JSON.parse(process.argv[2]) };
const pages = [];
const complaints = [];

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  // Root has no sandbox of its own, and a container's /dev/shm is small.
  args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
});
const context = await browser.newContext({
  viewport: { width: wish.width, height: 900 }, colorScheme: wish.dark ? 'dark' : 'light', ignoreHTTPSErrors: true,
});
const page = await context.newPage();
page.setDefaultTimeout(20_000);
// A page need not have an icon.
const ofTheIcon = (message) => message.location().url.endsWith('/favicon.ico');
page.on('console', (message) => { if (message.type() === 'error' && !ofTheIcon(message)) complaints.push(message.text()); });
page.on('pageerror', (error) => complaints.push(String(error)));

async function look(name) {
  await page.waitForLoadState();
  if (wish.pictures) await page.screenshot({ path: join(wish.pictures, `${pages.length + 1}-${name}.png`), fullPage: true });
  const nameless = await page.locator('button, input:not([type=hidden]), a').evaluateAll((all) => all.filter((control) =>
    !(control.textContent.trim() || control.labels?.length || control.ariaLabel || control.getAttribute('aria-labelledby'))).length);
  pages.push({
    name, url: page.url(), title: await page.title(), heading: await page.locator('h1').first().innerText().catch(() => ''),
    text: await page.locator('body').innerText(), nameless,
    wide: await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth),
  });
}

async function walk() {
  await page.goto(wish.url);
  await look('device');
  const origin = new URL(wish.url).origin;
  const code = page.getByRole('textbox').first();
  if (await code.count() && !(await code.inputValue())) await code.fill(wish.user_code);
  if (wish.deny) {
    await page.getByRole('button', { name: /deny|not me|cancel/i }).click();
    await page.waitForLoadState();
    await look('denied');
    return;
  }
  const approve = page.getByRole('button', { name: /continue|approve|confirm|sign in|verify/i }).first();
  const asks = () => new URL(page.url()).origin === origin && new URL(page.url()).pathname === '/device';
  await approve.click();
  await page.waitForLoadState();
  // The code may have a page of its own, before the one that says what it asks for.
  if (asks() && await approve.count()) {
    await look('confirm');
    await approve.click();
    await page.waitForURL(() => !asks());
  }
  if (new URL(page.url()).origin !== origin) {
    await look('provider');
    await page.locator(`button[value="${wish.person}"], a[data-sub="${wish.person}"]`).click();
    await page.waitForURL((url) => url.origin === origin);
  }
  await look('done');
}

const failed = await walk().then(() => undefined, (error) => String(error));
if (failed) await look('failed').catch(() => {});
await browser.close();
console.log(JSON.stringify({ failed, pages, complaints }));
process.exit(failed ? 1 : 0);
