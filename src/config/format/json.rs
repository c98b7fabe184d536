use std::fmt;

use config::{Map, Value, ValueKind};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Lines, MAX_DEPTH, Malformed, integer, value};

/// Goes from level to level by the text of each value: its address within the whole gives the line.
pub(super) fn parse(text: &str) -> Result<Value, Malformed> {
    let broken = |e: serde_json::Error| Malformed::at(e.line(), e.column().max(1), message(&e));
    // The whole syntax first, so that the positions in the error are those of the whole text.
    serde_json::from_str::<serde_json::Value>(text).map_err(broken)?;
    let root: &RawValue = serde_json::from_str(text).map_err(broken)?;
    item(root, &Lines::of(text), 0)
}

fn item(raw: &RawValue, lines: &Lines<'_>, depth: usize) -> Result<Value, Malformed> {
    let start = offset(raw, lines);
    if depth >= MAX_DEPTH {
        return Err(lines.malformed(start, "nested too deep"));
    }
    let broken = |e: serde_json::Error| lines.malformed(start, message(&e));
    let kind = match raw.get().as_bytes().first() {
        Some(b'{') => {
            let mut entries = Map::new();
            for (name, raw) in serde_json::from_str::<Entries<'_>>(raw.get()).map_err(broken)?.0 {
                if entries.insert(name, item(raw, lines, depth + 1)?).is_some() {
                    return Err(lines.malformed(offset(raw, lines), "duplicate key"));
                }
            }
            ValueKind::Table(entries)
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(broken)?;
            let items = items.into_iter().map(|raw| item(raw, lines, depth + 1));
            ValueKind::Array(items.collect::<Result<_, _>>()?)
        }
        Some(b'"') => ValueKind::String(serde_json::from_str(raw.get()).map_err(broken)?),
        Some(b't') => ValueKind::Boolean(true),
        Some(b'f') => ValueKind::Boolean(false),
        Some(b'n') | None => ValueKind::Nil,
        Some(_) => match integer(raw.get(), 10) {
            Some(number) => number,
            None => ValueKind::Float(serde_json::from_str(raw.get()).map_err(broken)?),
        },
    };
    Ok(value(lines.line(start), kind))
}

fn offset(raw: &RawValue, lines: &Lines<'_>) -> usize {
    (raw.get().as_ptr() as usize).saturating_sub(lines.text.as_ptr() as usize)
}

/// The error's text without the position, which is told apart.
fn message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message).to_owned()
}

/// An object's entries as written, those given twice too.
struct Entries<'t>(Vec<(String, &'t RawValue)>);

impl<'t> Deserialize<'t> for Entries<'t> {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;

        impl<'t> Visitor<'t> for Each {
            type Value = Entries<'t>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(Each)
    }
}
