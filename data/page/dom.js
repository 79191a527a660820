// SPDX-License-Identifier: LGPL-2.1-or-later
// Making and renewing what is seen. Text gets in as text alone: nothing here reads HTML.

export function byId(id) {
  return document.getElementById(id);
}

/* Attributes that are null or false are left out; children that are null, too. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (value !== null && value !== undefined && value !== false)
      element.setAttribute(name, value === true ? "" : String(value));
  for (const child of children.flat())
    if (child !== null && child !== undefined)
      element.append(child);
  return element;
}

function patchAttributes(old, fresh) {
  for (const { name } of [...old.attributes])
    if (!fresh.hasAttribute(name))
      old.removeAttribute(name);
  for (const { name, value } of fresh.attributes)
    if (old.getAttribute(name) !== value)
      old.setAttribute(name, value);
}

function patchChildren(old, fresh) {
  const wanted = [...fresh.childNodes];
  wanted.forEach((node, i) => {
    const there = old.childNodes[i];
    if (there === undefined) {
      old.append(node);
    } else if (there.nodeName !== node.nodeName) {
      there.replaceWith(node);
    } else if (node.nodeType === Node.TEXT_NODE) {
      if (there.data !== node.data)
        there.data = node.data;
    } else {
      patchAttributes(there, node);
      patchChildren(there, node);
    }
  });
  while (old.childNodes.length > wanted.length)
    old.lastChild.remove();
}

/* Only what differs is touched, so that a marked text, the focus and a screen reader's place stay. */
export function show(id, ...children) {
  const fresh = make("div", {}, ...children);
  patchChildren(byId(id), fresh);
}

/* One line of text for readers of the screen, and only when it is another. */
export function setText(id, text) {
  const element = byId(id);
  if (element.textContent !== text)
    element.textContent = text;
}

export function chip(state, text = state) {
  return make("span", { class: "chip", "data-state": state }, text);
}

/* cells: of each row; a column is { title, kind } with kind "number", "wide" (left out on narrow
 * screens) or both. */
export function table(label, columns, rows) {
  const classes = columns.map((column) => column.kind ?? null);
  const head = columns.map((column, i) => make("th", { scope: "col", class: classes[i] }, column.title));
  const body = rows.map((cells) =>
    make("tr", {}, cells.map((cell, i) =>
      i === 0 ? make("th", { scope: "row" }, cell) : make("td", { class: classes[i] }, cell))));
  return make("table", { "aria-label": label },
    make("thead", {}, make("tr", {}, head)), make("tbody", {}, body));
}
