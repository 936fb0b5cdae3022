//! The `harbinger` program. Everything it does is in the library.

use std::process::ExitCode;

use clap::Parser;
use harbinger::cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let threads = std::thread::available_parallelism().map_or(2, |processors| processors.get().max(2));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the runtime cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(cli.run());
    // Whoever asked to stop at once does not wait for a blocked disk.
    runtime.shutdown_background();
    code
}
