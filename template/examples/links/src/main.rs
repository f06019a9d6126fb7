//! `APP__APP__API_KEYS=… cargo run -p links`, with a Postgres at `app.database.url`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chassis::main(links::SERVICE, links::router)
}
