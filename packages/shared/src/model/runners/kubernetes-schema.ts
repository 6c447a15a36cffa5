/** The shape of `run.kubernetes`. What its fields mean together is checked in kubernetes-check.ts. */
import type { z } from "zod";
import { choice, fields } from "../../base/zod-issues.ts";
import { absolutePath, durationField, line, rawText } from "../job-fields.ts";
import type { KubernetesSpec } from "./kubernetes-spec.ts";

const DAY = 86_400_000;
const MAX_MANIFEST = 48 * 1024;
/** Names may carry `${NAME}`, so the server has the last word on their form. */
const objectName = (noun: string) => line(noun, 300);

export const kubernetesSchema = fields({
  manifest: rawText("the YAML of one object", MAX_MANIFEST)
    .describe(
      `YAML of one object: a batch/v1 Job that is run, or a Deployment, StatefulSet or DaemonSet that is applied. \${NAME} in its texts stands for a variable of the execution. Exactly one of manifest and setImage.`,
    )
    .exactOptional(),
  setImage: fields({
    kind: choice(["Deployment", "StatefulSet", "DaemonSet"]).describe("Of what runs already."),
    name: objectName("a name").describe("Its name."),
    container: objectName("a container's name").describe("The container whose image is changed."),
    image: line("an image", 500).describe(`Such as registry.example.org/app:\${VERSION}.`),
  })
    .describe("Changes the image of one container, and follows the rollout.")
    .exactOptional(),
  namespace: objectName("a namespace").describe("Default: the manifest's, then the context's, then default.").exactOptional(),
  kubeconfig: absolutePath
    .describe("A file on the agent's host. Default: KUBECONFIG of the agent, ~/.kube/config, else the service account of the agent's pod.")
    .exactOptional(),
  context: line("a context's name", 300).describe("Of the kubeconfig. Default: its current-context.").exactOptional(),
  wait: choice(["job", "rollout"]).describe("Default: job for a Job, rollout otherwise.").exactOptional(),
  stuckTimeout: durationField(1000, DAY)
    .describe("How long image pulls may fail, or a pod may not be schedulable, before the attempt fails. Default: 5m.")
    .exactOptional(),
}) satisfies z.ZodType<KubernetesSpec>;
