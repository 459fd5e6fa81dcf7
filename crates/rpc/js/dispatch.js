"use strict";
// Calls that arrive: what may be reached from a target, how it is called, what becomes of the result.
// Called by the runtime; see the natives' own documentation for the reply's side.
//
// natives.rpcTakeReply() -> a handle for the reply to the call that arrived just now;
// natives.callFailed(error): the call that the current invocation is for ends with the error;
// natives.callerGone(context): nobody waits for the answer of the context's invocation any more;
// natives.rpcReply(reply, value) -> whether the result must be kept; natives.rpcReject(reply, error)

const {
  ArrayPrototypeJoin, ArrayPrototypeSlice, Error, ObjectGetPrototypeOf, ObjectPrototypeHasOwnProperty, ObjectSetPrototypeOf,
  PromiseGuarded, PromisePrototypeThen, PromiseResolve, ReflectApply, ReflectGet, SafeMap, TypeError,
} = primordials;
const { RpcTarget, WorkerEntrypoint, WorkflowEntrypoint, hasPrototype } = require("rpc/targets");
const stubs = require("rpc/stubs");
const values = require("rpc/values");
const { hold, onDrop } = require("web/context");

const objectPrototype = ObjectGetPrototypeOf({});

// ---- Lookup --------------------------------------------------------------------------------------------------------

const RESERVED_ON_ENTRYPOINTS = {
  __proto__: null, fetch: 1, connect: 1, alarm: 1, webSocketMessage: 1, webSocketClose: 1, webSocketError: 1, dup: 1,
  constructor: 1,
};

function missing(name) {
  return new TypeError(`The RPC receiver does not implement the method "${name}".`);
}

function reserved(name) {
  return new TypeError(`'${name}' is a reserved method and cannot be called over RPC.`);
}

// A member of a class instance: of its prototype chain only, never its own, never Object.prototype's.
function prototypeMember(object, name) {
  if (ObjectPrototypeHasOwnProperty(object, name) && natives.valueKind(object) !== "Proxy") throw missing(name);
  let prototype = ObjectGetPrototypeOf(object);
  while (prototype !== null && prototype !== objectPrototype) {
    if (prototype === RpcTarget.prototype || prototype === WorkerEntrypoint.prototype || prototype === WorkflowEntrypoint.prototype) break;
    if (ObjectPrototypeHasOwnProperty(prototype, name)) {
      const value = ReflectGet(object, name, object);
      if (value === undefined) throw missing(name);
      return value;
    }
    prototype = ObjectGetPrototypeOf(prototype);
  }
  if (natives.valueKind(object) === "Proxy") {
    const value = object[name];
    if (value !== undefined) return value;
  }
  throw missing(name);
}

function isInstance(object) {
  return (
    hasPrototype(object, RpcTarget.prototype) ||
    hasPrototype(object, WorkerEntrypoint.prototype) ||
    hasPrototype(object, WorkflowEntrypoint.prototype)
  );
}

// One step of a path.
function member(object, name, entrypoint) {
  if (entrypoint ? name in RESERVED_ON_ENTRYPOINTS : name === "dup" || name === "constructor") throw reserved(name);
  if ((typeof object !== "object" && typeof object !== "function") || object === null) throw missing(name);
  if (stubs.stateOf(object) !== undefined) return object[name];
  if (isInstance(object)) return prototypeMember(object, name);
  if (typeof object === "function" || values.isPlain(object)) {
    if (natives.valueKind(object) === "Proxy") {
      const value = object[name];
      if (value === undefined) throw missing(name);
      return value;
    }
    if (!ObjectPrototypeHasOwnProperty(object, name)) throw missing(name);
    return object[name];
  }
  throw missing(name);
}

// Whether a path may go on from here.
function traversable(value) {
  if (typeof value === "function") return true;
  if (typeof value !== "object" || value === null) return false;
  return stubs.stateOf(value) !== undefined || values.isPlain(value) || isInstance(value) || natives.valueKind(value) === "Promise";
}

