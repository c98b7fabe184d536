//! One case for each kind of mistake, with the whole message.

use ostler::config::{Config, Format};

/// What is wrong with the text, which must be something.
fn complaint(text: &str, format: Format) -> String {
    Config::parse(text, format).expect_err(text).to_string()
}

#[track_caller]
fn check(format: Format, cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(complaint(text, format), *expected, "\nin:\n{text}");
    }
}

/// Cases of one line in a pool that is on the fake backend.
#[track_caller]
fn check_pool(cases: &[(&str, &str)]) {
    for (line, expected) in cases {
        let text = format!("[pools.s]\nbackend = \"fake\"\n{line}\n");
        assert_eq!(complaint(&text, Format::Toml), format!("text:3: {expected}"), "\nin: {line}");
    }
}

#[test]
fn values_out_of_bounds() {
    check_pool(&[
        ("max = 0", "pools.s.max = 0: must be between 1 and 100000"),
        ("max = -1", "pools.s.max = -1: must be between 1 and 100000"),
        ("max = 100001", "pools.s.max = 100001: must be between 1 and 100000"),
        ("max_uses = 0", "pools.s.max_uses = 0: must be between 1 and 1000000000, or \"none\""),
        ("acquire_timeout = \"0s\"", "pools.s.acquire_timeout = \"0s\": must be between 1ms and 1h"),
        ("acquire_timeout = \"61m\"", "pools.s.acquire_timeout = \"61m\": must be between 1ms and 1h"),
        (
            "max_lifetime = \"0s\"",
            "pools.s.max_lifetime = \"0s\": must be between 1s and 30days, or \"none\"",
        ),
        ("output_limit = 0", "pools.s.output_limit = 0: must be between 1KiB and 1GiB"),
        ("output_limit = \"2GiB\"", "pools.s.output_limit = \"2GiB\": must be between 1KiB and 1GiB"),
        ("limits.cpus = 0.0", "pools.s.limits.cpus = 0.0: must be between 0.01 and 4096, or \"none\""),
        ("limits.cpus = nan", "pools.s.limits.cpus = NaN: must be between 0.01 and 4096, or \"none\""),
        ("fake.hangs = 1.5", "pools.s.fake.hangs = 1.5: must be between 0 and 1"),
    ]);
    check(
        Format::Toml,
        &[
            (
                "[pools.s]\nprocess.user = 0",
                "text:2: pools.s.process.user = 0: must be between 1 and 4294967294",
            ),
            (
                "instance = \"My Ostler\"\n[pools.s]",
                "text:1: instance = \"My Ostler\": must be 1 to 32 of a-z, 0-9 and -",
            ),
        ],
    );
}

#[test]
fn integers_that_overflow() {
    check_pool(&[
        ("max = 9223372036854775808", "pools.s.max = 9223372036854775808: must be between 1 and 100000"),
        ("health.retries = 4294967297", "pools.s.health.retries = 4294967297: must be between 1 and 100"),
        (
            "max = 999999999999999999999999999999999999999999",
            "pools.s.max = 1e42: found a number, wanted an integer such as 8",
        ),
        (
            "output_limit = \"99999999EiB\"",
            "pools.s.output_limit = \"99999999EiB\": is not a size; write one such as \"512MiB\", or a number of bytes",
        ),
    ]);
}

