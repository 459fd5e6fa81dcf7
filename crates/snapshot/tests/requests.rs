//! What natives make of requests and answers that no script of the runtime would hand over: they are called here with
//! whatever a guest could give them, had it got hold of them.

#[path = "value_reader/reader.rs"]
#[allow(dead_code, reason = "only its isolate is used here")]
mod reader;

use std::sync::{Arc, Mutex};

use atoll_isolate::{Extension, v8};
use atoll_rpc::budget::Landing;
use atoll_rpc::call::Followup;
use atoll_rpc::{Call, Service, ServiceCap};
use atoll_web::account::Origin;
use atoll_web::context;
use atoll_web::exchange::{Cf, HeaderList, Target};
use atoll_web::fetcher::{FetchRequest, Fetcher, Responder};
use reader::Reader;

/// A service that keeps what it gets.
#[derive(Default)]
struct Keeper(Mutex<Vec<FetchRequest>>);

impl Fetcher for Keeper {
    fn fetch(&self, request: FetchRequest, _respond: Responder) {
        self.0.lock().expect("the list is whole").push(request);
    }
}

impl Service for Keeper {
    fn call(&self, _call: Call) {}

    fn follow(&self, _landing: Option<&Landing>, work: Followup) {
        work(None);
    }

    fn tail(&self, _events: Arc<str>, _origin: Origin) {}

    fn check_transfer(&self) -> Result<(), atoll_isolate::JsError> {
        Ok(())
    }

    fn as_fetcher(self: Arc<Self>) -> Arc<dyn Fetcher> {
        self
    }
}

/// Calls a native with the elements of a list, given as code; gives the exception that it threw.
fn call(
    scope: &mut v8::PinScope<'_, '_>,
    layer: &Extension,
    name: &str,
    first: Option<u32>,
    list: &str,
) -> Option<String> {
    v8::tc_scope!(let scope, scope);
    let native =
        (layer.natives)().into_iter().find(|native| native.name == name).expect("there is such a native");
    let function = v8::Function::builder_raw(native.callback).build(scope).expect("a function");
    let code = v8::String::new(scope, list).expect("a string");
    let list = v8::Script::compile(scope, code, None).and_then(|script| script.run(scope)).expect("a list");
    let list = v8::Local::<v8::Array>::try_from(list).expect("a list");
    let mut arguments: Vec<v8::Local<v8::Value>> = Vec::new();
    if let Some(first) = first {
        arguments.push(v8::Integer::new_from_unsigned(scope, first).into());
    }
    for index in 0..list.length() {
        arguments.push(list.get_index(scope, index).expect("an element"));
    }
    let this = v8::undefined(scope).into();
    let _ = function.call(scope, this, &arguments);
    let thrown = scope.exception().map(|exception| exception.to_rust_string_lossy(scope));
    scope.reset();
    thrown
}

/// What a service gets of a request that a native is called with; or what the native throws.
fn sent(reader: &Reader, list: &str) -> Result<FetchRequest, String> {
    let keeper = Arc::new(Keeper::default());
    let service = keeper.clone();
    let thrown = reader.inside(|scope| {
        let owner = context::current(scope);
        let handle = context::add_resource(scope, owner, Arc::new(ServiceCap(service)));
        let thrown = call(scope, &atoll_rpc::EXTENSION, "serviceFetch", Some(handle), list);
        context::release(scope, handle);
        thrown
    });
    let request = keeper.0.lock().expect("the list is whole").pop();
    match (request, thrown) {
        (Some(request), None) => Ok(request),
        (None, Some(thrown)) => Err(thrown),
        (request, thrown) => panic!("sent: {}, thrown: {thrown:?}, for {list}", request.is_some()),
    }
}

