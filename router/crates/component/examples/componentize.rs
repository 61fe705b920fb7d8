//! Makes a component of a core module.
//!
//! `cargo run -p forebay-component --example componentize -- CORE.wasm OUT.wasm`

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args_os().skip(1);
    let (Some(core), Some(out), None) = (args.next(), args.next(), args.next()) else {
        return Err("usage: componentize CORE.wasm OUT.wasm".into());
    };
    let component =
        forebay_component::componentize(&std::fs::read(core)?).map_err(|fault| fault.to_string())?;
    Ok(std::fs::write(out, component)?)
}
