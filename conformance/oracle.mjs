#!/usr/bin/env node
// The oracle: runs the conformance areas on workerd, the reference implementation. A case must pass there, unless
// differences.jsonc lists it as a deliberate difference: then it must fail there, for the reason that is written.
//
//   node conformance/oracle.mjs [area | area/test ...] [--workerd PATH] [--json]
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseJsonc, readProject, workerdConfig } from "./workerd-config.mjs";

// Pinned, so that a new release of workerd never turns the suite red by itself.
const WORKERD_VERSION = "1.20261117.1";
const ROOT = dirname(fileURLToPath(import.meta.url));
const CACHE = join(ROOT, ".workerd");
/** A hung area is ended after this many milliseconds; a whole area takes under ten seconds. */
const AREA_DEADLINE = 60_000;
const USAGE = "usage: node conformance/oracle.mjs [area | area/test ...] [--workerd PATH] [--json]";

function main() {
  const options = parseArguments(process.argv.slice(2));
  const differences = readDifferences();
  const areas = selectAreas(options.selected);
  const workerd = options.workerd ?? installedWorkerd();
  const totals = { passed: 0, failed: 0, different: 0 };
  for (const [area, tests] of areas) {
    const outcomes = runArea(workerd, area);
    const wanted = (test) => tests === null || tests.has(test);
    const judged = outcomes.filter(({ test }) => wanted(test)).map((outcome) => judge(outcome, area, differences));
    judged.push(...missingCases(area, judged, differences, tests));
    const counts = { passed: 0, failed: 0, different: 0 };
    for (const verdict of judged) {
      counts[verdict.verdict] += 1;
      totals[verdict.verdict] += 1;
      if (options.json) console.log(JSON.stringify(verdict));
      else if (verdict.verdict === "failed") console.log(`FAIL ${verdict.area}/${verdict.test}: ${verdict.message}`);
    }
    if (!options.json) console.log(`${area}: ${summary(counts)}`);
  }
  if (options.json) console.log(JSON.stringify({ areas: areas.size, ...totals }));
  else console.log(`${areas.size} areas: ${summary(totals)}`);
  process.exitCode = totals.failed === 0 ? 0 : 1;
}

function summary({ passed, failed, different }) {
  return `${passed} passed, ${failed} failed` + (different ? `, ${different} different by design` : "");
}

function parseArguments(words) {
  const options = { json: false, workerd: undefined, selected: [] };
  for (let i = 0; i < words.length; i++) {
    if (words[i] === "--json") options.json = true;
    else if (words[i] === "--workerd") {
      options.workerd = words[++i];
      if (!options.workerd || !existsSync(options.workerd))
        fail(`--workerd needs the path of a workerd binary\n${USAGE}`);
    } else if (words[i].startsWith("-")) fail(`unknown option ${words[i]}\n${USAGE}`);
    else options.selected.push(words[i].replace(/\/$/, ""));
  }
  return options;
}

/** Map of area name to the set of selected tests, or to null for all of them. */
function selectAreas(selected) {
  const all = readdirSync(ROOT)
    .filter((name) => existsSync(join(ROOT, name, "wrangler.jsonc")))
    .sort();
  if (selected.length === 0) return new Map(all.map((area) => [area, null]));
  const areas = new Map();
  for (const selection of selected) {
    const [area, test] = selection.split("/");
    if (!all.includes(area)) fail(`there is no area "${area}"; the areas are: ${all.join(", ")}`);
    if (test === undefined) areas.set(area, null);
    else if (!areas.has(area)) areas.set(area, new Set([test]));
    else areas.get(area)?.add(test);
  }
  return areas;
}

/** Map of "area/test" to its entry in differences.jsonc. */
function readDifferences() {
  const file = join(ROOT, "differences.jsonc");
  const differences = new Map();
  for (const entry of parseJsonc(readFileSync(file, "utf8"), file)) {
    for (const key of ["test", "reason", "workerd_error"]) {
      if (typeof entry[key] !== "string" || entry[key] === "")
        fail(`${file}: an entry has no "${key}": ${JSON.stringify(entry)}`);
    }
    if (differences.has(entry.test)) fail(`${file}: "${entry.test}" is listed twice`);
    const area = entry.test.split("/")[0];
    if (!existsSync(join(ROOT, area, "wrangler.jsonc"))) fail(`${file}: there is no area "${area}"`);
    differences.set(entry.test, entry);
  }
  return differences;
}

