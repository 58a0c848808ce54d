//! A plain command with a `main`: it exports `wasi:cli/run` and not the gateway's
//! interface.
//! For: such a component is refused when it is loaded, with a word on what it is.

fn main() {
    println!("a command");
}
