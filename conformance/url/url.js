// The URL class of the URL standard.
import assert from "node:assert";

export const components = {
  async test() {
    const url = new URL("https://user:pass@Example.COM:8080/a/b/../c?q=1&r#frag");
    const { href, protocol, username, password, host, hostname, port, pathname, search, hash, origin } = url;
    assert.deepStrictEqual(
      { href, protocol, username, password, host, hostname, port, pathname, search, hash, origin },
      {
        href: "https://user:pass@example.com:8080/a/c?q=1&r#frag",
        protocol: "https:",
        username: "user",
        password: "pass",
        host: "example.com:8080",
        hostname: "example.com",
        port: "8080",
        pathname: "/a/c",
        search: "?q=1&r",
        hash: "#frag",
        origin: "https://example.com:8080",
      },
    );
  },
};

export const relativeToABase = {
  async test() {
    const resolve = (input, base = "http://b.example/dir/file?q#h") => new URL(input, base).href;
    assert.strictEqual(resolve("other"), "http://b.example/dir/other");
    assert.strictEqual(resolve("../up"), "http://b.example/up");
    assert.strictEqual(resolve("/root"), "http://b.example/root");
    assert.strictEqual(resolve("//host.example/x"), "http://host.example/x");
    assert.strictEqual(resolve("?query"), "http://b.example/dir/file?query");
    assert.strictEqual(resolve("#hash"), "http://b.example/dir/file?q#hash");
    assert.strictEqual(resolve(""), "http://b.example/dir/file?q");
    assert.strictEqual(resolve("mailto:x@y.example"), "mailto:x@y.example");
    assert.strictEqual(new URL("x", new URL("http://o.example/a/")).href, "http://o.example/a/x");
  },
};

export const invalidUrlsThrow = {
  async test() {
    for (const input of ["", "no scheme", "http://", "http://a b/", "http://[::1", "http://x:99999/", "//host"]) {
      assert.throws(() => new URL(input), { name: "TypeError" }, input);
    }
    assert.throws(() => new URL("path", "not absolute"), { name: "TypeError" });
    assert.throws(() => new URL(), { name: "TypeError" });
  },
};

export const canParseAndParse = {
  async test() {
    assert.strictEqual(URL.canParse("http://a.example/"), true);
    assert.strictEqual(URL.canParse("nope"), false);
    assert.strictEqual(URL.canParse("rel", "http://a.example/"), true);
    assert.strictEqual(URL.parse("http://a.example/x").pathname, "/x");
    assert.strictEqual(URL.parse("nope"), null);
  },
};

export const setters = {
  async test() {
    const url = new URL("http://a.example/");
    url.protocol = "https";
    url.username = "u s";
    url.password = "p:w";
    url.host = "b.example:81";
    url.pathname = "p q/\u00e9";
    url.search = "a=b c";
    url.hash = "h h";
    assert.strictEqual(url.href, "https://u%20s:p%3Aw@b.example:81/p%20q/%C3%A9?a=b%20c#h%20h");
    url.port = "443";
    assert.strictEqual(url.port, "");
    url.hostname = "c.example";
    url.search = "";
    url.hash = "";
    assert.strictEqual(url.href, "https://u%20s:p%3Aw@c.example/p%20q/%C3%A9");
    url.href = "http://new.example/";
    assert.strictEqual(url.hostname, "new.example");
    assert.throws(() => void (url.href = "bad"), { name: "TypeError" });
    assert.strictEqual(url.href, "http://new.example/");
  },
};

export const settersIgnoreInvalidValues = {
  async test() {
    const url = new URL("http://a.example:81/");
    url.port = "notaport";
    url.protocol = "gopher:";
    url.host = "";
    assert.strictEqual(url.href, "http://a.example:81/");
  },
};

export const hostsAreNormalised = {
  async test() {
    assert.strictEqual(new URL("http://EXAMPLE.com").hostname, "example.com");
    assert.strictEqual(new URL("http://b\u00fccher.example/").hostname, "xn--bcher-kva.example");
    assert.strictEqual(new URL("http://0x7f.1/").hostname, "127.0.0.1");
    assert.strictEqual(new URL("http://[2001:DB8::0:1]/").hostname, "[2001:db8::1]");
    assert.strictEqual(new URL("http://%65xample.com/").hostname, "example.com");
  },
};

export const defaultPortsDisappear = {
  async test() {
    assert.strictEqual(new URL("http://a.example:80/").href, "http://a.example/");
    assert.strictEqual(new URL("https://a.example:443/").href, "https://a.example/");
    assert.strictEqual(new URL("http://a.example:443/").port, "443");
  },
};

