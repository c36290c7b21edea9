//! Charts as SVG, whose colors follow the color scheme of the reader.

#![expect(clippy::cast_precision_loss, reason = "the counts are small")]

use std::fmt::{self, Display, Write as _};

const WIDTH: f64 = 760.0;
const FONT: f64 = 13.0;
/// The space at the left and at the right of the plot, for labels.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 52.0;
const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#24292f}.title{font-weight:600;font-size:15px}\
    .quiet{fill:#57606a}.grid{stroke:#d0d7de}path{fill:none;stroke-width:1.8}.s0{stroke:#0969da;fill:#0969da}\
    .s1{stroke:#bc4c00;fill:#bc4c00}.s2{stroke:#8250df;fill:#8250df}.s3{stroke:#1a7f37;fill:#1a7f37}\
    .s4{stroke:#9a6700;fill:#9a6700}path.s0{stroke-width:3}path{fill:none!important}text.label{stroke:none}\
    @media(prefers-color-scheme:dark){text{fill:#e6edf3}.quiet{fill:#9198a1}.grid{stroke:#3d444d}\
    .s0{stroke:#4493f8;fill:#4493f8}.s1{stroke:#f0883e;fill:#f0883e}.s2{stroke:#b87fff;fill:#b87fff}\
    .s3{stroke:#3fb950;fill:#3fb950}.s4{stroke:#d29922;fill:#d29922}}";

/// Lines over two logarithmic axes. The first line is drawn thicker.
pub(super) struct Lines {
    pub(super) title: &'static str,
    /// What the axes show, with the unit.
    pub(super) axes: [&'static str; 2],
    /// The values at which the axes have a label. The first and the last are their ends.
    pub(super) ticks: [Vec<f64>; 2],
    pub(super) series: Vec<(String, Vec<[f64; 2]>)>,
}

impl Display for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HEIGHT: f64 = 340.0;
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT + TOP);
        let place = |axis: usize, value: f64| {
            let (first, last) = (self.ticks[axis][0], self.ticks[axis][self.ticks[axis].len() - 1]);
            let part = (value.clamp(first, last) / first).ln() / (last / first).ln();
            if axis == 0 { LEFT + part * (right - LEFT) } else { bottom - part * HEIGHT }
        };
        begin(f, self.title, bottom + 50.0)?;
        for tick in &self.ticks[1] {
            let y = place(1, *tick);
            write!(
                f,
                r#"<line class="grid" x1="{LEFT}" x2="{right:.0}" y1="{y:.1}" y2="{y:.1}"/>"#
            )?;
            text(f, [LEFT - 8.0, y + 4.0], "end", "quiet", &tick.to_string())?;
        }
        for tick in &self.ticks[0] {
            text(f, [place(0, *tick), bottom + 20.0], "middle", "quiet", &tick.to_string())?;
        }
        text(f, [LEFT, TOP - 12.0], "start", "quiet", self.axes[1])?;
        text(f, [right, bottom + 40.0], "end", "quiet", self.axes[0])?;
        let mut labels = Vec::new();
        // The first line is drawn over the others.
        for (index, (name, points)) in self.series.iter().enumerate().rev() {
            let mut path = String::new();
            for (n, [x, y]) in points.iter().enumerate() {
                let command = if n == 0 { 'M' } else { 'L' };
                write!(path, "{command}{:.1} {:.1}", place(0, *x), place(1, *y))?;
            }
            write!(f, r#"<path class="s{index}" d="{path}"/>"#)?;
            labels.extend(points.last().map(|[_, y]| (place(1, *y), index, name)));
        }
        labels.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut next = f64::MIN;
        for (y, index, name) in labels {
            let y = y.max(next);
            next = y + FONT + 3.0;
            text(f, [right + 8.0, y + 4.0], "start", &format!("label s{index}"), name)?;
        }
        f.write_str("</svg>\n")
    }
}

/// Horizontal bars from zero, in groups.
pub(super) struct Bars {
    pub(super) title: &'static str,
    /// The value at the end of the axis; a longer bar is cut, and its label has the value.
    pub(super) end: f64,
    /// A value that a vertical line marks.
    pub(super) mark: f64,
    /// The names of the bars of a group.
    pub(super) names: Vec<&'static str>,
    /// The label of each group, and the values of its bars with their labels.
    pub(super) groups: Vec<(String, Vec<(f64, String)>)>,
}

impl Display for Bars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const BAR: f64 = 15.0;
        const START: f64 = 230.0;
        let length = |value: f64| value.min(self.end) / self.end * (WIDTH - START - 140.0);
        let group = BAR * self.names.len() as f64 + 14.0;
        let height = group * self.groups.len() as f64;
        begin(f, self.title, TOP + height + 6.0)?;
        let x = START + length(self.mark);
        let bottom = TOP + height - 8.0;
        write!(f, r#"<line class="grid" x1="{x:.1}" x2="{x:.1}" y1="{TOP}" y2="{bottom:.1}"/>"#)?;
        let mut x = START;
        for (index, name) in self.names.iter().enumerate() {
            write!(
                f,
                r#"<rect class="s{index}" x="{x}" y="{}" width="10" height="10"/>"#,
                TOP - 20.0
            )?;
            text(f, [x + 16.0, TOP - 10.0], "start", "quiet", name)?;
            x += 30.0 + 7.2 * name.len() as f64;
        }
        for (n, (label, bars)) in self.groups.iter().enumerate() {
            let y = TOP + group * n as f64;
            text(f, [START - 10.0, y + group / 2.0 - 2.0], "end", "", label)?;
            for (index, (value, shown)) in bars.iter().enumerate() {
                let y = y + BAR * index as f64;
                let length = length(*value);
                write!(
                    f,
                    r#"<rect class="s{index}" x="{START}" y="{y:.1}" width="{length:.1}" height="12"/>"#
                )?;
                text(f, [START + length + 6.0, y + 11.0], "start", "quiet", shown)?;
            }
        }
        f.write_str("</svg>\n")
    }
}

fn begin(f: &mut fmt::Formatter<'_>, title: &str, height: f64) -> fmt::Result {
    write!(
        f,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0}" role="img"><title>{title}</title><style>{STYLE}</style>"#
    )?;
    text(f, [0.0, 18.0], "start", "title", title)
}

fn text(
    f: &mut fmt::Formatter<'_>,
    [x, y]: [f64; 2],
    anchor: &str,
    class: &str,
    text: &str,
) -> fmt::Result {
    write!(f, r#"<text class="{class}" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#)
}
