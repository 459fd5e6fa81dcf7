"use strict";
// Live values on the wire: stubs, functions, RpcTargets, and the rules of who may send what where.
// A mode says what a value is written for: an RPC message, a Worker's env or props, or a plain clone.
//
// natives.attach(handle), natives.exportObject(export) -> index in the message; natives.adoptObject(index),
// natives.adoptService(index) -> handle; they throw where the message has none such
// natives.checkTransfer(handle) throws unless the service may be given to another Worker
// natives.localStub(export) -> handle; natives.copyMessage(value) -> what a reader of its message would get

const {
  ArrayPrototypeIncludes, ArrayPrototypePush, Error, MapPrototypeForEach, ObjectDefineProperty, ObjectGetPrototypeOf, ObjectKeys, Proxy, ReflectApply,
  SafeMap, SafeSet, SetPrototypeForEach, SymbolDispose, TypeError, ArrayIsArray,
} = primordials;
const clones = require("web/clone");
const { RpcTarget, hasPrototype } = require("rpc/targets");
const services = require("rpc/services");
const stubs = require("rpc/stubs");
const { hold, onDrop } = require("web/context");

const CLONE = 0;
const RPC = 1;
const ENV = 2;
const LIVE_ENV = 3;
let mode = CLONE;
// Stubs whose ownership moves with the message that is being written; disposed of once it is written.
let moved;
// A result is being written.
let answering = false;
// Stubs of the message that is being read.
let received;

const TARGET_IN_ENV = "Remote RPC references can only be serialized for RPC.";
const STUB_IN_ENV = "RpcStub cannot be serialized in this context because it is not a persistent stub.";

function live() {
  return mode === RPC || mode === LIVE_ENV;
}

// ---- Exports: what this isolate has given away ---------------------------------------------------------------------

const exported = new SafeMap();
let nextExport = 0;

class Export {
  value;
  context;
  // Lets go of the context, where this keeps it open: objects in results do, for as long as a caller holds them. Those
  // given out as arguments or in an env end with the invocation that gave them.
  release = undefined;
  constructor(value, context) {
    this.value = value;
    this.context = context;
  }
}

function addExport(value) {
  const id = ++nextExport;
  const entry = new Export(value, natives.currentContext());
  if (answering) entry.release = hold();
  exported.set(id, entry);
  return id;
}

// A stub of this isolate's own goes out with a result.
function keepOpen(id) {
  const entry = exported.get(id);
  if (entry !== undefined && entry.release === undefined && entry.context === natives.currentContext()) {
    entry.release = hold();
  }
}

// Whether others hold objects of the context; `lasting`: such as keep it open.
exports.hasExports = (context, lasting) => {
  let found = false;
  exported.forEach((entry) => {
    if (entry.context === context && (!lasting || entry.release !== undefined)) found = true;
  });
  return found;
};
onDrop((context) => {
  if (exported.size === 0) return;
  exported.forEach((entry, id) => {
    if (entry.context === context) exported.delete(id);
  });
});
exports.exportedValue = (id) => exported.get(id);
exports.releaseExport = (id) => {
  const entry = exported.get(id);
  if (entry === undefined) return;
  exported.delete(id);
  try {
    disposeTarget(entry.value);
  } finally {
    if (entry.release !== undefined) entry.release();
  }
};

function disposeTarget(value) {
  const dispose = value[SymbolDispose];
  if (typeof dispose === "function") ReflectApply(dispose, value, []);
}

exports.localStub = (target) => {
  if (!isTarget(target)) {
    throw new TypeError("RpcStubs can only wrap plain objects, functions, and RpcTarget derivatives.");
  }
  natives.requireContext();
  return stubs.stubFromHandle(natives.localStub(addExport(target)));
};

function isTarget(value) {
  if (typeof value === "function") return true;
  if (typeof value !== "object" || value === null) return false;
  return hasPrototype(value, RpcTarget.prototype) || isPlain(value);
}

