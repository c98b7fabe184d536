//! Programs run with the streams, environment, directory and outcome that were asked for.

use ostler::protocol::{Input, RefusalKind, Reply, Request, Stream, WINDOW};

use crate::client::{Guest, program_of, shell};

#[test]
fn output_and_status_come_back() {
    let mut guest = Guest::start();
    let answer = guest.data.shell("echo out; echo err >&2; exit 7");
    assert_eq!((answer.out.as_slice(), answer.err.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
    let exited = answer.exited();
    assert_eq!((exited.code, exited.signal, exited.timed_out), (Some(7), None, false));
    assert_eq!((exited.stdout_bytes, exited.stderr_bytes), (4, 4));
    assert!(exited.max_rss > 0);
}

#[test]
fn a_signal_is_told_from_a_status() {
    let mut guest = Guest::start();
    let answer = guest.data.shell("kill -TERM $$");
    assert_eq!((answer.exited().code, answer.exited().signal), (None, Some(15)));
}

#[test]
fn processor_time_is_counted() {
    let mut guest = Guest::start();
    let answer = guest.data.shell("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done");
    assert!(answer.exited().cpu_us > 1000, "{:?}", answer.exited());
}

#[test]
fn the_environment_is_the_requests_with_a_home() {
    let mut guest = Guest::start();
    let mut request = program_of(&["env"]);
    request.env = vec![(b"A".to_vec(), b"b=c\n".to_vec()), (b"PATH".to_vec(), b"/usr/bin:/bin".to_vec())];
    let home = guest.workspace().canonicalize().expect("the workspace");
    let wanted = format!("A=b=c\n\nHOME={}\nPATH=/usr/bin:/bin\n", home.display());
    assert_eq!(guest.data.call(&Request::Exec(request.clone())).text(), wanted);
    request.env = vec![(b"HOME".to_vec(), b"/elsewhere".to_vec())];
    assert_eq!(guest.data.call(&Request::Exec(request)).text(), "HOME=/elsewhere\n");
}

#[test]
fn commands_begin_in_the_workspace_or_where_they_are_told() {
    let mut guest = Guest::start();
    let workspace = guest.workspace().canonicalize().expect("the workspace");
    assert_eq!(guest.data.shell("pwd").text().trim(), workspace.to_str().expect("text"));
    std::fs::create_dir(workspace.join("sub")).expect("a directory");
    for (cwd, wanted) in [("sub", workspace.join("sub")), ("/", "/".into())] {
        let request = Request::Exec(ostler::protocol::ExecRequest { cwd: cwd.into(), ..shell("pwd") });
        assert_eq!(guest.data.call(&request).text().trim(), wanted.to_str().expect("text"));
    }
}

#[test]
fn what_cannot_run_is_refused_by_kind() {
    let mut guest = Guest::start();
    std::fs::write(guest.workspace().join("plain"), "x").expect("a file");
    let cases: [(&[&str], RefusalKind); 5] = [
        (&["no-such-program"], RefusalKind::NotFound),
        (&["./no-such-program"], RefusalKind::NotFound),
        (&["./plain"], RefusalKind::Denied),
        (&[], RefusalKind::Invalid),
        (&[""], RefusalKind::Invalid),
    ];
    for (argv, kind) in cases {
        assert_eq!(guest.data.call(&Request::Exec(program_of(argv))).refused(), kind, "{argv:?}");
    }
    let mut nowhere = shell("true");
    nowhere.cwd = b"nowhere".to_vec();
    let answer = guest.data.call(&Request::Exec(nowhere));
    assert_eq!(answer.refused(), RefusalKind::NotFound);
    assert!(answer.result.expect_err("a refusal").message.contains("nowhere"));
    for (name, value) in [("", "x"), ("A=B", "x"), ("A", "\0")] {
        let mut request = shell("true");
        request.env.push((name.into(), value.into()));
        assert_eq!(guest.data.call(&Request::Exec(request)).refused(), RefusalKind::Invalid);
    }
    assert_eq!(guest.control.ping().operations, 0, "what was refused leaves nothing behind");
}

#[test]
fn commands_get_default_signals_their_own_session_and_three_descriptors() {
    let mut guest = Guest::start();
    let script =
        "ls /proc/self/fd | wc -l; grep -E 'Sig(Blk|Ign)' /proc/self/status; ps -o sid= -p $$; echo $$";
    let text = guest.data.shell(script).text();
    let lines: Vec<_> = text.split_whitespace().collect();
    // The fourth is the one `ls` reads the directory with.
    assert_eq!(
        lines,
        ["4", "SigBlk:", "0000000000000000", "SigIgn:", "0000000000000000", lines[5], lines[5]]
    );
}

#[test]
fn no_new_privileges() {
    let mut guest = Guest::start();
    assert_eq!(guest.data.shell("grep NoNewPrivs /proc/self/status").text(), "NoNewPrivs:\t1\n");
}

#[test]
fn without_input_stdin_is_empty() {
    let mut guest = Guest::start();
    assert_eq!(guest.data.shell("wc -c").text().trim(), "0");
}

#[test]
fn input_is_passed_on_and_its_end_too() {
    let mut guest = Guest::start();
    let mut request = program_of(&["cat"]);
    request.stdin = true;
    let op = guest.data.open(&Request::Exec(request));
    guest.data.say(op, &Input::Data(b"one ".to_vec()));
    assert_eq!(guest.data.reply(op), Reply::Data(Stream::Out, b"one ".to_vec()));
    guest.data.say(op, &Input::Data(b"two".to_vec()));
    guest.data.say(op, &Input::End);
    let answer = guest.data.finish(op);
    assert_eq!(answer.out, b"two");
    assert_eq!(answer.exited().code, Some(0));
}

#[test]
fn input_of_many_windows_arrives_whole() {
    let mut guest = Guest::start();
    let mut request = program_of(&["sha256sum"]);
    request.stdin = true;
    let op = guest.data.open(&Request::Exec(request));
    let chunk = vec![b'x'; 64 << 10];
    let mut window = WINDOW as usize;
    for _ in 0..128 {
        while window < chunk.len() {
            let Reply::Credit(bytes) = guest.data.reply(op) else { panic!("not credit") };
            window += bytes as usize;
        }
        guest.data.say(op, &Input::Data(chunk.clone()));
        window -= chunk.len();
    }
    guest.data.say(op, &Input::End);
    let local = guest.data.shell("head -c 8388608 /dev/zero | tr '\\0' x | sha256sum");
    assert_eq!(guest.data.finish(op).out, local.out);
}

#[test]
fn input_nobody_reads_is_used_up() {
    let mut guest = Guest::start();
    let mut request = shell("exec <&-; echo closed; read x < /dev/null; sleep 0.2; echo done");
    request.stdin = true;
    let op = guest.data.open(&Request::Exec(request));
    assert_eq!(guest.data.reply(op), Reply::Data(Stream::Out, b"closed\n".to_vec()));
    for _ in 0..WINDOW / (64 << 10) {
        guest.data.say(op, &Input::Data(vec![0; 64 << 10]));
    }
    let answer = guest.data.finish(op);
    assert_eq!((answer.text().as_str(), answer.exited().code), ("done\n", Some(0)));
}

#[test]
fn a_signal_reaches_the_whole_group() {
    let mut guest = Guest::start();
    let script = "sleep 1000 & trap 'kill -0 $! 2>/dev/null; wait; exit 9' USR1; echo ready; wait; wait";
    let op = guest.data.open(&Request::Exec(shell(script)));
    assert_eq!(guest.data.reply(op), Reply::Data(Stream::Out, b"ready\n".to_vec()));
    guest.data.say(op, &Input::Signal(10));
    assert_eq!(guest.data.finish(op).exited().code, Some(9), "the sleeper got it too, or wait would not end");
}

#[test]
fn beyond_the_cap_output_is_counted_and_dropped() {
    let mut guest = Guest::start();
    let mut request = shell("head -c 300000 /dev/zero; head -c 10 /dev/zero >&2");
    request.output_cap = Some(1000);
    let answer = guest.data.call(&Request::Exec(request));
    assert_eq!((answer.out.len(), answer.err.len()), (1000, 10));
    assert_eq!((answer.exited().stdout_bytes, answer.exited().stderr_bytes), (300_000, 10));
}

#[test]
fn large_output_arrives_whole() {
    let mut guest = Guest::start();
    let answer = guest.data.shell("seq 1 1000000");
    assert_eq!(answer.out.len(), 6_888_896);
    assert!(answer.out.ends_with(b"\n999999\n1000000\n"));
}

#[test]
fn many_commands_run_at_once() {
    let mut guest = Guest::start();
    let ops: Vec<u64> = (0..50)
        .map(|n| guest.data.open(&Request::Exec(shell(&format!("sleep 0.0{}; echo {n}", n % 7)))))
        .collect();
    for (n, op) in ops.into_iter().enumerate() {
        assert_eq!(guest.data.finish(op).text(), format!("{n}\n"));
    }
    assert_eq!(guest.control.ping().operations, 0);
}
