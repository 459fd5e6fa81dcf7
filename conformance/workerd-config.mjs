// Translates one area's wrangler.jsonc into the Cap'n Proto text configuration of workerd, so that the same Worker
// runs unchanged on both runtimes. Only the keys that the areas use are known; any other key is an error, because a
// key silently ignored here would make the two runtimes test different things.
import { readFileSync, readdirSync } from "node:fs";
import { join, relative, sep } from "node:path";

const KNOWN_KEYS = new Set([
  "$schema",
  "name",
  "main",
  "compatibility_date",
  "compatibility_flags",
  "vars",
  "services",
  "worker_loaders",
  "no_bundle",
  "rules",
  "atoll",
]);

const MODULE_FIELDS = {
  ESModule: "esModule",
  CommonJS: "commonJsModule",
  Text: "text",
  Data: "data",
  CompiledWasm: "wasm",
};

/** Parses JSON with comments and trailing commas. Throws SyntaxError naming the file. */
export function parseJsonc(text, file) {
  // Strings are matched first so that comment marks and commas inside them survive.
  const tokens = /"(?:[^"\\\n]|\\.)*"|\/\/[^\n]*|\/\*[\s\S]*?\*\/|,(?=(?:\s|\/\/[^\n]*\n|\/\*[\s\S]*?\*\/)*[}\]])/g;
  const plain = text.replace(tokens, (token) => (token.startsWith('"') ? token : " "));
  try {
    return JSON.parse(plain);
  } catch (error) {
    throw new SyntaxError(`${file}: ${error.message}`);
  }
}

/** Reads and checks `directory`/wrangler.jsonc. */
export function readProject(directory) {
  const file = join(directory, "wrangler.jsonc");
  const project = parseJsonc(readFileSync(file, "utf8"), file);
  for (const key of Object.keys(project)) {
    if (!KNOWN_KEYS.has(key)) throw new Error(`${file}: the oracle does not know the key "${key}".`);
  }
  for (const key of ["name", "main", "compatibility_date"]) {
    if (typeof project[key] !== "string") throw new Error(`${file}: "${key}" must be a string.`);
  }
  return project;
}

/**
 * The workerd configuration of the Worker in `directory`, for a file that lies in `configDirectory`
 * (workerd resolves `embed` paths against the configuration file).
 */
export function workerdConfig(project, directory, configDirectory) {
  const embed = (path) => text(relative(configDirectory, join(directory, path)).split(sep).join("/"));
  const modules = moduleList(project, directory).map(
    ({ name, field }) => `    (name = ${text(name)}, ${field} = embed ${embed(name)}),`,
  );
  const lines = [
    'using Workerd = import "/workerd/workerd.capnp";',
    "",
    "const config :Workerd.Config = (",
    `  services = [(name = ${text(project.name)}, worker = .area)],`,
    ");",
    "",
    "const area :Workerd.Worker = (",
    "  modules = [",
    ...modules,
    "  ],",
    `  compatibilityDate = ${text(project.compatibility_date)},`,
    `  compatibilityFlags = [${(project.compatibility_flags ?? []).map(text).join(", ")}],`,
    "  bindings = [",
    ...bindings(project).map((binding) => `    (${binding}),`),
    "  ],",
  ];
  const outbound = project.atoll?.global_outbound;
  if (outbound) lines.push(`  globalOutbound = ${designator(outbound)},`);
  lines.push(");", "");
  return lines.join("\n");
}

function bindings(project) {
  const result = [];
  for (const [name, value] of Object.entries(project.vars ?? {})) {
    const content = typeof value === "string" ? `text = ${text(value)}` : `json = ${text(JSON.stringify(value))}`;
    result.push(`name = ${text(name)}, ${content}`);
  }
  for (const service of project.services ?? []) {
    result.push(`name = ${text(service.binding)}, service = ${designator(service)}`);
  }
  for (const { binding, id } of project.worker_loaders ?? []) {
    result.push(`name = ${text(binding)}, workerLoader = (${id === undefined ? "" : `id = ${text(id)}`})`);
  }
  return result;
}

function designator({ service, entrypoint, props }) {
  const parts = [`name = ${text(service)}`];
  if (entrypoint !== undefined) parts.push(`entrypoint = ${text(entrypoint)}`);
  if (props !== undefined) parts.push(`props = (json = ${text(JSON.stringify(props))})`);
  return `(${parts.join(", ")})`;
}

/** The main module first (workerd takes the first as main), then every file that a rule matches. */
function moduleList(project, directory) {
  const rules = (project.rules ?? []).map(({ type, globs }) => {
    const field = MODULE_FIELDS[type];
    if (!field) throw new Error(`${project.name}: unknown module rule type "${type}".`);
    return { field, patterns: globs.map(globToRegExp) };
  });
  const modules = [{ name: project.main, field: "esModule" }];
  const files = readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) =>
      relative(directory, join(entry.parentPath ?? entry.path, entry.name))
        .split(sep)
        .join("/"),
    )
    .sort();
  for (const name of files) {
    if (name === project.main) continue;
    const rule = rules.find(({ patterns }) => patterns.some((pattern) => pattern.test(name)));
    if (rule) modules.push({ name, field: rule.field });
  }
  return modules;
}

function globToRegExp(glob) {
  const source = glob.replace(/\*\*\/|\*\*|\*|\?|[.+^${}()|[\]\\]/g, (part) => {
    if (part === "**/") return "(?:.*/)?";
    if (part === "**") return ".*";
    if (part === "*") return "[^/]*";
    if (part === "?") return "[^/]";
    return `\\${part}`;
  });
  return new RegExp(`^${source}$`);
}

/** A Cap'n Proto text literal. Its escapes are those of C: it has no \u, so other characters go out as UTF-8. */
function text(value) {
  const escapes = { '"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };
  return `"${value.replace(/["\\\n\r\t]/g, (character) => escapes[character])}"`;
}