const objectPrototype = ObjectGetPrototypeOf({});
function isPlain(value) {
  return ObjectGetPrototypeOf(value) === objectPrototype;
}

// ---- Writing -------------------------------------------------------------------------------------------------------

function stubDescriptor(value, state) {
  if (mode === CLONE) {
    if (state.kind === "service") throw clones.dataCloneError("ServiceStub cannot be serialized in this context.");
    const name = state.kind === "stub" ? "RpcStub" : state.kind === "promise" ? "RpcPromise" : "RpcProperty";
    throw clones.dataCloneError(`#<${name}> could not be cloned.`);
  }
  if (state.kind === "promise" || state.kind === "property") {
    throw clones.unsupported(state.kind === "promise" ? "RpcPromise" : "RpcProperty");
  }
  if (state.kind === "service") {
    if (state.isLoopback) throw clones.unsupported("LoopbackServiceStub");
    const handle = stubs.handleOf(state);
    natives.checkTransfer(handle);
    return ["service", natives.attach(handle)];
  }
  if (mode === ENV) throw clones.dataCloneError(STUB_IN_ENV);
  if (state.disposed) {
    if (mode === RPC) return ["disposed", null];
    throw new Error("RPC stub used after being disposed.");
  }
  stubs.checkContext(state);
  const index = attachHandle(state.handle);
  if (moved !== undefined) ArrayPrototypePush(moved, value);
  return ["stub", index];
}

function attachHandle(handle) {
  if (answering) keepOpen(natives.ownExport(handle));
  return natives.attach(handle);
}
clones.setHandleEncoder(attachHandle);

function targetDescriptor(value) {
  if (mode === CLONE) return undefined;
  if (mode === ENV) {
    if (typeof value !== "function") throw clones.dataCloneError(TARGET_IN_ENV);
    return undefined;
  }
  return ["stub", natives.exportObject(addExport(duplicate(value)))];
}

// Plain targets that have a `dup()` of their own are duplicated for each send where parameters are.
function duplicate(value) {
  if (moved !== undefined || mode !== RPC || !natives.hasFlag("rpc_params_dup_stubs")) return value;
  const { dup } = value;
  if (typeof dup !== "function") return value;
  const copy = ReflectApply(dup, value, []);
  if (isSameKind(copy, value)) return copy;
  if (natives.valueKind(value) === "Proxy") throw wrongDup("Proxy", "the same underlying type (RpcTarget or Function) as the Proxy itself represents", "an RpcTarget");
  if (typeof value === "function") throw wrongDup("function", "another function", "a function");
  // The misspelt name is the reference's.
  throw wrongDup("RcpTarget", "another RpcTarget", "an RpcTarget");
}

function isSameKind(copy, value) {
  if (typeof value === "function" || typeof copy === "function") return typeof copy === typeof value;
  return typeof copy === "object" && copy !== null && hasPrototype(copy, RpcTarget.prototype);
}

function wrongDup(kind, wanted, remedy) {
  return clones.dataCloneError(
    `Couldn't create a stub for the ${kind} because it has a dup() method which did not return ${wanted}. ` +
      `Either remove the dup() method or make sure it returns ${remedy}.`,
  );
}

clones.setExoticEncoder((value) => {
  const state = stubs.stateOf(value);
  if (state !== undefined) return stubDescriptor(value, state);
  if (typeof value === "function" && natives.valueKind(value) !== "Proxy") {
    if (services.isLoopbackClass(value)) throw clones.unsupported("LoopbackDurableObjectClass");
    return targetDescriptor(value);
  }
  if (mode === CLONE || mode === ENV) return undefined;
  // A proxy is judged by the prototype that it shows.
  const prototype = ObjectGetPrototypeOf(value);
  if (typeof value === "function" || prototype === objectPrototype || hasPrototype(value, RpcTarget.prototype)) {
    return targetDescriptor(value);
  }
  throw clones.dataCloneError(
    "Proxy could not be serialized because it is not a valid RPC receiver type. The Proxy must emulate either a plain object or an RpcTarget, as indicated by the Proxy's prototype chain.",
  );
});

