"use strict";
// The module `cloudflare:email`: messages can be made, and nothing sends them yet.
// https://developers.cloudflare.com/email-routing/email-workers/runtime-api/

const { TypeError } = primordials;

class EmailMessage {
  #from;
  #to;
  #raw;
  constructor(from, to, raw) {
    if (arguments.length < 3) throw new TypeError("Failed to construct 'EmailMessage': 3 arguments are required.");
    this.#from = `${from}`;
    this.#to = `${to}`;
    this.#raw = raw;
  }
  get from() {
    return this.#from;
  }
  get to() {
    return this.#to;
  }
  get raw() {
    return this.#raw;
  }
}

exports.EmailMessage = EmailMessage;
