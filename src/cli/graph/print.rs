//! Answers, for people.

use super::super::table::{
    Align::{Left, Right},
    Table, size,
};
use crate::graph::queries::{
    Around, Base, Bases, Change, Companion, EdgeFound, FanOut, Image, Naming, Neighbour, Neighbours, NodeFound, Shares, Sharing,
    Statistics, Together, Top, Valuable, Versions,
};

/// Hex digits of a digest that is cut short.
const SHORT: usize = 12;

/// Names that are told in a cell.
const NAMES: usize = 3;

pub(super) fn stats(statistics: &Statistics) {
    let Statistics { nodes, edges, bytes_referred, bytes_once, dedup_ratio, fan_out } = statistics;
    for (title, numbers) in [("NODES", nodes), ("EDGES", edges)] {
        let mut table = Table::new([(title, Left), ("NUMBER", Right)]);
        for (kind, number) in numbers {
            table.push([kind.clone(), number.to_string()]);
        }
        println!("{table}");
    }
    println!("layers of all images: {}", size(*bytes_referred));
    println!("each layer once: {}", size(*bytes_once));
    println!("dedup ratio: {dedup_ratio:.2}");
    let FanOut { p50, p90, p99, max } = fan_out;
    println!("images that have a layer: p50 {p50}, p90 {p90}, p99 {p99}, max {max}");
}

pub(super) fn sharing(sharing: &Sharing, long: bool) {
    match sharing {
        Sharing::Layer(Shares { layer, size: bytes, total, cut, images }) => {
            println!("{layer}  {}", size(*bytes));
            let mut table = Table::new([("IMAGE", Left), ("LAYERS", Right), ("SIZE", Right), ("TAGS", Left)]);
            for image in images {
                table.push([digest(&image.digest, long), image.layers.to_string(), size(image.bytes), names(image)]);
            }
            print!("{table}");
            counted(images.len(), *total, *cut);
        }
        Sharing::Image(Neighbours { image, total, cut, neighbours }) => {
            println!("{}  {} layers, {}  {}", image.digest, image.layers, size(image.bytes), names(image));
            let mut table = Table::new([("NEIGHBOUR", Left), ("SHARED", Right), ("SAVED", Right), ("TAGS", Left)]);
            for Neighbour { image, layers, bytes } in neighbours {
                table.push([digest(&image.digest, long), layers.to_string(), size(*bytes), names(image)]);
            }
            print!("{table}");
            counted(neighbours.len(), *total, *cut);
        }
    }
}

pub(super) fn bases(found: &Bases, long: bool) {
    let Bases { image, cut, bases } = found;
    println!("{}  {} layers, {}  {}", image.digest, image.layers, size(image.bytes), names(image));
    if bases.is_empty() {
        println!("nothing that is known is below it");
        return;
    }
    let mut table = Table::new([("BASE", Left), ("SHARED", Right), ("LAYERS", Right), ("DECLARED", Left), ("TAGS", Left)]);
    for Base { image, shared, declared } in bases {
        let declared = if *declared { "yes" } else { "no" }.to_owned();
        table.push([digest(&image.digest, long), shared.to_string(), image.layers.to_string(), declared, names(image)]);
    }
    print!("{table}");
    if *cut {
        println!("…and perhaps others");
    }
}

pub(super) fn versions(found: &Versions, long: bool) {
    let Versions { subject, total, cut, history, predecessors, successors, earlier, later } = found;
    println!("{subject}");
    let mut table = Table::new([("SINCE", Left), ("UNTIL", Left), ("TAG", Left), ("IMAGE", Left)]);
    for Naming { tag, digest: image, since, until } in history {
        let until = until.map(time).unwrap_or_default();
        table.push([time(*since), until, tag.clone(), digest(image, long)]);
    }
    print!("{table}");
    counted(history.len(), *total, *cut);
    for (title, changes) in [("BEFORE IT", predecessors), ("AFTER IT", successors)] {
        if !changes.is_empty() {
            let mut table = Table::new([("MOVED", Left), ("TAG", Left), (title, Left)]);
            for Change { tag, digest: image, at } in changes {
                table.push([time(*at), tag.clone(), digest(image, long)]);
            }
            print!("\n{table}");
        }
    }
    for (title, tags) in [("earlier versions", earlier), ("later versions", later)] {
        if !tags.is_empty() {
            println!("{title}: {}", tags.join(", "));
        }
    }
}