clones.registerInterface(RpcTarget.prototype);
clones.setInstanceEncoder((object) => {
  if (!hasPrototype(object, RpcTarget.prototype)) return undefined;
  if (mode === CLONE) throw clones.dataCloneError(TARGET_IN_ENV);
  return targetDescriptor(object);
});

clones.setCallCheck(() => mode === RPC);

function withMode(wanted, moves, body) {
  const before = mode;
  const movedBefore = moved;
  mode = wanted;
  moved = moves;
  try {
    return body();
  } finally {
    mode = before;
    moved = movedBefore;
  }
}

function hasFunction(args) {
  for (let i = 0; i < args.length; i++) if (typeof args[i] === "function") return true;
  return false;
}

// Whether stubs among arguments are duplicated (by compatibility flag), or move to the callee.
let duplicates;

// Sends an argument list, or none: `native(handle, path, arguments, context, alone, question)`.
exports.encodeArguments = (args, native, handle, path, context, question) => {
  if (args === undefined) return native(handle, path, undefined, context, false, question);
  if (args.length === 1) {
    const only = args[0];
    if (typeof only !== "object" && typeof only !== "function") return native(handle, path, only, context, true, question);
  }
  duplicates ??= natives.hasFlag("rpc_params_dup_stubs");
  const modeBefore = mode;
  const movedBefore = moved;
  const moves = duplicates ? undefined : [];
  mode = RPC;
  moved = moves;
  let result;
  try {
    result = native(handle, path, hasFunction(args) ? clones.prepare(args) : args, context, false, question);
  } finally {
    mode = modeBefore;
    moved = movedBefore;
    if (moves !== undefined) disposeAll(moves);
  }
  return result;
};

// Writes a result through `write`. Stubs in it always move, also where a later part of it is refused; gives those to dispose
// of once nobody can ask for the result here any more.
exports.encodeResult = (value, write) => {
  const moves = [];
  const disposable = exports.withDisposer(value);
  answering = true;
  try {
    const kept = withMode(RPC, moves, () => write(typeof value === "function" ? clones.prepare(value) : disposable));
    return { kept, moves };
  } catch (error) {
    disposeAll(moves);
    throw error;
  } finally {
    answering = false;
  }
};

exports.encodeEnv = (allowLive, write) => withMode(allowLive ? LIVE_ENV : ENV, undefined, write);

// `except`: those that are not disposed of now.
function disposeAll(list, except = undefined) {
  for (let i = 0; i < list.length; i++) {
    if (except === undefined || !ArrayPrototypeIncludes(except, list[i])) stubs.disposeValue(list[i]);
  }
}

// ---- Reading -------------------------------------------------------------------------------------------------------

clones.register({ __proto__: null }, {
  __proto__: null,
  kind: "stub",
  decode: (index) => {
    const stub = stubs.stubFromHandle(natives.adoptObject(index));
    if (received !== undefined) ArrayPrototypePush(received, stub);
    return stub;
  },
});
// Whoever gets a stub that was disposed of before can hold it, but not use it.
clones.register({ __proto__: null }, { __proto__: null, kind: "disposed", decode: stubs.disposedStub });
clones.register({ __proto__: null }, {
  __proto__: null,
  kind: "service",
  decode: (index) => services.serviceFromHandle(natives.adoptService(index), natives.currentContext()),
});

// Stubs that are read from now on belong to one argument list: they are disposed of when its call is over.
exports.beginReceive = () => {
  received = [];
};
exports.endReceive = () => {
  const list = received;
  received = undefined;
  return list;
};
exports.disposeAll = disposeAll;

