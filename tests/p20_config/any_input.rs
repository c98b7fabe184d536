//! No input makes it panic; what is accepted is within the bounds and survives being printed.

use ostler::config::{Config, Format};
use ostler::model::PoolSpec;
use proptest::prelude::*;

const FORMATS: [Format; 3] = [Format::Toml, Format::Yaml, Format::Json];

/// What holds for every config that is accepted.
fn check_accepted(config: &Config) -> Result<(), TestCaseError> {
    config.validate().map_err(|error| TestCaseError::fail(format!("accepted, but {error}")))?;
    for pool in config.pools.values() {
        let PoolSpec { min, max, overflow, queue, launch_parallelism, restart, .. } = pool;
        prop_assert!((1..=100_000).contains(max) && min <= max && *overflow <= 10_000 && *queue <= 1_000_000);
        prop_assert!((1..=256).contains(launch_parallelism));
        prop_assert!(!pool.acquire_timeout.is_zero() && restart.backoff <= restart.backoff_cap);
        prop_assert!(pool.max_uses != Some(0));
    }
    let mut read = Config::parse(&config.to_toml(), Format::Toml)
        .map_err(|error| TestCaseError::fail(format!("printed, but {error}")))?;
    // The values of `env` are hidden, and all that is.
    for (name, pool) in &mut read.pools {
        prop_assert!(pool.env.values().all(|value| value == "***"));
        prop_assert!(pool.env.keys().eq(config.pools[name].env.keys()));
        pool.env.clone_from(&config.pools[name].env);
    }
    prop_assert_eq!(&read, config);
    Ok(())
}

/// Keys, most of them known.
fn key() -> impl Strategy<Value = String> {
    let known = ostler::config::reference()
        .into_iter()
        .flat_map(|key| key.name.split('.').map(str::to_owned).collect::<Vec<_>>());
    let names = known.chain(["pools", "defaults", "one", "a-b"].map(str::to_owned)).collect::<Vec<_>>();
    prop_oneof![8 => proptest::sample::select(names), 1 => "[a-z_.\\[\\]0-9 -]{0,12}", 1 => any::<String>()]
}

/// Values, most of them of some key's type.
fn value() -> impl Strategy<Value = serde_json::Value> {
    let words = [
        "none", "process", "fake", "custom", "wait", "overflow", "wipe", "info", "json", "basic", "sh",
        "/usr", "",
    ];
    let leaf = prop_oneof![
        3 => (0_u64..20).prop_map(Into::into),
        1 => any::<i64>().prop_map(Into::into),
        1 => any::<u64>().prop_map(Into::into),
        1 => any::<f64>().prop_map(Into::into),
        1 => any::<bool>().prop_map(Into::into),
        1 => Just(serde_json::Value::Null),
        3 => proptest::sample::select(words.to_vec()).prop_map(Into::into),
        2 => "[0-9]{1,22}(ns|ms|s|m|h|days|years|B|KiB|MiB|GiB|EiB|M)?".prop_map(Into::into),
        1 => any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            1 => proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            4 => proptest::collection::vec((key(), inner), 0..8)
                .prop_map(|entries| entries.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

/// Configs that are right but for some of their values.
fn config() -> impl Strategy<Value = serde_json::Value> {
    let entry = (proptest::sample::select(ostler::config::reference()), any::<bool>(), value());
    proptest::collection::vec(entry, 0..6).prop_map(|entries| {
        let mut config = serde_json::json!({ "pools": { "one": { "backend": "fake" } } });
        for (key, keep, value) in entries {
            let scope = match key.scope {
                ostler::config::Scope::Top => &mut config,
                ostler::config::Scope::Pool => &mut config["pools"]["one"],
            };
            let place = key.name.split('.').try_fold(scope, |at, name| match at {
                serde_json::Value::Object(entries) => {
                    Some(entries.entry(name).or_insert_with(|| serde_json::json!({})))
                }
                _ => None,
            });
            // The default, where it can be had as JSON, or anything.
            let default = serde_json::from_str(&key.default).ok().filter(|_| keep);
            if let Some(place) = place {
                *place = default.unwrap_or(value);
            }
        }
        config
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text(text in any::<String>()) {
        for format in FORMATS {
            if let Ok(config) = Config::parse(&text, format) {
                check_accepted(&config)?;
            }
        }
    }

    #[test]
    fn text_that_looks_like_one(text in "([a-z]{1,3}[ =:.]{1,3}|[\\[\\]{}\"'\n#&*!|>%@`,-]{1,3}| {1,4}|[0-9]{1,3}|\t|pools|: |\n  |- ){0,60}") {
        for format in FORMATS {
            if let Ok(config) = Config::parse(&text, format) {
                check_accepted(&config)?;
            }
        }
    }

    #[test]
    fn any_tree(tree in value()) {
        let text = tree.to_string();
        for format in [Format::Json, Format::Yaml] {
            if let Ok(config) = Config::parse(&text, format) {
                check_accepted(&config)?;
            }
        }
    }

    #[test]
    fn nearly_right(tree in config()) {
        match Config::parse(&tree.to_string(), Format::Json) {
            Ok(config) => check_accepted(&config)?,
            Err(error) => prop_assert!(!error.problems().is_empty() && !error.to_string().is_empty()),
        }
    }

    #[test]
    fn a_mutated_demo(at in any::<prop::sample::Index>(), length in 0_usize..20, with in "[ -~\n]{0,20}") {
        let demo = include_str!("../../config/demo.toml");
        let start = at.index(demo.len());
        let end = (start + length).min(demo.len());
        let text = format!("{}{with}{}", &demo[..start], &demo[end..]);
        if let Ok(config) = Config::parse(&text, Format::Toml) {
            check_accepted(&config)?;
        }
    }

    #[test]
    fn any_variables(parts in proptest::collection::vec(key(), 1..6), text in any::<String>()) {
        let variable = format!("OSTLER__{}", parts.join("__")).replace('\0', "");
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("o.toml");
        std::fs::write(&path, "[pools.one]\n[pools.a-b]\n").expect("a file");
        if let Ok(config) = Config::load_with(&path, [(variable.into(), text.into())]) {
            check_accepted(&config)?;
        }
    }
}
