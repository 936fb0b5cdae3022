//! Models that were trained elsewhere, as ONNX files (tract).
//!
//! A file has one input, a row of features as single-precision floats, `[1, N]` or with any first dimension, and one output, the
//! probability. Its metadata say under `harbinger.features` which version of the features it was trained on.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use tract_onnx::{prelude::*, tract_hir::infer::Factoid};

use super::model::{Model, Schema, finite, logit};

/// The property of the file that names the version of the features.
const PROPERTY: &str = "harbinger.features";

/// The longest file that is read.
const LONGEST: u64 = 64 << 20;

/// Why a file cannot be used as a model.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    /// The file cannot be read.
    #[error("{} cannot be read: {source}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is too long.
    #[error("{} is longer than {} MiB: a model of some dozens of features is much smaller", .0.display(), LONGEST >> 20)]
    TooLong(PathBuf),
    /// It is no ONNX, or uses what is not known here.
    #[error("{} is not an ONNX model that can be run: {reason}; export it with operator set 18 or lower", .file.display())]
    Unusable {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// It does not say what features it was trained on.
    #[error(
        "{} does not say which features it was trained on: set its metadata property {PROPERTY} to \"{wanted}\" when it is exported, \
         as examples/train does", .file.display()
    )]
    NoVersion {
        /// The file.
        file: PathBuf,
        /// The version of this program.
        wanted: u32,
    },
    /// It was trained on other features.
    #[error("{} was trained on features {found}, this harbinger has features {wanted}: train it again on rows of this version", .file.display())]
    Version {
        /// The file.
        file: PathBuf,
        /// What it says.
        found: String,
        /// The version of this program.
        wanted: u32,
    },
    /// Its input is not a row.
    #[error("{} takes {found}, but a row is one input of shape [1, {wanted}] of 32-bit floats: export it with that input", .file.display())]
    Input {
        /// The file.
        file: PathBuf,
        /// What it takes.
        found: String,
        /// How many features a row has.
        wanted: usize,
    },
    /// Its output is not a probability.
    #[error("{} gives {found}, but one probability is needed: end the model in a sigmoid of one unit, and export only that", .file.display())]
    Output {
        /// The file.
        file: PathBuf,
        /// What it gives.
        found: String,
    },
}

/// A model from a file.
///
/// Unlike models that are learned here, it allocates what tract needs to run it. It explains itself by what its score would be with
/// one feature less.
pub struct OnnxModel {
    plan: Arc<TypedRunnableModel>,
    width: usize,
}

impl OnnxModel {
    /// Loads `file`, and tries it once on a row of zeroes.
    ///
    /// # Errors
    ///
    /// If it cannot be read or run, or was made for other features than those of `schema`.
    pub fn load(file: &Path, schema: Schema) -> Result<Self, OnnxError> {
        let unreadable = |source| OnnxError::Unreadable { file: file.to_owned(), source };
        let unusable = |error: TractError| OnnxError::Unusable { file: file.to_owned(), reason: format!("{error:#}") };
        let mut bytes = Vec::new();
        File::open(file).and_then(|opened| opened.take(LONGEST + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
        if bytes.len() as u64 > LONGEST {
            return Err(OnnxError::TooLong(file.to_owned()));
        }
        let model = tract_onnx::onnx().model_for_read(&mut &*bytes).map_err(unusable)?;
        check_version(file, &model, schema)?;
        check_input(file, &model, schema)?;
        let width = schema.width();
        let plan = model
            .with_input_fact(0, f32::fact([1, width]).into())
            .and_then(InferenceModel::into_optimized)
            .and_then(TypedModel::into_runnable)
            .map_err(unusable)?;
        let loaded = Self { plan, width };
        let output = loaded.run(&vec![0.0; width]).map_err(unusable)?;
        match *output {
            [probability] if (0.0..=1.0).contains(&probability) => Ok(loaded),
            [other] => Err(OnnxError::Output { file: file.to_owned(), found: format!("{other} for a row of zeroes") }),
            _ => Err(OnnxError::Output { file: file.to_owned(), found: format!("{} numbers", output.len()) }),
        }
    }

    fn run(&self, row: &[f32]) -> TractResult<Vec<f32>> {
        let row: Vec<f32> = row.iter().map(|&feature| finite(feature) as f32).collect();
        let output = self.plan.run(tvec!(Tensor::from_shape(&[1, self.width], &row)?.into()))?;
        let numbers = output.first().map(|output| output.cast_to::<f32>().map(std::borrow::Cow::into_owned)).transpose()?;
        Ok(numbers.map_or_else(Vec::new, |numbers| {
            numbers.to_plain_array_view::<f32>().map_or_else(|_| Vec::new(), |view| view.iter().copied().collect())
        }))
    }
}

impl Model for OnnxModel {
    fn width(&self) -> usize {
        self.width
    }

    /// One half if the model cannot be run on this row, or gives no probability.
    fn score(&self, row: &[f32]) -> f64 {
        let probability = self.run(row).ok().and_then(|output| output.first().copied());
        probability.filter(|probability| (0.0..=1.0).contains(probability)).map_or(0.5, f64::from)
    }

    fn explain(&self, row: &[f32], contributions: &mut [f64]) {
        let whole = logit(self.score(row));
        let mut without = row.to_vec();
        for (i, contribution) in contributions.iter_mut().enumerate().take(row.len()) {
            let feature = std::mem::take(&mut without[i]);
            *contribution = if feature == 0.0 { 0.0 } else { whole - logit(self.score(&without)) };
            without[i] = feature;
        }
    }
}

impl std::fmt::Debug for OnnxModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OnnxModel").field("width", &self.width).finish_non_exhaustive()
    }
}

