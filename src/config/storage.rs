//! `[storage]`

use std::{path::PathBuf, time::Duration};

use bytesize::ByteSize;
use serde::{Deserialize, Deserializer, Serialize};

use super::Object;

/// Where bytes and rows live. Needs a restart.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Storage {
    /// Folder that holds everything durable. Empty: the platform's data folder (`~/.local/share/harbinger` on Linux).
    pub data: PathBuf,
    /// Bytes per second that are copied between tiers at most; less while clients are served. 0 moves nothing: what has no room
    /// any more is deleted.
    #[serde(serialize_with = "super::size::exact")]
    pub move_rate: ByteSize,
    /// How much the size of a content counts against it when room is made: the time that holding it saves is divided by its
    /// size to this power. Less serves more bytes from the cache, more serves more requests.
    pub size_exponent: f64,
    /// Bytes per second that are read in the background to find files that have rotted on disk; less while clients are served.
    /// 0 looks for none.
    #[serde(serialize_with = "super::size::exact")]
    pub scrub_rate: ByteSize,
    /// From the beginning of one such search through everything to the beginning of the next.
    #[serde(with = "humantime_serde")]
    pub scrub_interval: Duration,
    /// The memory tier.
    pub memory: Memory,
    /// The disk tiers, fastest first: a table, or a list of tables.
    #[serde(deserialize_with = "one_or_many")]
    pub disk: Vec<Disk>,
    /// The object tier, a bucket that edges share.
    pub object: Object,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            data: PathBuf::new(),
            move_rate: ByteSize::mib(64),
            size_exponent: 1.0,
            scrub_rate: ByteSize::mib(16),
            scrub_interval: Duration::from_secs(7 * 24 * 3600),
            memory: Memory::default(),
            disk: vec![Disk::default()],
            object: Object::default(),
        }
    }
}

impl Storage {
    /// Writes out the names and folders of disks that were left to be guessed.
    pub fn fill_in(&mut self) {
        let several = self.disk.len() > 1;
        for (position, disk) in self.disk.iter_mut().enumerate() {
            if disk.name.is_empty() {
                disk.name = if several { format!("disk-{}", position + 1) } else { "disk".to_owned() };
            }
            if disk.folder.as_os_str().is_empty() {
                disk.folder.clone_from(&self.data);
            }
        }
    }
}

/// The memory tier.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Memory {
    /// Bytes held at most.
    #[serde(serialize_with = "super::size::exact")]
    pub limit: ByteSize,
    /// Content larger than this stays on disk, from where it is sent without passing through the process.
    #[serde(serialize_with = "super::size::exact")]
    pub max_entry: ByteSize,
}

impl Default for Memory {
    fn default() -> Self {
        Self { limit: ByteSize::mib(64), max_entry: ByteSize::kib(256) }
    }
}

/// A disk tier.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Disk {
    /// What it is called in metrics and reports: 1 to 32 lower-case letters, digits and `-`. Empty: `disk`, or with several of
    /// them `disk-1`, `disk-2` and so on.
    pub name: String,
    /// What it is made of, which tells how fast it answers: as flash does when this is not said.
    pub class: DiskClass,
    /// Folder that holds it. Empty: the data folder.
    pub folder: PathBuf,
    /// Bytes held at most.
    #[serde(serialize_with = "super::size::exact")]
    pub limit: ByteSize,
}

impl Default for Disk {
    fn default() -> Self {
        Self { name: String::new(), class: DiskClass::Any, folder: PathBuf::new(), limit: ByteSize::gib(50) }
    }
}

/// What a disk tier is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DiskClass {
    /// Not said.
    #[default]
    Any,
    /// Flash.
    Ssd,
    /// Spinning disks.
    Hdd,
}

/// `[storage.disk]` for one, `[[storage.disk]]` for several.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Disk>, D::Error> {
    struct Disks;

    impl<'de> serde::de::Visitor<'de> for Disks {
        type Value = Vec<Disk>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a table, or a list of tables")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            Disk::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(|disk| vec![disk])
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let mut disks = Vec::new();
            while let Some(disk) = items.next_element()? {
                disks.push(disk);
            }
            Ok(disks)
        }
    }

    deserializer.deserialize_any(Disks)
}
