/** What a driver is told of a workspace. */
export interface DriverWorkspace {
  readonly id: string;
  readonly name: string;
  /** Port of the editor on the workload's loopback; 0: the driver picks one and tells it. */
  readonly editorPort: number;
}

export interface DriverStart {
  /** Secret: never in argv, never in a log. */
  readonly agentToken: string;
  /** `http(s)://host:port`, as the agent reaches this relay. */
  readonly relayUrl: string;
  /** More environment for the workload (`VSCODE_PROXY_URI`, …). Holds no secret. */
  readonly env: Readonly<Record<string, string>>;
  /** The workload ended by itself, after `start` resolved. At most once for each start. */
  readonly onExit: (reason: string) => void;
}

export interface DriverStarted {
  /** The port where the editor listens, when the driver chose it. */
  readonly editorPort?: number;
}

/** Starts and stops the workloads of one kind of workspace. */
export interface Driver {
  readonly name: 'external' | 'local';
  /**
   * Resolves once the workload's processes run (not: once its agent is connected). Rejects with
   * RelayError, leaving nothing behind, also when the signal aborts. Starting a
   * workspace that already runs first stops it.
   */
  start(
    workspace: DriverWorkspace,
    options: DriverStart,
    signal: AbortSignal,
  ): Promise<DriverStarted>;
  /** Ends the workload, within 10 s. Idempotent; never rejects for a workspace that is not there. */
  stop(workspaceId: string): Promise<void>;
  /** Ends every workload of this driver. Idempotent. */
  stopAll(): Promise<void>;
}
