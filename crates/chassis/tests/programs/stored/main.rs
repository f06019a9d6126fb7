//! A service with a database, in four releases that rename a column.

mod app;

use std::process::ExitCode;

fn main() -> ExitCode {
    chassis::main(app::SERVICE, app::router)
}
