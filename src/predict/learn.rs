//! What learns, on plain numbers.
//!
//! A row is a slice of features whose number, order and meaning are fixed by a [`Schema`]; a label says whether what was asked about
//! came true. Nothing here knows what an image or a layer is, reads a clock or starts a thread: time is a number that is passed in,
//! so that a server and a replay learn the same.
//!
//! | file | idea |
//! |---|---|
//! | `model` | a pure score of a row, and what each feature adds to it |
//! | `linear` | the form that all that is learned here is scored in: a dot product |
//! | `ftrl` | learns from one label at a time, as they become known |
//! | `logistic` | learned anew from a window of the past: the challenger |
//! | `elastic_net` | how many, and how soon |
//! | `fitting` | fits that take long, at once or behind |
//! | `calibration` | makes a score a probability: of what is given 30 %, 30 % happen |
//! | `scores` | how good probabilities were |
//! | `labels` | what is still open, until it happens or its time is up |
//! | `prequential` | test, then train: predictions in the order of time, labels when they are known |
//! | `promotion` | whether the challenger is better by more than chance |
//! | `guard` | who decides: the model, the rule, or nobody |
//! | `regional` | one model per region, which begins as everybody's |
//! | `rates` | decayed rates, shrunk towards those of a wider group |
//! | `rows` | rows as a table, for training elsewhere |
//! | `store` | models on disk |
//! | `onnx` | models that were trained elsewhere (cargo feature `onnx`) |
//!
//! linfa does the learning; each place where it surprises has a test that says so.

mod calibration;
mod elastic_net;
mod error;
mod fitting;
mod ftrl;
mod guard;
mod labels;
mod linear;
mod logistic;
mod model;
#[cfg(feature = "onnx")]
mod onnx;
mod prequential;
mod promotion;
mod rates;
mod regional;
mod rows;
pub mod scores;
mod store;
mod window;

pub(super) use fitting::Fitting;
#[cfg(feature = "onnx")]
pub use onnx::{OnnxError, OnnxModel};
pub use {
    calibration::{Platt, Recalibrated},
    elastic_net::{Quantity, Regression},
    error::LearnError,
    fitting::Pace,
    ftrl::{Ftrl, FtrlSettings},
    guard::{Decider, Guard},
    labels::{Labels, Resolved},
    linear::Linear,
    logistic::{LogisticSettings, fit_logistic},
    model::{Model, Schema},
    prequential::{Learner, Prediction, Stream, run},
    promotion::Contest,
    rates::{DecayedRate, RateTable},
    regional::Regional,
    rows::RowWriter,
    store::Store,
    window::Window,
};
