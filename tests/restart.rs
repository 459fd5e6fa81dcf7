//! A project's Worker that ended by a limit starts again.

mod support;

use support::{Project, Server};

#[test]
fn a_worker_that_ran_out_of_memory_starts_again() {
    let project = Project::worker(
        r#"let requests = 0;
        export default {
            fetch(request) {
                requests += 1;
                const all = [];
                while (request.url.endsWith("/hoard")) all.push({ number: all.length, text: `text ${all.length}` });
                return new Response(`request ${requests}`);
            },
        };"#,
    );
    let server = Server::start(project.path());
    assert_eq!(server.get("/").text(), "request 1");
    assert_eq!(server.get("/").text(), "request 2");
    assert_eq!(server.get("/hoard").status(), 500);
    assert_eq!(server.get("/").text(), "request 1");
}
