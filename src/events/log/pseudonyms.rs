//! Names that tell two apart and say nothing else: keyed hashes.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    net::IpAddr,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
};

use sha2::{Digest, Sha256};

const KEY_BYTES: usize = 32;

/// The key's file.
const FILE: &str = "key";

/// Makes pseudonyms with one key. Who does not have the key cannot tell whose they are, not even by trying all there are.
#[derive(Clone)]
pub struct Pseudonyms {
    key: [u8; KEY_BYTES],
}

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pseudonyms").finish_non_exhaustive()
    }
}

impl Pseudonyms {
    /// With a key that nobody keeps: tomorrow's pseudonyms are others.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn forgotten() -> io::Result<Self> {
        let mut key = [0; KEY_BYTES];
        File::open("/dev/urandom")?.read_exact(&mut key)?;
        Ok(Self { key })
    }

    /// With the key that is kept in `folder`, which is made, readable by its owner only, if there is none.
    ///
    /// # Errors
    /// When it cannot be read or made, or has another length.
    pub fn kept_in(folder: &Path) -> io::Result<Self> {
        let path = folder.join(FILE);
        match fs::read(&path) {
            Ok(bytes) => {
                let key = bytes.try_into().map_err(|_| {
                    let message =
                        format!("{} is not a key of {KEY_BYTES} bytes: delete it to begin with another", path.display());
                    io::Error::new(io::ErrorKind::InvalidData, message)
                })?;
                Ok(Self { key })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = Self::forgotten()?;
                made.write(folder, &path)?;
                Ok(made)
            }
            Err(error) => Err(error),
        }
    }

    /// It is there whole or not at all.
    fn write(&self, folder: &Path, path: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let unfinished = folder.join("key.new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(&self.key)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        File::open(folder)?.sync_all()
    }

    /// A client, by its address.
    pub fn client(&self, address: IpAddr) -> u64 {
        let bytes = match address {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => address.octets(),
        };
        self.hash(b"client", &bytes)
    }

    /// A customer: `c-` and 16 hexadecimal digits.
    pub fn customer(&self, name: &str) -> Arc<str> {
        format!("c-{:016x}", self.hash(b"customer", name.as_bytes())).into()
    }

    /// What is before the value has a fixed length per kind, and nobody sees all of the hash: no value can be made from another.
    fn hash(&self, kind: &[u8], value: &[u8]) -> u64 {
        let hash = Sha256::new().chain_update(self.key).chain_update(kind).chain_update(value).finalize();
        u64::from_le_bytes(std::array::from_fn(|i| hash[i]))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn one_key_gives_one_name_and_another_key_another() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("demand");
        let (first, again) = (Pseudonyms::kept_in(&place).unwrap(), Pseudonyms::kept_in(&place).unwrap());
        let other = Pseudonyms::forgotten().unwrap();
        let [near, far] = ["10.0.0.1", "10.0.0.2"].map(|address| address.parse().unwrap());
        assert_eq!(first.client(near), again.client(near));
        assert_ne!(first.client(near), first.client(far));
        assert_ne!(first.client(near), other.client(near));
        assert_eq!(first.client(near), first.client("::ffff:10.0.0.1".parse().unwrap()));
        assert_eq!(first.customer("acme"), again.customer("acme"));
        assert_ne!(first.customer("acme"), other.customer("acme"));
        assert!(first.customer("acme").starts_with("c-") && first.customer("acme").len() == 18);
        let mode = fs::metadata(place.join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_is_no_key_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), b"short").unwrap();
        let error = Pseudonyms::kept_in(folder.path()).unwrap_err();
        assert!(error.to_string().contains("delete it to begin with another"), "{error}");
        assert_eq!(fs::read(folder.path().join(FILE)).unwrap(), b"short");
    }
}
