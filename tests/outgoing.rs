//! Requests to other servers: unread answers, connections that servers close, many headers, fields about the
//! connection, and shares of the places that there are.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use support::{Project, Server, wait_until};

const CONFIG: &str = r#"{
  "name": "outgoing", "main": "index.js", "compatibility_date": "2026-07-01",
  "worker_loaders": [{ "binding": "LOADER" }],
  "atoll": { "outbound": { "allow": ["127.0.0.0/8"] } }
}"#;

fn serve(main: &str) -> (Project, Server) {
    let project = Project::new(&[("wrangler.jsonc", CONFIG), ("index.js", main)]);
    let server = Server::start(project.path());
    (project, server)
}

/// A server whose connections are handled one by one, by number; `answer` gives false to close a connection.
fn origin(
    answer: impl Fn(&mut TcpStream, &str, usize) -> std::io::Result<bool> + Send + Sync + 'static,
) -> (SocketAddr, Arc<AtomicUsize>) {
    // On all of 127.0.0.0/8: each address is a host of its own to the runtime.
    let listener = TcpListener::bind("0.0.0.0:0").expect("listen on a free port");
    let port = listener.local_addr().expect("a listener has an address").port();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let requests = Arc::new(AtomicUsize::new(0));
    let (answer, counted) = (Arc::new(answer), requests.clone());
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (answer, requests) = (answer.clone(), counted.clone());
            thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                let mut number = 0;
                while let Some(head) = read_head(&mut reader) {
                    requests.fetch_add(1, Ordering::Relaxed);
                    if !matches!(answer(reader.get_mut(), &head, number), Ok(true)) {
                        return;
                    }
                    number += 1;
                }
            });
        }
    });
    (address, requests)
}

/// The head of a request, in lower case; none where the connection ends before.
fn read_head(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    Some(head.to_ascii_lowercase())
}

fn respond(stream: &mut TcpStream, body: &str) -> std::io::Result<bool> {
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
    Ok(true)
}

fn respond_in_chunks(stream: &mut TcpStream, size: usize) -> std::io::Result<bool> {
    write!(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
    write!(stream, "{size:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(size))?;
    Ok(true)
}

#[test]
fn answers_that_are_not_read_hold_no_connection_for_good() {
    let (address, _) = origin(|stream, _, _| respond_in_chunks(stream, 1000));
    let (_project, server) = serve(
        "export default { async fetch(request) {
           const url = new URL(request.url).searchParams.get('url');
           const kept = [];
           for (let i = 0; i < 500; i++) {
             const answer = await fetch(url);
             if (answer.status !== 200) throw new Error('status ' + answer.status);
             kept.push(answer);
           }
           return new Response(String((await kept[0].text()).length + (await kept[499].text()).length));
         } };",
    );
    assert_eq!(server.get(&format!("/?url=http://{address}/")).text(), "2000");
}

#[test]
fn a_get_on_a_connection_that_its_server_closed_is_sent_again() {
    let (address, requests) = origin(|stream, _, number| match number {
        0 => respond(stream, "first"),
        _ => Ok(false),
    });
    let (_project, server) = serve(
        "export default { async fetch(request) {
           const url = new URL(request.url).searchParams.get('url');
           const texts = [];
           for (let i = 0; i < 4; i++) texts.push(await (await fetch(url)).text());
           return new Response(texts.join());
         } };",
    );
    assert_eq!(server.get(&format!("/?url=http://{address}/")).text(), "first,first,first,first");
    assert!(requests.load(Ordering::Relaxed) >= 4);
}

#[test]
fn a_post_is_not_sent_twice() {
    let (address, requests) = origin(|stream, head, _| match head.starts_with("get") {
        true => respond(stream, "ok"),
        false => Ok(false),
    });
    let (_project, server) = serve(
        "export default { async fetch(request) {
           const url = new URL(request.url).searchParams.get('url');
           await (await fetch(url)).text();
           return new Response(await fetch(url, { method: 'POST' }).then((r) => r.status, (e) => e.message));
         } };",
    );
    let text = server.get(&format!("/?url=http://{address}/")).text();
    support::assert_contains(&text, &["was closed"]);
    assert_eq!(requests.load(Ordering::Relaxed), 2);
}

#[test]
fn an_answer_may_have_many_headers() {
    let (address, _) = origin(|stream, _, _| {
        let headers: String = (0..500).map(|number| format!("X-{number}: v\r\n")).collect();
        write!(stream, "HTTP/1.1 200 OK\r\n{headers}Content-Length: 0\r\n\r\n")?;
        Ok(true)
    });
    let (_project, server) = serve(
        "export default { async fetch(request) {
           const { headers } = await fetch(new URL(request.url).searchParams.get('url'));
           return new Response(String([...headers.keys()].filter((name) => name.startsWith('x-')).length));
         } };",
    );
    assert_eq!(server.get(&format!("/?url=http://{address}/")).text(), "500");
}

#[test]
fn fields_about_the_connection_are_not_passed_on() {
    let (address, _) = origin(|stream, head, _| respond(stream, head));
    let (_project, server) = serve(
        "export default { fetch(request) {
           return fetch(new URL(request.url).searchParams.get('url'), request);
         } };",
    );
    let headers = [
        ("Connection", "Upgrade, HTTP2-Settings, X-Named"),
        ("Upgrade", "h2c"),
        ("HTTP2-Settings", "AAMAAABkAAQAAP__"),
        ("X-Named", "by Connection"),
        ("TE", "trailers"),
        ("X-Kept", "yes"),
    ];
    let target = format!("/?url=http://{address}/");
    let response = server.connect().send("GET", &target, &headers, None).expect("get an answer");
    let head = response.text();
    support::assert_contains(&head, &["x-kept: yes"]);
    for field in ["upgrade", "http2-settings", "x-named", "te:", "keep-alive"] {
        assert!(!head.contains(field), "{field} is passed on:\n{head}");
    }
}

/// A child takes all the places that it gets with requests that are never answered; its parent's are served meanwhile.
#[test]
fn one_child_has_a_share_of_the_places() {
    let (silent, asked) = origin(|stream, _, _| {
        // Never answered; the connection stays until its client goes.
        let _ = stream.peek(&mut [0]);
        Ok(false)
    });
    let (quick, _) = origin(|stream, _, _| respond(stream, "quick"));
    let (_project, server) = serve(
        "const CHILD = `export default { async go(urls) {
           for (const url of urls) for (let i = 0; i < 100; i++) fetch(url + i).catch(() => {});
           await new Promise((resolve) => setTimeout(resolve, 60_000));
         } }`;
         export default { async fetch(request, env) {
           const { pathname, searchParams } = new URL(request.url);
           if (pathname === '/quick') return fetch(searchParams.get('url'));
           const child = env.LOADER.load({ compatibilityDate: '2026-07-01', mainModule: 'c.js', modules: { 'c.js': CHILD } });
           await child.getEntrypoint().go(searchParams.getAll('url'));
         } };",
    );
    let urls: String =
        (1..=12).map(|host| format!("&url=http://127.0.0.{host}:{}/", silent.port())).collect();
    let mut flood = server.connect();
    let request = format!("GET /flood?{urls} HTTP/1.1\r\nHost: test\r\n\r\n");
    flood.write(request.as_bytes()).expect("begin the flood");
    wait_until("the child has requests under way", || asked.load(Ordering::Relaxed) >= 50);
    for host in ["127.0.0.1", "127.0.0.77"] {
        let target = format!("/quick?url=http://{host}:{}/", quick.port());
        assert_eq!(server.get(&target).text(), "quick", "{host}");
    }
}
