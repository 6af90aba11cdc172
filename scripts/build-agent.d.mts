/** Returns the size in bytes. */
export function buildAgent(outfile?: string): Promise<number>;
