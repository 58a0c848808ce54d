//! The works of the speed bench by path, as an application of the gateway.

use wasm_gw_guest::{Body, Environ, Error, Result, StartResponse};
use works::{ANSWERS, BENCH, BLOCKS, Blocks, HELLO, OUT, READ, SEEN, TEXT, Work};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let work = Work::of(&environ.path()).ok_or_else(|| Error::msg("no such work"))?;
    let body = match work {
        Work::Headers => return headers(&environ, &start_response),
        Work::Out => return blocks(OUT, &start_response),
        Work::Blocks => return blocks(BLOCKS, &start_response),
        Work::In => read(&environ)?.into(),
        Work::Cpu => format!("{}\n", works::cpu()).into(),
        Work::Pages if works::touch_pages() => HELLO.into(),
        Work::Pages => return Err(Error::msg("a page was not as new")),
    };
    start_response.start("200 OK", &[TEXT])?;
    Ok(body)
}

fn headers(environ: &Environ, start_response: &StartResponse) -> Result<Body> {
    let prefix = format!("HTTP_{}", BENCH.to_uppercase().replace('-', "_"));
    let vars = environ.vars();
    let seen = vars.iter().filter(|(name, _)| name.starts_with(&prefix));
    let seen = seen.count().to_string();
    let mut fields = vec![TEXT, (SEEN, &seen)];
    fields.extend(ANSWERS);
    start_response.start("200 OK", &fields)?;
    Ok(HELLO.into())
}

fn blocks(blocks: Blocks, start_response: &StartResponse) -> Result<Body> {
    let length = blocks.length().to_string();
    start_response.start("200 OK", &[TEXT, ("content-length", &length)])?;
    Ok(Body::iter((0..blocks.count).map(move |_| blocks.block())))
}

fn read(environ: &Environ) -> Result<String> {
    let mut input = environ.input();
    let mut length = 0;
    loop {
        let block = input.read_some(READ as u64)?;
        if block.is_empty() {
            return Ok(format!("{length}\n"));
        }
        length += block.len();
    }
}

wasm_gw_guest::export!(app);