const HANDLER_ARITY = (name) =>
  `Cannot call handler function "${name}" over RPC because it has the wrong number of arguments. A simple function ` +
  "handler can only be called over RPC if it has exactly the arguments (arg, env, ctx), where only the first argument " +
  "comes from the client. To support multi-argument RPC functions, use class-based syntax (extending WorkerEntrypoint) instead.";
const HANDLER_COUNT = (name) =>
  `Attempted to call RPC function "${name}" with the wrong number of arguments. When calling a top-level handler ` +
  "function that is not declared as part of a class, you must always send exactly one argument. In order to support " +
  "variable numbers of arguments, the server must use class-based syntax (extending WorkerEntrypoint) instead.";

// Follows `path` from `target` and calls what it finds there, or gives it when `args` is undefined.
// `entrypoint`: undefined, or { handler: [env, ctx] or undefined } for the target of an invocation.
function perform(target, path, args, entrypoint) {
  let object = target;
  let receiver = target;
  for (let i = 0; i < path.length; i++) {
    receiver = object;
    object = member(object, path[i], entrypoint !== undefined);
    const last = i === path.length - 1;
    if (!last && !traversable(object)) throw missing(path[i]);
    if (!last && typeof object === "object" && object !== null && natives.valueKind(object) === "Promise") {
      // A property that is a promise is awaited on the way.
      const rest = ArrayPrototypeSlice(path, i + 1);
      const within = entrypoint === undefined ? undefined : { handler: undefined };
      return PromiseGuarded(PromisePrototypeThen(object, (value) => perform(value, rest, args, within)));
    }
  }
  if (args === undefined) return object;
  if (typeof object !== "function") {
    throw new TypeError(`"${path.length === 0 ? "(this)" : ArrayPrototypeJoin(path, ".")}" is not a function.`);
  }
  if (entrypoint !== undefined && entrypoint.handler !== undefined && path.length === 1) {
    const name = path[0];
    if (object.length > 3) throw new TypeError(HANDLER_ARITY(name));
    if (args.length !== 1) throw new TypeError(HANDLER_COUNT(name));
    return ReflectApply(object, receiver, [args[0], entrypoint.handler[0], entrypoint.handler[1]]);
  }
  return ReflectApply(object, receiver, args);
}

// ---- Arrivals ------------------------------------------------------------------------------------------------------

exports.beginArguments = values.beginReceive;
exports.releaseExport = values.releaseExport;

// A result that calls under way may still ask for.
class Answer {
  context;
  promise;
  // Lets go of what keeps the context open.
  release;
  kept = false;
  // Why it could not be sent: [error]. Nothing of it can be asked for then, either.
  refused;
  // It is an invocation's own.
  isEvent;
  constructor(context, promise, release, isEvent) {
    this.context = context;
    this.promise = promise;
    this.release = release;
    this.isEvent = isEvent;
  }
}
ObjectSetPrototypeOf(Answer.prototype, null);

// By question. With an entry that is never taken out, as the holds of web/context.
const answers = new SafeMap([[0, new Answer(0, undefined, undefined, false)]]);

// What a call gives that has taken its reply and settles it in time.
const LATER = {};

// The result of a call. A primitive that is there at once is what the runtime replies with.
function answer(result, question, isEvent = false, keeps = true) {
  const params = values.endReceive();
  if (params === undefined && isPrimitive(result)) return result;
  return later(PromiseResolve(unwrap(result)), question, params, isEvent, keeps);
}

function isPrimitive(value) {
  return value === null || (typeof value !== "object" && typeof value !== "function" && typeof value !== "symbol");
}

function failure(error, question, isEvent = false) {
  return later(primordials.PromiseReject(error), question, values.endReceive(), isEvent);
}

// `keeps`: the call keeps its context open, as its invocation's own does, and one on an object that does.
function later(promise, question, params, isEvent, keeps = true) {
  const reply = natives.rpcTakeReply();
  const release = keeps ? hold() : () => {};
  // Should the caller let go before the call has ended, it no longer keeps its context open.
  const own = new Answer(natives.currentContext(), promise, release, isEvent);
  answers.set(question, own);
  PromisePrototypeThen(
    promise,
    (value) => finish(sendResult(reply, value, own), question, params, release),
    (error) => finish(sendFailure(reply, error, isEvent), question, params, release),
  );
  return LATER;
}

