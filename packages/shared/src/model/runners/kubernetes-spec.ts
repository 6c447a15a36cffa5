/** `run.kubernetes`: a Job that is created and followed to its end, or a rollout. `${NAME}` in text stands for the execution's variables. */

export type KubernetesSpec = {
  /** YAML of one object: a batch/v1 Job (`wait: job`), or a Deployment, StatefulSet or DaemonSet that is applied (`wait: rollout`). Exactly one of the two. */
  readonly manifest?: string;
  /** Changes the image of one container of what runs, and follows the rollout. */
  readonly setImage?: {
    readonly kind: "Deployment" | "StatefulSet" | "DaemonSet";
    readonly name: string;
    readonly container: string;
    readonly image: string;
  };
  /** Default: the manifest's, then the context's, then `default`. */
  readonly namespace?: string;
  /** A file on the agent's host. Default: `KUBECONFIG` of the agent, `~/.kube/config`, else the service account of the pod that the agent runs in. */
  readonly kubeconfig?: string;
  readonly context?: string;
  /** Default `job` for a Job, `rollout` otherwise. */
  readonly wait?: "job" | "rollout";
  /** How long image pulls may fail, or a pod may not be schedulable, before the attempt fails. Default 5m. */
  readonly stuckTimeout?: string;
};
