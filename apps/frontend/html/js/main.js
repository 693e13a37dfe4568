// Ties the page's forms to the session and the items.

import * as items from "./items.js";
import * as session from "./session.js";
import * as status from "./status.js";

const byId = (id) => document.getElementById(id);
const signInForm = byId("sign-in");
const addForm = byId("add-item");
const itemList = byId("items");
const itemsProblem = byId("items-problem");
const signInProblem = byId("sign-in-problem");

signInForm.addEventListener("submit", (event) => {
  event.preventDefault();
  const { login, password } = Object.fromEntries(new FormData(signInForm));
  attempt(event.submitter, signInProblem, async () => {
    await session.signIn(login, password);
    signInForm.reset();
    show();
    byId("items-title").focus();
    await loadItems();
  });
});

addForm.addEventListener("submit", (event) => {
  event.preventDefault();
  const name = addForm.elements.namedItem("name").value;
  attempt(event.submitter, itemsProblem, async () => {
    await items.add(name);
    addForm.reset();
  });
});

itemList.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  attempt(button, itemsProblem, async () => {
    await items.remove(button.closest("li"));
    // The button that had the focus is gone.
    addForm.elements.namedItem("name").focus();
  });
});

byId("sign-out").addEventListener("click", () => {
  leave("");
  signInForm.elements.namedItem("login").focus();
});

async function attempt(button, problem, action) {
  problem.textContent = "";
  if (button) button.disabled = true;
  try {
    await action();
  } catch (error) {
    if (error.status === 401 && session.current()) leave("Your session has ended. Sign in again.");
    else problem.textContent = error.message;
  } finally {
    if (button) button.disabled = false;
  }
}

const loadItems = () => attempt(null, itemsProblem, items.load);

function leave(message) {
  session.signOut();
  items.clear();
  show();
  signInProblem.textContent = message;
}

function show() {
  const account = session.current();
  byId("account").hidden = !account;
  byId("account-login").textContent = account?.login ?? "";
  byId("signed-in").hidden = !account;
  byId("signed-out").hidden = Boolean(account);
}

show();
if (session.current()) loadItems();
status.watch();
