"use strict";
// The module `cloudflare:workflows`. https://developers.cloudflare.com/workflows/build/workers-api/

class NonRetryableError extends primordials.Error {
  constructor(message, name = "NonRetryableError") {
    super(message);
    this.name = name;
  }
}

exports.NonRetryableError = NonRetryableError;
