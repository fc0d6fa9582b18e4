use super::config::Settings;
use super::profile::{Confidence, Profile};
use std::fmt;

/// One knob of a profile, under its real name.
#[derive(Clone, Copy, Debug)]
pub struct Sysctl {
    /// As `sysctl -a` shows it.
    pub name: &'static str,
    /// What its numbers count.
    pub unit: Unit,
    /// How many numbers it has, 1 to 3; 0 where it has a text.
    pub count: usize,
    /// Its default; the first `count` numbers mean something.
    pub default: Values,
    /// The least that each number may be.
    pub min: u64,
    /// The greatest.
    pub max: u64,
    /// Where default and bounds come from.
    pub source: &'static str,
    /// How sure they are.
    pub confidence: Confidence,
    /// What the profile lacks, so that this can only stay 0.
    pub lacks: Option<&'static str>,
    /// What it takes where that is no number; it has none then, and [`Sysctl::count`] is 0.
    pub text: Option<Text>,
    pub(super) set: fn(&mut Settings, Values),
}

/// A sysctl whose value is a text.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    /// What it looks like.
    pub expected: &'static str,
    /// What it is by default, in words.
    pub default: &'static str,
    /// Takes it; whether it looks so.
    pub(super) set: fn(&mut Settings, &str) -> bool,
}

/// The numbers of one sysctl.
pub type Values = [u64; 3];

/// What the numbers of a sysctl count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Plain numbers.
    Number,
    /// Off and on.
    Switch,
    /// Bytes.
    Bytes,
    /// Pages of 4096 bytes.
    Pages,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Microseconds.
    Microseconds,
    /// Nanoseconds.
    Nanoseconds,
    /// Hops.
    Hops,
    /// Port numbers.
    Port,
    /// Connections.
    Connections,
}

/// Why a sysctl cannot be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SysctlError {
    /// The profile has no such sysctl.
    Unknown {
        /// As it was written.
        name: String,
        /// The nearest one there is.
        nearest: &'static str,
        /// Whose.
        profile: Profile,
    },
    /// The profile has not what this would turn on.
    Lacking {
        /// Which sysctl.
        name: &'static str,
        /// As it was written.
        value: String,
        /// What is missing.
        lacks: &'static str,
        /// Whose.
        profile: Profile,
    },
    /// The value is not so many numbers in the range.
    Value {
        /// Which sysctl.
        name: &'static str,
        /// As it was written.
        value: String,
        /// How many numbers it takes.
        count: usize,
        /// The least.
        min: u64,
        /// The greatest.
        max: u64,
        /// What they count.
        unit: Unit,
    },
    /// The text does not look as it should.
    Text {
        /// Which sysctl.
        name: &'static str,
        /// As it was written.
        value: String,
        /// What it has to look like.
        expected: &'static str,
    },
    /// The numbers are not in ascending order.
    Order {
        /// Which sysctl.
        name: &'static str,
        /// As it was written.
        value: String,
    },
}

/// Sets every sysctl of `profile` to its default.
pub(super) fn set_defaults(profile: Profile, settings: &mut Settings) {
    for sysctl in profile.sysctls() {
        (sysctl.set)(settings, sysctl.default);
    }
    for behaviour in profile.behaviours() {
        (behaviour.set)(settings);
    }
}

/// Sets one sysctl from its text.
pub(super) fn set(profile: Profile, settings: &mut Settings, name: &str, value: &str) -> Result<(), SysctlError> {
    let sysctl = find(profile, name)?;
    if let Some(text) = sysctl.text {
        let mistake = SysctlError::Text { name: sysctl.name, value: value.to_owned(), expected: text.expected };
        return (text.set)(settings, value).then_some(()).ok_or(mistake);
    }
    let values = sysctl.read(profile, value)?;
    (sysctl.set)(settings, values);
    Ok(())
}

fn find(profile: Profile, name: &str) -> Result<&'static Sysctl, SysctlError> {
    // `sysctl` takes both separators.
    let dotted = name.replace('/', ".");
    let all = profile.sysctls();
    if let Some(found) = all.iter().find(|sysctl| sysctl.name == dotted) {
        return Ok(found);
    }
    let nearest = all.iter().min_by_key(|sysctl| strsim::damerau_levenshtein(sysctl.name, &dotted));
    let nearest = nearest.map_or("", |sysctl| sysctl.name);
    Err(SysctlError::Unknown { name: name.to_owned(), nearest, profile })
}

impl Sysctl {
    fn read(&self, profile: Profile, text: &str) -> Result<Values, SysctlError> {
        let (name, value) = (self.name, text.to_owned());
        let numbers: Result<Vec<u64>, _> = text.split_whitespace().map(str::parse).collect();
        let numbers = numbers.unwrap_or_default();
        let in_range = numbers.iter().all(|n| (self.min..=self.max).contains(n));
        if let (Some(lacks), false) = (self.lacks, in_range) {
            return Err(SysctlError::Lacking { name, value, lacks, profile });
        }
        if numbers.len() != self.count || !in_range {
            let Sysctl { count, min, max, unit, .. } = *self;
            return Err(SysctlError::Value { name, value, count, min, max, unit });
        }
        if !numbers.is_sorted() {
            return Err(SysctlError::Order { name, value });
        }
        let mut values = [0; 3];
        values[..self.count].copy_from_slice(&numbers);
        Ok(values)
    }
}

