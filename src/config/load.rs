//! From sources to one valid configuration.

use std::{collections::HashMap, net::SocketAddr, path::PathBuf};

use url::Url;

use super::{Config, ConfigError, DOCKER_HUB, Place, Upstream, UpstreamKind, environment, file::File, normal, validate};

/// Where a configuration comes from. Nothing else is read, in particular not the environment of the process.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file that was named; it must exist. `None`: the usual places are tried.
    pub file: Option<PathBuf>,
    /// Environment variables; those that do not begin with `HARBINGER_` only tell where the usual places are.
    pub environment: Vec<(String, String)>,
    /// What the command line says.
    pub flags: Flags,
}

/// Values from the command line.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--listen`
    pub listen: Option<SocketAddr>,
    /// `--data`
    pub data: Option<PathBuf>,
    /// `--model`
    pub model: Option<PathBuf>,
    /// `--upstream`: when there is one, these are all upstreams.
    pub upstreams: Vec<(String, Url)>,
}

/// Which variable or flag set a key.
pub(super) type SetBy = HashMap<String, String>;

/// Loads, merges and validates.
///
/// # Errors
/// The first thing that is wrong.
pub fn load(sources: Sources) -> Result<Config, ConfigError> {
    let Sources { file, environment, flags } = sources;
    let file = file.or_else(|| usual_file(&environment)).map(File::read).transpose()?;
    let table = file.as_ref().map(|file| file.table.clone()).unwrap_or_default();
    let mut config = Config::deserialize_table(table).map_err(|error| plain("", error.message()))?;
    if !flags.upstreams.is_empty() {
        config.upstream = flags.upstreams.iter().map(|(name, _)| Upstream::new(name)).collect();
    } else if config.upstream.is_empty() {
        config.upstream = well_known();
    }
    let mut set_by = SetBy::new();
    let mut config = environment::apply(config, &environment, &mut set_by)?;
    apply_flags(&mut config, flags, &mut set_by);
    fill_in(&mut config, &environment)?;
    validate::validate(&config).map_err(|invalid| {
        // A key that is wrong because it is missing is best looked for where its table begins.
        let table = invalid.key.rsplit_once('.').map_or("", |(table, _)| table);
        let in_file = || file.as_ref().and_then(|file| file.place(&invalid.key).or_else(|| file.place(table)));
        let place = set_by.get(&invalid.key).map(|name| Place::Named(name.clone())).or_else(in_file);
        ConfigError { place: place.unwrap_or(Place::Default), key: invalid.key, cause: invalid.cause }
    })?;
    Ok(config)
}

/// The public registries that are mirrored when no other is configured.
fn well_known() -> Vec<Upstream> {
    ["docker.io", "ghcr.io", "quay.io", "registry.k8s.io", "gcr.io", "public.ecr.aws", "mcr.microsoft.com"]
        .map(Upstream::new)
        .into()
}

fn usual_file(environment: &[(String, String)]) -> Option<PathBuf> {
    let folder = folder(environment, "XDG_CONFIG_HOME")
        .or_else(|| Some(folder(environment, "HOME")?.join(".config")))
        .map(|folder| folder.join("harbinger/harbinger.toml"));
    folder.into_iter().chain([PathBuf::from("/etc/harbinger/harbinger.toml")]).find(|path| path.exists())
}

/// The folder that a variable names; relative ones are ignored, as their specification says.
fn folder(environment: &[(String, String)], variable: &str) -> Option<PathBuf> {
    let (_, value) = environment.iter().find(|(name, _)| name == variable)?;
    Some(PathBuf::from(value)).filter(|path| path.is_absolute())
}

fn apply_flags(config: &mut Config, flags: Flags, set_by: &mut SetBy) {
    if let Some(listen) = flags.listen {
        config.server.listen = listen;
        set_by.insert("server.listen".to_owned(), "--listen".to_owned());
    }
    if let Some(data) = flags.data {
        config.storage.data = data;
        set_by.insert("storage.data".to_owned(), "--data".to_owned());
    }
    if let Some(model) = flags.model {
        config.prefetch.model = Some(model);
        set_by.insert("prefetch.model".to_owned(), "--model".to_owned());
    }
    for (position, (upstream, (name, url))) in config.upstream.iter_mut().zip(flags.upstreams).enumerate() {
        upstream.name = name;
        upstream.url = Some(url);
        for key in ["name", "url"] {
            set_by.insert(format!("upstream[{position}].{key}"), "--upstream".to_owned());
        }
    }
}

/// Writes out what was left to be guessed, so that the rest of the house need not guess.
fn fill_in(config: &mut Config, environment: &[(String, String)]) -> Result<(), ConfigError> {
    if config.storage.data.as_os_str().is_empty() {
        let folder = folder(environment, "XDG_DATA_HOME").or_else(platform_data_folder);
        let folder = folder.ok_or_else(|| plain("storage.data", "there is no home folder to put it into; name a folder"))?;
        config.storage.data = folder.join("harbinger");
    }
    config.storage.fill_in();
    for upstream in &mut config.upstream {
        // The name of a parent's upstream is the registry's, not its own.
        if upstream.url.is_none() && upstream.kind == UpstreamKind::Registry {
            upstream.url = usual_url(&upstream.name);
        }
    }
    Ok(())
}

fn platform_data_folder() -> Option<PathBuf> {
    use etcetera::BaseStrategy;
    Some(etcetera::base_strategy::choose_native_strategy().ok()?.data_dir())
}

/// A plain word is an upstream's name too, but nothing that could be dialled.
fn usual_url(name: &str) -> Option<Url> {
    let name = normal(name)?;
    let host = if DOCKER_HUB.contains(&name.as_str()) { DOCKER_HUB[2] } else { &name };
    if host.contains(['.', ':']) || host == "localhost" { Url::parse(&format!("https://{host}")).ok() } else { None }
}

fn plain(key: &str, cause: &str) -> ConfigError {
    ConfigError { place: Place::Default, key: key.to_owned(), cause: cause.to_owned() }
}

impl Config {
    /// Reads data that is already parsed.
    pub(super) fn deserialize_table(table: toml::Table) -> Result<Self, toml::de::Error> {
        table.try_into()
    }
}

#[cfg(test)]
mod tests;
