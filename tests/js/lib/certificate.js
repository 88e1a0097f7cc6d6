// certificate.js - a self-signed certificate and its key, as files
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

// For localhost and 127.0.0.1; `name` is what tells one from another.
export async function makeCertificate(certificate, key, name = "holdfast test", days = 30) {
  await run(
    "openssl",
    [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
      ...["-days", `${days}`, "-subj", `/CN=${name}`, "-keyout", key, "-out", certificate],
      ...["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
    ],
    { timeout: 20000 },
  );
}
