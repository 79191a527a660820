// SPDX-License-Identifier: LGPL-2.1-or-later
// test-page.mjs MODULES PYTHON BUILD: the page at `/` in a browser, beside the retail agent on real
// servers and beside derated. With PAGE_SHOTS, a folder, it leaves pictures there for those who look.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, test } from 'node:test';

import { check } from './looks.mjs';
import { World } from './world.mjs';

const [modules, python, build] = process.argv.slice(2);
const { chromium } = createRequire(`${modules}/`)('playwright-core');
const LOOKS = ['light', 'dark'].flatMap((colorScheme) => [1280, 360].map((width) => ({ colorScheme, width })));
const FOLLOWS = 1000; // milliseconds within which the page shows what happened
const SHOTS = process.env.PAGE_SHOTS;

const world = new World(python, build);
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', chromiumSandbox: false });
const agent = await world.do('agent');
after(async () => {
  await browser.close();
  await world.end();
});

async function open (t, url, { colorScheme = 'light', width = 1280 } = {}) {
  const page = await browser.newPage({ colorScheme, reducedMotion: 'reduce', viewport: { width, height: 900 } });
  page.setDefaultTimeout(20000);
  page.complaints = [];
  page.on('pageerror', (error) => page.complaints.push(String(error)));
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && page.complaints.push(message.text()));
  t.after(() => page.close());
  await page.goto(url);
  return page;
}

const contact = (page, name, timeout) => page.waitForSelector(`body[data-contact=${name}]`, { timeout });
const level = (page, name, timeout) => page.waitForSelector(`#level[data-level=${name}]`, { timeout });
const shoot = (page, name) => SHOTS && page.screenshot({ path: path.join(SHOTS, `${name}.png`), fullPage: true });
const count = (page, selector) => page.locator(selector).count();

async function openLive (t) {
  const page = await open(t, agent);
  await contact(page, 'live');
  await level(page, 'optimal');
  return page;
}

// In each colour and width, once @ready.
async function look (t, url, name, ready) {
  for (const how of LOOKS) {
    const page = await open(t, url, how);
    await contact(page, 'live');
    await ready(page);
    await shoot(page, `${name}-${how.colorScheme}-${how.width}`);
    await check(page).catch((error) => {
      error.message = `${name} ${how.colorScheme} ${how.width}: ${error.message}`;
      throw error;
    });
    assert.deepEqual(page.complaints, []);
  }
}

// A case of the retail agent's: what it injures is healed after it.
function testAgent (name, func) {
  test(name, async (t) => {
    t.after(() => world.do('heal'));
    await func(t);
  });
}

testAgent('optimal', (t) => look(t, agent, 'optimal', (page) => level(page, 'optimal')));

// Gives how long it took from the order to stop it, while users make the calls that notice.
async function stopUnderLoad (page, backend, worse) {
  const begin = performance.now();
  await world.do('injure', 'stop', backend);
  const calls = world.do('fail_calls', 5);
  await level(page, worse);
  const took = performance.now() - begin;
  await calls;
  assert.match(await page.innerText('#level'), new RegExp(`${backend} is down`));
  return took;
}

testAgent('level and reason follow a stopped backend within a second', async (t) => {
  const page = await openLive(t);
  for (const [backend, worse] of [['openai', 'degraded'], ['redis', 'limited']]) {
    const took = await stopUnderLoad(page, backend, worse);
    t.diagnostic(`${backend} stopped: shown after ${took.toFixed()} ms`);
    assert.ok(took < FOLLOWS, `${backend}: ${took} ms`);
  }
  assert.match(await page.innerText('#level'), /no AI/);
  assert.match(await page.title(), /^limited, 2 services down/);
  assert.match(await page.textContent('[role=status]'), /^Level limited: .*redis is down/);
  assert.deepEqual(page.complaints, []);
  await look(t, agent, 'limited', (one) => level(one, 'limited'));
});

