// Which build answers, and which of its components are ready.

import { exchange, request } from "./api.js";

const INTERVAL_MS = 5_000;

const components = document.getElementById("components");
const version = document.getElementById("version");

export async function watch() {
  showVersion();
  for (;;) {
    if (!document.hidden) await Promise.all([showApi(), showWebsocket()]);
    await new Promise((resume) => setTimeout(resume, INTERVAL_MS));
  }
}

async function showVersion() {
  const build = await request("/api/v2/system/version").catch(() => null);
  // The api may still be starting: the next look tells.
  if (!build) return setTimeout(showVersion, INTERVAL_MS);
  for (const field of version.querySelectorAll("[data-field]")) {
    const value = build[field.dataset.field] ?? "unknown";
    field.textContent = field.dataset.field === "git_sha" ? shortSha(value) : value;
    field.title = value;
  }
}

// Twelve characters of a sha, and the "-dirty" after it.
const shortSha = (sha) => sha.replace(/^([0-9a-f]{12})[0-9a-f]+/, "$1");

async function showApi() {
  // Not ready is 503 with a body that says why; without one nothing is known.
  const answer = await exchange("/api/v2/system/ready").catch(() => null);
  const states = answer?.json?.data?.components ?? {};
  show("database", states.database);
  show("redis", states.redis);
}

async function showWebsocket() {
  const answer = await exchange("/api/v2/system/ws/ready").catch(() => null);
  show("websocket", answer?.json?.data?.status === "healthy" ? "ok" : "down");
}

function show(name, state = "unknown") {
  const entry = components.querySelector(`[data-component="${name}"]`);
  // An unchanged text is left alone, or screen readers would repeat it.
  if (entry.dataset.state === state && state !== "unknown") return;
  entry.dataset.state = state;
  entry.querySelector("b").textContent = state;
}