#[test]
fn what_is_no_request_is_not_sent() {
    let reader = Reader::new();
    for method in [
        "1",
        "null",
        "Symbol()",
        "'get'",
        "'CONNECT'",
        "'GET /smuggled HTTP/1.1\\r\\nX: y\\r\\n\\r\\nGET'",
        "{ toString: () => 'GET' }",
        "new String('GET')",
        "'x'.repeat(1e8)",
        "['GET']",
    ] {
        let thrown = sent(&reader, &format!("[{method}, 'http://a.example/', [], null]")).err();
        assert!(
            thrown.as_deref().is_some_and(|text| text.starts_with("TypeError: Invalid HTTP method")),
            "{method}: {thrown:?}"
        );
    }
    for url in [
        "1",
        "{ length: 9, toString: () => 'http://a.example/' }",
        "'not a url'",
        "'/path'",
        "'ftp://a.example/'",
        "'data:,x'",
        "'file:///etc/passwd'",
        "'http://'",
        "'http://a/' + 'x'.repeat(4e8)",
        "['http://a.example/']",
    ] {
        let thrown = sent(&reader, &format!("['GET', {url}, [], null]")).err();
        assert!(
            thrown.as_deref().is_some_and(|text| text.starts_with("TypeError: Invalid URL")),
            "{url}: {thrown:?}"
        );
    }
    for headers in [
        "null",
        "'a: b'",
        "{}",
        "{ length: 2, 0: 'a', 1: 'b' }",
        "new Array(4294967295)",
        "new Array(2)",
        "['a']",
        "[1, 2]",
        "['a', 1]",
        "['x-evil', '1\\r\\nX-Injected: yes']",
        "['x\\r\\ny', '1']",
        "['a b', '1']",
        "['', '1']",
        "['a', '\\0']",
        "['a', 'x'.repeat(4e8)]",
        "new Array(100000).fill('a')",
        "Object.defineProperty(['a', 'b'], 1, { get() { throw 1; } })",
        "Object.defineProperty(['a', 'b', 'c', 'd'], 1, { get() { this.length = 2; return 'b'; } })",
        "Object.defineProperty(['a', 'b', 'c', 'd'], 1, { get() { this.length = 0; return 'b'; } })",
        "new Proxy(['a', 'b'], {})",
        "Object.setPrototypeOf(new Array(2), { 0: 'a' })",
    ] {
        let thrown = sent(&reader, &format!("['GET', 'http://a.example/', {headers}, null]")).err();
        let expected = ["TypeError: Invalid header", "TypeError: The headers are larger"];
        let fine = thrown.as_deref().is_some_and(|text| expected.iter().any(|start| text.starts_with(start)));
        assert!(fine, "{headers}: {thrown:?}");
    }
    for cf in [
        "1",
        "null",
        "{}",
        "'null'",
        "'}{'",
        "'{},\"x\":{'",
        "'[1]'",
        "'{\"a\":\"' + 'x'.repeat(4e8) + '\"}'",
    ] {
        let thrown = sent(&reader, &format!("['GET', 'http://a.example/', [], null, {cf}]")).err();
        assert!(
            thrown.as_deref().is_some_and(|text| text.starts_with("TypeError: The 'cf' field")),
            "{cf}: {thrown:?}"
        );
    }
}

#[test]
fn what_is_sent_is_canonical() {
    let reader = Reader::new();
    for (list, url, headers) in [
        ("['GET', 'http://a.example/', [], null]", "http://a.example/", vec![]),
        (
            "['POST', 'HTTP://u:p@A.example:80/a/../b#c', ['X-A', ' 1 ', 'x-a', '\\t'], 'abc', '{\"a\":1}']",
            "http://a.example/b",
            vec![("x-a", "1"), ("x-a", ""), ("content-length", "3")],
        ),
        (
            "['PUT', 'http://a.example:1\\\\@b.example/', ['Transfer-Encoding', 'x', 'content-length', '9'], 'abc']",
            "http://a.example:1/@b.example/",
            vec![("transfer-encoding", "x"), ("content-length", "9")],
        ),
        ("['GET', 'http://a.example/', [], 4294967295]", "http://a.example/", vec![]),
        ("['GET', 'http://a.example/', ['a', '\\ud800'], {}]", "http://a.example/", vec![("a", "\u{fffd}")]),
    ] {
        let request = sent(&reader, list).unwrap_or_else(|thrown| panic!("{thrown}, for {list}"));
        assert_eq!(request.url.as_str(), url, "{list}");
        assert_eq!(request.headers.pairs().collect::<Vec<_>>(), headers, "{list}");
        assert_eq!(Target::new(url.to_owned()).as_ref(), Ok(&request.url));
        assert_eq!(HeaderList::new(request.headers.flat().to_vec()).as_ref(), Ok(&request.headers));
        assert_eq!(request.cf.is_some(), list.contains("{\"a\":1}"));
        assert!(request.cf.is_none_or(|cf| Cf::new(cf.as_str()) == Ok(cf)));
    }
}

#[test]
fn what_is_no_answer_is_not_given() {
    let reader = Reader::new();
    let given =
        |list: &str| reader.inside(|scope| call(scope, &atoll_loader::EXTENSION, "respond", None, list));
    // There is no invocation that it could be the answer of.
    assert_eq!(given("[200, 'OK', ['a', 'b'], 'text', false, false]"), None);
    for (status, text, headers) in [
        ("0", "''", "[]"),
        ("100", "''", "[]"),
        ("101", "''", "[]"),
        ("199", "''", "[]"),
        ("1000", "''", "[]"),
        ("65736", "''", "[]"),
        ("-200", "''", "[]"),
        ("200.5", "''", "[]"),
        ("'200'", "''", "[]"),
        ("{ valueOf: () => 200 }", "''", "[]"),
        ("200", "'OK\\r\\nX: y'", "[]"),
        ("200", "1", "[]"),
        ("200", "'x'.repeat(4e8)", "[]"),
        ("200", "''", "['a']"),
        ("200", "''", "['a', 'b\\nc']"),
        ("200", "''", "new Array(4294967295)"),
        ("200", "''", "1"),
    ] {
        let list = format!("[{status}, {text}, {headers}, null, false, false]");
        let thrown = given(&list);
        assert!(thrown.is_some_and(|text| text.contains("Error: ")), "{list}");
    }
}
