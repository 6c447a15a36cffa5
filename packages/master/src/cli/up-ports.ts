/** The addresses that `up` hands out: free ones, and whether the wanted one is. */
import { createServer } from "node:net";
import { AppError } from "fleetcron-shared/base/errors";

/** Host and port, port 0 replaced by a free one; throws when somebody listens there already. */
export async function listenAddress(text: string): Promise<{ host: string; port: number }> {
  const match = /^(\[[0-9a-f:]+\]|[A-Za-z0-9.-]+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2] ?? Number.NaN);
  if (match?.[1] === undefined || !(port <= 65_535)) throw new AppError("input/usage", `--listen "${text}" is not of the form HOST:PORT`);
  const host = match[1];
  if (port === 0) return { host, port: (await freePorts(1))[0] ?? 0 };
  await checkFree(host.replace(/^\[|\]$/g, ""), port);
  return { host, port };
}

/** Ports of the loopback that are free now, held together while they are found so that they differ. */
export async function freePorts(count: number): Promise<number[]> {
  const holders = await Promise.all(Array.from({ length: count }, () => holdPort("127.0.0.1", 0)));
  const ports = holders.map((holder) => holder.port);
  await Promise.all(holders.map((holder) => holder.release()));
  return ports;
}

/** Throws `config/port-in-use` when the address cannot be listened on. */
async function checkFree(host: string, port: number): Promise<void> {
  try {
    await (await holdPort(host, port)).release();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const why =
      code === "EADDRINUSE"
        ? "another program listens there"
        : code === "EACCES"
          ? "this user may not listen there"
          : "this machine has no such address";
    throw new AppError("config/port-in-use", `${host}:${port} cannot be used: ${why}`, {
      cause,
      hint: "choose another with --listen HOST:PORT (port 0 takes a free one)",
    });
  }
}

function holdPort(host: string, port: number): Promise<{ port: number; release(): Promise<void> }> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(port, host, () => {
      const address = server.address();
      const release = () => new Promise<void>((done) => server.close(() => done()));
      resolve({ port: typeof address === "object" && address !== null ? address.port : port, release });
    });
  });
}
