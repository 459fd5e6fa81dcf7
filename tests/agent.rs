//! `examples/agent` end to end: code comes in with a request, runs with one API and one host, and answers.

mod support;

use std::thread;

use serde_json::{Value, json};
use support::http::Response;
use support::upstream::Upstream;
use support::{Project, Server, assert_contains, example};

const SECRET: &str = "Bearer the-secret-of-the-test";

fn start() -> Server {
    Server::start(example("agent"))
}

fn run_agent(server: &Server, code: &str, param: Value) -> Response {
    let param = param.to_string();
    server
        .connect()
        .send("POST", "/", &[("X-Param", &param)], Some(code.as_bytes()))
        .expect("get an answer from the agent")
}

/// Runs an agent that must succeed, and gives its result and its logs.
#[track_caller]
fn succeed(server: &Server, code: &str, param: Value) -> (Value, Value) {
    let response = run_agent(server, code, param);
    assert_eq!(response.status(), 200, "{}", response.text());
    let mut answer = support::json(&response);
    (answer["result"].take(), answer["logs"].take())
}

/// Runs an agent that must fail, and gives its error and its logs.
#[track_caller]
fn fail(server: &Server, code: &str) -> (String, Value) {
    let response = run_agent(server, code, Value::Null);
    assert_eq!(response.status(), 422, "{}", response.text());
    let mut answer = support::json(&response);
    (answer["error"].as_str().expect("error is a text").to_owned(), answer["logs"].take())
}

#[test]
fn get_explains_the_api() {
    let text = start().get("/").text();
    assert_contains(&text, &["interface ChatRoom", "myAgent(param", "https://api.example.com"]);
}

#[test]
fn the_sample_agent_talks_in_the_room() {
    let code = std::fs::read_to_string(example("agent").join("agent.ts")).expect("read the sample");
    let (result, logs) = succeed(&start(), &code, json!("lunch"));
    assert_eq!(result, json!({ "messages": 1, "newest": "Shall we talk about lunch?" }));
    assert_eq!(logs[0]["level"], "log");
    assert_contains(
        logs[0]["text"].as_str().expect("a line is a text"),
        &["heard", "Shall we talk about lunch?"],
    );
}

#[test]
fn the_parameter_can_come_in_the_url() {
    let code = "export default { async myAgent(param) { return param.n + 1; } };";
    let response = start()
        .connect()
        .send("POST", "/?param=%7B%22n%22:41%7D", &[], Some(code.as_bytes()))
        .expect("get an answer from the agent");
    assert_eq!(support::json(&response), json!({ "result": 42, "logs": [] }));
}

#[test]
fn an_agent_can_be_a_class() {
    let code = r#"
        import { WorkerEntrypoint } from "cloudflare:workers";
        export default class extends WorkerEntrypoint {
            async myAgent(param) {
                await this.env.CHAT_ROOM.post("from a class");
                const [message] = await this.env.CHAT_ROOM.getHistory(1);
                return [param, message.text, Object.keys(this.env)];
            }
        }
    "#;
    let (result, _) = succeed(&start(), code, json!({ "n": 3 }));
    assert_eq!(result, json!([{ "n": 3 }, "from a class", ["CHAT_ROOM"]]));
}

#[test]
fn an_agent_can_be_typescript() {
    let code = r#"
        interface Order { item: string; count: number }
        type Total<T> = { [K in keyof T]?: T[K] };
        const describe = <T extends Order>(order: T): string => `${order.count} ${order.item}` as string;
        export default {
            async myAgent(order: Order, env: { CHAT_ROOM: unknown }, ctx?: unknown): Promise<string> {
                const total: Total<Order> = { ...order, count: order.count! * 2 };
                return describe(total satisfies Total<Order> as Order);
            },
        };
    "#;
    let (result, _) = succeed(&start(), code, json!({ "item": "apples", "count": 2 }));
    assert_eq!(result, "4 apples");
}

