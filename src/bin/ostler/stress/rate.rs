use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How often a fault comes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rate {
    /// So many each second of the run's clock, at random moments.
    PerSecond(f64),
    /// So many for each thousand leases.
    PerThousand(f64),
}

impl Rate {
    /// How long until the next one, on average; nothing when leases decide.
    pub(crate) fn pause(self) -> Option<Duration> {
        match self {
            Self::PerSecond(rate) => Duration::try_from_secs_f64(1.0 / rate).ok(),
            Self::PerThousand(_) => None,
        }
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || format!("{text:?} is no rate; write 5/s, or 10/1000 for each thousand leases");
        let (number, unit) = text.trim().split_once('/').unwrap_or((text.trim(), "s"));
        let number: f64 = number.trim().parse().map_err(|_| wanted())?;
        if !(number > 0.0 && number <= 1000.0) {
            return Err(format!("{number} is not above 0 and at most 1000"));
        }
        match unit.trim() {
            "s" => Ok(Self::PerSecond(number)),
            "1000" => Ok(Self::PerThousand(number)),
            _ => Err(wanted()),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PerSecond(rate) => write!(f, "{rate}/s"),
            Self::PerThousand(rate) => write!(f, "{rate}/1000"),
        }
    }
}

/// Seeds to run with, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seeds {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            text.trim()
                .parse::<u64>()
                .map_err(|_| format!("{text:?} is no seed; write 7, or 1..20 for each of these"))
        };
        let (first, last) = match text.split_once("..") {
            Some((first, last)) => (number(first)?, number(last.trim_start_matches('='))?),
            None => (number(text)?, number(text)?),
        };
        if first > last {
            return Err(format!("{first} is above {last}"));
        }
        Ok(Self { first, last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_per_second_or_per_thousand() {
        assert_eq!("5/s".parse(), Ok(Rate::PerSecond(5.0)));
        assert_eq!("0.5".parse(), Ok(Rate::PerSecond(0.5)));
        assert_eq!("20/1000".parse(), Ok(Rate::PerThousand(20.0)));
        for bad in ["0/s", "-1", "5/m", "nan", "often"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_range_of_seeds_has_both_its_ends() {
        assert_eq!("1..20".parse(), Ok(Seeds { first: 1, last: 20 }));
        assert_eq!("7".parse(), Ok(Seeds { first: 7, last: 7 }));
        for bad in ["", "2..1", "x", "1.."] {
            assert!(bad.parse::<Seeds>().is_err(), "{bad}");
        }
    }
}
