//! Profiles: what one system does, as data. A profile is a table of sysctls with their defaults, and a table of named
//! behaviours; each line says where it comes from and how sure that is.

mod freebsd;
mod linux;
mod rfc9293;
mod table;
mod windows;

use super::config::Settings;
use super::sysctl::Sysctl;
use std::fmt;

/// Whose behaviour and defaults a host has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Profile {
    /// RFC 9293 and the RFCs that it requires, with their numbers; sysctls under their Linux names.
    Rfc9293,
    /// Linux 6.18.
    #[default]
    Linux,
    /// FreeBSD 14.
    FreeBsd,
    /// Windows 11, of which little is published: most of it is marked as unverified.
    Windows,
}

/// How sure a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confidence {
    /// Read in the specification or the source.
    Specified,
    /// Seen in a recording of the system itself.
    Recorded,
    /// Said by documentation, or by an issue's text.
    Documented,
    /// From memory: not to be relied on.
    Unverified,
    /// Our own choice, where the specification leaves one.
    Chosen,
}

/// One behaviour that is no sysctl.
#[derive(Clone, Copy, Debug)]
pub struct Behaviour {
    /// Its name. `RST in TIME-WAIT`, `SYN, data in SYN-RECEIVED, ESTABLISHED`, `URG in any state` is about segments
    /// in states; a [`matrix::Diff`](crate::matrix::Diff) cites it where two profiles differ there.
    pub name: &'static str,
    /// What the host does.
    pub value: &'static str,
    /// Where that is written.
    pub source: &'static str,
    /// How sure it is.
    pub confidence: Confidence,
    pub(super) set: fn(&mut Settings),
}

/// There is no such profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownProfile(pub String);

impl Profile {
    /// Every profile there is.
    pub const ALL: [Profile; 4] = [Profile::Rfc9293, Profile::Linux, Profile::FreeBsd, Profile::Windows];

    /// As files and traces write it.
    pub const fn name(self) -> &'static str {
        match self {
            Profile::Rfc9293 => "rfc9293",
            Profile::Linux => "linux",
            Profile::FreeBsd => "freebsd",
            Profile::Windows => "windows",
        }
    }

    /// The profile with this name.
    pub fn from_name(name: &str) -> Result<Profile, UnknownProfile> {
        let found = Profile::ALL.into_iter().find(|profile| profile.name() == name);
        found.ok_or_else(|| UnknownProfile(name.to_owned()))
    }

    /// Its sysctls with their defaults, in the order of their names.
    pub const fn sysctls(self) -> &'static [Sysctl] {
        match self {
            Profile::Rfc9293 => rfc9293::SYSCTLS,
            Profile::Linux => linux::SYSCTLS,
            Profile::FreeBsd => freebsd::SYSCTLS,
            Profile::Windows => windows::SYSCTLS,
        }
    }

    /// What it does beyond its sysctls.
    pub const fn behaviours(self) -> &'static [Behaviour] {
        match self {
            Profile::Rfc9293 => rfc9293::BEHAVIOURS,
            Profile::Linux => linux::BEHAVIOURS,
            Profile::FreeBsd => freebsd::BEHAVIOURS,
            Profile::Windows => windows::BEHAVIOURS,
        }
    }

    /// Whether its timers stand in Linux's timer wheel: only there [`HostConfig::hz`](crate::host::HostConfig::hz) and
    /// [`HostConfig::timers`](crate::host::HostConfig::timers) mean something.
    pub fn has_timer_wheel(self) -> bool {
        let mut settings = Settings::default();
        self.behaviours().iter().for_each(|behaviour| (behaviour.set)(&mut settings));
        settings.wheel
    }
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Confidence::Specified => "specified",
            Confidence::Recorded => "recorded",
            Confidence::Documented => "documented",
            Confidence::Unverified => "unverified",
            Confidence::Chosen => "chosen",
        })
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for UnknownProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = Profile::ALL.iter().map(|profile| format!("`{profile}`")).collect();
        write!(f, "there is no profile `{}`; there are {}", self.0, names.join(", "))
    }
}

impl std::error::Error for UnknownProfile {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_find_their_profile_and_nothing_else_does() {
        for profile in Profile::ALL {
            assert_eq!(Profile::from_name(profile.name()), Ok(profile));
        }
        let error = Profile::from_name("minix").unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no profile `minix`; there are `rfc9293`, `linux`, `freebsd`, `windows`"
        );
    }

    #[test]
    fn every_line_is_in_order_and_has_a_source() {
        for profile in Profile::ALL {
            let names: Vec<_> = profile.sysctls().iter().map(|sysctl| sysctl.name).collect();
            assert!(names.is_sorted(), "{names:?}");
            assert!(profile.sysctls().iter().all(|sysctl| !sysctl.source.is_empty()));
            assert!(profile.behaviours().iter().all(|behaviour| !behaviour.source.is_empty()));
        }
    }
}
