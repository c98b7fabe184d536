//! The way in where the engine shares our file system: the guest is mounted, and connects to a socket that is mounted
//! too.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use super::container::Container;
use super::create::{Entry, GUEST, SOCKET};
use super::entry::Way;
use super::exit::{self, Watch};
use super::launch::{ANSWER, Entered, Failure};
use super::output::with_last_words;
use super::parts::Parts;
use super::site::Site;
use crate::backend::{BackendError, Launch, Launched};
use crate::guest::{Doorway, Visitor, connect_container};

/// Before a guest that has not come is asked for at the engine.
const USUALLY: Duration = Duration::from_millis(300);

impl Shared {
    pub(super) async fn by_link(
        &self,
        site: &Site,
        launch: &Launch,
        parts: &Parts,
        patience: Duration,
    ) -> Result<Launched, Failure> {
        let no_room = |error: io::Error| Failure::from(BackendError::passing(parts.step("prepare"), error));
        let room = site.ground.room(&parts.name).map_err(no_room)?;
        let doorway = Doorway::open(room.short_path(SOCKET)).map_err(no_room)?;
        let program = site.ground.program();
        let entry = Entry::Link { program: &program, directory: &room.path };
        let reserved = self.reserve(site, parts)?;
        let body = self.body(site, launch, parts, entry, &reserved);
        // What an engine says that does not find what it should mount has our path in it, which nothing else has, or
        // the guest's: Podman makes what it does not find, a directory, and that can't be run.
        let is_ours =
            |text: String| text.contains(&*site.ground.path().to_string_lossy()) || text.contains(GUEST);
        let (container, news) = self.create(site, parts, body).await.map_err(|error| {
            let no_way_in = is_ours(error.to_string());
            Failure { error: error.at(parts.step("create")), no_way_in }
        })?;
        if let Err(error) = self.start(&container).await {
            let no_way_in = is_ours(error.to_string());
            make_way(&container).await;
            return Err(Failure { error: error.at(parts.step("start")), no_way_in });
        }
        let visitor = match admit(doorway, &container, patience).await {
            Ok(visitor) => visitor,
            Err(why) => {
                let why = with_last_words(why, &container, &parts.journal).await;
                make_way(&container).await;
                let error = BackendError::passing(parts.step("enter"), why);
                return Err(Failure { error, no_way_in: true });
            }
        };
        drop(room);
        let Visitor { control, data, pid, .. } = visitor;
        // Watched from before it is set up, lest its pid come to mean another.
        let watch = Watch::new(Arc::clone(&site.engine), container.id().to_owned(), pid, news);
        match connect_container(control, data, &parts.setup, ANSWER).await {
            Ok(guest) => {
                let journal = Arc::clone(&parts.journal);
                let entered = Entered { container, reserved, pid, watch, guest, journal, way: Way::Link };
                Ok(self.finish(site, parts, entered).await?)
            }
            Err(error) => {
                let why = crate::backend::with_causes(&error);
                let why = with_last_words(why, &container, &parts.journal).await;
                Err(BackendError::passing(parts.step("set up"), why).into())
            }
        }
    }
}

/// Frees the container's name for one that is entered otherwise.
async fn make_way(container: &Container) {
    // Dropped, it is removed again if it has to be.
    drop(container.removal().await);
}

/// Waits for the guest to come in, or for its container to end instead.
async fn admit(doorway: Doorway, container: &Container, patience: Duration) -> Result<Visitor, String> {
    let mut coming = std::pin::pin!(doorway.admit(patience));
    loop {
        tokio::select! {
            came = &mut coming => return came.map_err(|error| match error.kind() {
                io::ErrorKind::TimedOut => format!("its guest did not come in within {patience:?}"),
                _ => format!("its guest did not come in: {error}"),
            }),
            () = tokio::time::sleep(USUALLY) => {}
        }
        match exit::inspect(container.engine(), container.id()).await {
            Ok(state) if !exit::is_running(&state) => {
                return Err(format!("it ended: {}", exit::cause(&state, false)));
            }
            Ok(_) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
}
