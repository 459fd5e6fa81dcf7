"use strict";
// The module `cloudflare:node`: servers of node:http as handlers.
// https://developers.cloudflare.com/workers/runtime-apis/nodejs/http/

function unsupported(name) {
  return () => {
    throw new primordials.Error(`${name}() of cloudflare:node is not supported yet.`);
  };
}

exports.connectHandler = unsupported("connectHandler");
exports.handleAsNodeConnection = unsupported("handleAsNodeConnection");
exports.handleAsNodeRequest = unsupported("handleAsNodeRequest");
exports.httpServerHandler = unsupported("httpServerHandler");
