use std::fmt::Write as _;

/// Outer size and margins, pixels.
const WIDTH: f64 = 920.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 28.0;

/// Told apart by most eyes, also in print.
pub(super) const COLOURS: [&str; 8] =
    ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb", "#000000"];

/// How numbers are spread over an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    Even,
    /// Each decade takes the same room.
    Decades,
}

/// A plot as an SVG element with nothing outside of it.
pub(super) struct Plot {
    x: Axis,
    y: Axis,
    body: String,
}

struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    start: f64,
    end: f64,
}

impl Axis {
    fn place(&self, value: f64) -> f64 {
        let spread = |value: f64| match self.scale {
            Scale::Even => value,
            Scale::Decades => value.max(self.low).log10(),
        };
        let (low, high) = (spread(self.low), spread(self.high));
        let share = if high > low { (spread(value) - low) / (high - low) } else { 0.0 };
        self.start + share.clamp(0.0, 1.0) * (self.end - self.start)
    }

    /// Round numbers along it.
    fn ticks(&self) -> Vec<f64> {
        let step = match self.scale {
            Scale::Even => {
                let rough = (self.high - self.low).max(1e-9) / 5.0;
                let decade = 10_f64.powf(rough.log10().floor());
                [1.0, 2.0, 5.0, 10.0].map(|by| by * decade).into_iter().find(|step| *step >= rough)
            }
            Scale::Decades => None,
        };
        let mut ticks = Vec::new();
        let mut at = match (self.scale, step) {
            (Scale::Even, Some(step)) => (self.low / step).ceil() * step,
            _ => 10_f64.powf(self.low.log10().ceil()),
        };
        while at <= self.high * 1.000_001 && ticks.len() < 12 {
            ticks.push(at);
            at = step.map_or(at * 10.0, |step| at + step);
        }
        ticks
    }
}

impl Plot {
    /// Between these, both ends included.
    pub(super) fn new(x: (Scale, f64, f64), y: (Scale, f64, f64)) -> Self {
        let axis = |(scale, low, high): (Scale, f64, f64), start, end| Axis { scale, low, high, start, end };
        Self { x: axis(x, LEFT, WIDTH - RIGHT), y: axis(y, HEIGHT - BOTTOM, TOP), body: String::new() }
    }

    pub(super) fn line(&mut self, points: impl IntoIterator<Item = (f64, f64)>, colour: &str) {
        let points = self.points(points);
        self.add(&format!(
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>"
        ));
    }

    /// What is between two lines over the same places.
    pub(super) fn band(&mut self, points: &[(f64, f64, f64)], colour: &str) {
        let low = points.iter().map(|(x, low, _)| (*x, *low));
        let high = points.iter().rev().map(|(x, _, high)| (*x, *high));
        let points = self.points(low.chain(high));
        self.add(&format!("<polygon points=\"{points}\" fill=\"{colour}\" fill-opacity=\"0.75\"/>"));
    }

    /// A mark at the lower edge, with words for a pointer that rests on it.
    pub(super) fn mark(&mut self, x: f64, words: &str, colour: &str) {
        let (at, foot) = (self.x.place(x), HEIGHT - BOTTOM);
        self.add(&format!(
            "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{foot}\" y2=\"{:.1}\" stroke=\"{colour}\"><title>{}</title></line>",
            foot - 14.0,
            escaped(words)
        ));
    }

    pub(super) fn finish(self, x_unit: &str, y_unit: &str) -> String {
        let mut frame = String::new();
        let foot = HEIGHT - BOTTOM;
        for tick in self.x.ticks() {
            let at = self.x.place(tick);
            // Writing to a string does not fail.
            let _ = write!(
                frame,
                "<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                foot + 14.0,
                number(tick)
            );
        }
        for tick in self.y.ticks() {
            let at = self.y.place(tick);
            let _ = write!(
                frame,
                "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#ddd\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                at + 4.0,
                number(tick)
            );
        }
        let _ = write!(
            frame,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{x_unit}</text><text x=\"4\" y=\"{}\">{y_unit}</text>",
            WIDTH - RIGHT,
            HEIGHT - 2.0,
            TOP
        );
        format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">{frame}{}</svg>", self.body)
    }

    fn points(&self, points: impl IntoIterator<Item = (f64, f64)>) -> String {
        let mut text = String::new();
        for (x, y) in points {
            let _ = write!(text, "{:.1},{:.1} ", self.x.place(x), self.y.place(y));
        }
        text
    }

    fn add(&mut self, element: &str) {
        self.body.push_str(element);
    }
}

/// Short, and without needless digits.
fn number(value: f64) -> String {
    let short = format!("{value:.3}");
    let short = if short.contains('.') { short.trim_end_matches('0').trim_end_matches('.') } else { &short };
    short.to_owned()
}

/// As text in a page.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_within_the_frame_and_in_order() {
        let plot = Plot::new((Scale::Even, 0.0, 10.0), (Scale::Decades, 0.001, 1000.0));
        assert!((plot.x.place(0.0) - LEFT).abs() < 0.1 && (plot.x.place(10.0) - (WIDTH - RIGHT)).abs() < 0.1);
        assert!(plot.y.place(1.0) < plot.y.place(0.1) && plot.y.place(1e9) >= TOP - 0.1);
        assert!((plot.y.place(0.0) - plot.y.place(0.001)).abs() < 0.1, "zero has no logarithm");
        assert_eq!(plot.y.ticks().len(), 7);
        assert_eq!(plot.x.ticks().len(), 6);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(["0.001", "10", "2.5"], [0.001, 10.0, 2.5].map(number).each_ref().map(String::as_str));
    }
}
