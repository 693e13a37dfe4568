// The items: list, add, delete.

import { request } from "./api.js";
import * as session from "./session.js";

const PATH = "/api/v2/items";

const list = document.getElementById("items");
const template = document.getElementById("item-template");
const dateFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

const authorized = (path, options = {}) => request(path, { ...options, token: session.current()?.token });

export async function load() {
  const items = await authorized(PATH);
  list.replaceChildren(...items.map(element));
  showCount();
}

export async function add(name) {
  list.prepend(element(await authorized(PATH, { method: "POST", body: { name } })));
  showCount();
}

export async function remove(entry) {
  await authorized(`${PATH}/${entry.dataset.id}`, { method: "DELETE" }).catch((error) => {
    // Someone else was faster: gone is what was asked for.
    if (error.status !== 404) throw error;
  });
  entry.remove();
  showCount();
}

export function clear() {
  list.replaceChildren();
  showCount();
}

function element(item) {
  const entry = template.content.firstElementChild.cloneNode(true);
  const time = entry.querySelector("time");
  entry.dataset.id = item.id;
  entry.querySelector(".name").textContent = item.name;
  time.dateTime = item.created_at;
  time.textContent = dateFormat.format(new Date(item.created_at));
  entry.querySelector("button").setAttribute("aria-label", `Delete ${item.name}`);
  return entry;
}

function showCount() {
  const count = list.children.length;
  document.getElementById("item-count").textContent = count ? `(${count})` : "";
  document.getElementById("no-items").hidden = count > 0;
}
