/** Every number of the registry and of routing in a cluster, with its reason. Times in ms. */
export const REGISTRY_LIMITS = Object.freeze({
  /** One answer of Redis: a slow one (1 s) is still used. */
  answerMs: 5_000,
  /** Silence while an answer is due, after which the connection is made anew. */
  redisSilenceMs: 8_000,
  redisConnectMs: 5_000,
  /** Between attempts to connect, at most; the first come after 50 ms, doubled. */
  redisRetryMs: 2_000,
  /** Agents written at once, and the pause between: others' lookups come in between. */
  writeBatch: 256,
  writePaceMs: 20,
  /** After a write that failed. */
  writeRetryMs: 1_000,
  /** Agents that left while Redis was away, and whose entries are to be deleted. */
  forgotten: 100_000,
  /** Refreshes of the lease are never closer, whoever asks for one. */
  refreshSoonestMs: 500,
  /** While something is wrong with Redis. */
  refreshRetryMs: 1_000,
  /** A relay that starts waits so long for Redis, and one that stops for its last words. */
  redisHurryMs: 2_000,
  /** Behind the publishes, which may be lost, for an agent that somebody waits for. */
  pollMs: 1_000,
  /** A registry that fails for less fails nobody who waits: a failover takes a moment. */
  patienceMs: 2_000,
  /** Agents whose relay is remembered, about 300 bytes each. */
  cachedRoutes: 50_000,
  /** Known routes that are looked up again at once, when the agents of a whole relay move. */
  renewals: 32,
  /** A relay that did not have the agent is not asked again for it, unless it is said to have it. */
  absentMs: 1_000,
  absentRemembered: 10_000,
  /** A relay that could not be dialled is left alone so long, twice as long each time, up to the lease. */
  shunMs: 2_000,
  shunned: 10_000,
  /** A relay that is well has answered a dial by then; the agent's next relay is dialled beside it. */
  slowDialMs: 300,
});
