//! The operator's credentials for one upstream, wherever they are kept.

use std::{collections::HashMap, fmt, path::PathBuf, sync::Arc, time::Duration};

use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use tokio::{fs::File, io::AsyncReadExt, runtime::Handle, time::Instant};

use super::{
    UpstreamError, UpstreamErrorKind, credential_helper,
    docker_config::{DockerConfig, Found, server_of},
};
use crate::{
    coalesce::Coalesce,
    config::Upstream,
    oci::{Algorithm, Digest},
};

/// How long an answer of a helper, and a Docker configuration file, is good.
const KEEP_ANSWERS: Duration = Duration::from_secs(300);
/// How long a password file is good: long enough not to be read for every request.
const KEEP_PASSWORD: Duration = Duration::from_secs(30);
const MAX_FILE: u64 = 1 << 20;

/// What proves who we are.
pub(super) enum Credentials {
    /// User name and password.
    Password { username: String, password: SecretString },
    /// A long-lived token that the token service exchanges for short-lived ones.
    IdentityToken(SecretString),
}

/// Which credentials something was done with. Different credentials have different identities; nothing can be read from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct CredentialId(Option<Digest>);

impl CredentialId {
    /// The identity of `credentials`; of nobody for `None`.
    pub(super) fn of(credentials: Option<&Credentials>) -> Self {
        let text = match credentials {
            None => return Self(None),
            // The length keeps two parts from being read as two others.
            Some(Credentials::Password { username, password }) => {
                format!("{}:{username}{}", username.len(), password.expose_secret())
            }
            Some(Credentials::IdentityToken(token)) => format!("token:{}", token.expose_secret()),
        };
        Self(Some(Digest::of(Algorithm::Sha256, text.as_bytes())))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(***)")
    }
}

/// Hands out the credentials for repositories of one upstream.
#[derive(Debug)]
pub(super) struct CredentialSource {
    source: Source,
    /// Host, with a port that is not the scheme's own.
    host: String,
    /// Where helpers are looked for instead of `PATH`.
    helper_directory: Option<PathBuf>,
    kept: Arc<Mutex<Kept>>,
    running: Coalesce<HelperKey, HelperAnswer>,
}

#[derive(Debug)]
enum Source {
    Nobody,
    Password(Arc<Credentials>),
    PasswordFile { username: String, path: PathBuf },
    DockerConfig(PathBuf),
    Helper(String),
}

/// Name and server.
type HelperKey = (String, String);
type HelperAnswer = Result<Option<Arc<Credentials>>, UpstreamError>;

#[derive(Debug, Default)]
struct Kept {
    password: Option<(Instant, Arc<Credentials>)>,
    config: Option<(Instant, Arc<DockerConfig>)>,
    answers: HashMap<HelperKey, (Instant, Option<Arc<Credentials>>)>,
}

impl CredentialSource {
    /// Reads from `config` where the credentials for the registry at `host` are. Helpers run on `handle`.
    pub(super) fn new(config: &Upstream, host: String, helper_directory: Option<PathBuf>, handle: Handle) -> Self {
        let username = config.username.clone().unwrap_or_default();
        let source = if let Some(name) = &config.credential_helper {
            Source::Helper(name.clone())
        } else if let Some(path) = &config.docker_config {
            Source::DockerConfig(path.clone())
        } else if let Some(path) = &config.password_file {
            Source::PasswordFile { username, path: path.clone() }
        } else if let Some(password) = &config.password {
            Source::Password(Arc::new(Credentials::Password { username, password: password.clone() }))
        } else {
            Source::Nobody
        };
        Self { source, host, helper_directory, kept: Arc::default(), running: Coalesce::new(handle) }
    }

    /// The credentials for `repository`; `None` to go without.
    ///
    /// # Errors
    /// `CredentialsRefused` when they are configured but cannot be had.
    pub(super) async fn get(&self, repository: &str) -> HelperAnswer {
        match &self.source {
            Source::Nobody => Ok(None),
            Source::Password(credentials) => Ok(Some(credentials.clone())),
            Source::PasswordFile { username, path } => self.password_file(username, path).await.map(Some),
            Source::Helper(name) => self.helper(name, server_of(&self.host)).await,
            Source::DockerConfig(path) => self.docker_config(path, repository).await,
        }
    }

    /// Forgets what was read and asked, because it was refused.
    pub(super) fn forget(&self) {
        *self.kept.lock() = Kept::default();
    }

    async fn password_file(&self, username: &str, path: &PathBuf) -> Result<Arc<Credentials>, UpstreamError> {
        if let Some((since, credentials)) = &self.kept.lock().password
            && since.elapsed() < KEEP_PASSWORD
        {
            return Ok(credentials.clone());
        }
        let text = read("password_file", path).await?;
        let password = text.trim_end_matches(['\r', '\n']).to_owned().into();
        let credentials = Arc::new(Credentials::Password { username: username.to_owned(), password });
        self.kept.lock().password = Some((Instant::now(), credentials.clone()));
        Ok(credentials)
    }

