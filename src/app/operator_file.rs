//! How an operator on this machine finds the running server: a file in the data folder that only its owner can read.

use std::{
    fs::{self, File},
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// What is in the file.
#[derive(Clone, Serialize, Deserialize)]
pub struct OperatorFile {
    /// Where the server listens.
    pub address: SocketAddr,
    /// What it wants to be shown.
    pub token: String,
}

impl OperatorFile {
    /// Where it lies.
    pub fn path(data: &Path) -> PathBuf {
        data.join("admin.json")
    }

    /// Where to connect to: a server that listens on all addresses is reached on the loopback one.
    pub fn reachable(&self) -> SocketAddr {
        let mut address = self.address;
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        address
    }

    /// Reads the file in the data folder.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    pub fn read(data: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(Self::path(data))?)?)
    }

    /// Writes the file into the data folder, in one step.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, data: &Path) -> io::Result<()> {
        let path = Self::path(data);
        let unfinished = path.with_extension("json.new");
        let _ = fs::remove_file(&unfinished);
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        fs::rename(unfinished, path)
    }
}

impl std::fmt::Debug for OperatorFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OperatorFile").field("address", &self.address).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn who_listens_everywhere_is_reached_on_loopback() {
        for (address, reachable) in
            [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1"), ("10.0.0.1:1", "10.0.0.1:1"), ("[fd00::1]:1", "[fd00::1]:1")]
        {
            let file = OperatorFile { address: address.parse().unwrap(), token: String::new() };
            assert_eq!(file.reachable().to_string(), reachable);
        }
    }

    #[test]
    fn only_the_owner_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        for token in ["one", "two"] {
            let file = OperatorFile { address: ([127, 0, 0, 1], 5000).into(), token: token.to_owned() };
            file.write(folder.path()).unwrap();
            assert_eq!(OperatorFile::read(folder.path()).unwrap().token, token);
            assert!(!format!("{file:?}").contains(token));
        }
        let mode = fs::metadata(OperatorFile::path(folder.path())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