// A returned object with a disposer of its own: the disposer stays with its owner and runs when the caller lets go.
class Disposable {
  value;
  dispose;
  constructor(value, dispose) {
    this.value = value;
    this.dispose = dispose;
  }
}
clones.register(Disposable.prototype, {
  __proto__: null,
  kind: "disposable",
  encode: ({ value, dispose }) => [value, ["stub", natives.exportObject(addExport(dispose))]],
  decode: (payload) => {
    clones.expect(ArrayIsArray(payload) && payload.length === 2);
    const dispose = payload[1];
    clones.expect(ArrayIsArray(dispose) && dispose[0] === "stub");
    return new Disposable(payload[0], clones.decodeHost(dispose));
  },
});

exports.withDisposer = (value) => {
  if (typeof value !== "object" || value === null || stubs.stateOf(value) !== undefined) return value;
  if (natives.valueKind(value) !== "" || !isPlain(value)) return value;
  const dispose = value[SymbolDispose];
  if (typeof dispose !== "function") return value;
  return new Disposable(value, () => ReflectApply(dispose, value, []));
};

// What a caller gets: an object carries a disposer for the stubs in it.
exports.takeResult = (value) => {
  let remote;
  if (typeof value === "object" && value !== null && value instanceof Disposable) {
    remote = value.dispose;
    value = value.value;
  }
  if (typeof value !== "object" || value === null || stubs.stateOf(value) !== undefined) return value;
  const held = [];
  collect(value, held, new SafeSet());
  ObjectDefineProperty(value, SymbolDispose, {
    __proto__: null,
    value: () => {
      disposeAll(held);
      if (remote !== undefined) {
        // The disposer's own stub goes once the call is on its way.
        const call = remote;
        remote = undefined;
        stubs.callAndDispose(call);
      }
    },
    writable: true,
    configurable: true,
  });
  return value;
};

// What a caller gets that goes on from a result which is here already: a copy, with stubs of its own.
exports.copyResult = (value) => {
  if (typeof value !== "object" || value === null || stubs.stateOf(value) !== undefined || natives.isPromise(value)) return value;
  return exports.takeResult(withMode(RPC, undefined, () => natives.copyMessage(value)));
};

function collectItem(item, queue) {
  if (typeof item === "object" || typeof item === "function") ArrayPrototypePush(queue, item);
}

function collectItems(list, queue) {
  let before;
  for (let i = 0; i < list.length; i++) {
    // The same stub again and again is one.
    if (list[i] !== before) collectItem(list[i], queue);
    before = list[i];
  }
}

function collectMembers(object, queue) {
  const keys = ObjectKeys(object);
  for (let i = 0; i < keys.length; i++) collectItem(object[keys[i]], queue);
}

// The stubs in a value, however deep.
function collect(root, held, seen) {
  const queue = [root];
  for (let next = 0; next < queue.length; next++) {
    const value = queue[next];
    if (typeof value === "function") {
      if (stubs.stateOf(value) !== undefined) ArrayPrototypePush(held, value);
    } else if (typeof value === "object" && value !== null && !seen.has(value)) {
      seen.add(value);
      if (stubs.stateOf(value) !== undefined) continue;
      if (ArrayIsArray(value)) collectItems(value, queue);
      else if (isPlain(value)) collectMembers(value, queue);
      else collectEntries(value, natives.valueKind(value), queue);
    }
  }
}

function collectEntries(value, kind, queue) {
  if (kind === "Map") {
    MapPrototypeForEach(value, (item, key) => {
      collectItem(key, queue);
      collectItem(item, queue);
    });
  } else if (kind === "Set") {
    SetPrototypeForEach(value, (item) => collectItem(item, queue));
  }
}
exports.resetAfterStop = () => {
  mode = CLONE;
  moved = undefined;
  received = undefined;
  answering = false;
};
exports.isPlain = isPlain;
exports.isTarget = isTarget;
