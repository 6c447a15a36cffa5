/**
 * Why a session (ssh, http, kubernetes) failed other than by the exit code of what ran: one row per code, with whether another attempt may help and what to do.
 * docs/runners.md shows this table; a test holds them together.
 */

export type Failure = {
  /** Whether the job's `retry` applies: false when the same attempt would fail the same way. */
  readonly retry: boolean;
  readonly means: string;
  /** What the operator can do. */
  readonly todo: string;
};

const SSH = {
  "ssh/hostKeyUnknown": {
    retry: false,
    means: "the host's key is not in known_hosts, so nobody can tell whether it is that host",
    todo: "compare the fingerprint with the host's own (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), then run `fleetcron ssh trust HOST`, or set hostKeys: accept-new",
  },
  "ssh/hostKeyChanged": {
    retry: false,
    means: "the host has another key than known_hosts says: it was installed anew, or somebody else answers in its place",
    todo: "ask who runs the host; if the new key is right, remove the line that the error names and run `fleetcron ssh trust HOST`",
  },
  "ssh/hostKeyRevoked": {
    retry: false,
    means: "known_hosts marks the host's key as @revoked",
    todo: "give the host a new key, and trust that one",
  },
  "ssh/hostCertificate": {
    retry: false,
    means: "known_hosts knows the host only by a certificate authority (@cert-authority), and host certificates are not supported",
    todo: "pin the host's own key: `fleetcron ssh trust HOST`",
  },
  "ssh/auth": {
    retry: false,
    means: "the server accepted none of the ways to log in that the job has",
    todo: "look at the user, at authorized_keys on the host, and at run.ssh.auth; the error names what was offered and tried",
  },
  "ssh/key": {
    retry: false,
    means: "a private key file cannot be used: it is missing, unreadable, open to others, of an unknown form, or the passphrase is wrong",
    todo: "mend what the error names: the path, chmod 600, or the passphrase secret",
  },
  "ssh/config": {
    retry: false,
    means: "the ssh config or a known_hosts file of the agent's host says something for this host that cannot be followed",
    todo: "mend the line that the error names, or give the job the host's address, port and user itself",
  },
  "ssh/protocol": {
    retry: false,
    means: "what answers is no SSH server, or has no algorithm in common with this client",
    todo: "look at the port, and at the server's list of algorithms",
  },
  "ssh/noShell": {
    retry: false,
    means: "the login worked, but the server does not run commands for this user, or has no POSIX shell",
    todo: "look at the user's login shell, at ForceCommand and at command= in authorized_keys; the error shows what the server said",
  },
  "ssh/remoteDir": {
    retry: true,
    means: "the session's folder on the host cannot be made or is not safe to use",
    todo: "look at the path that the error names on the host: owner, mode 0700, free space",
  },
  "ssh/connectionLost": {
    retry: true,
    means: "the connection was lost before the command began; it did not run",
    todo: "look at the network and the host's sshd",
  },
  "ssh/channels": {
    retry: true,
    means: "the server opens no further session, and none became free in time",
    todo: "raise MaxSessions or MaxStartups in the host's sshd_config, or lower the number of executions at once",
  },
} as const satisfies Readonly<Record<string, Failure>>;

const HTTP = {
  "http/address": {
    retry: false,
    means: "the call, a redirect of it or its proxy leads to an address that is not public, and that this host's policy does not allow",
    todo: "if it is meant, add the address or its network to `networks` in the host's policy.yaml, as the error shows, and reload the agent",
  },
  "http/tls": {
    retry: false,
    means: "no trusted TLS connection: a certificate was not accepted on one side, or a file of run.http.tls cannot be used",
    todo: "give run.http.tls the right ca, cert, key or serverName, or have the server's certificate mended",
  },
  "http/proxy": {
    retry: false,
    means: "the proxy refused to connect to the target",
    todo: "look at the user and password in run.http.proxy, and at what the proxy allows",
  },
  "http/redirects": {
    retry: false,
    means: "the redirects lead in a circle, are too many, or lead where this call must not go",
    todo: "give run.http.url the address at the end of the redirects, or raise maxRedirects",
  },
  "http/idle": {
    retry: true,
    means: "the server was silent for longer than idleTimeout, before its response or in the middle of it",
    todo: "look at the server; raise run.http.idleTimeout if it needs so long",
  },
  "http/cut": {
    retry: true,
    means: "the connection ended before the response was complete; the server may have done the work",
    todo: "look at the server and at what is between; a job that must not be done twice needs a server that knows the Idempotency-Key",
  },
  "http/protocol": {
    retry: false,
    means: "the answer is not valid HTTP, or its body is not compressed as it says",
    todo: "look at the server, and at the scheme and port of run.http.url",
  },
  "http/tooLarge": {
    retry: false,
    means: "the response's body is larger than is read of any (1 GiB, decompressed)",
    todo: "ask the server for less, or fetch it with a command that writes to a file",
  },
  "http/status": {
    retry: true,
    means: "the response's status is none of expectStatus",
    todo: "read the response in the log (`fleetcron run logs`); change the request or expectStatus",
  },
  "http/body": {
    retry: true,
    means: "the beginning of the response's body does not match expectBody",
    todo: "read the response in the log (`fleetcron run logs`); change the request or expectBody",
  },
} as const satisfies Readonly<Record<string, Failure>>;

