"use strict";
// The global object's own properties that are always there: `self`, `queueMicrotask`, `structuredClone`, and
// `navigator`. Everything larger is a lazy property, made on first touch (see the layer's manifest in Rust).
// https://html.spec.whatwg.org/#the-global-object

const { ObjectDefineProperty, ObjectDefineProperties, SymbolToStringTag, TypeError, globalThis } = primordials;

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
ObjectDefineProperty(globalThis, SymbolToStringTag, { __proto__: null, value: "ServiceWorkerGlobalScope", configurable: true });

class Navigator {
  get userAgent() {
    return "Cloudflare-Workers";
  }
  get hardwareConcurrency() {
    return 1;
  }
  get platform() {
    return "";
  }
  get language() {
    return "en";
  }
}
ObjectDefineProperties(Navigator.prototype, {
  userAgent: { __proto__: null, enumerable: true },
  hardwareConcurrency: { __proto__: null, enumerable: true },
  platform: { __proto__: null, enumerable: true },
  language: { __proto__: null, enumerable: true },
  [SymbolToStringTag]: { __proto__: null, value: "Navigator", configurable: true },
});
define("Navigator", Navigator, false);
define("navigator", new Navigator());
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
