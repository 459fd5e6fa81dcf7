"use strict";
// The module `cloudflare:sockets`. https://developers.cloudflare.com/workers/runtime-apis/tcp-sockets/

exports.connect = function connect(address, options) {
  natives.requireContext();
  throw new primordials.Error("connect() of cloudflare:sockets is not supported yet.");
};