#[test]
fn console_lines_come_back_in_order_with_their_levels() {
    let code = r#"
        console.log("top level", { a: 1 });
        export default {
            async myAgent() {
                console.debug(1);
                console.info([2]);
                console.warn("three");
                console.error(new Error("four"));
            },
        };
    "#;
    let (result, logs) = succeed(&start(), code, Value::Null);
    assert_eq!(result, Value::Null);
    let lines: Vec<_> = logs.as_array().expect("logs are a list").iter().collect();
    let levels: Vec<_> = lines.iter().map(|line| &line["level"]).collect();
    assert_eq!(levels, ["log", "debug", "info", "warn", "error"]);
    assert_eq!(lines[0]["text"], r#"top level {"a":1}"#);
    assert_eq!(lines[2]["text"], "[2]");
    assert_contains(lines[4]["text"].as_str().expect("a line is a text"), &["Error: four", "agent.ts:8"]);
}

#[test]
fn a_thrown_error_comes_back_with_its_place_and_the_logs() {
    let code = "\
interface Nothing { a: string }
export default {
  async myAgent(param: unknown) {
    console.log('before');
    const x: any = {};
    x.boom();
  },
};
";
    let (error, logs) = fail(&start(), code);
    assert_contains(&error, &["TypeError", "x.boom is not a function", "agent.ts:6:"]);
    assert!(!error.contains("main.js"), "frames of the wrapper are nobody's business: {error}");
    assert_eq!(logs, json!([{ "level": "log", "text": "before" }]));
}

#[test]
fn an_error_at_the_top_level_comes_back_with_its_place_and_the_logs() {
    let (error, logs) = fail(&start(), "console.log('early');\nnull.boom;\nexport default {};\n");
    assert_contains(&error, &["TypeError", "boom", "agent.ts:2:"]);
    assert_eq!(error.lines().count(), 2, "only the agent's own frames are shown: {error}");
    assert_eq!(logs, json!([{ "level": "log", "text": "early" }]));
}

#[test]
fn a_syntax_error_comes_back_with_its_place() {
    let (error, _) = fail(&start(), "export default {\n  async myAgent() {\n    return 1 +;\n  },\n};\n");
    assert_contains(&error, &["agent.ts:3"]);
}

#[test]
fn a_module_without_the_method_is_told_what_is_missing() {
    let (error, _) = fail(&start(), "export const answer = 42;");
    assert_contains(&error, &["agent.ts", "export", "myAgent(param, env, ctx)"]);
}

#[test]
fn wrong_arguments_to_the_api_are_explained() {
    let (error, _) =
        fail(&start(), "export default { async myAgent(p, env) { await env.CHAT_ROOM.post(5); } };");
    assert_contains(&error, &["TypeError", "text must be a string"]);
}

#[test]
fn a_live_object_is_no_answer() {
    let (error, _) = fail(&start(), "export default { async myAgent() { return () => 5; } };");
    assert_contains(&error, &["must return data"]);
}

#[test]
fn an_endless_agent_is_stopped_and_the_next_one_runs() {
    let server = start();
    let (error, _) = fail(&server, "export default { async myAgent() { for (;;); } };");
    assert!(error.contains("exceeded its CPU time limit of 1000 ms"), "{error}");
    let (result, _) = succeed(&server, "export default { async myAgent() { return 'next'; } };", Value::Null);
    assert_eq!(result, "next");
}

#[test]
fn each_run_has_an_isolate_of_its_own() {
    let server = start();
    let code = "
        let runs = 0;
        export default { async myAgent() { globalThis.seen ??= 0; return [++runs, ++seen]; } };
    ";
    for _ in 0..3 {
        assert_eq!(succeed(&server, code, Value::Null).0, json!([1, 1]));
    }
}

#[test]
fn agents_that_run_at_the_same_time_hear_each_other() {
    let server = start();
    let listener = r#"export default {
        async myAgent(param, env) {
            const { promise, resolve } = Promise.withResolvers();
            using subscription = await env.CHAT_ROOM.subscribe((message) => {
                if (message.text === "bye") resolve("heard bye");
            });
            return await promise;
        },
    };"#;
    let speaker = "export default { async myAgent(p, env) { await env.CHAT_ROOM.post('bye'); } };";
    thread::scope(|scope| {
        let listening = scope.spawn(|| succeed(&server, listener, Value::Null).0);
        support::wait_until("the listener has heard the speaker", || {
            succeed(&server, speaker, Value::Null);
            listening.is_finished()
        });
        assert_eq!(listening.join().expect("the listener succeeds"), "heard bye");
    });
}

#[test]
fn the_network_is_closed_but_for_one_origin() {
    let server = start();
    for address in [
        "https://example.org/",
        "http://api.example.com/",
        "http://127.0.0.1:1/",
        "https://api.example.com:8443/",
    ] {
        let code = format!("export default {{ async myAgent() {{ await fetch({address:?}); }} }};");
        let (error, _) = fail(&server, &code);
        assert_contains(&error, &["This worker is not permitted to reach"]);
    }
}

