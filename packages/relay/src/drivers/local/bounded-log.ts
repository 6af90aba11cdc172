import { closeSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs';

/**
 * A log file that never takes more than twice `maxBytes`: when full it becomes
 * `<path>.1` and a new one begins. A full disk loses log lines, nothing else.
 */
export class BoundedLog {
  readonly #path: string;
  readonly #maxBytes: number;
  #file: number | undefined;
  #size = 0;

  constructor(path: string, maxBytes: number) {
    this.#path = path;
    this.#maxBytes = maxBytes;
  }

  write(chunk: Uint8Array): void {
    try {
      if (this.#file !== undefined && this.#size + chunk.byteLength > this.#maxBytes) {
        this.close();
        renameSync(this.#path, `${this.#path}.1`);
      }
      this.#file ??= this.#open();
      this.#size += writeSync(this.#file, chunk);
    } catch {
      // Nowhere left to tell it.
    }
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #open(): number {
    const file = openSync(this.#path, 'a', 0o600);
    this.#size = fstatSync(file).size;
    return file;
  }
}