export const percentEncoding = {
  async test() {
    assert.strictEqual(new URL("http://a.example/ \u00e9%41%zz").pathname, "/%20%C3%A9%41%zz");
    assert.strictEqual(new URL("http://a.example/?q='\"<>").search, "?q=%27%22%3C%3E");
    assert.strictEqual(new URL("http://a.example/a\tb\nc").pathname, "/abc");
    assert.strictEqual(new URL("  http://a.example/  ").href, "http://a.example/");
    assert.strictEqual(new URL("http:\\\\a.example\\x").href, "http://a.example/x");
  },
};

export const nonSpecialSchemes = {
  async test() {
    const data = new URL("data:text/plain,hi there");
    assert.strictEqual(data.origin, "null");
    assert.strictEqual(data.pathname, "text/plain,hi there");
    assert.strictEqual(new URL("custom://Host/Path").href, "custom://Host/Path");
    assert.strictEqual(new URL("file:///C:/x/../y").pathname, "/C:/y");
    assert.strictEqual(new URL("blob:https://a.example/id").origin, "https://a.example");
  },
};

export const searchParamsAreLinked = {
  async test() {
    const url = new URL("http://a.example/?x=1&y=2");
    assert.strictEqual(url.searchParams, url.searchParams);
    url.searchParams.set("x", "a b");
    assert.strictEqual(url.href, "http://a.example/?x=a+b&y=2");
    url.searchParams.delete("x");
    url.searchParams.append("z", "&");
    assert.strictEqual(url.search, "?y=2&z=%26");
    url.search = "?fresh=1";
    assert.strictEqual(url.searchParams.get("fresh"), "1");
    assert.strictEqual(url.searchParams.get("y"), null);
    url.searchParams.delete("fresh");
    assert.strictEqual(url.href, "http://a.example/");
  },
};

export const stringConversions = {
  async test() {
    const url = new URL("http://a.example/p");
    assert.strictEqual(String(url), "http://a.example/p");
    assert.strictEqual(JSON.stringify({ url }), '{"url":"http://a.example/p"}');
    assert.strictEqual(Object.prototype.toString.call(url), "[object URL]");
  },
};

export const caretsInPathsAreEncoded = {
  test() {
    const url = new URL("http://a.example/b^c?d^e#f^g");
    assert.strictEqual(url.href, "http://a.example/b%5Ec?d^e#f^g");
    url.pathname = "/x^y";
    assert.strictEqual(url.href, "http://a.example/x%5Ey?d^e#f^g");
    assert.strictEqual(new URL("^", "http://a.example/b/c").href, "http://a.example/b/%5E");
    assert.strictEqual(new URL("x://h/^").href, "x://h/%5E");
    assert.strictEqual(new URL("x:a^b").href, "x:a^b");
    assert.strictEqual(new Request("http://a.example/b^c").url, "http://a.example/b%5Ec");
    assert.strictEqual(Response.redirect("http://a.example/b^c").headers.get("location"), "http://a.example/b%5Ec");
  },
};

export const spacesAtTheEndOfOpaquePaths = {
  test() {
    assert.strictEqual(new URL("x:a b ?q").href, "x:a b%20?q");
    assert.strictEqual(new URL("x:a  #h").href, "x:a %20#h");
    const url = new URL("x:a ?q=1");
    url.searchParams.delete("q");
    assert.strictEqual(url.href, "x:a%20");
  },
};

export const pathsWithoutAHostNeverBecomeOne = {
  test() {
    const url = new URL("x:/p?q");
    url.pathname = "//host/p";
    assert.strictEqual(url.href, "x:/.//host/p?q");
    assert.strictEqual(url.pathname, "//host/p");
    url.host = "h";
    assert.strictEqual(url.href, "x://h//host/p?q");
    const other = new URL("x:/.//p");
    other.pathname = "/a";
    assert.strictEqual(other.href, "x:/a");
    other.pathname = "";
    assert.strictEqual(other.href, "x:/");
  },
};

export const slashesAndBackslashesOfReferences = {
  test() {
    assert.strictEqual(new URL("///z", "http://b/c").href, "http://z/");
    assert.strictEqual(new URL("\\\\/z/y", "http://b/c").href, "http://z/y");
    assert.strictEqual(new URL("\\z", "x:/a/b").href, "x:/a/\\z");
    assert.strictEqual(new URL("\\z", "http://b/c").href, "http://b/z");
  },
};
