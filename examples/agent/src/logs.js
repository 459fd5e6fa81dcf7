// What an agent printed, kept within bounds: the agent decides how much it says, we decide how much we keep.

const MAX_LINES = 1_000;
const MAX_LINE_LENGTH = 8_000;

export class Logs {
  lines = [];

  push(level, text) {
    if (this.lines.length > MAX_LINES) return;
    if (this.lines.length === MAX_LINES) {
      this.lines.push({ level: "warn", text: `Only the first ${MAX_LINES} lines are kept.` });
      return;
    }
    this.lines.push({ level: String(level), text: String(text).slice(0, MAX_LINE_LENGTH) });
  }
}