    async fn docker_config(&self, path: &PathBuf, repository: &str) -> HelperAnswer {
        let kept = self.kept.lock().config.clone();
        let config = match kept {
            Some((since, config)) if since.elapsed() < KEEP_ANSWERS => config,
            _ => {
                let text = read("docker_config", path).await?;
                let config = serde_json::from_str(&text)
                    .map_err(|error| unusable(format!("docker_config {}: line {}: not valid", path.display(), error.line())))?;
                let config = Arc::new(config);
                self.kept.lock().config = Some((Instant::now(), Arc::clone(&config)));
                config
            }
        };
        let places = config
            .find(&self.host, repository)
            .map_err(|error| unusable(format!("docker_config {}: {error}", path.display())))?;
        for place in places {
            match place {
                Found::Inline(credentials) => return Ok(Some(Arc::new(credentials))),
                Found::Helper { name, server } => {
                    if let Some(credentials) = self.helper(&name, &server).await? {
                        return Ok(Some(credentials));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Asks a helper, at most one at a time for the same question; its answer is kept for minutes.
    async fn helper(&self, name: &str, server: &str) -> HelperAnswer {
        let key = (name.to_owned(), server.to_owned());
        if let Some((since, credentials)) = self.kept.lock().answers.get(&key)
            && since.elapsed() < KEEP_ANSWERS
        {
            return Ok(credentials.clone());
        }
        let (kept, directory, question) = (self.kept.clone(), self.helper_directory.clone(), key.clone());
        let work = move || async move {
            let answer = credential_helper::ask(&question.0, &question.1, directory.as_ref()).await?.map(Arc::new);
            kept.lock().answers.insert(question, (Instant::now(), answer.clone()));
            Ok(answer)
        };
        let (answer, _) = self.running.run(key, work).await.map_err(|error| unusable(error.to_string()))?;
        answer
    }
}

async fn read(key: &str, path: &PathBuf) -> Result<String, UpstreamError> {
    let mut text = String::new();
    let length = async { File::open(path).await?.take(MAX_FILE + 1).read_to_string(&mut text).await }.await;
    match length {
        Err(error) => Err(unusable(format!("{key}: cannot read {}: {error}", path.display()))),
        Ok(length) if length as u64 > MAX_FILE => Err(unusable(format!("{key}: {} is larger than 1 MiB", path.display()))),
        Ok(_) => Ok(text),
    }
}

fn unusable(text: String) -> UpstreamError {
    UpstreamError::new(UpstreamErrorKind::CredentialsRefused, text)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn source(config: &Upstream, directory: Option<PathBuf>) -> CredentialSource {
        CredentialSource::new(config, "r.example".to_owned(), directory, Handle::current())
    }

    fn password(credentials: &Option<Arc<Credentials>>) -> &str {
        match credentials.as_deref() {
            Some(Credentials::Password { password, .. }) => password.expose_secret(),
            _ => panic!("no password"),
        }
    }

    #[tokio::test]
    async fn a_password_file_is_read_anew_after_a_refusal() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("password");
        fs::write(&path, "old\n").unwrap();
        let mut config = Upstream::new("r.example");
        config.username = Some("u".to_owned());
        config.password_file = Some(path.clone());
        let source = source(&config, None);
        assert_eq!(password(&source.get("x").await.unwrap()), "old");
        fs::write(&path, "new").unwrap();
        source.forget();
        assert_eq!(password(&source.get("x").await.unwrap()), "new");
        fs::remove_file(&path).unwrap();
        source.forget();
        let error = source.get("x").await.unwrap_err();
        assert_eq!(error.kind, UpstreamErrorKind::CredentialsRefused);
        assert!(error.message.contains("password_file"), "{error}");
        fs::write(&path, "x".repeat((1 << 20) + 1)).unwrap();
        assert!(source.get("x").await.unwrap_err().message.contains("larger"));
    }

    #[tokio::test]
    async fn a_helper_is_asked_once_and_again_after_a_refusal() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("docker-credential-count");
        let script = format!(
            "#!/bin/sh\ncd '{}'\necho x >> runs\nprintf '{{\"Username\":\"u\",\"Secret\":\"run%s\"}}' $(wc -l < runs)\n",
            directory.path().display()
        );
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let file = directory.path().join("config.json");
        fs::write(&file, r#"{"credHelpers":{"r.example":"count"}}"#).unwrap();
        let mut config = Upstream::new("r.example");
        config.docker_config = Some(file);
        let source = source(&config, Some(directory.path().to_owned()));
        let (first, second) = tokio::join!(source.get("a"), source.get("b"));
        assert_eq!((password(&first.unwrap()), password(&second.unwrap())), ("run1", "run1"));
        assert_eq!(password(&source.get("a").await.unwrap()), "run1");
        source.forget();
        assert_eq!(password(&source.get("a").await.unwrap()), "run2");
    }

    #[test]
    fn identities_differ_where_credentials_do() {
        let id = |username: &str, password: &str| {
            CredentialId::of(Some(&Credentials::Password { username: username.to_owned(), password: password.to_owned().into() }))
        };
        assert_eq!(id("a", "b"), id("a", "b"));
        assert_ne!(id("a", "bc"), id("ab", "c"));
        assert_ne!(id("a", "b"), CredentialId::of(None));
        assert_ne!(CredentialId::of(Some(&Credentials::IdentityToken("b".to_owned().into()))), id("", "b"));
    }
}
