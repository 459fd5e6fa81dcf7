// RPC on exports that are plain objects: the client sends exactly one argument; env and ctx follow it.
import assert from "node:assert";

const DECLARED_WRONG = (name) =>
  `Cannot call handler function "${name}" over RPC because it has the wrong number of arguments. A simple function ` +
  "handler can only be called over RPC if it has exactly the arguments (arg, env, ctx), where only the first argument " +
  "comes from the client. To support multi-argument RPC functions, use class-based syntax (extending " +
  "WorkerEntrypoint) instead.";

const SENT_WRONG = (name) =>
  `Attempted to call RPC function "${name}" with the wrong number of arguments. When calling a top-level handler ` +
  "function that is not declared as part of a class, you must always send exactly one argument. In order to support " +
  "variable numbers of arguments, the server must use class-based syntax (extending WorkerEntrypoint) instead.";

export const target = {
  async one(arg) {
    return `one ${arg}`;
  },
  async two(arg, env) {
    return `two ${arg} ${env.NAME}`;
  },
  async three(arg, env, ctx) {
    return `three ${arg} ${env.NAME} ${typeof ctx.waitUntil} ${JSON.stringify(ctx.props)}`;
  },
  async four(a, b, env, ctx) {
    return [a, b, env, ctx].length;
  },
  async none() {
    return "none";
  },
  notAFunction: "text",
  async usesThis(arg) {
    return `${arg} ${this.notAFunction}`;
  },
  sync(arg) {
    return arg * 2;
  },
  arrow: (arg) => `arrow ${arg}`,
};

export const oneTwoAndThreeParameters = {
  async test(_controller, _env, ctx) {
    const stub = ctx.exports.target;
    assert.strictEqual(await stub.one("a"), "one a");
    assert.strictEqual(await stub.two("b"), "two b handlers");
    assert.strictEqual(await stub.three("c"), "three c handlers function {}");
    assert.strictEqual(await stub({ props: { p: 1 } }).three("d"), 'three d handlers function {"p":1}');
  },
};

export const synchronousAndArrowHandlers = {
  async test(_controller, _env, ctx) {
    assert.strictEqual(await ctx.exports.target.sync(21), 42);
    assert.strictEqual(await ctx.exports.target.arrow("x"), "arrow x");
  },
};

export const undefinedIsAnArgument = {
  async test(_controller, _env, ctx) {
    assert.strictEqual(await ctx.exports.target.one(undefined), "one undefined");
  },
};

export const fourParametersAreRefused = {
  async test(_controller, _env, ctx) {
    await assert.rejects(ctx.exports.target.four("a"), { name: "TypeError", message: DECLARED_WRONG("four") });
  },
};

export const clientMustSendExactlyOneArgument = {
  async test(_controller, _env, ctx) {
    const stub = ctx.exports.target;
    await assert.rejects(stub.one(), { name: "TypeError", message: SENT_WRONG("one") });
    await assert.rejects(stub.two("a", "b"), { name: "TypeError", message: SENT_WRONG("two") });
    await assert.rejects(stub.three("a", "b", "c"), { name: "TypeError", message: SENT_WRONG("three") });
  },
};

export const handlerWithoutParameters = {
  async test(_controller, _env, ctx) {
    assert.strictEqual(await ctx.exports.target.none("ignored"), "none");
  },
};

export const thisIsTheExportedObject = {
  async test(_controller, _env, ctx) {
    assert.strictEqual(await ctx.exports.target.usesThis("x"), "x text");
  },
};

export const unknownHandler = {
  async test(_controller, _env, ctx) {
    await assert.rejects(ctx.exports.target.missing("x"), {
      name: "TypeError",
      message: 'The RPC receiver does not implement the method "missing".',
    });
  },
};

export const nonFunctionMember = {
  async test(_controller, _env, ctx) {
    await assert.rejects(ctx.exports.target.notAFunction("x"), {
      name: "TypeError",
      message: '"notAFunction" is not a function.',
    });
  },
};
