//! A model that was trained elsewhere, on rows that [`Prophet::write_rows`](super::Prophet::write_rows) has written.

use std::{path::Path, sync::Arc};

use super::learn::Model;

/// Why a file cannot be used as a model.
#[derive(Debug, thiserror::Error)]
pub enum GivenError {
    /// It is none that can be used here.
    #[cfg(feature = "onnx")]
    #[error(transparent)]
    Unusable(#[from] super::learn::OnnxError),
    /// Harbinger was built without what runs it.
    #[cfg(not(feature = "onnx"))]
    #[error(
        "{} cannot be used: this harbinger was built without ONNX; build it with `cargo build --release --features onnx`, or leave \
         the model out", .0.display()
    )]
    NotBuilt(std::path::PathBuf),
}

/// Loads the ONNX model in `file`, for [`Prophet::give`](super::Prophet::give).
///
/// # Errors
/// When it cannot be read or run, or was trained on other features than those of this version; always, without the cargo feature
/// `onnx`.
pub fn given(file: &Path) -> Result<Arc<dyn Model>, GivenError> {
    #[cfg(feature = "onnx")]
    return Ok(Arc::new(super::learn::OnnxModel::load(file, super::judge::SCHEMA)?));
    #[cfg(not(feature = "onnx"))]
    Err(GivenError::NotBuilt(file.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_says_what_to_do() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/predict/learn/onnx/three.onnx");
        let said = given(&file).unwrap_err().to_string();
        let cure =
            if cfg!(feature = "onnx") { "was trained on features 7, this harbinger has features 1" } else { "--features onnx" };
        assert!(said.starts_with(&file.display().to_string()) && said.contains(cure), "{said}");
    }
}
