// The signed-in account: kept for this tab alone, gone with it.

import { request } from "./api.js";

const KEY = "jetscale.session";

let session = restore();

export const current = () => session;

export async function signIn(login, password) {
  const { tokens } = await request("/api/v2/auth/sign-in", { method: "POST", body: { login, password } });
  const me = await request("/api/v2/auth/me", { token: tokens.access_token });
  session = { login: me.login, token: tokens.access_token };
  sessionStorage.setItem(KEY, JSON.stringify(session));
}

export function signOut() {
  session = null;
  sessionStorage.removeItem(KEY);
}

function restore() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY));
  } catch {
    return null;
  }
}