#[test]
fn wrong_types() {
    check_pool(&[
        ("max = \"8\"", "pools.s.max = \"8\": found text, wanted an integer such as 8"),
        ("max = 8.5", "pools.s.max = 8.5: found a number, wanted an integer such as 8"),
        ("max = true", "pools.s.max = true: found true or false, wanted an integer such as 8"),
        ("max = [8]", "pools.s.max: found a list with an integer in it, wanted an integer such as 8"),
        ("max = { is = 8 }", "pools.s.max: found a table, wanted an integer such as 8"),
        ("max = \"none\"", "pools.s.max = \"none\": found text, wanted an integer such as 8"),
        (
            "max_uses = \"off\"",
            "pools.s.max_uses = \"off\": found text, wanted an integer such as 8, or \"none\"",
        ),
        (
            "limits.cpus = \"half\"",
            "pools.s.limits.cpus = \"half\": found text, wanted a number such as 0.5, or \"none\"",
        ),
        (
            "output_limit = 0.5",
            "pools.s.output_limit = 0.5: found a number, wanted a size such as \"512MiB\"",
        ),
        (
            "acquire_timeout = true",
            "pools.s.acquire_timeout = true: found true or false, wanted a duration such as \"30s\"",
        ),
        (
            "template = 5",
            "pools.s.template = 5: found an integer, wanted a path such as \"templates/python\", or \"none\"",
        ),
        ("reset = false", "pools.s.reset = false: found true or false, wanted text such as \"wipe\""),
        (
            "warm_up = \"true\"",
            "pools.s.warm_up = \"true\": found text, wanted a list of text such as [\"python3\", \"--version\"]",
        ),
        (
            "warm_up = [\"nice\", 5]",
            "pools.s.warm_up: found a list with an integer in it, wanted a list of text such as [\"python3\", \"--version\"]",
        ),
        ("health = 5", "pools.s.health: found an integer, wanted a table"),
        ("env = \"A=b\"", "pools.s.env: found text, wanted a table of text such as { LANG = \"C.UTF-8\" }"),
        ("env.PORT = 8080", "pools.s.env.PORT: found an integer, wanted text; put it in quotes"),
    ]);
    check(
        Format::Toml,
        &[
            ("pools = 5", "text:1: pools: found an integer, wanted a table"),
            ("pools.s = 5", "text:1: pools.s: found an integer, wanted a table"),
            ("defaults = 5\n[pools.s]", "text:1: defaults: found an integer, wanted a table"),
            ("log = \"info\"\n[pools.s]", "text:1: log: found text, wanted a table"),
        ],
    );
    check(
        Format::Yaml,
        &[(
            "pools:\n  s:\n    max_uses: null",
            "text:3: pools.s.max_uses: found nothing, wanted an integer such as 8, or \"none\"",
        )],
    );
}

#[test]
fn durations_and_sizes_that_cannot_be_read() {
    check_pool(&[
        (
            "acquire_timeout = 30",
            "pools.s.acquire_timeout = 30: has no unit; write a duration such as \"30s\" or \"200ms\"",
        ),
        (
            "acquire_timeout = 0.5",
            "pools.s.acquire_timeout = 0.5: has no unit; write a duration such as \"30s\" or \"200ms\"",
        ),
        (
            "acquire_timeout = \"30\"",
            "pools.s.acquire_timeout = \"30\": has no unit; write a duration such as \"30s\" or \"200ms\"",
        ),
        (
            "acquire_timeout = \"soon\"",
            "pools.s.acquire_timeout = \"soon\": is not a duration; write one such as \"30s\" or \"1h 30m\"",
        ),
        (
            "acquire_timeout = \"5 parsecs\"",
            "pools.s.acquire_timeout = \"5 parsecs\": is not a duration; write one such as \"30s\" or \"1h 30m\"",
        ),
        (
            "output_limit = \"1 elephant\"",
            "pools.s.output_limit = \"1 elephant\": is not a size; write one such as \"512MiB\", or a number of bytes",
        ),
        (
            "output_limit = \"512M\"",
            "pools.s.output_limit = \"512M\": is not a size; write one such as \"512MiB\", or a number of bytes",
        ),
    ]);
}

