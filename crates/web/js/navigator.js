"use strict";
// `navigator`, as far as a runtime without a user has one. https://html.spec.whatwg.org/#the-navigator-object
const { PromisePrototypeThen, ReflectDeleteProperty, TypeError } = primordials;
const { argumentError, defineInterface, illegalInvocation } = require("web/webidl");

const constructionToken = { __proto__: null };

class Navigator {
  #brand;

  constructor(token) {
    if (token !== constructionToken) throw new TypeError("Illegal constructor");
  }

  get userAgent() {
    if (!(#brand in this)) throw illegalInvocation();
    return "Cloudflare-Workers";
  }

  get hardwareConcurrency() {
    if (!(#brand in this)) throw illegalInvocation();
    return 1;
  }

  get platform() {
    if (!(#brand in this)) throw illegalInvocation();
    return "";
  }

  get language() {
    if (!(#brand in this)) throw illegalInvocation();
    return "en";
  }

  get languages() {
    if (!(#brand in this)) throw illegalInvocation();
    return ["en"];
  }

  // https://w3c.github.io/beacon/ Whether it arrives is nobody's to know; the invocation waits for the answer, and for
  // nothing of its body.
  sendBeacon(url, data = undefined) {
    if (!(#brand in this)) throw illegalInvocation();
    if (arguments.length === 0) throw argumentError("Navigator", "sendBeacon", 1, "string");
    natives.requireContext();
    const release = require("web/context").hold();
    const { fetch } = require("web/fetch");
    const answer = fetch(`${url}`, { __proto__: null, method: "POST", body: data });
    PromisePrototypeThen(answer, release, release);
    return true;
  }
}

if (!natives.hasFlag("enable_navigator_language")) ReflectDeleteProperty(Navigator.prototype, "language");
defineInterface(Navigator, "Navigator");

exports.Navigator = Navigator;
exports.navigator = new Navigator(constructionToken);