fn check_version(file: &Path, model: &InferenceModel, schema: Schema) -> Result<(), OnnxError> {
    let wanted = schema.version;
    let property = model.properties.get(&format!("onnx.metadata_props.{PROPERTY}"));
    let Some(found) = property.and_then(|value| value.to_plain_array_view::<String>().ok()?.iter().next().cloned()) else {
        return Err(OnnxError::NoVersion { file: file.to_owned(), wanted });
    };
    if found.trim().parse() != Ok(wanted) {
        return Err(OnnxError::Version { file: file.to_owned(), found, wanted });
    }
    Ok(())
}

fn check_input(file: &Path, model: &InferenceModel, schema: Schema) -> Result<(), OnnxError> {
    let wanted = schema.width();
    let wrong = |found| OnnxError::Input { file: file.to_owned(), found, wanted };
    let [input] = *model.inputs else { return Err(wrong(format!("{} inputs", model.inputs.len()))) };
    let Ok(fact) = model.outlet_fact(input) else { return Err(wrong("an input that is not declared".to_owned())) };
    let kind = fact.datum_type.concretize();
    let sizes: Vec<Option<i64>> = fact.shape.dims().map(|size| size.concretize().and_then(|size| size.to_i64().ok())).collect();
    let fits = match *sizes {
        [rows, features] => rows.is_none_or(|rows| rows == 1) && features.is_none_or(|features| features == wanted as i64),
        _ => sizes.is_empty() && fact.shape.is_open(),
    };
    if fits && kind.is_none_or(|kind| kind == f32::datum_type()) {
        return Ok(());
    }
    let size = |size: &Option<i64>| size.map_or_else(|| "any".to_owned(), |size| size.to_string());
    let kind = kind.map_or_else(|| "numbers".to_owned(), |kind| format!("{kind:?}"));
    Err(wrong(format!("[{}] of {kind}", sizes.iter().map(size).collect::<Vec<_>>().join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: Schema = Schema { version: 7, names: &["one", "two", "three"] };

    /// A file beside this one: sigmoid(x · [.5, 1, 1.5] − 1), in several ways.
    fn load(name: &str, schema: Schema) -> Result<OnnxModel, OnnxError> {
        OnnxModel::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/predict/learn/onnx").join(name), schema)
    }

    #[test]
    fn a_model_gives_probabilities_and_reasons() {
        for file in ["three.onnx", "any_batch.onnx"] {
            let model = load(file, SCHEMA).unwrap();
            let score = model.score(&[2.0, -1.0, 2.0]);
            assert!((score - 1.0 / (1.0 + (-2.0_f64).exp())).abs() < 1e-6, "{file}: {score}");
            assert_eq!(model.score(&[2.0, -1.0, f32::NAN]), model.score(&[2.0, -1.0, 0.0]));
            let mut contributions = [0.0; 3];
            model.explain(&[2.0, -1.0, 2.0], &mut contributions);
            for (contribution, wanted) in contributions.into_iter().zip([1.0, -1.0, 3.0]) {
                assert!((contribution - wanted).abs() < 1e-3, "{file}: {contributions:?}");
            }
        }
    }

    #[test]
    fn what_cannot_be_used_says_why_and_what_to_do() {
        let other = |version, names| Schema { version, names };
        for (file, schema, reason) in [
            ("three.onnx", other(8, SCHEMA.names), "was trained on features 7, this harbinger has features 8: train it again"),
            ("unversioned.onnx", SCHEMA, "set its metadata property harbinger.features to \"7\""),
            ("three.onnx", other(7, &["one", "two"]), "takes [1, 3] of F32, but a row is one input of shape [1, 2]"),
            ("any_batch.onnx", other(7, &["one", "two"]), "takes [any, 3] of F32"),
            ("two_outputs.onnx", SCHEMA, "gives 2 numbers, but one probability is needed"),
            ("log_odds.onnx", SCHEMA, "gives -1 for a row of zeroes, but one probability is needed"),
            ("../onnx.rs", SCHEMA, "is not an ONNX model that can be run"),
            ("nothing.onnx", SCHEMA, "cannot be read"),
        ] {
            let error = load(file, schema).unwrap_err().to_string();
            assert!(error.contains(reason), "{file}: {error}");
        }
    }
}
