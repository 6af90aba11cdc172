export type MaybePromise<T> = T | Promise<T>;

/** Goes on at once with a value that is there, later with one that is not: no promise on hot paths. */
export function whenReady<T, R>(
  value: MaybePromise<T>,
  proceed: (value: T) => MaybePromise<R>,
): MaybePromise<R> {
  return value instanceof Promise ? value.then(proceed) : proceed(value);
}
