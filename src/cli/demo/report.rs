//! The table that the demonstration ends with. Every figure in it was measured, or is worked out from such on the spot.

use std::{
    fmt::{self, Display, Formatter},
    time::Duration,
};

use super::scenes::{Measured, Scenes, elsewhere::Elsewhere};

/// The scenes, and what is needed to say what they mean.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) scenes: Scenes,
    /// Bytes per second of the emulated line.
    pub(super) bandwidth: u64,
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Scenes { direct, cold, warm, crowd, elsewhere, outage } = &self.scenes;
        let Elsewhere { untold, told, .. } = elsewhere;
        writeln!(f, "{:<34}{:>8}{:>10}{:>14}  {:>22}", "", "pulls", "time", "clients got", "served by the origin")?;
        self.row(f, "1  Directly from the origin", direct, "Every machine pays for the whole way.".to_owned())?;
        self.row(f, "2  Through Harbinger, cold cache", cold, cold_means(direct, cold))?;
        self.row(f, "3  Through Harbinger, warm cache", warm, warm_means(direct, warm))?;
        self.row(f, &format!("4  {} machines at once, new image", crowd.pulls), crowd, self.crowd_means(crowd))?;
        self.row(f, "5  New version, another region", untold, untold_means(untold))?;
        self.row(f, "   The same, told by the first one", told, told_means(elsewhere))?;
        self.row(f, "6  The origin is dead", outage, outage_means(outage))?;
        let pulls: usize = [direct, cold, warm, crowd, untold, told, outage].iter().map(|scene| scene.pulls).sum();
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
    format!("{}: {} times as fast as directly.", asked(warm), faster(direct, warm))
}

fn untold_means(untold: &Measured) -> String {
    let new = bytes(untold.origin.bytes);
    format!("The first machine that wants it waits until what is new of it, {new}, has crossed this region's line.")
}

fn told_means(Elsewhere { untold, ahead, told }: &Elsewhere) -> String {
    let (new, took) = (bytes(ahead.bytes), seconds(ahead.took));
    let (asked, faster) = (asked(told), faster(untold, told));
    format!(
        "{new} were here {took} after the release, before anybody wanted them.\n   {asked}: {faster} times as fast as untold."
    )
}

/// What the origin was asked during a scene.
fn asked(scene: &Measured) -> String {
    match (scene.origin.requests, scene.origin.blobs.len()) {
        (0, _) => "The origin was not asked at all".to_owned(),
        (_, 0) => "The origin was only asked whether tags still hold, and sent no layer".to_owned(),
        (_, layers) => format!("{layers} layers still had to come from the origin"),
    }
}

fn faster(slow: &Measured, fast: &Measured) -> String {
    let faster = slow.took.as_secs_f64() / fast.took.as_secs_f64().max(1e-9);
    if faster < 10.0 { format!("{faster:.1}") } else { format!("{faster:.0}") }
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
        cli::demo::{origin::Seen, scenes::elsewhere::Ahead},
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
            let ahead = Ahead { took: Duration::from_millis(800), bytes: 4_000_000 };
            let scenes = Scenes {
                direct: crowd(&[]),
                cold: crowd(&[]),
                warm: crowd(&[]),
                crowd: crowd(gets),
                elsewhere: Elsewhere { untold: crowd(&[1]), ahead, told: crowd(gets) },
                outage: crowd(&[]),
            };
            Report { scenes, bandwidth: 10_000_000 }.to_string()
        };
        assert!(report(&[1, 1]).contains("sent each layer once, for 7 machines"));
        assert!(report(&[1, 3]).contains("sent each layer up to 3 times"));
        assert!(report(&[]).contains("sent no layer, for 7 machines"));
        assert!(report(&[1]).contains("keep this line busy for 5.0 s at least"));
        assert!(report(&[1]).contains("Nothing was saved yet"));
        assert!(report(&[]).contains("4.0 MB were here 800 ms after the release"));
        assert!(report(&[]).contains("tags still hold, and sent no layer: 1.0 times as fast as untold"));
        assert!(report(&[1, 1]).contains("2 layers still had to come from the origin: 1.0 times as fast as untold"));
        assert!(report(&[1]).contains("Each of the 49 pulls"));
    }

    #[test]
    fn amounts_have_sensible_units() {
        assert_eq!([0, 999, 1_500, 12_345_678, 12_345_678_901].map(bytes), ["0 B", "999 B", "1.5 kB", "12.3 MB", "12.3 GB"]);
        assert_eq!(seconds(Duration::from_micros(12_999)), "12 ms");
        assert_eq!(seconds(Duration::from_millis(1_250)), "1.2 s");
    }
}
