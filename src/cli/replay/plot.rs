//! Hit ratios as a picture.

use std::fmt::Write;

use super::report::{Report, Row};
use crate::cli::table::size;

const WIDTH: usize = 900;
const LEFT: usize = 260;
const BAR: usize = 12;
const GAP: usize = 14;

/// Two bars a run: the share of requests and the share of bytes that were hits.
pub(super) fn svg(report: &Report) -> String {
    let height = 60 + report.rows.len() * (2 * BAR + GAP);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"20\">hits in {}: <tspan fill=\"#1f5fa8\">requests</tspan>, <tspan fill=\"#e08a1e\">bytes</tspan></text>\n",
        escape(&report.region)
    );
    for percent in (0..=100).step_by(20) {
        let x = across(f64::from(percent) / 100.0);
        // Writing to a String cannot fail.
        let _ = writeln!(svg, "<line x1=\"{x:.1}\" y1=\"40\" x2=\"{x:.1}\" y2=\"{height}\" stroke=\"#ddd\"/>");
        let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"36\" text-anchor=\"middle\" fill=\"#666\">{percent} %</text>");
    }
    for (number, row) in report.rows.iter().enumerate() {
        bars(&mut svg, 50 + number * (2 * BAR + GAP), row);
    }
    svg.push_str("</svg>\n");
    svg
}

fn bars(svg: &mut String, y: usize, row: &Row) {
    let capacity = size(row.capacity);
    let name = escape(&format!("{} + {}, {capacity}", row.policy, row.prefetch));
    let _ = writeln!(svg, "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{name}</text>", LEFT - 8, y + BAR + 4);
    for (at, (share, colour)) in
        [(row.told.object_hit_ratio, "#1f5fa8"), (row.told.byte_hit_ratio, "#e08a1e")].into_iter().enumerate()
    {
        let (y, width) = (y + at * BAR, across(share) - LEFT as f64);
        let _ = writeln!(svg, "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"{}\" fill=\"{colour}\"/>", BAR - 1);
        let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{}\" fill=\"#333\">{share:.4}</text>", across(share) + 4.0, y + BAR - 2);
    }
}

fn across(share: f64) -> f64 {
    LEFT as f64 + share * (WIDTH - LEFT - 60) as f64
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