#[test]
fn sockets_are_closed() {
    let upstream = Upstream::start("HTTP/1.1 200 OK", "reached");
    let code = format!(
        r#"import {{ connect }} from "cloudflare:sockets";
        export default {{
            async myAgent() {{
                const socket = connect("{}");
                const writer = socket.writable.getWriter();
                await writer.write(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
                return new TextDecoder().decode((await socket.readable.getReader().read()).value);
            }},
        }};"#,
        upstream.address()
    );
    let response = run_agent(&project_with_origin(&upstream).1, &code, Value::Null);
    assert!(!response.text().contains("reached"), "{}", response.text());
    assert_eq!(upstream.requests(), Vec::<String>::new());
}

/// The example with another origin and secret, allowed to reach this machine. The project must outlive the server.
fn project_with_origin(upstream: &Upstream) -> (Project, Server) {
    let project = Project::copy_of("agent");
    project.replace("wrangler.jsonc", "https://api.example.com", &format!("http://{}", upstream.address()));
    project.replace("wrangler.jsonc", "Bearer change-me", SECRET);
    let allow = r#""atoll": { "outbound": { "allow": ["127.0.0.1"] } }, "vars": {"#;
    project.replace("wrangler.jsonc", r#""vars": {"#, allow);
    let server = Server::start(project.path());
    (project, server)
}

#[test]
fn the_gateway_adds_a_secret_that_the_agent_never_sees() {
    let upstream =
        Upstream::start("HTTP/1.1 200 OK\r\nContent-Type: application/json", r#"{"weather":"fine"}"#);
    let (_project, server) = project_with_origin(&upstream);
    let code = format!(
        r#"export default {{
            async myAgent(param, env, ctx) {{
                const headers = {{ "X-Mine": "1", Authorization: "forged" }};
                const request = new Request("http://{}/weather", {{ headers }});
                const response = await fetch(request);
                const seen = [[...request.headers], [...response.headers], Object.keys(env), ctx.props];
                return {{ body: await response.json(), seen }};
            }},
        }};"#,
        upstream.address()
    );
    let response = run_agent(&server, &code, Value::Null);
    assert_eq!(response.status(), 200, "{}", response.text());
    assert_eq!(support::json(&response)["result"]["body"], json!({ "weather": "fine" }));
    assert!(!response.text().contains("the-secret"), "{}", response.text());

    let requests = upstream.requests();
    assert_eq!(requests.len(), 1);
    let secret = format!("authorization: {}\r\n", SECRET.to_ascii_lowercase());
    assert_contains(&requests[0], &["get /weather http/1.1", "x-mine: 1\r\n", &secret]);
    assert!(!requests[0].contains("forged"), "{}", requests[0]);
}

#[test]
fn a_redirect_does_not_carry_the_secret_elsewhere() {
    let elsewhere = Upstream::start("HTTP/1.1 200 OK", "reached");
    let head = format!("HTTP/1.1 302 Found\r\nLocation: http://{}/stolen", elsewhere.address());
    let upstream = Upstream::start(&head, "");
    let (_project, server) = project_with_origin(&upstream);
    let code = format!(
        "export default {{ async myAgent() {{ return (await fetch('http://{}/')).status; }} }};",
        upstream.address()
    );
    let (error, _) = fail(&server, &code);
    assert_contains(&error, &["This worker is not permitted to reach", &elsewhere.address().to_string()]);
    assert_eq!(elsewhere.requests(), Vec::<String>::new());
}

#[test]
fn bad_requests_are_refused_with_a_reason() {
    let server = start();
    let mut connection = server.connect();
    let response = connection.send("POST", "/?param=oops", &[], Some(b"")).expect("get an answer");
    assert_eq!(response.status(), 400);
    assert_contains(&response.text(), &["param is not JSON"]);

    let large = vec![b' '; 1024 * 1024 + 1];
    let response = connection.send("POST", "/", &[], Some(&large)).expect("get an answer");
    assert_eq!(response.status(), 413);
    assert_contains(&response.text(), &["1048577 bytes", "1048576"]);

    assert_eq!(connection.send("DELETE", "/", &[], None).expect("get an answer").status(), 405);
}
