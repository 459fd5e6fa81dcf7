"use strict";
// withEnv() and its like, of the module `cloudflare:workers`.
//
// natives.overrides() -> what is in place for the running code and what it starts, or undefined; natives.setOverrides(value)
// replaces it

const { TypeError } = primordials;

// Calls `fn` with other imports in place; code that it starts keeps them.
function override(name, index, fn, change) {
  if (typeof fn !== "function") {
    throw new TypeError(`Failed to execute '${name}' on 'EnvModule': parameter ${index} is not of type 'function'.`);
  }
  const before = natives.overrides();
  const after = { __proto__: null, env: before?.env, exports: before?.exports };
  change(after);
  natives.setOverrides(after);
  try {
    return fn();
  } finally {
    natives.setOverrides(before);
  }
}

function replacement(value) {
  return value === null || value === undefined ? undefined : primordials.Object(value);
}

exports.withEnv = (newEnv, fn) => {
  return override("withEnv", 2, fn, (after) => {
    after.env = replacement(newEnv);
  });
};
exports.withExports = (newExports, fn) => {
  return override("withExports", 2, fn, (after) => {
    after.exports = replacement(newExports);
  });
};
exports.withEnvAndExports = (newEnv, newExports, fn) => {
  return override("withEnvAndExports", 3, fn, (after) => {
    after.env = replacement(newEnv);
    after.exports = replacement(newExports);
  });
};
