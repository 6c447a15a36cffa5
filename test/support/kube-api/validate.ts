/** What an API server refuses: fields that do not exist, values of the wrong type, names and labels that are not of the allowed form. */
import { Refused, type Stored } from "./store.ts";

type Shape = "string" | "int" | "bool" | "any" | "texts" | { readonly [field: string]: Shape } | readonly [Shape];

const META: Shape = {
  name: "string",
  uid: "string",
  generation: "int",
  creationTimestamp: "string",
  generateName: "string",
  namespace: "string",
  labels: "texts",
  annotations: "texts",
  resourceVersion: "string",
  ownerReferences: "any",
  finalizers: "any",
};
const CONTAINER: Shape = {
  name: "string",
  image: "string",
  imagePullPolicy: "string",
  workingDir: "string",
  command: ["string"],
  args: ["string"],
  env: [{ name: "string", value: "string", valueFrom: "any" }],
  envFrom: "any",
  ports: "any",
  resources: "any",
  securityContext: "any",
  volumeMounts: [{ name: "string", mountPath: "string", subPath: "string", subPathExpr: "string", readOnly: "bool" }],
  livenessProbe: "any",
  readinessProbe: "any",
  terminationMessagePolicy: "string",
};
const POD: Shape = {
  containers: [CONTAINER],
  initContainers: [CONTAINER],
  volumes: [
    {
      name: "string",
      emptyDir: "any",
      secret: { secretName: "string", defaultMode: "int", items: "any", optional: "bool" },
      configMap: "any",
    },
  ],
  restartPolicy: "string",
  serviceAccountName: "string",
  nodeSelector: "texts",
  terminationGracePeriodSeconds: "int",
  securityContext: "any",
  imagePullSecrets: "any",
  tolerations: "any",
};
const TEMPLATE: Shape = { metadata: META, spec: POD };
const ROLLOUT: Shape = {
  replicas: "int",
  selector: "any",
  template: TEMPLATE,
  strategy: "any",
  updateStrategy: "any",
  progressDeadlineSeconds: "int",
  paused: "bool",
  serviceName: "string",
  minReadySeconds: "int",
};
const SPECS: Readonly<Record<string, Shape>> = {
  Job: {
    template: TEMPLATE,
    backoffLimit: "int",
    parallelism: "int",
    completions: "int",
    activeDeadlineSeconds: "int",
    ttlSecondsAfterFinished: "int",
    suspend: "bool",
    podFailurePolicy: "any",
  },
  Deployment: ROLLOUT,
  StatefulSet: ROLLOUT,
  DaemonSet: ROLLOUT,
};

/** Throws Refused 400 for what cannot be decoded and 422 for what is not allowed. */
export function validate(object: Stored, strict: boolean): void {
  const spec = SPECS[object.kind];
  if (spec !== undefined) {
    const unknown: string[] = [];
    walk({ metadata: object.metadata, spec: object.spec }, { metadata: META, spec }, "", unknown);
    if (strict && unknown.length > 0) {
      const words = unknown.map((field) => `unknown field "${field}"`).join(", ");
      throw new Refused(
        400,
        "BadRequest",
        `${object.kind} in version "v1" cannot be handled as a ${object.kind}: strict decoding error: ${words}`,
      );
    }
  }
  const causes = [...wrongMeta(object.metadata, "metadata"), ...wrongPod(object)];
  if (causes.length === 0) return;
  const words = causes.map(({ field, message }) => `${field}: ${message}`).join(", ");
  const group = object.apiVersion.includes("/") ? `.${object.apiVersion.split("/")[0]}` : "";
  throw new Refused(
    422,
    "Invalid",
    `${object.kind}${group} "${object.metadata.name}" is invalid: ${causes.length > 1 ? `[${words}]` : words}`,
    causes,
  );
}

function walk(value: unknown, shape: Shape, path: string, unknown: string[]): void {
  const decode = (type: string) =>
    new Refused(400, "BadRequest", `json: cannot unmarshal ${typeof value} into Go struct field ${path.slice(1)} of type ${type}`);
  if (value === undefined || value === null || shape === "any") return;
  if (shape === "string" && typeof value !== "string") throw decode("string");
  if (shape === "int" && !Number.isInteger(value)) throw decode("int32");
  if (shape === "bool" && typeof value !== "boolean") throw decode("bool");
  if (shape === "texts") for (const text of Object.values(value)) walk(text, "string", path, unknown);
  if (typeof shape === "string") return;
  if (Array.isArray(shape)) {
    if (!Array.isArray(value)) throw decode("[]");
    for (const [index, item] of value.entries()) walk(item, shape[0] as Shape, `${path}[${index}]`, unknown);
    return;
  }
  if (typeof value !== "object" || Array.isArray(value)) throw decode("struct");
  const fields = shape as { readonly [field: string]: Shape };
  for (const [name, item] of Object.entries(value)) {
    const known = fields[name];
    if (known === undefined) unknown.push(`${path}.${name}`.slice(1));
    else walk(item, known, `${path}.${name}`, unknown);
  }
}

type Cause = { reason: string; field: string; message: string };

function wrongMeta(meta: Partial<Stored["metadata"]> | undefined, at: string): Cause[] {
  const causes: Cause[] = [];
  const wrong = (field: string, value: string, message: string) =>
    causes.push({ reason: "FieldValueInvalid", field, message: `Invalid value: ${JSON.stringify(value)}: ${message}` });
  const name = meta?.name;
  if (name !== undefined && !(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(name) && name.length <= 63))
    wrong(`${at}.name`, name, "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters");
  for (const value of Object.values(meta?.labels ?? {}))
    if (!/^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/.test(value) || value.length > 63)
      wrong(`${at}.labels`, value, "a valid label must be an empty string or consist of alphanumeric characters");
  return causes;
}

function wrongPod(object: Stored): Cause[] {
  const template = object.spec?.template;
  if (template === undefined) return [];
  const causes = wrongMeta(template.metadata, "spec.template.metadata");
  const policy = template.spec?.restartPolicy;
  if (object.kind === "Job" && policy !== "Never" && policy !== "OnFailure")
    causes.push({
      reason: "FieldValueNotSupported",
      field: "spec.template.spec.restartPolicy",
      message: `Unsupported value: ${JSON.stringify(policy)}: supported values: "OnFailure", "Never"`,
    });
  for (const [index, container] of (template.spec?.containers ?? []).entries()) {
    const at = `spec.template.spec.containers[${index}]`;
    if (typeof container.image !== "string" || container.image === "")
      causes.push({ reason: "FieldValueRequired", field: `${at}.image`, message: "Required value" });
    if (!/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(container.name ?? ""))
      causes.push({ reason: "FieldValueInvalid", field: `${at}.name`, message: `Invalid value: ${JSON.stringify(container.name)}` });
  }
  return causes;
}
