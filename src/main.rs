//! The program.

use std::process::ExitCode;

fn main() -> ExitCode {
    chassis::main(service::SERVICE, service::app::router)
}