function installedWorkerd() {
  const platform = { linux: "linux", darwin: "darwin", win32: "windows" }[process.platform];
  const processor = process.arch === "arm64" ? "arm64" : "64";
  // The platform package holds the real binary; the script of the `workerd` package, which npm may be told not to
  // run, would only link to it.
  const executable = process.platform === "win32" ? "workerd.exe" : "workerd";
  const folder = join(CACHE, "node_modules", "@cloudflare", `workerd-${platform}-${processor}`);
  const binary = join(folder, "bin", executable);
  const installed = existsSync(binary) && JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).version;
  if (installed === WORKERD_VERSION) return binary;
  mkdirSync(CACHE, { recursive: true });
  console.error(`installing workerd@${WORKERD_VERSION} into conformance/.workerd`);
  const npm = spawnSync(
    "npm",
    ["install", "--prefix", CACHE, "--no-audit", "--no-fund", "--ignore-scripts", `workerd@${WORKERD_VERSION}`],
    { stdio: ["ignore", "ignore", "inherit"], shell: process.platform === "win32" },
  );
  if (npm.status !== 0 || !existsSync(binary)) fail(`npm could not install workerd@${WORKERD_VERSION}`);
  return binary;
}

/** Runs one area; returns [{test, passed, log}], one for each exported object that has a test method. */
function runArea(workerd, area) {
  const directory = join(ROOT, area);
  const project = readProject(directory);
  if (project.name !== area) fail(`${area}/wrangler.jsonc: "name" must be "${area}", the name of its folder`);
  const configDirectory = join(CACHE, "config");
  mkdirSync(configDirectory, { recursive: true });
  const config = join(configDirectory, `${area}.capnp`);
  writeFileSync(config, workerdConfig(project, directory, configDirectory));
  const run = spawnSync(workerd, ["test", "--experimental", config], {
    encoding: "utf8",
    timeout: AREA_DEADLINE,
    maxBuffer: 256 * 1024 * 1024,
  });
  if (run.error && run.error.code !== "ETIMEDOUT") fail(`cannot run ${workerd}: ${run.error.message}`);
  const outcomes = parseOutcomes(run.stderr, area);
  if (outcomes.length === 0) {
    return [{ test: "(start)", passed: false, log: run.stderr || `workerd ended with status ${run.status}` }];
  }
  return outcomes;
}

/** A test that began and has no outcome ended the process (or never ended): it counts as failed. */
function parseOutcomes(stderr, area) {
  const marks = [...stderr.matchAll(/\[ (TEST|PASS|FAIL) \] ([^\s(]+).*$/gm)];
  const outcomes = [];
  let running = null;
  const finish = (passed, end) => {
    outcomes.push({ test: running.test, passed, log: stderr.slice(running.from, end) });
    running = null;
  };
  for (const mark of marks) {
    const [, kind, name] = mark;
    if (kind === "TEST") {
      if (running) finish(false, mark.index);
      const test = name === area ? "default" : name.slice(area.length + 1);
      running = { test, from: mark.index + mark[0].length };
    } else if (running) finish(kind === "PASS", mark.index);
  }
  if (running) finish(false, stderr.length);
  return outcomes;
}

function judge({ test, passed, log }, area, differences) {
  const entry = differences.get(`${area}/${test}`);
  const verdict = { area, test, workerd: passed ? "pass" : "fail", verdict: "passed" };
  if (entry === undefined) {
    if (!passed) Object.assign(verdict, { verdict: "failed", message: failureText(log) });
  } else if (passed) {
    Object.assign(verdict, { verdict: "failed", message: "is listed in differences.jsonc but passes on workerd" });
  } else if (!failureText(log).includes(entry.workerd_error)) {
    const message = `fails on workerd, but not with "${entry.workerd_error}": ${failureText(log)}`;
    Object.assign(verdict, { verdict: "failed", message });
  } else {
    Object.assign(verdict, { verdict: "different", reason: entry.reason });
  }
  return verdict;
}

/** Entries of differences.jsonc, and tests selected by name, that did not run. */
function missingCases(area, judged, differences, tests) {
  const ran = new Set(judged.map(({ test }) => test));
  const listed = [...differences.keys()]
    .filter((name) => name.startsWith(`${area}/`))
    .map((name) => name.slice(area.length + 1));
  const expected = tests ?? new Set(listed);
  return [...expected]
    .filter((test) => !ran.has(test))
    .map((test) => ({ area, test, workerd: "none", verdict: "failed", message: "there is no such test" }));
}

/** The last uncaught exception in the log (earlier ones may be expected by the test), without native addresses. */
function failureText(log) {
  const text = log.replace(/^stack: .*$/gm, "").trim();
  const uncaught = [...text.matchAll(/uncaught exception; source = [^;]+; stack = ([\s\S]*?)(?=\n\S*workerd\/|$)/g)];
  return (uncaught.at(-1)?.[1] ?? text).slice(0, 2000).trim() || "ended without an outcome";
}

function fail(message) {
  console.error(`oracle: ${message}`);
  process.exit(2);
}

main();