testAgent('hold', async (t) => {
  const page = await openLive(t);
  await world.do('hold', '<img src=x id=evil> moving the racks');
  await level(page, 'minimal', FOLLOWS);
  assert.ok((await page.innerText('#level')).includes('Held by ana: <img src=x id=evil> moving the racks'));
  await page.waitForSelector('#holds:has-text("4 min 5")');
  assert.equal(await count(page, '#evil'), 0);
  assert.deepEqual(page.complaints, []);
  await look(t, agent, 'minimal', (one) => level(one, 'minimal'));
});

testAgent('drill', async (t) => {
  const page = await openLive(t);
  await world.do('drill', 'redis', 'friday');
  await level(page, 'degraded', FOLLOWS);
  assert.match(await page.innerText('#level'), /redis only pretends/);
  assert.match(await page.innerText('#drills'), /friday/);
  await look(t, agent, 'drill', (one) => level(one, 'degraded'));
});

testAgent('emergency', async (t) => {
  for (const backend of ['postgresql', 'redis'])
    await world.do('injure', 'stop', backend);
  await world.do('await_level', 'emergency');
  await look(t, agent, 'emergency', (page) => level(page, 'emergency'));
});

testAgent('without events', async (t) => {
  const page = await open(t, 'about:blank');
  await page.route('**/events', (route) => route.abort());
  await page.goto(agent);
  await contact(page, 'polling');
  await world.do('hold', 'seen by asking');
  await level(page, 'minimal', 4000);
});

testAgent('the program stops and comes back', async (t) => {
  const page = await openLive(t);
  assert.equal(await world.do('stop_agent'), 0);
  await contact(page, 'lost', 3000);
  assert.match(await page.innerText('[role=alert]'), /does not answer/);
  assert.match(await page.title(), /No contact/);
  await level(page, 'unknown');
  const before = await page.$eval('#level', (element) => getComputedStyle(element, '::before').content);
  assert.match(before, /Last known/);
  await shoot(page, 'lost');
  await check(page);
  await world.do('start_agent');
  await contact(page, 'live');
  await level(page, 'optimal');
  assert.equal(await page.innerText('[role=alert]'), '');
  assert.doesNotMatch(await page.title(), /No contact/);
  // Live, and not only asking.
  await world.do('hold', 'after the restart');
  await level(page, 'minimal', FOLLOWS);
});

testAgent('the program stands still', async (t) => {
  // Its connections stay open, and nothing comes.
  const page = await openLive(t);
  await world.do('signal_agent', 'SIGSTOP');
  await contact(page, 'lost').finally(() => world.do('signal_agent', 'SIGCONT'));
  await contact(page, 'live');
  await level(page, 'optimal');
});

test('sixty services', async (t) => {
  const url = await world.do('shops', 60, [7, 42]);
  const services = (page, number) =>
    page.waitForFunction((wanted) => document.querySelectorAll('.service').length === wanted, number);
  // The bad ones in sight, the others folded.
  const ready = async (page) => {
    await page.waitForFunction(() => document.querySelectorAll('.service[data-state=down]').length === 2);
    await services(page, 2);
  };
  await look(t, url, 'sixty', ready);
  const page = await open(t, url);
  await ready(page);
  assert.match(await page.innerText('#services'), /58 healthy services/);
  assert.equal(await count(page, '#services-well[open]'), 0);
  // By the keyboard alone.
  await page.focus('#services-search');
  await page.keyboard.type('shop-13');
  await services(page, 1);
  await page.keyboard.press('Control+A');
  await page.keyboard.type('shop');
  await services(page, 60);
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  assert.equal(await page.innerText(':focus'), 'down 2');
  await page.keyboard.press('Space');
  await services(page, 2);
  assert.equal(await page.getAttribute(':focus', 'aria-pressed'), 'true');
  assert.deepEqual(page.complaints, []);
});
