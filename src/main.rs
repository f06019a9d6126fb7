//! The program. The settings' type is that of the first parameter of [`service::app::router`].

use std::process::ExitCode;

fn main() -> ExitCode {
    chassis::main(service::SERVICE, service::app::router)
}
