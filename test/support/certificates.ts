/** Certificates for tests: an authority of its own in a folder, and what it signs. Made with openssl. */
import { execFileSync } from "node:child_process";
import { tempFolder } from "./processes.ts";

export type Certificates = {
  /** Of the authority. */
  readonly ca: string;
  /** For clients of that name, and for servers on the loopback. Files `<file>.crt` and `<file>.key`; `file` is by default the name. */
  issue(name: string, file?: string): { cert: string; key: string };
  [Symbol.dispose](): void;
};

const EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
const SAN = "subjectAltName=IP:127.0.0.1,DNS:localhost";

export function makeCertificates(): Certificates {
  const folder = tempFolder();
  const run = (...args: string[]) => execFileSync("openssl", args, { cwd: folder.path, stdio: ["ignore", "ignore", "pipe"] });
  run("req", "-x509", ...EC, "-keyout", "ca.key", "-out", "ca.crt", "-days", "2", "-subj", "/CN=ca");
  return {
    ca: folder.file("ca.crt"),
    issue(name, file = name) {
      run("req", ...EC, "-keyout", `${file}.key`, "-out", `${file}.csr`, "-subj", `/CN=${name}`, "-addext", SAN);
      const signed = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-copy_extensions", "copy"];
      run("x509", "-req", "-in", `${file}.csr`, ...signed, "-out", `${file}.crt`);
      return { cert: folder.file(`${file}.crt`), key: folder.file(`${file}.key`) };
    },
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  };
}
