//! The table that the demonstration ends with. Every figure in it was measured, or is worked out from such on the spot.

use std::{
    fmt::{self, Display, Formatter},
    time::Duration,
};

use super::scenes::{Measured, Scenes};

/// The scenes, and what is needed to say what they mean.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) scenes: Scenes,
    /// Bytes per second of the emulated line.
    pub(super) bandwidth: u64,
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Scenes { direct, cold, warm, crowd, outage } = &self.scenes;
        writeln!(f, "{:<34}{:>8}{:>10}{:>14}  {:>22}", "", "pulls", "time", "clients got", "served by the origin")?;
        self.row(f, "1  Directly from the origin", direct, "Every machine pays for the whole way.".to_owned())?;
        self.row(f, "2  Through Harbinger, cold cache", cold, cold_means(direct, cold))?;
        self.row(f, "3  Through Harbinger, warm cache", warm, warm_means(direct, warm))?;
        self.row(f, &format!("4  {} machines at once, new image", crowd.pulls), crowd, self.crowd_means(crowd))?;
        self.row(f, "5  The origin is dead", outage, outage_means(outage))?;
        let pulls: usize = [direct, cold, warm, crowd, outage].iter().map(|scene| scene.pulls).sum();
        writeln!(f, "Each of the {pulls} pulls was complete, and every digest was right.")
    }
}

impl Report {
    fn row(&self, f: &mut Formatter<'_>, what: &str, scene: &Measured, means: String) -> fmt::Result {
        let origin = format!("{:>4} req {:>13}", scene.origin.requests, bytes(scene.origin.bytes));
        let (took, received) = (seconds(scene.took), bytes(scene.received));
        writeln!(f, "{what:<34}{:>8}{took:>10}{received:>14}  {origin:>22}", scene.pulls)?;
        writeln!(f, "   {means}\n")
    }

    fn crowd_means(&self, crowd: &Measured) -> String {
        let most = crowd.origin.blobs.values().max().copied().unwrap_or(0);
        let without = Duration::from_secs_f64(crowd.received as f64 / self.bandwidth as f64);
        let sent = match most {
            0 => "The origin sent no layer".to_owned(),
            1 => "The origin sent each layer once".to_owned(),
            _ => format!("The origin sent each layer up to {most} times"),
        };
        let (pulls, without) = (crowd.pulls, seconds(without));
        format!("{sent}, for {pulls} machines. What they got would keep this line busy for {without} at least.")
    }
}

fn cold_means(direct: &Measured, cold: &Measured) -> String {
    let saved = direct.origin.bytes.saturating_sub(cold.origin.bytes);
    match (saved, cold.origin.blobs.values().max()) {
        (0, _) => "Nothing was saved yet: everything had to cross the line for the first time.".to_owned(),
        (_, Some(1)) => format!("Layers that the images share crossed the line once: {} less than above.", bytes(saved)),
        _ => format!("{} less than above crossed the line.", bytes(saved)),
    }
}

fn warm_means(direct: &Measured, warm: &Measured) -> String {
    let faster = direct.took.as_secs_f64() / warm.took.as_secs_f64().max(1e-9);
    let faster = if faster < 10.0 { format!("{faster:.1}") } else { format!("{faster:.0}") };
    let asked = match (warm.origin.requests, warm.origin.blobs.len()) {
        (0, _) => "The origin was not asked at all".to_owned(),
        (_, 0) => "The origin was only asked whether tags still hold, and sent no layer".to_owned(),
        (_, layers) => format!("{layers} layers still had to come from the origin"),
    };
    format!("{asked}: {faster} times as fast as directly.")
}

fn outage_means(outage: &Measured) -> String {
    format!(
        "Nothing listens at the origin any more, and tags are due to be checked: all {} images still came, whole.",
        outage.pulls
    )
}

fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..10_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(1) { format!("{} ms", time.as_millis()) } else { format!("{:.1} s", time.as_secs_f64()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::demo::origin::Seen,
        oci::{Algorithm, Digest},
    };

    fn crowd(gets: &[u64]) -> Measured {
        let blobs = gets.iter().enumerate().map(|(at, &gets)| (Digest::of(Algorithm::Sha256, &[at as u8]), gets)).collect();
        Measured {
            took: Duration::from_secs(1),
            pulls: 7,
            received: 50_000_000,
            origin: Seen { requests: 9, bytes: 10_000_000, blobs },
        }
    }

    #[test]
    fn what_is_said_follows_what_was_measured() {
        let report = |gets| {
            let scenes =
                Scenes { direct: crowd(&[]), cold: crowd(&[]), warm: crowd(&[]), crowd: crowd(gets), outage: crowd(&[]) };
            Report { scenes, bandwidth: 10_000_000 }.to_string()
        };
        assert!(report(&[1, 1]).contains("sent each layer once, for 7 machines"));
        assert!(report(&[1, 3]).contains("sent each layer up to 3 times"));
        assert!(report(&[]).contains("sent no layer, for 7 machines"));
        assert!(report(&[1]).contains("keep this line busy for 5.0 s at least"));
        assert!(report(&[1]).contains("Nothing was saved yet"));
        assert!(report(&[1]).contains("Each of the 35 pulls"));
    }

    #[test]
    fn amounts_have_sensible_units() {
        assert_eq!([0, 999, 1_500, 12_345_678, 12_345_678_901].map(bytes), ["0 B", "999 B", "1.5 kB", "12.3 MB", "12.3 GB"]);
        assert_eq!(seconds(Duration::from_micros(12_999)), "12 ms");
        assert_eq!(seconds(Duration::from_millis(1_250)), "1.2 s");
    }
}
