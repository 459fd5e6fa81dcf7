// A module beside the main one; counts its evaluations.
globalThis.evaluations = (globalThis.evaluations ?? 0) + 1;
export const base = 100;
