use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::model::HttpProbe;

/// Bytes of an answer's head, and of its body, that are looked at.
const MOST: usize = 64 << 10;

const HEADERS: usize = 64;

/// Sends a `GET`; fine when the status and the body are as the probe wants them. Has no deadline of its own.
pub(super) async fn get(address: SocketAddr, probe: &HttpProbe) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("GET {} at {address}: {error}", probe.path);
    let mut stream = TcpStream::connect(address).await.map_err(failed)?;
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: ostler\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        probe.path
    );
    stream.write_all(request.as_bytes()).await.map_err(failed)?;
    let mut answer = Vec::new();
    loop {
        let read = stream.read_buf(&mut answer).await.map_err(failed)?;
        let over = read == 0 || answer.len() >= 2 * MOST;
        if let Some(verdict) = judge(&answer, over, probe) {
            return verdict.map_err(|wrong| format!("GET {} at {address}: {wrong}", probe.path));
        }
    }
}

/// What an answer says so far; nothing while more of it could decide. `over` when no more comes.
fn judge(answer: &[u8], over: bool, probe: &HttpProbe) -> Option<Result<(), String>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let start = match head.parse(answer) {
        Ok(httparse::Status::Complete(start)) => start,
        Ok(httparse::Status::Partial) if over || answer.len() >= MOST => {
            return Some(Err("the answer ended within its head".to_owned()));
        }
        Ok(httparse::Status::Partial) => return None,
        Err(error) => return Some(Err(format!("not an answer of HTTP: {error}"))),
    };
    let status = head.code.unwrap_or_default();
    if !probe.status.contains(status) {
        return Some(Err(format!("status {status}, not {}", probe.status)));
    }
    let Some(wanted) = &probe.body else { return Some(Ok(())) };
    let header = |name: &str| {
        let found = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| std::str::from_utf8(header.value).ok())
    };
    let chunked =
        header("transfer-encoding").is_some_and(|coding| coding.to_ascii_lowercase().contains("chunked"));
    let length: Option<usize> = header("content-length").and_then(|length| length.trim().parse().ok());
    let sent = answer.get(start..).unwrap_or_default();
    let (body, whole) =
        if chunked { dechunked(sent) } else { (sent.to_vec(), length.is_some_and(|all| sent.len() >= all)) };
    let looked_at = body.get(..MOST).unwrap_or(&body);
    if looked_at.windows(wanted.len()).any(|part| part == wanted.as_bytes()) {
        return Some(Ok(()));
    }
    let all_seen = over || whole || body.len() >= MOST;
    all_seen.then(|| Err(format!("no {wanted:?} in the answer's body")))
}

/// The content of a body in chunks, as far as it is there, and whether that is all.
fn dechunked(mut sent: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Ok(httparse::Status::Complete((start, size))) = httparse::parse_chunk_size(sent) else {
            return (body, false);
        };
        if size == 0 {
            return (body, true);
        }
        let rest = sent.get(start..).unwrap_or_default();
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let Some(chunk) = rest.get(..size) else {
            body.extend_from_slice(rest);
            return (body, false);
        };
        body.extend_from_slice(chunk);
        // A chunk ends with a line break.
        sent = rest.get(size.saturating_add(2)..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::StatusRange;

    fn probe(body: Option<&str>) -> HttpProbe {
        HttpProbe { body: body.map(str::to_owned), ..HttpProbe::default() }
    }

    #[test]
    fn a_status_is_enough_when_no_body_is_wanted() {
        let judged = |answer: &str| judge(answer.as_bytes(), false, &probe(None));
        assert_eq!(judged("HTTP/1.1 204 No"), None);
        assert_eq!(judged("HTTP/1.1 204 No Content\r\n\r\n"), Some(Ok(())));
        assert_eq!(judged("HTTP/1.1 503 Busy\r\n\r\n"), Some(Err("status 503, not 200-399".to_owned())));
        assert!(matches!(judged("SSH-2.0-OpenSSH_9.2\r\n"), Some(Err(_))));
        let only = HttpProbe { status: StatusRange { low: 204, high: 204 }, ..probe(None) };
        assert!(judge(b"HTTP/1.1 200 OK\r\n\r\n", false, &only).is_some_and(|verdict| verdict.is_err()));
    }

    #[test]
    fn a_body_is_looked_at_as_it_comes() {
        let judged = |answer: &str, over| judge(answer.as_bytes(), over, &probe(Some("fine")));
        let lacking = Some(Err("no \"fine\" in the answer's body".to_owned()));
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n";
        assert_eq!(judged(&format!("{head}all "), false), None);
        assert_eq!(judged(&format!("{head}all fine"), false), Some(Ok(())));
        assert_eq!(judged(&format!("{head}all wrong"), false), lacking);
        assert_eq!(judged("HTTP/1.0 200 OK\r\n\r\nall", false), None);
        assert_eq!(judged("HTTP/1.0 200 OK\r\n\r\nall", true), lacking);
    }

    #[test]
    fn chunks_are_put_together() {
        let judged = |answer: &str| judge(answer.as_bytes(), false, &probe(Some("fine")));
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(judged(&format!("{head}2\r\nfi")), None);
        assert_eq!(judged(&format!("{head}2\r\nfi\r\n2\r\nne\r\n")), Some(Ok(())));
        assert!(judged(&format!("{head}2\r\nfi\r\n0\r\n\r\n")).is_some_and(|verdict| verdict.is_err()));
        assert_eq!(judged(&format!("{head}ffffffffffffffff\r\nfi")), None);
    }

    #[test]
    fn an_endless_answer_is_cut_off() {
        let endless = "x".repeat(MOST);
        let head = format!("HTTP/1.1 200 OK\r\nx: {endless}");
        assert!(judge(head.as_bytes(), false, &probe(None)).is_some_and(|verdict| verdict.is_err()));
        let body = format!("HTTP/1.1 200 OK\r\n\r\n{endless}fine");
        assert!(judge(body.as_bytes(), false, &probe(Some("fine"))).is_some_and(|verdict| verdict.is_err()));
    }
}
