// SPDX-License-Identifier: LGPL-2.1-or-later
// What can be told of a page without eyes: contrast, names, order, width.
import assert from 'node:assert/strict';

const LANDMARKS = ['banner', 'main', 'contentinfo'];
const NAMED = ['button', 'link', 'textbox', 'searchbox', 'region', 'table', 'heading', 'DisclosureTriangle'];

// Runs in the page: the texts that stand on it with too little contrast to what they stand on.
function findPale () {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 1;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  const read = (color) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = color;
    context.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3]));
  const ground = (element) => {
    const layers = [];
    for (let e = element; e !== null; e = e.parentElement)
      layers.push(read(getComputedStyle(e).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  const light = (color) => {
    const [r, g, b] = color.map((c) => c / 255).map((c) =>
      c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const pale = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const element = node.parentElement;
    if (node.data.trim() === '' || !element.checkVisibility({ checkOpacity: true }))
      continue;
    const below = ground(element);
    const [a, b] = [light(over(read(getComputedStyle(element).color), below)), light(below)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5)
      pale.push(`${node.data.trim().slice(0, 40)}: ${ratio}`);
  }
  return pale;
}

// Runs in the page: what is wrong with its elements.
function findFaults () {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const ids = all('[id]').map((element) => element.id);
  const right = (element) => element.getBoundingClientRect().right;
  const root = document.documentElement;
  return {
    'ids that stand twice': ids.filter((id, i) => ids.indexOf(id) !== i),
    'labels that are not there': all('[aria-labelledby]')
      .map((element) => element.getAttribute('aria-labelledby')).filter((id) => !ids.includes(id)),
    'sticks out of its card': all('main section *').filter((element) =>
      element.checkVisibility() && right(element) > right(element.closest('section')) + 1)
      .map((element) => element.textContent.slice(0, 40)),
    'scrolls to the side': root.scrollWidth > root.clientWidth ? [root.scrollWidth] : [],
  };
}

async function checkHeadings (page) {
  const depths = await page.evaluate(() => [...document.querySelectorAll('h1, h2, h3, h4')]
    .filter((element) => element.checkVisibility()).map((element) => Number(element.tagName[1])));
  assert.equal(depths[0], 1);
  assert.equal(depths.filter((depth) => depth === 1).length, 1);
  assert.ok(depths.every((depth, i) => i === 0 || depth - depths[i - 1] <= 1), `headings ${depths}`);
}

// Everything that a screen reader meets.
async function checkRoles (page) {
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send('Accessibility.getFullAXTree');
  const met = nodes.filter((node) => !node.ignored).map((node) => [node.role.value, node.name?.value ?? '']);
  assert.deepEqual(met.filter(([role, name]) => NAMED.includes(role) && name === ''), [], 'no name');
  for (const landmark of LANDMARKS)
    assert.equal(met.filter(([role]) => role === landmark).length, 1, landmark);
}

// What must hold of the page in each state and look.
export async function check (page) {
  assert.deepEqual(await page.evaluate(findPale), [], 'too little contrast');
  for (const [fault, found] of Object.entries(await page.evaluate(findFaults)))
    assert.deepEqual(found, [], fault);
  await checkHeadings(page);
  await checkRoles(page);
}
