# The benchmark's parent Worker on workerd: the same module as wrangler.jsonc serves on Atoll.
# `--socket-addr http=127.0.0.1:0` and `--control-fd 1` choose the port and print it.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "main", worker = .main)],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);

const main :Workerd.Worker = (
  modules = [(name = "index.js", esModule = embed "index.js")],
  compatibilityDate = "2026-07-01",
  bindings = [(name = "LOADER", workerLoader = ())],
);
