//! The service of this repository, as the engine's tests drive it.

use std::process::ExitCode;

fn main() -> ExitCode {
    chassis::main(service::SERVICE, service::app::router)
}
