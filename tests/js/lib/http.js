// http.js - one request, one answer, nothing hidden; a new connection each time
import http from "node:http";

// `headers` are sent as they are; the answer's are in lower case. `signal`
// hangs up. The path is sent as written, so that a test may send a bad one.
export function request({ port, method = "GET", path, headers = {}, body, ms = 20000, signal }) {
  return new Promise((resolve, reject) => {
    const all = { ...headers };
    if (body !== undefined) all["content-length"] = Buffer.byteLength(body);
    const req = http.request(
      { host: "127.0.0.1", port, method, path, headers: all, agent: false, signal },
      (res) => {
        const parts = [];
        res.on("data", (part) => parts.push(part));
        res.on("error", reject);
        res.on("end", () =>
          resolve({
            status: res.statusCode,
            headers: res.headers,
            body: Buffer.concat(parts).toString("utf8"),
          }),
        );
      },
    );
    req.setTimeout(ms, () => req.destroy(new Error(`${method} ${path}: no answer in ${ms} ms`)));
    req.on("error", reject);
    req.end(body);
  });
}