pub(super) fn together(found: &Together) {
    let Together { repository, cut, after, before } = found;
    println!("{repository}");
    for (title, companions) in [("PULLED AFTER IT", after), ("PULLED BEFORE IT", before)] {
        let mut table = Table::new([(title, Left), ("WEIGHT", Right), ("LAST", Left)]);
        for Companion { repository, weight, last } in companions {
            table.push([repository.clone(), format!("{weight:.2}"), time(*last)]);
        }
        print!("\n{table}");
    }
    if *cut {
        println!("…and others");
    }
}

pub(super) fn top(top: &Top, long: bool) {
    let mut table = Table::new([
        ("LAYER", Left),
        ("SIZE", Right),
        ("HOUR", Right),
        ("DAY", Right),
        ("WEEK", Right),
        ("LAST", Left),
        ("IMAGES", Left),
    ]);
    for Valuable { digest: layer, size: bytes, hour, day, week, last, images } in &top.layers {
        let [hour, day, week] = [hour, day, week].map(|count| format!("{count:.2}"));
        table.push([digest(layer, long), size(*bytes), hour, day, week, time(*last), images.join(", ")]);
    }
    print!("{table}");
    counted(top.layers.len(), top.total, false);
}

pub(super) fn around(around: &Around, long: bool) {
    let Around { cut, nodes, edges } = around;
    let mut table = Table::new([("DEPTH", Right), ("KIND", Left), ("SIZE", Right), ("NAME", Left)]);
    for NodeFound { name, kind, depth, size: bytes } in nodes {
        table.push([depth.to_string(), kind.clone(), bytes.map(size).unwrap_or_default(), digest(name, long)]);
    }
    println!("{table}");
    let name = |place: u32| nodes.get(place as usize).map_or(String::new(), |node| digest(&node.name, long));
    let mut table = Table::new([("FROM", Left), ("EDGE", Left), ("TO", Left), ("PLACE", Right), ("WEIGHT", Right), ("AT", Left)]);
    for EdgeFound { from, to, kind, position, weight, at } in edges {
        let place = position.map(|position| position.to_string()).unwrap_or_default();
        let weight = weight.map(|weight| format!("{weight:.2}")).unwrap_or_default();
        table.push([name(*from), kind.clone(), name(*to), place, weight, at.map(time).unwrap_or_default()]);
    }
    print!("{table}");
    if *cut {
        println!("…and more");
    }
}

fn counted(told: usize, total: u64, cut: bool) {
    println!("{told} of {total}{}", if cut { ", and more that were not looked at" } else { "" });
}

/// `docker.io/library/nginx:1.27, docker.io/library/nginx:latest, …`; repositories where no tag names the image.
fn names(image: &Image) -> String {
    let names = if image.tags.is_empty() { &image.repositories } else { &image.tags };
    let mut told = names.iter().take(NAMES).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > NAMES || image.more_names {
        told += ", …";
    }
    told
}

/// `sha256:3f0a1b2c4d5e`; anything else is left as it is.
fn digest(name: &str, long: bool) -> String {
    let is_digest = ["sha256:", "sha512:"].iter().any(|algorithm| name.starts_with(algorithm));
    let end = "sha256:".len() + SHORT;
    if is_digest && !long { name.get(..end).unwrap_or(name).to_owned() } else { name.to_owned() }
}

/// `2024-05-01 10:00:00` UTC; nothing for a time that is not known.
fn time(seconds: u32) -> String {
    if seconds == 0 {
        return String::new();
    }
    let time = chrono::DateTime::from_timestamp(i64::from(seconds), 0);
    time.map(|time| time.format("%Y-%m-%d %H:%M:%S").to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digests_are_cut() {
        let whole = format!("sha256:{}", "ab".repeat(32));
        assert_eq!(digest(&whole, false), "sha256:abababababab");
        assert_eq!(digest(&whole, true), whole);
        assert_eq!(digest("docker.io/library/nginx:1.27", false), "docker.io/library/nginx:1.27");
        assert_eq!((time(0), time(1_714_521_600)), (String::new(), "2024-05-01 00:00:00".to_owned()));
    }

    #[test]
    fn an_image_is_called_what_names_it() {
        let image = |repositories: &[&str], tags: &[&str], more_names| Image {
            digest: String::new(),
            layers: 0,
            bytes: 0,
            repositories: repositories.iter().map(|&name| name.to_owned()).collect(),
            tags: tags.iter().map(|&name| name.to_owned()).collect(),
            more_names,
        };
        assert_eq!(names(&image(&["a"], &["a:1", "a:2"], false)), "a:1, a:2");
        assert_eq!(names(&image(&["a"], &[], true)), "a, …");
        assert_eq!(names(&image(&[], &["a:1", "a:2", "a:3", "a:4"], false)), "a:1, a:2, a:3, …");
    }
}
