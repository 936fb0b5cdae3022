//! Credential helpers: programs named `docker-credential-NAME` that hand out credentials.

use std::{path::PathBuf, process::Stdio, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
};

use super::{UpstreamError, UpstreamErrorKind, credentials::Credentials};

const TIMEOUT: Duration = Duration::from_secs(30);
const MAX_ANSWER: u64 = 64 << 10;
/// What a helper says (on its standard output) when it simply has nothing.
const NOT_FOUND: &str = "credentials not found";
/// The user name that marks the secret as an identity token.
const TOKEN_USER: &str = "<token>";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: SecretString,
}

/// Runs `docker-credential-NAME get` for `server`. The program is looked for in `directory`, else in `PATH`.
///
/// Ends within 30 s; the program is killed then, and when the future is dropped. `None` when it has no credentials.
///
/// # Errors
/// `CredentialsRefused` with the program's error text. What it printed on success is never repeated.
pub(super) async fn ask(name: &str, server: &str, directory: Option<&PathBuf>) -> Result<Option<Credentials>, UpstreamError> {
    let failed = |text: String| {
        UpstreamError::new(UpstreamErrorKind::CredentialsRefused, format!("credential helper 'docker-credential-{name}': {text}"))
    };
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')) {
        return Err(failed("the name may have letters, digits, '-', '_' and '.' only".to_owned()));
    }
    let program = format!("docker-credential-{name}");
    let program = directory.map_or_else(|| PathBuf::from(&program), |directory| directory.join(&program));
    let run = async {
        let mut child = Command::new(program)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A helper that does not read its input is still worth hearing.
            let _ = stdin.write_all(server.as_bytes()).await;
        }
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let read_out = async { if let Some(out) = out { out.take(MAX_ANSWER).read_to_end(&mut stdout).await } else { Ok(0) } };
        let read_err = async { if let Some(err) = err { err.take(MAX_ANSWER).read_to_end(&mut stderr).await } else { Ok(0) } };
        let (out, err) = tokio::join!(read_out, read_err);
        out.and(err)?;
        Ok::<_, std::io::Error>((child.wait().await?, stdout, stderr))
    };
    let (status, stdout, stderr) = match tokio::time::timeout(TIMEOUT, run).await {
        Err(_) => return Err(failed(format!("no answer within {} s", TIMEOUT.as_secs()))),
        Ok(Err(error)) => return Err(failed(format!("cannot run it: {error}"))),
        Ok(Ok(ended)) => ended,
    };
    if !status.success() {
        let text = first_line(&stdout).or_else(|| first_line(&stderr)).unwrap_or_else(|| status.to_string());
        return if text.contains(NOT_FOUND) { Ok(None) } else { Err(failed(text)) };
    }
    let answer: Answer =
        serde_json::from_slice(&stdout).map_err(|_| failed("its answer has no Username and Secret".to_owned()))?;
    if answer.secret.expose_secret().is_empty() {
        return Ok(None);
    }
    Ok(Some(match answer.username.as_str() {
        TOKEN_USER => Credentials::IdentityToken(answer.secret),
        _ => Credentials::Password { username: answer.username, password: answer.secret },
    }))
}

fn first_line(output: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(output);
    let line: String =
        text.lines().map(str::trim).find(|line| !line.is_empty())?.chars().filter(|c| !c.is_control()).take(200).collect();
    Some(line)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    async fn run(script: &str) -> Result<Option<Credentials>, UpstreamError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("docker-credential-test");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        loop {
            let answer = ask("test", "r.example:5000", Some(&directory.path().to_owned())).await;
            // A process that another test was starting meanwhile may hold the script open as if to write it, for a moment.
            match &answer {
                Err(error) if error.message.contains("Text file busy") => tokio::task::yield_now().await,
                _ => return answer,
            }
        }
    }

    #[tokio::test]
    async fn the_server_goes_in_and_credentials_come_out() {
        let script = r#"read server; printf '{"ServerURL":"%s","Username":"%s-%s","Secret":"s3cret"}' "$server" "$1" "$server""#;
        let Ok(Some(Credentials::Password { username, password })) = run(script).await else { panic!("no credentials") };
        assert_eq!((username.as_str(), password.expose_secret()), ("get-r.example:5000", "s3cret"));
    }

    #[tokio::test]
    async fn a_user_name_of_token_marks_an_identity_token() {
        let found = run(r#"echo '{"Username":"<token>","Secret":"idt"}'"#).await;
        let Ok(Some(Credentials::IdentityToken(token))) = found else { panic!("no token") };
        assert_eq!(token.expose_secret(), "idt");
    }

    #[tokio::test]
    async fn having_none_is_not_a_failure() {
        assert!(matches!(run("echo 'credentials not found in native keychain'; exit 1").await, Ok(None)));
    }

    #[tokio::test]
    async fn failures_tell_the_helpers_own_words_but_never_its_answer() {
        for (script, words) in [
            ("echo 'no basic auth credentials' >&2; exit 1", "no basic auth credentials"),
            ("exit 3", "3"),
            ("echo 's3cret and not JSON'", "no Username and Secret"),
        ] {
            let error = run(script).await.unwrap_err();
            assert_eq!(error.kind, UpstreamErrorKind::CredentialsRefused);
            assert!(error.message.contains(words) && !error.message.contains("s3cret"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_missing_or_ill_named_helper_is_named() {
        let nowhere = PathBuf::from("/nonexistent");
        for name in ["missing", "../sh", ""] {
            let error = ask(name, "r.example", Some(&nowhere)).await.unwrap_err();
            assert!(error.message.contains(&format!("docker-credential-{name}")), "{error}");
        }
    }
}
