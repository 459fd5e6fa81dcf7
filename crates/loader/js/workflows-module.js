"use strict";
// The module `cloudflare:workflows`. Workflows cannot run yet; their error class can be imported and thrown.
// https://developers.cloudflare.com/workflows/build/workers-api/#nonretryableerror

const { Error, ObjectDefineProperty } = primordials;

exports.NonRetryableError = class NonRetryableError extends Error {
  constructor(message, name = "NonRetryableError") {
    super(message);
    ObjectDefineProperty(this, "name", { __proto__: null, value: name, writable: true, configurable: true });
  }
};
