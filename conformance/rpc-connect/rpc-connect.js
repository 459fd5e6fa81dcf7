// `connect()` on a service stub reaches the callee's `connect(socket)` handler.
import assert from "node:assert";
import { WorkerEntrypoint } from "cloudflare:workers";

const encoder = new TextEncoder();

export class Target extends WorkerEntrypoint {
  async connect(socket) {
    const received = await new Response(socket.readable).text();
    const writer = socket.writable.getWriter();
    await writer.write(encoder.encode(`received: ${received}`));
    await writer.close();
  }
}

export const connectReachesTheHandler = {
  async test(_controller, env) {
    const socket = env.TARGET.connect("host.example:1234");
    await socket.opened;
    const writer = socket.writable.getWriter();
    await writer.write(encoder.encode("some bytes"));
    await writer.close();
    assert.strictEqual(await new Response(socket.readable).text(), "received: some bytes");
    await socket.close();
    await socket.closed;
  },
};
