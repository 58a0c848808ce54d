# One worker behind one socket, whose address is given on the command line:
# workerd serve config.capnp --socket-addr http=127.0.0.1:8080
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [ (name = "work", worker = .work) ],
  sockets = [ (name = "http", address = "127.0.0.1:8080", http = (), service = "work") ],
);

const work :Workerd.Worker = (
  modules = [ (name = "work.js", esModule = embed "work.js") ],
  compatibilityDate = "2026-11-01",
);
