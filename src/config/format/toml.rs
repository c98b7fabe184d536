use config::{Map, Value, ValueKind};
use toml::de::{DeTable, DeValue};

use super::{Lines, MAX_DEPTH, Malformed, integer, value};

pub(super) fn parse(text: &str) -> Result<Value, Malformed> {
    let lines = Lines::of(text);
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let slip = |e: &toml::de::Error| lines.slip(e.span().map_or(0, |span| span.start), e.message());
        return Err(Malformed(errors.iter().map(slip).collect()));
    }
    table(root.get_ref(), &lines, 0, 0)
}

fn table(table: &DeTable<'_>, lines: &Lines<'_>, start: usize, depth: usize) -> Result<Value, Malformed> {
    let mut entries = Map::new();
    for (name, item) in table {
        // The key's place: a table's own span is that of its header, which tables made by dots don't have.
        entries
            .insert(name.get_ref().to_string(), self::item(item.get_ref(), lines, name.span().start, depth)?);
    }
    Ok(value(lines.line(start), entries))
}

fn item(item: &DeValue<'_>, lines: &Lines<'_>, start: usize, depth: usize) -> Result<Value, Malformed> {
    if depth >= MAX_DEPTH {
        return Err(lines.malformed(start, "nested too deep"));
    }
    let kind = match item {
        DeValue::String(text) => ValueKind::String(text.to_string()),
        DeValue::Integer(number) => {
            let out_of_range = || lines.malformed(start, "integer out of range");
            integer(number.as_str(), number.radix()).ok_or_else(out_of_range)?
        }
        DeValue::Float(number) => {
            let unreadable = |_| lines.malformed(start, "not a number");
            ValueKind::Float(number.as_str().parse().map_err(unreadable)?)
        }
        DeValue::Boolean(truth) => ValueKind::Boolean(*truth),
        DeValue::Datetime(time) => ValueKind::String(time.to_string()),
        DeValue::Array(items) => {
            let each =
                |i: &toml::Spanned<DeValue<'_>>| self::item(i.get_ref(), lines, i.span().start, depth + 1);
            ValueKind::Array(items.iter().map(each).collect::<Result<_, _>>()?)
        }
        DeValue::Table(entries) => return table(entries, lines, start, depth + 1),
    };
    Ok(value(lines.line(start), kind))
}
