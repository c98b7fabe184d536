//! The host's end as a whole: a link with a read, a command and a listing under way, and a guest that says
//! anything and hangs up. Every operation is answered and nothing is left of it.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use ostler::guest::{Defaults, Exec, Link, Session, Wire};
use ostler::model::Epoch;

/// More would not fit the socket while nobody reads.
const MOST: usize = 64 << 10;

/// Takes the bytes for what the guest says.
pub(crate) fn run(data: &[u8]) {
    let data = data.get(..MOST).unwrap_or(data);
    super::runtime().block_on(async {
        let (mine, theirs) = UnixStream::pair().expect("a pair");
        let link = Link::new(mine).expect("a link");
        link.begin(Epoch(1));
        let session = Session::new(Arc::clone(&link) as _, Epoch(1), Arc::new(Defaults::default()));
        let all = async {
            tokio::join!(session.read("a"), session.exec(Exec::new("b")), session.list("c"), async {
                (&theirs).write_all(data).expect("it fits");
                theirs.shutdown(std::net::Shutdown::Write).expect("it is open");
            })
        };
        let answered = tokio::time::timeout(Duration::from_secs(20), all).await;
        assert!(answered.is_ok(), "an operation was never answered");
        assert_eq!(link.operations(), 0);
    });
}
