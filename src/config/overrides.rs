use std::collections::BTreeMap;
use std::ffi::OsString;

use config::{Map, Value, ValueKind};

use super::keys::{TOP, pool};
use super::kind::Kind;
use super::nearest::nearest;
use super::problem::{Problem, Source};

/// What every variable of ours begins with, and what stands between the parts of a key.
const PREFIX: &str = "OSTLER__";
const SEPARATOR: &str = "__";

/// Puts what the environment sets over the file's values. The origin of each is the name of its variable.
///
/// `config` could layer them too, but takes names at the top for paths (`a.b[3]`) and forgets where tables
/// came from.
pub(super) fn apply(variables: Vec<(OsString, OsString)>, file: &mut Value, problems: &mut Vec<Problem>) {
    let mut taken: BTreeMap<Vec<String>, String> = BTreeMap::new();
    for (name, value) in ours(variables) {
        let mut problem = |message: String| {
            let source = Source::Variable(name.clone());
            problems.push(Problem { source, key: String::new(), value: None, message });
        };
        let Some((path, kind)) = target(&name, file) else {
            problem(stranger(&name, file));
            continue;
        };
        let Ok(text) = value.into_string() else {
            problem("is not UTF-8".to_owned());
            continue;
        };
        if let Some(other) = taken.insert(path.clone(), name.clone()) {
            problem(format!("sets the same key as {other}"));
        }
        insert(file, &path, Value::new(Some(&name), typed(text, kind)));
    }
}

/// Our variables, in the order of their names.
fn ours(variables: Vec<(OsString, OsString)>) -> BTreeMap<String, OsString> {
    let named = variables.into_iter().map(|(name, value)| (name.to_string_lossy().into_owned(), value));
    named.filter(|(name, _)| key_part(name).is_some()).collect()
}

fn key_part(name: &str) -> Option<&str> {
    let (prefix, rest) = name.split_at_checked(PREFIX.len())?;
    prefix.eq_ignore_ascii_case(PREFIX).then_some(rest)
}

/// The key that a variable names, and what its value looks like.
fn target(name: &str, file: &Value) -> Option<(Vec<String>, Kind)> {
    let rest = key_part(name)?;
    if let Some(rest) = after(rest, "defaults") {
        return in_pool(vec!["defaults".to_owned()], rest);
    }
    if let Some(rest) = after(rest, "pools") {
        return pools(file)
            .filter_map(|pool| Some((pool, after(rest, pool)?)))
            // Of the names that fit, the longest, and of `a-b` and `a_b` the one that is written.
            .max_by_key(|(pool, _)| {
                let written = rest.get(..pool.len()).is_some_and(|part| part.eq_ignore_ascii_case(pool));
                (pool.len(), written)
            })
            .and_then(|(pool, rest)| in_pool(vec!["pools".to_owned(), pool.to_owned()], rest));
    }
    let key = TOP.iter().find(|key| same(key.name, rest))?;
    Some((key.name.split('.').map(str::to_owned).collect(), key.kind))
}

/// The rest of `text` after `name` and a separator.
fn after<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (head, rest) = text.split_at_checked(name.len())?;
    let dashed = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    (dashed(head) == dashed(name)).then(|| rest.strip_prefix(SEPARATOR))?
}

fn same(key: &str, rest: &str) -> bool {
    key.replace('.', SEPARATOR).eq_ignore_ascii_case(rest)
}

fn in_pool(mut path: Vec<String>, rest: &str) -> Option<(Vec<String>, Kind)> {
    if let Some(variable) = after(rest, "env").filter(|variable| !variable.is_empty()) {
        path.extend(["env".to_owned(), variable.to_owned()]);
        return Some((path, Kind::Environment));
    }
    let key = pool().find(|key| same(key.name, rest) && !matches!(key.kind, Kind::Environment))?;
    path.extend(key.name.split('.').map(str::to_owned));
    Some((path, key.kind))
}

/// The names of the file's pools.
fn pools(file: &Value) -> impl Iterator<Item = &str> {
    let pools = table(file).and_then(|top| table(top.get("pools")?));
    pools.into_iter().flatten().map(|(name, _)| name.as_str())
}

fn table(value: &Value) -> Option<&Map<String, Value>> {
    match &value.kind {
        ValueKind::Table(entries) => Some(entries),
        _ => None,
    }
}

/// What to say about a variable that names nothing.
fn stranger(name: &str, file: &Value) -> String {
    let rest = key_part(name).unwrap_or_default();
    let upper = |key: &str| key.replace('.', SEPARATOR).replace('-', "_").to_uppercase();
    let near_key = |scope: &str, rest: &str| {
        let keys = pool().map(|key| match key.kind {
            Kind::Environment => format!("{}{SEPARATOR}NAME", upper(key.name)),
            _ => upper(key.name),
        });
        let keys: Vec<_> = keys.collect();
        nearest(rest, keys.iter().map(String::as_str)).map(|key| format!("{scope}{SEPARATOR}{key}"))
    };
    let mut names: Vec<_> = pools(file).collect();
    names.sort_unstable();
    let mut what = "names no key";
    let near = if let Some(rest) = after(rest, "defaults") {
        near_key("DEFAULTS", rest)
    } else if let Some(rest) = after(rest, "pools") {
        if let Some((pool, rest)) = names.iter().find_map(|pool| Some((pool, after(rest, pool)?))) {
            near_key(&format!("POOLS{SEPARATOR}{}", upper(pool)), rest)
        } else {
            what = "names no pool of the file";
            let (pool, key) = rest.split_once(SEPARATOR).unwrap_or((rest, "MAX"));
            nearest(pool, names).map(|pool| upper(&format!("pools.{pool}.{key}")))
        }
    } else {
        let keys: Vec<_> = TOP.iter().map(|key| upper(key.name)).collect();
        nearest(rest, keys.iter().map(String::as_str)).map(str::to_owned)
    };
    let hint = near.map_or_else(String::new, |near| format!("; did you mean {PREFIX}{near}?"));
    format!("{what}{hint}")
}

/// Text as what the key wants, as far as it can be taken for that.
fn typed(text: String, kind: Kind) -> ValueKind {
    match kind {
        Kind::Count(..) => text.parse().map_or(ValueKind::String(text), ValueKind::I128),
        Kind::Fraction(..) => text.parse().map_or(ValueKind::String(text), ValueKind::Float),
        Kind::Flag => text.parse().map_or(ValueKind::String(text), ValueKind::Boolean),
        Kind::Labels | Kind::Secrets => match serde_json::from_str::<Value>(&text) {
            Ok(value) => value.kind,
            Err(_) => ValueKind::String(text),
        },
        Kind::Command | Kind::Paths | Kind::Words(_) | Kind::Files => {
            match serde_json::from_str::<Vec<String>>(&text) {
                Ok(items) => ValueKind::Array(items.into_iter().map(Value::from).collect()),
                Err(_) => ValueKind::String(text),
            }
        }
        _ => ValueKind::String(text),
    }
}

/// Where the file has something else than the tables on the way, that stays, and is reported as it is.
fn insert(tree: &mut Value, path: &[String], value: Value) {
    let Some((name, rest)) = path.split_first() else {
        *tree = value;
        return;
    };
    if let ValueKind::Nil = tree.kind {
        tree.kind = ValueKind::Table(Map::new());
    }
    if let ValueKind::Table(entries) = &mut tree.kind {
        insert(entries.entry(name.clone()).or_default(), rest, value);
    }
}
