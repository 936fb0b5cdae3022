//! `harbinger serve` as a child process.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// When a child that hangs is given up; nothing is said about how long anything takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program without anything of this machine's environment.
pub(crate) fn harbinger(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harbinger"));
    command.args(arguments).env_clear().env("XDG_CONFIG_HOME", "/nonexistent").env("XDG_DATA_HOME", "/data");
    command
}

/// A running server. Ended by force when dropped.
pub(crate) struct Serving {
    child: Child,
    pub(crate) address: String,
    pub(crate) folder: TempDir,
    pub(crate) out: Text,
    pub(crate) err: Text,
}

impl Serving {
    /// Starts with `config`, in which `DATA` is its data folder, and waits until it listens.
    pub(crate) fn start(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("h.toml");
        fs::write(&file, config).unwrap();
        let data = folder.path().join("data");
        let arguments =
            ["serve", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap(), "--config", file.to_str().unwrap()];
        Self::spawn(folder, harbinger(&arguments))
    }

    /// Starts with flags only.
    pub(crate) fn with_flags(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut command = harbinger(&["serve", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()]);
        command.args(flags);
        Self::spawn(folder, command)
    }

    /// Starts on a data folder that is there already, without any configuration.
    pub(crate) fn in_folder(data: &Path) -> Self {
        let command = harbinger(&["serve", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()]);
        Self::spawn(tempfile::tempdir().unwrap(), command)
    }

    fn spawn(folder: TempDir, mut command: Command) -> Self {
        // What is asked of the upstream is counted: nothing is fetched that nobody asks for.
        command.env("HARBINGER_PREFETCH__ENABLED", "false");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = Text::read(child.stdout.take().unwrap());
        let err = Text::read(child.stderr.take().unwrap());
        let welcome = err.wait_for("capabilities = ");
        let address = welcome.split("listens on http://").nth(1).unwrap().split(',').next().unwrap().to_owned();
        Self { child, address, folder, out, err }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("h.toml")
    }

    /// Writes a new configuration and has it read.
    pub(crate) fn reload(&self, config: &str) {
        fs::write(self.file(), config).unwrap();
        self.signal("HUP");
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the end; the exit code.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it does not end:\n{}", self.err.now());
            thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "")
    }

    /// Asks until the transfer that answered before has landed: for a moment longer, it can still be joined.
    pub(crate) fn landed(&self, path: &str) -> Answer {
        loop {
            let answer = self.get(path);
            if !answer.header("cache-status").contains("collapsed") {
                return answer;
            }
        }
    }

    /// Sends a request over a connection of its own and reads the whole answer.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &str) -> Answer {
        Answer::read(self.send(method, path, headers))
    }

    /// Sends a request over a connection of its own.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nuser-agent: test/1\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a child has written so far.
#[derive(Clone, Default)]
pub(crate) struct Text(Arc<(Mutex<String>, Condvar)>);

impl Text {
    fn read(from: impl Read + Send + 'static) -> Self {
        let text = Self::default();
        let ours = text.clone();
        thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                let (text, changed) = &*ours.0;
                *text.lock().unwrap() += &(line + "\n");
                changed.notify_all();
            }
        });
        text
    }

    pub(crate) fn now(&self) -> String {
        self.0.0.lock().unwrap().clone()
    }

    /// Waits until `part` was written; the whole text until then.
    pub(crate) fn wait_for(&self, part: &str) -> String {
        self.wait_until(part, |text| text.contains(part))
    }

    /// Waits until there are `count` lines.
    pub(crate) fn wait_for_lines(&self, count: usize) -> Vec<String> {
        let text = self.wait_until("lines", |text| text.lines().count() >= count);
        text.lines().map(str::to_owned).collect()
    }

    fn wait_until(&self, what: &str, is_there: impl Fn(&str) -> bool) -> String {
        let (text, changed) = &*self.0;
        let text = text.lock().unwrap();
        let (text, late) = changed.wait_timeout_while(text, PATIENCE, |text| !is_there(text)).unwrap();
        assert!(!late.timed_out(), "{what} is not in:\n{text}");
        text.clone()
    }
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Reads until the other side closes.
    pub(crate) fn read(mut stream: TcpStream) -> Self {
        let mut bytes = Vec::new();
        // A reset cuts the answer short, which its length shows.
        let _ = stream.read_to_end(&mut bytes);
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_else(|| panic!("no head in {bytes:?}"));
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
        Self { status: head[9..12].parse().unwrap(), head, body: bytes[end + 4..].to_vec() }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or("")
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}
