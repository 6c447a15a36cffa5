/** The outside world of a command: streams, environment, folders. main.ts makes the real one; nothing else in cli/ reaches for `process`. */

export type Io = {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly home: string;
  /** The time zone of this host; undefined when it cannot be told. */
  readonly timezone: string | undefined;
  /** Of this program and of the Node.js that runs it. */
  readonly version: string;
  readonly nodeVersion: string;
  /** The Node.js that runs this program: `up` starts its children with it. */
  readonly nodePath: string;
  readonly stdin: AsyncIterable<Uint8Array>;
  /** Asks the person at the terminal, without echo; absent when standard input is no terminal. */
  readonly hiddenLine?: (question: string) => Promise<string>;
  /** Asks likewise, with echo. */
  readonly line?: (question: string) => Promise<string>;
  out(text: string): void;
  /** As they are; resolves when more may come. */
  outBytes(bytes: Uint8Array): Promise<void>;
  err(text: string): void;
  readonly outIsTerminal: boolean;
  readonly errIsTerminal: boolean;
  /** Calls `fn` for each of these signals; the returned function stops that. */
  onSignal(signals: readonly NodeJS.Signals[], fn: (signal: NodeJS.Signals) => void): () => void;
};
