//! What a spec may ask for and not every engine has. Docker passes over an `AppArmor` profile where the kernel has no
//! `AppArmor`, Podman over GPUs: who asked for them and has a container without is worse off than with none.

use bollard::models::{ContainerInspectResponse, SystemInfo};

use super::Shared;
use super::client::{Engine, EngineError, QUICK};
use super::container::Container;
use crate::model::Gpus;

/// What takes no `AppArmor` to have.
const UNCONFINED: &str = "unconfined";

impl Shared {
    /// Before the first launch: what an engine says of itself.
    pub(super) async fn has_apparmor(&self, engine: &Engine) -> Result<(), EngineError> {
        let Some(profile) = self.spec.apparmor.as_deref().filter(|profile| *profile != UNCONFINED) else {
            return Ok(());
        };
        let client = engine.client().await?;
        if lacks_apparmor(&engine.within(QUICK, client.info()).await?) {
            let address = engine.address();
            let why = format!("container.apparmor = \"{profile}\": the engine at {address} has no AppArmor");
            return Err(EngineError::Lacking(why));
        }
        Ok(())
    }

    /// Before a start: what an engine has noted.
    pub(super) async fn has_gpus(&self, container: &Container) -> Result<(), EngineError> {
        if self.spec.gpus == Gpus::None {
            return Ok(());
        }
        let engine = container.engine();
        let client = engine.client().await?;
        let noted = engine.within(QUICK, client.inspect_container(container.id(), None)).await?;
        if has_devices(&noted) { Ok(()) } else { Err(self.no_gpus("it passes over them")) }
    }

    /// An error of a start, with the key that is the cause of it.
    pub(super) fn blamed(&self, error: EngineError) -> EngineError {
        match error {
            EngineError::Refused { message, .. } if self.spec.gpus != Gpus::None && is_of_gpus(&message) => {
                self.no_gpus(&message)
            }
            error => error,
        }
    }

    fn no_gpus(&self, why: &str) -> EngineError {
        EngineError::Lacking(format!(
            "container.gpus = \"{}\": this engine gives none: {why}",
            self.spec.gpus
        ))
    }
}

/// One that says nothing of how it confines may have it.
fn lacks_apparmor(info: &SystemInfo) -> bool {
    let said = info.security_options.as_deref().unwrap_or_default();
    !said.is_empty() && !said.iter().any(|option| option.starts_with("name=apparmor"))
}

fn has_devices(noted: &ContainerInspectResponse) -> bool {
    noted.host_config.as_ref().is_some_and(|host| {
        host.device_requests.as_ref().is_some_and(|requests| !requests.is_empty())
            || host.devices.as_ref().is_some_and(|devices| !devices.is_empty())
    })
}

fn is_of_gpus(message: &str) -> bool {
    ["gpu", "nvidia", "cdi"].iter().any(|word| message.to_lowercase().contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_says_what_it_confines_with() {
        let says = |options: &[&str]| {
            let options = options.iter().map(ToString::to_string).collect();
            lacks_apparmor(&SystemInfo { security_options: Some(options), ..SystemInfo::default() })
        };
        assert!(says(&["name=seccomp,profile=default"]));
        assert!(!says(&["name=apparmor", "name=seccomp,profile=default"]));
        assert!(!says(&[]));
        assert!(!lacks_apparmor(&SystemInfo::default()));
    }

    #[test]
    fn devices_are_asked_for_in_one_way_or_the_other() {
        let noted = |host: &str| {
            has_devices(&serde_json::from_str(&format!(r#"{{"HostConfig":{host}}}"#)).expect("sound"))
        };
        assert!(noted(r#"{"DeviceRequests":[{"Count":-1,"Capabilities":[["gpu"]]}]}"#));
        assert!(noted(r#"{"Devices":[{"PathOnHost":"/dev/nvidia0"}],"DeviceRequests":null}"#));
        assert!(!noted(r#"{"DeviceRequests":null,"Devices":[]}"#));
        assert!(is_of_gpus(r#"could not select device driver "" with capabilities: [[gpu]]"#));
        assert!(!is_of_gpus("no such file or directory"));
    }
}
