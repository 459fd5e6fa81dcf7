"use strict";
// `require(name)`: the exports of a runtime script. Most are there already, and are found without a call into the runtime.
made.require = (name) => registry[name] ?? load(name);
