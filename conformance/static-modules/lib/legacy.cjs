// A CommonJS module that requires a built-in module.
const { Buffer } = require("node:buffer");
module.exports = { hex: (text) => Buffer.from(text).toString("hex"), name: "legacy" };
