// The backend's HTTP interface: {"data": ...} or {"error": {code, message}}.

const TIMEOUT_MS = 10_000;

export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** The answer's status and body; null where the body is not JSON. */
export async function exchange(path, { method = "GET", body, token } = {}) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (token) headers.Authorization = `Bearer ${token}`;
  let response;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch {
    throw new ApiError(0, "unreachable", "The server cannot be reached. Try again in a moment.");
  }
  const json = await response.json().catch(() => null);
  return { ok: response.ok, status: response.status, json };
}

/** The data of an answer, or an ApiError with the server's own message. */
export async function request(path, options) {
  const { ok, status, json } = await exchange(path, options);
  if (ok) return json?.data;
  throw new ApiError(status, json?.error?.code ?? "http_error", json?.error?.message ?? `The server answered ${status}.`);
}
