"use strict";
// The global object's own properties that are always there: `self`, `origin`, `queueMicrotask`, `structuredClone`, and its
// interfaces. Everything larger is a lazy property, made on first touch (see the layer's manifest in Rust).
// https://html.spec.whatwg.org/#the-global-object

const { ObjectDefineProperty, ObjectSetPrototypeOf, SymbolToStringTag, TypeError, globalThis } = primordials;

function define(key, value, enumerable = true) {
  ObjectDefineProperty(globalThis, key, { __proto__: null, value, writable: true, enumerable, configurable: true });
}

// https://html.spec.whatwg.org/#dom-structuredclone
function structuredClone(value, options = undefined) {
  if (arguments.length === 0) {
    throw new TypeError(
      "Failed to execute 'structuredClone' on 'ServiceWorkerGlobalScope': parameter 1 is not of type 'any'.",
    );
  }
  const transfer = options === undefined || options === null ? undefined : options.transfer;
  return natives.structuredClone(value, transfer);
}

// https://html.spec.whatwg.org/#dom-reporterror
function reportError(error) {
  if (arguments.length === 0) {
    throw new TypeError(
      "Failed to execute 'reportError' on 'ServiceWorkerGlobalScope': parameter 1 is not of type 'Value'.",
    );
  }
  natives.reportException(error);
}

define("self", globalThis);
define("queueMicrotask", natives.queueMicrotask);
define("structuredClone", structuredClone);
define("reportError", reportError);
ObjectDefineProperty(globalThis, "origin", { __proto__: null, value: "null", enumerable: true, configurable: true });

// The interfaces of the global object. Its events are functions of its own, which need not exist before their first use.
class WorkerGlobalScope {
  constructor() {
    throw new TypeError("Illegal constructor");
  }
}
class ServiceWorkerGlobalScope extends WorkerGlobalScope {}
function defineScope(Class, name) {
  ObjectDefineProperty(Class.prototype, SymbolToStringTag, { __proto__: null, value: name, configurable: true });
  define(name, Class, false);
}
defineScope(WorkerGlobalScope, "WorkerGlobalScope");
defineScope(ServiceWorkerGlobalScope, "ServiceWorkerGlobalScope");
ObjectSetPrototypeOf(globalThis, ServiceWorkerGlobalScope.prototype);
// SharedArrayBuffer cannot be shared with anybody here, and gives a fine clock to whoever wants one.
delete globalThis.SharedArrayBuffer;
// A timer that needs no invocation, and nobody else shares memory anyway.
delete globalThis.Atomics.waitAsync;

// `Cloudflare.compatibilityFlags`: the flags that are on, as properties that are true.
// https://developers.cloudflare.com/workers/runtime-apis/
ObjectDefineProperty(globalThis, "Cloudflare", {
  __proto__: null,
  get: () => {
    const compatibilityFlags = {};
    const names = natives.flags();
    const flag = { __proto__: null, value: true, enumerable: true };
    for (let i = 0; i < names.length; i++) ObjectDefineProperty(compatibilityFlags, names[i], flag);
    const value = primordials.ObjectFreeze({ compatibilityFlags: primordials.ObjectFreeze(compatibilityFlags) });
    define("Cloudflare", value, false);
    return value;
  },
  enumerable: false,
  configurable: true,
});

// For Node's name of it.
exports.global = globalThis;
