use config::{Map, Value, ValueKind};
use yaml_rust2::parser::{Event, Parser};
use yaml_rust2::scanner::{Marker, TScalarStyle};
use yaml_rust2::{ScanError, Yaml};

use super::{MAX_DEPTH, Malformed, integer, value};

/// Reads events rather than the crate's own tree: that one is built by recursion without a bound, and copies
/// what an alias stands for each time it is used.
pub(super) fn parse(text: &str) -> Result<Value, Malformed> {
    let mut reader = Reader { events: Parser::new_from_str(text) };
    let mut root = None;
    loop {
        let (event, mark) = reader.next()?;
        match event {
            Event::StreamEnd => break,
            Event::Nothing | Event::StreamStart | Event::DocumentStart | Event::DocumentEnd => {}
            _ if root.is_some() => {
                return Err(malformed(&mark, "a second document; a config file holds one"));
            }
            event => root = Some(reader.node(event, &mark, 0)?),
        }
    }
    Ok(root.unwrap_or_else(|| value(1, ValueKind::Nil)))
}

struct Reader<I> {
    events: Parser<I>,
}

impl<I: Iterator<Item = char>> Reader<I> {
    fn next(&mut self) -> Result<(Event, Marker), Malformed> {
        self.events.next_token().map_err(|e: ScanError| malformed(e.marker(), e.info()))
    }

    fn node(&mut self, event: Event, mark: &Marker, depth: usize) -> Result<Value, Malformed> {
        if depth >= MAX_DEPTH {
            return Err(malformed(mark, "nested too deep"));
        }
        let kind = match event {
            Event::Scalar(text, TScalarStyle::Plain, _, None) => plain(text),
            Event::Scalar(text, _, _, None) => ValueKind::String(text),
            Event::SequenceStart(_, None) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break ValueKind::Array(items),
                        (event, mark) => items.push(self.node(event, &mark, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(_, None) => self.table(depth)?,
            Event::Alias(_) => {
                return Err(malformed(
                    mark,
                    "aliases are not supported; put what pools share into `defaults`",
                ));
            }
            Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..) => {
                return Err(malformed(mark, "tags are not supported"));
            }
            _ => return Err(malformed(mark, "a value is missing")),
        };
        Ok(value(mark.line(), kind))
    }

    fn table(&mut self, depth: usize) -> Result<ValueKind, Malformed> {
        let mut entries = Map::new();
        loop {
            let (name, mark) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(ValueKind::Table(entries)),
                (Event::Scalar(name, ..), mark) => (name, mark),
                (_, mark) => return Err(malformed(&mark, "a key must be plain text")),
            };
            let (event, at) = self.next()?;
            // The key's line: an empty or indented value is marked where the next thing begins.
            let item = value(mark.line(), self.node(event, &at, depth + 1)?.kind);
            if entries.insert(name, item).is_some() {
                return Err(malformed(&mark, "duplicate key"));
            }
        }
    }
}

fn plain(text: String) -> ValueKind {
    if let Some(number) = integer(&text, 10) {
        return number;
    }
    match Yaml::from_str(&text) {
        Yaml::Null => ValueKind::Nil,
        Yaml::Boolean(truth) => ValueKind::Boolean(truth),
        Yaml::Integer(number) => ValueKind::I64(number),
        Yaml::Real(number) => match number.parse() {
            Ok(number) => ValueKind::Float(number),
            Err(_) if number.ends_with(['f', 'F']) => ValueKind::Float(f64::INFINITY),
            Err(_) => ValueKind::Float(f64::NAN),
        },
        _ => ValueKind::String(text),
    }
}

fn malformed(mark: &Marker, message: &str) -> Malformed {
    Malformed::at(mark.line(), mark.col() + 1, message)
}
