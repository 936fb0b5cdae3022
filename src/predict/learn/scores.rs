//! How good probabilities were, once it is known what happened.
//!
//! All take pairs of a probability and whether it came true.

/// The mean of the squared differences. 0 is perfect; always saying the base rate p gives p (1 − p).
pub fn brier(pairs: &[(f64, bool)]) -> f64 {
    mean(pairs.iter().map(|&(probability, label)| (probability - outcome(label)).powi(2)))
}

/// The mean surprise in nats. 0 is perfect, ln 2 is what a coin gets.
pub fn log_loss(pairs: &[(f64, bool)]) -> f64 {
    mean(pairs.iter().map(|&(probability, label)| surprise(probability, label)))
}

/// The surprise of one outcome in nats. Bounded: a probability of 0 is taken for one of a trillionth.
pub fn surprise(probability: f64, label: bool) -> f64 {
    let given = if label { probability } else { 1.0 - probability };
    -given.max(1e-12).ln()
}

/// The expected calibration error: how far probabilities are from frequencies, on average over ten bins of equal width.
pub fn calibration_error(pairs: &[(f64, bool)]) -> f64 {
    let mut bins = [(0.0, 0.0); 10];
    for &(probability, label) in pairs {
        let bin = &mut bins[((probability * 10.0) as usize).min(9)];
        bin.0 += probability;
        bin.1 += outcome(label);
    }
    bins.iter().map(|(said, happened)| (said - happened).abs()).sum::<f64>() / pairs.len().max(1) as f64
}

/// The area under the ROC curve: how often what came true had the higher probability of two. Ties count one half. One half if all
/// outcomes are the same.
pub fn auc(pairs: &[(f64, bool)]) -> f64 {
    let mut sorted = pairs.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut positives, mut negatives, mut above) = (0.0, 0.0, 0.0);
    for tied in sorted.chunk_by(|a, b| a.0 == b.0) {
        let true_ones = tied.iter().filter(|(_, label)| *label).count() as f64;
        let false_ones = tied.len() as f64 - true_ones;
        above += true_ones * (negatives + false_ones / 2.0);
        positives += true_ones;
        negatives += false_ones;
    }
    if positives == 0.0 || negatives == 0.0 { 0.5 } else { above / (positives * negatives) }
}

/// The average precision: the mean over all that came true of the precision at its probability. 0 if nothing did.
pub fn average_precision(pairs: &[(f64, bool)]) -> f64 {
    let (mut sum, mut last) = (0.0, 0.0);
    for (precision, recall) in precision_recall(pairs) {
        sum += precision * (recall - last);
        last = recall;
    }
    sum
}

/// The best precision among the thresholds that find at least the share `recall` of what came true. 0 if nothing did.
pub fn precision_at(pairs: &[(f64, bool)], recall: f64) -> f64 {
    precision_recall(pairs).into_iter().filter(|&(_, found)| found >= recall).map(|(precision, _)| precision).fold(0.0, f64::max)
}

/// Precision and recall at each threshold, from the highest.
fn precision_recall(pairs: &[(f64, bool)]) -> Vec<(f64, f64)> {
    let mut sorted = pairs.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let all = sorted.iter().filter(|(_, label)| *label).count() as f64;
    let (mut taken, mut found) = (0.0, 0.0);
    let mut points = Vec::new();
    for tied in sorted.chunk_by(|a, b| a.0 == b.0) {
        taken += tied.len() as f64;
        found += tied.iter().filter(|(_, label)| *label).count() as f64;
        if all > 0.0 {
            points.push((found / taken, found / all));
        }
    }
    points
}

fn outcome(label: bool) -> f64 {
    f64::from(u8::from(label))
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len().max(1) as f64;
    values.sum::<f64>() / count
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIRS: [(f64, bool); 4] = [(0.9, true), (0.6, false), (0.6, true), (0.1, false)];

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-12, "{a} is not {b}");
    }

    #[test]
    fn scores_are_those_of_the_textbook() {
        close(brier(&PAIRS), (0.01 + 0.36 + 0.16 + 0.01) / 4.0);
        close(log_loss(&PAIRS), -(0.9_f64.ln() + 0.4_f64.ln() + 0.6_f64.ln() + 0.9_f64.ln()) / 4.0);
        // Of four pairs of one that came true and one that did not, three are in order and one is tied.
        close(auc(&PAIRS), 3.5 / 4.0);
        close(average_precision(&PAIRS), 0.5 + 0.5 * (2.0 / 3.0));
        close(precision_at(&PAIRS, 0.5), 1.0);
        close(precision_at(&PAIRS, 0.51), 2.0 / 3.0);
        // Bins 9, 6 and 1: off by .1, .2 and .1.
        close(calibration_error(&PAIRS), (0.1 + 0.2 + 0.1) / 4.0);
    }

    #[test]
    fn nothing_and_one_outcome_have_scores_too() {
        for pairs in [&[][..], &[(0.5, true)][..], &[(0.5, false)][..]] {
            close(auc(pairs), 0.5);
            assert!(brier(pairs).is_finite() && log_loss(pairs).is_finite() && calibration_error(pairs).is_finite());
        }
        close(average_precision(&[(0.5, false)]), 0.0);
        assert!(surprise(0.0, true).is_finite() && surprise(1.0, false).is_finite());
        close(calibration_error(&[(1.0, true)]), 0.0);
    }
}
