"use strict";
// The module `cloudflare:sockets`, as far as it goes: addresses are checked, and nothing is connected yet.
// https://developers.cloudflare.com/workers/runtime-apis/tcp-sockets/
//
// natives.outboundRefusal() -> what global functions of a Worker without an outbound say, or undefined

const { Error, StringPrototypeLastIndexOf, TypeError } = primordials;

exports.connect = function connect(address, options) {
  natives.requireContext();
  checkAddress(address);
  const refusal = natives.outboundRefusal();
  throw new Error(refusal ?? "connect() of cloudflare:sockets is not supported yet.");
};

function checkAddress(address) {
  if (typeof address === "object" && address !== null) {
    if (address.hostname === undefined || address.port === undefined) {
      throw new TypeError("A socket address needs a hostname and a port.");
    }
    return;
  }
  const text = `${address}`;
  const colon = StringPrototypeLastIndexOf(text, ":");
  if (colon < 0 || !(+primordials.StringPrototypeSlice(text, colon + 1) >= 0) || colon === text.length - 1) {
    throw new TypeError("Specified address is missing port.");
  }
}