// Calls on a primitive are under way.
exports.keepAnswer = (question, value) => {
  const kept = new Answer(natives.currentContext(), PromiseResolve(value), hold(), false);
  kept.kept = true;
  answers.set(question, kept);
};

// A promise of RPC's own that is returned is awaited.
function unwrap(value) {
  const state = stubs.stateOf(value);
  if (state !== undefined && (state.kind === "promise" || state.kind === "property")) return PromiseGuarded(stubs.promiseOf(state));
  return value;
}

// -> { kept, moves }: whether calls on the result are under way, and stubs in it that moved to the caller.
function sendResult(reply, value, own) {
  try {
    // A returned object's own disposer stays here and runs when the caller lets go.
    return values.encodeResult(value, (encoded) => natives.rpcReply(reply, encoded));
  } catch (error) {
    own.refused = [error];
    return sendFailure(reply, error, own.isEvent);
  }
}

// `isEvent`: the call is what its invocation is for, which so ends with an exception.
function sendFailure(reply, error, isEvent) {
  if (isEvent) natives.callFailed(error);
  return { kept: natives.rpcReject(reply, error), moves: [] };
}

function finish(sent, question, params, release) {
  const end = () => {
    values.disposeAll(sent.moves);
    release();
  };
  const known = answers.get(question);
  if (sent.kept && known !== undefined) {
    known.release = end;
    known.kept = true;
  } else {
    answers.delete(question);
  }
  const kept = sent.kept && known !== undefined;
  // Stubs that came with the call and went back with its result are still asked for.
  if (params !== undefined) values.disposeAll(params, kept ? sent.moves : undefined);
  if (!kept) end();
}

exports.forgetAnswer = (question) => {
  const known = answers.get(question);
  if (known === undefined) return;
  answers.delete(question);
  known.release();
  if (known.isEvent && !known.kept) natives.callerGone(known.context);
};

// Whether others can still reach into the context: through objects of it that they hold, or results that they ask for.
// `answered`: once the invocation has answered, only what keeps its context open counts.
exports.isReachable = (context, answered) => {
  if (values.hasExports(context, answered)) return true;
  let found = false;
  answers.forEach((known) => {
    if (known.kept && known.context === context) found = true;
  });
  return found;
};

exports.answerContext = (question) => {
  const known = answers.get(question);
  return known === undefined ? 0 : known.context;
};

exports.callExport = (id, path, args, question) => {
  const entry = values.exportedValue(id);
  let result;
  try {
    if (entry === undefined) throw new Error("RPC stub used after being disposed.");
    result = perform(entry.value, path, args, undefined);
  } catch (error) {
    return failure(error, question);
  }
  return answer(result, question, false, entry.release !== undefined);
};

exports.callAnswer = (on, path, args, question) => {
  const known = answers.get(on);
  // The result is sent first: that was asked for before.
  const result = PromisePrototypeThen(known.promise, (value) => {
    if (known.refused !== undefined) throw known.refused[0];
    return performOnResult(value, path, args);
  });
  return answer(result, question);
};

function performOnResult(value, path, args) {
  if (path.length > 0 && (value === null || (typeof value !== "object" && typeof value !== "function"))) throw missing(path[0]);
  return unwrap(perform(value, path, args, undefined));
}

// For calls on values that are already here, after their promise has resolved.
exports.callLocal = (value, path, args) => unwrap(perform(value, path, args, undefined));

// An invocation's call: `make(target)` gives { target, handler }.
exports.callEntrypoint = (make, target, path, args, question) => {
  let result;
  try {
    const entrypoint = make(target);
    result = perform(entrypoint.target, path, args, entrypoint);
  } catch (error) {
    return failure(error, question, true);
  }
  return answer(result, question, true);
};
onDrop((context) => {
  if (answers.size === 1) return;
  answers.forEach((kept, question) => {
    if (kept.context === context) answers.delete(question);
  });
});