const KUBERNETES = {
  "kubernetes/config": {
    retry: false,
    means:
      "the agent cannot make a connection out of its kubeconfig: a missing file, an unknown context, a credential or a certificate that cannot be used",
    todo: "mend what the error names in the kubeconfig on the agent's host, or run.kubernetes.kubeconfig and context of the job",
  },
  "kubernetes/forbidden": {
    retry: false,
    means: "the cluster refuses the agent's identity, or that identity may not do what the job needs",
    todo: "give the user or service account that the error names the missing right; docs/runners/kubernetes.md has the role",
  },
  "kubernetes/invalid": {
    retry: false,
    means: "the cluster refuses the object as it is; the error has its words",
    todo: "mend the manifest or the fields of setImage; `kubectl apply --dry-run=server` says the same",
  },
  "kubernetes/conflict": {
    retry: false,
    means: "an object of that name belongs to somebody else, or another execution has changed it meanwhile",
    todo: "look who owns it; give jobs that change the same object one sequence, so that they wait for each other",
  },
  "kubernetes/imagePull": {
    retry: true,
    means: "an image could not be pulled for longer than stuckTimeout",
    todo: "check the image's name and tag, the pull secret, and whether the registry answers the cluster's nodes",
  },
  "kubernetes/unschedulable": {
    retry: true,
    means: "no node of the cluster could take a pod for longer than stuckTimeout",
    todo: "lower what the pod requests, mend its node selector or tolerations, or add nodes; or raise stuckTimeout",
  },
  "kubernetes/createContainer": {
    retry: false,
    means:
      "a container could not be created for longer than stuckTimeout, for example because a Secret, ConfigMap or volume that it names is missing",
    todo: "create what the error names, or mend its name in the manifest",
  },
  "kubernetes/noPod": {
    retry: true,
    means:
      "the cluster has created no pod for the Job for longer than stuckTimeout, for example because of a quota or a missing service account",
    todo: "mend what the error names; `kubectl describe job` shows it too",
  },
  "kubernetes/deadline": {
    retry: true,
    means: "the Job took longer than its activeDeadlineSeconds",
    todo: "raise activeDeadlineSeconds in the manifest, or the job's timeout, or make the work shorter",
  },
  "kubernetes/evicted": {
    retry: true,
    means: "the cluster took a pod away: its node ran out of something, was drained, or was needed for something more important",
    todo: "give the job retries, request what the pod really needs, or allow a backoffLimit in the manifest",
  },
  "kubernetes/deleted": {
    retry: false,
    means: "somebody or something else deleted the Job, its pod or the object of the rollout",
    todo: "look who did it, for example in the cluster's audit log, and run the job again if it was a mistake",
  },
  "kubernetes/backoffLimit": {
    retry: true,
    means: "the Job failed, and no exit code of its containers was seen",
    todo: "look at the Job and its pods with `kubectl describe`; they are kept for ttlSecondsAfterFinished",
  },
  "kubernetes/rolloutStuck": {
    retry: true,
    means: "the rollout does not make progress; the error has what its pods say. What was applied stays as it is",
    todo: "mend what the pods say, or go back with `kubectl rollout undo`",
  },
} as const satisfies Readonly<Record<string, Failure>>;

export const FAILURES = {
  "runner/spec": {
    retry: false,
    means: "the job's fields cannot be used as they are, for example after its variables were put in",
    todo: "mend the field that the error names",
  },
  ...SSH,
  ...HTTP,
  ...KUBERNETES,
} as const satisfies Readonly<Record<string, Failure>>;

export type FailureCode = keyof typeof FAILURES;
