//! Unpacking: any bytes for a tar, which is laid out or refused, and never outside of its directory.

/// Takes the bytes for a tar.
pub(crate) fn run(data: &[u8]) {
    super::runtime().block_on(async {
        let (mut launched, session) = super::lease().await;
        session.write("outside", b"mine").await.expect("written");
        // Whether it is a tar is not the question.
        let _ = session.copy_in("in", data).await.is_ok();
        assert_eq!(session.read("outside").await.expect("still there"), b"mine");
        launched.instance.destroy().await.expect("ends");
    });
}