#[test]
fn words_that_are_not_among_the_choices() {
    check_pool(&[
        (
            "reset = \"whipe\"",
            "pools.s.reset = \"whipe\": must be one of \"none\", \"wipe\"; did you mean \"wipe\"?",
        ),
        (
            "when_exhausted = \"panic\"",
            "pools.s.when_exhausted = \"panic\": must be one of \"wait\", \"fail\", \"overflow\"",
        ),
    ]);
    check(
        Format::Toml,
        &[
            (
                // Which of the two tables is wrong cannot be said, so it is not.
                "[pools.s]\nbackend = \"proces\"\nprocess.user = 1000\nfake.seed = 5",
                "text:2: pools.s.backend = \"proces\": must be one of \"process\", \"docker\", \"podman\", \"fake\", \"custom\"; did you mean \"process\"?",
            ),
            (
                "log.level = \"warn\"\n[pools.s]",
                "text:1: log.level = \"warn\": must be one of \"critical\", \"error\", \"warning\", \"info\", \"debug\", \"trace\"; did you mean \"warning\"?",
            ),
        ],
    );
}

#[test]
fn unknown_keys() {
    check_pool(&[
        ("maxx = 8", "pools.s.maxx: unknown key; did you mean \"max\"?"),
        ("maxUses = 8", "pools.s.maxUses: unknown key; did you mean \"max_uses\"?"),
        ("helth.retries = 2", "pools.s.helth: unknown key; did you mean \"health\"?"),
        ("health.retrys = 2", "pools.s.health.retrys: unknown key; did you mean \"retries\"?"),
        ("colour = \"red\"", "pools.s.colour: unknown key"),
        ("\"two words\" = 1", "pools.s.\"two words\": unknown key"),
        ("\"health.retries\" = 2", "pools.s.\"health.retries\": unknown key"),
    ]);
    check(
        Format::Toml,
        &[
            ("instanse = \"a\"\n[pools.s]", "text:1: instanse: unknown key; did you mean \"instance\"?"),
            ("[pool.s]\n[pools.s]", "text:1: pool: unknown key; did you mean \"pools\"?"),
            ("[sandbox]\n[pools.s]", "text:1: sandbox: unknown key; did you mean [pools.sandbox]?"),
            ("\"pools.s\" = 1\n[pools.s]", "text:1: \"pools.s\": unknown key; did you mean \"pools\"?"),
            ("\"a[999999999999]\" = 1\n[pools.s]", "text:1: \"a[999999999999]\": unknown key"),
        ],
    );
}

#[test]
fn keys_in_the_wrong_table() {
    check_pool(&[
        ("interval = \"1s\"", "pools.s.interval: unknown key; it belongs in [pools.s.health]"),
        ("health.max = 8", "pools.s.health.max: unknown key; it belongs in [pools.s]"),
        ("shutdown_grace = \"1s\"", "pools.s.shutdown_grace: unknown key; it belongs at the top of the file"),
        ("level = \"info\"", "pools.s.level: unknown key; it belongs in [log]"),
    ]);
    check(
        Format::Toml,
        &[
            ("max = 8\n[pools.s]", "text:1: max: unknown key; it belongs in [pools.NAME]"),
            ("pids = 8\n[pools.s]", "text:1: pids: unknown key; it belongs in [pools.NAME.limits]"),
        ],
    );
}

#[test]
fn tables_of_another_backend() {
    check_pool(&[(
        "process.user = 1000",
        "pools.s.process: is only for backend = \"process\"; this pool has backend = \"fake\"",
    )]);
    check(
        Format::Toml,
        &[(
            "[pools.s]\n[pools.s.fake]\nseed = 1",
            "text:2: pools.s.fake: is only for backend = \"fake\"; this pool has backend = \"process\"",
        )],
    );
}

#[test]
fn values_that_do_not_go_together() {
    check_pool(&[
        ("min = 9", "pools.s.min = 9: is greater than pools.s.max = 4, the default"),
        (
            "restart = { backoff = \"2s\", backoff_cap = \"1s\" }",
            "pools.s.restart.backoff = \"2s\": is greater than pools.s.restart.backoff_cap = \"1s\"",
        ),
        (
            "when_exhausted = \"overflow\"",
            "pools.s.when_exhausted = \"overflow\": needs pools.s.overflow to be at least 1",
        ),
    ]);
    check(
        Format::Toml,
        &[
            ("[pools.s]\nmax = 4\nmin = 9", "text:3: pools.s.min = 9: is greater than pools.s.max = 4"),
            (
                "[defaults]\nmin = 9\n[pools.s]\nmax = 8",
                "text:2: defaults.min = 9: is greater than pools.s.max = 8",
            ),
            // Nothing follows from a value that is itself wrong.
            ("[pools.s]\nmax = 0\nmin = 9", "text:2: pools.s.max = 0: must be between 1 and 100000"),
        ],
    );
}

