export function editorCache(): string;
export function installEditor(options?: { cache?: string; signal?: AbortSignal }): Promise<string>;
