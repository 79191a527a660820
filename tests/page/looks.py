# SPDX-License-Identifier: LGPL-2.1-or-later
"""What can be told of a page without eyes: contrast, names, order, width."""

# Each text that stands on the page, with the contrast to what it stands on.
CONTRAST = """(() => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const context = canvas.getContext("2d", { willReadFrequently: true });
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
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const element = node.parentElement;
    if (node.data.trim() === "" || !element.checkVisibility({ checkOpacity: true }))
      continue;
    const below = ground(element);
    const [a, b] = [light(over(read(getComputedStyle(element).color), below)), light(below)];
    found.push([node.data.trim().slice(0, 40), (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]);
  }
  return found;
})()"""

TWICE = """(() => {
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  return ids.filter((id, i) => ids.indexOf(id) !== i);
})()"""

# References that lead nowhere.
LOST = """[...document.querySelectorAll("[aria-labelledby]")]
  .filter((element) => document.getElementById(element.getAttribute("aria-labelledby")) === null)
  .map((element) => element.id)"""

HEADINGS = """[...document.querySelectorAll("h1, h2, h3, h4")]
  .filter((element) => element.checkVisibility()).map((element) => Number(element.tagName[1]))"""

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"

# What sticks out of the card it stands in, or was cut off.
STICKS_OUT = """[...document.querySelectorAll("main *")].filter((element) => {
  const card = element.closest("section");
  return element.checkVisibility() && card !== null &&
    element.getBoundingClientRect().right > card.getBoundingClientRect().right + 1;
}).map((element) => element.textContent.slice(0, 40))"""

NAMED = {"button", "link", "textbox", "searchbox", "region", "table", "group", "list", "heading",
         "DisclosureTriangle"}
NAMELESS_IS_FINE = {"list", "group"}


def check(case, page):
    """What must hold of the page in each state and look."""
    pale = [text for text, ratio in page.evaluate(CONTRAST) if ratio < 4.5]
    case.assertEqual(pale, [], "too little contrast")
    case.assertEqual(page.evaluate(TWICE), [], "ids that stand twice")
    case.assertEqual(page.evaluate(LOST), [], "labels that are not there")
    case.assertLessEqual(page.evaluate(OVERFLOW), 0, "scrolls to the side")
    case.assertEqual(page.evaluate(STICKS_OUT), [], "sticks out")
    headings = page.evaluate(HEADINGS)
    case.assertEqual((headings[0], headings.count(1)), (1, 1))
    case.assertTrue(all(b - a <= 1 for a, b in zip(headings, headings[1:])), headings)
    roles = page.roles()
    for role, name in roles:
        if role in NAMED - NAMELESS_IS_FINE:
            case.assertNotEqual(name, "", f"a {role} without a name")
    for landmark in ("banner", "main", "contentinfo"):
        case.assertEqual([role for role, _ in roles].count(landmark), 1, landmark)