#[test]
fn pools_that_are_not_there_or_have_no_proper_name() {
    let none = "text: pools: no pool is configured; add a table such as [pools.sandbox]";
    let name = "a pool's name must be 1 to 32 of a-z, 0-9, _ and -";
    check(
        Format::Toml,
        &[
            ("", none),
            ("[defaults]\nmax = 8", none),
            ("[pools]", none),
            ("[pools.Sandbox]", &format!("text:1: pools.Sandbox: {name}")),
            ("[pools.\"a b\"]", &format!("text:1: pools.\"a b\": {name}")),
            ("[pools.\"\"]", &format!("text:1: pools.\"\": {name}")),
            (
                "[pools.abcdefghijklmnopqrstuvwxyzabcdefg]",
                &format!("text:1: pools.abcdefghijklmnopqrstuvwxyzabcdefg: {name}"),
            ),
        ],
    );
    check(Format::Yaml, &[("", none), ("pools:", none)]);
    check(Format::Json, &[("{}", none)]);
}

#[test]
fn text_that_does_not_parse() {
    check(
        Format::Toml,
        &[
            ("[pools.s]\nmax = \n", "text:2:7: string values must be quoted, expected literal string"),
            ("[pools.s]\nmax = 1\nmax = 2\n", "text:3:1: duplicate key"),
            (
                "[pools.s\n[pools.t]\nmax = = 2",
                "text:1:9: unclosed table, expected `]`\n\
                 text:3:7: extra `=`, expected nothing\n\
                 text:3:9: unexpected key or value, expected newline, `#`",
            ),
        ],
    );
    check(
        Format::Yaml,
        &[
            ("pools:\n  s:\n    max: 1\n    max: 2\n", "text:4:5: duplicate key"),
            ("a: [1, 2\n", "text:2:1: while parsing a flow sequence, expected ',' or ']'"),
            ("{}\n---\n{}\n", "text:3:1: a second document; a config file holds one"),
            (
                "a: &x {}\nb: *x\n",
                "text:2:4: aliases are not supported; put what pools share into `defaults`",
            ),
            ("a: !!str 5\n", "text:1:10: tags are not supported"),
            ("? [a]\n: 1\n", "text:1:3: a key must be plain text"),
            ("[1]", "text:1:1: the file must hold a table of settings"),
        ],
    );
    check(
        Format::Json,
        &[
            ("{\"pools\": {\n\"s\": {\"max\": 1,\n \"max\": 2}}}", "text:3:9: duplicate key"),
            ("{\"pools\": {\n", "text:2:1: EOF while parsing an object"),
            ("", "text:1:1: EOF while parsing a value"),
            ("[]", "text:1:1: the file must hold a table of settings"),
        ],
    );
}

#[test]
fn nesting_without_end() {
    let text = |part: &str, times| part.repeat(times);
    let cases = [
        (Format::Toml, format!("a = {}{}", text("[", 40), text("]", 40)), "text:1:37: nested too deep"),
        (Format::Yaml, format!("a: {}", text("[", 40)), "text:1:35: nested too deep"),
        (Format::Json, text("[", 40) + &text("]", 40), "text:1:33: nested too deep"),
        (Format::Toml, text("a.", 200_000) + "a = 1", "text:1:1: recursion limit"),
        (Format::Yaml, text("- ", 200_000), "text:1:65: nested too deep"),
        (Format::Json, text("[", 200_000), "text:1:128: recursion limit exceeded"),
    ];
    for (format, text, expected) in cases {
        let error = Config::parse(&text, format).expect_err("too deep").to_string();
        assert_eq!(error, expected, "{format:?}, {} bytes", text.len());
    }
}
