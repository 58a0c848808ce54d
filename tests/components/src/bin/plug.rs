//! `plug SOCKET --plug PLUG -o OUT`, as `wac plug` does it: by its library, since the command brings three times as
//! much to compile. The tests compose middleware and applications by it.

use std::env;
use std::ffi::OsString;
use std::fs;

use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions};

fn main() {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let [socket, plug_flag, plug, out_flag, out] = arguments.as_slice() else {
        panic!("plug SOCKET --plug PLUG -o OUT");
    };
    assert!(plug_flag == "--plug" && out_flag == "-o", "{arguments:?}");

    let mut graph = CompositionGraph::new();
    let mut register = |name: &str, path: &OsString| {
        let package = Package::from_file(name, None, path, graph.types_mut());
        let package = package.expect("it is a component");
        graph
            .register_package(package)
            .expect("no other has its name")
    };
    let socket = register("socket", socket);
    let plug = register("plug:app", plug);
    wac_graph::plug(&mut graph, vec![plug], socket).expect("they fit");
    let composed = graph.encode(EncodeOptions::default());
    fs::write(out, composed.expect("it is whole")).expect("it can be written");
}
