/** What `promise` resolves to; after `boundMs` a rejection that says what was waited for. */
export async function within<T>(
  promise: Promise<T>,
  what: () => string,
  boundMs = 20_000,
): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error(`Not within ${boundMs / 1000} s: ${what()}.`)),
    boundMs,
  );
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
