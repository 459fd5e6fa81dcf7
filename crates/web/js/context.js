"use strict";
// What keeps an invocation's I/O context open: calls being answered, waitUntil promises, streams being sent. When
// nothing does, the runtime is told and closes it at the end of the message.
//
// natives.contextDone(context) closes it at the end of the message

const { ArrayPrototypePush, SafeMap } = primordials;

// With an entry that is never taken out: V8 makes a map smaller when its last one goes, and larger with the next.
const holds = new SafeMap([[0, 1]]);
const droppers = [];

// Keeps the current context open until the returned function is called.
exports.hold = () => {
  const context = natives.currentContext();
  if (context === 0) return () => {};
  holds.set(context, (holds.get(context) ?? 0) + 1);
  let held = true;
  return () => {
    if (!held) return;
    held = false;
    const left = (holds.get(context) ?? 1) - 1;
    if (left > 0) return void holds.set(context, left);
    holds.delete(context);
    natives.contextDone(context);
  };
};

// A call that was answered at once never took a hold.
exports.isHeld = (context) => holds.has(context);

// `dropper(context)` is called when a context has ended: scripts forget what they kept for it.
exports.onDrop = (dropper) => ArrayPrototypePush(droppers, dropper);

exports.dropContext = (context) => {
  holds.delete(context);
  for (let i = 0; i < droppers.length; i++) droppers[i](context);
};

// What guests get who use an object of another request.
exports.CROSS_REQUEST = (type) =>
  "Cannot perform I/O on behalf of a different request. I/O objects (such as streams, request/response bodies, and " +
  "others) created in the context of one request handler cannot be accessed from a different request's handler. This " +
  `is a limitation of Cloudflare Workers which allows us to improve overall performance. (I/O type: ${type})`;
