// The agent's network. As the child's `globalOutbound`, this class receives each request that the child makes, can
// refuse it, answer it, or send it on with something added. Here: one origin is open, and the secret is added on
// the way, so that the code which makes the request never holds it.

import { WorkerEntrypoint } from "cloudflare:workers";

export class Gateway extends WorkerEntrypoint {
  fetch(request) {
    const { origin, authorization } = this.ctx.props;
    const target = new URL(request.url);
    if (target.origin !== origin) {
      throw new Error(`This worker is not permitted to reach ${target.origin}. It may only fetch from ${origin}.`);
    }
    const headers = new Headers(request.headers);
    headers.set("Authorization", authorization);
    // A redirect is not followed here, where it would carry the secret along: it goes back to the child, whose
    // next request comes through this method again.
    return fetch(new Request(request, { headers, redirect: "manual" }));
  }

  connect() {
    throw new Error("This worker is not permitted to open sockets.");
  }
}
