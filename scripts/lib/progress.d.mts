export interface Step {
  update(text: string): void;
  done(text?: string): void;
  fail(text?: string): void;
  clear(): void;
}
export function seconds(ms: number): string;
export function step(label: string, options?: { stream?: NodeJS.WriteStream }): Step;