impl Unit {
    /// Behind a range: ` seconds`.
    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            Unit::Number | Unit::Switch | Unit::Port => "",
            Unit::Bytes => " bytes",
            Unit::Pages => " pages",
            Unit::Seconds => " seconds",
            Unit::Milliseconds => " milliseconds",
            Unit::Microseconds => " microseconds",
            Unit::Nanoseconds => " nanoseconds",
            Unit::Hops => " hops",
            Unit::Connections => " connections",
        }
    }
}

impl fmt::Display for SysctlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SysctlError::Unknown { name, nearest, profile } => {
                write!(f, "the profile `{profile}` has no sysctl `{name}`; the nearest is `{nearest}`")
            }
            SysctlError::Lacking { name, value, lacks, profile } => {
                write!(f, "`{name} = {value}`: it can only be 0, the profile `{profile}` has no {lacks}")
            }
            SysctlError::Value { name, value, count, min, max, unit } => {
                let what = match count {
                    1 => "a number".to_owned(),
                    n => format!("{n} numbers, each"),
                };
                write!(f, "`{name} = {value}`: expected {what} from {min} to {max}{}", unit.suffix())
            }
            SysctlError::Text { name, value, expected } => write!(f, "`{name} = {value}`: expected {expected}"),
            SysctlError::Order { name, value } => {
                write!(f, "`{name} = {value}`: expected numbers in ascending order")
            }
        }
    }
}

impl std::error::Error for SysctlError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::secs;

    fn settings() -> Settings {
        let mut settings = Settings::default();
        set_defaults(Profile::Rfc9293, &mut settings);
        settings
    }

    #[test]
    fn defaults_pass_their_own_check() {
        for sysctl in Profile::Rfc9293.sysctls() {
            let text: Vec<String> = sysctl.default[..sysctl.count].iter().map(u64::to_string).collect();
            assert!(sysctl.read(Profile::Rfc9293, &text.join(" ")).is_ok(), "{}", sysctl.name);
        }
    }

    #[test]
    fn values_reach_their_setting() {
        let mut settings = settings();
        for (name, value) in [
            ("net.ipv4.tcp_fin_timeout", "7"),
            ("net/ipv4/ip_local_port_range", "40000\t40002"),
            ("net.ipv4.tcp_rmem", "4096 8192 16384"),
        ] {
            set(Profile::Rfc9293, &mut settings, name, value).unwrap();
        }
        assert_eq!(settings.knobs.fin_wait2, Some(secs(7)));
        assert_eq!((settings.ports, settings.receive_buffer), ((40_000, 40_002), [4_096, 8_192, 16_384]));
    }

    #[test]
    fn a_text_has_its_own_shape() {
        let mut settings = Settings::default();
        set_defaults(Profile::Linux, &mut settings);
        assert_eq!(settings.fast_open_key, None);
        let name = "net.ipv4.tcp_fastopen_key";
        set(Profile::Linux, &mut settings, name, "1-2-3-4").unwrap();
        assert_eq!(settings.fast_open_key.unwrap().primary[..5], [1, 0, 0, 0, 2]);
        let error = set(Profile::Linux, &mut settings, name, "1-2-3").unwrap_err();
        assert_eq!(
            error.to_string(),
            "`net.ipv4.tcp_fastopen_key = 1-2-3`: expected one key or two with a comma between them, each of four \
             hexadecimal words: `1-2-3-4`"
        );
    }

    #[test]
    fn mistakes_are_named() {
        let cases = [
            (
                "net.ipv4.tcp_fin_timout",
                "7",
                "the profile `rfc9293` has no sysctl `net.ipv4.tcp_fin_timout`; the nearest is `net.ipv4.tcp_fin_timeout`",
            ),
            (
                "net.ipv4.tcp_fin_timeout",
                "0",
                "`net.ipv4.tcp_fin_timeout = 0`: expected a number from 1 to 86400 seconds",
            ),
            (
                "net.ipv4.tcp_sack",
                "1",
                "`net.ipv4.tcp_sack = 1`: it can only be 0, the profile `rfc9293` has no selective acknowledgments \
                 (RFC 2018)",
            ),
            (
                "net.ipv4.ip_local_port_range",
                "40000",
                "`net.ipv4.ip_local_port_range = 40000`: expected 2 numbers, each from 1 to 65535",
            ),
            (
                "net.ipv4.ip_local_port_range",
                "40002 40000",
                "`net.ipv4.ip_local_port_range = 40002 40000`: expected numbers in ascending order",
            ),
            ("net.ipv4.tcp_syn_retries", "six", "`net.ipv4.tcp_syn_retries = six`: expected a number from 0 to 127"),
        ];
        for (name, value, text) in cases {
            let error = set(Profile::Rfc9293, &mut settings(), name, value).unwrap_err();
            assert_eq!(error.to_string(), text);
        }
    }
}
