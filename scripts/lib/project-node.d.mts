export const ROOT: string;
export const NEEDED_MAJOR: number;
export function projectNode(root?: string): string | undefined;
