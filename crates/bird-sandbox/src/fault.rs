//! What goes wrong on purpose.

use std::fmt;
use std::str::FromStr;

/// What goes wrong, with which requests, and how often: `METHOD:KIND[xTIMES][@AFTER]`.
///
/// | kind | the request is processed | the answer |
/// |---|---|---|
/// | `300` to `599` | no | that status |
/// | `reset` | no | none: the connection is reset |
/// | `hang` | no | none, ever |
/// | `lost` | **yes** | none: the connection is closed |
/// | `garbage` | **yes** | a success whose body cannot be read |
///
/// `post:503x2` answers the first two POSTs with 503; `get:reset@3` lets three GETs pass and resets the
/// connection of the fourth. `lost` is the dangerous one: the connector exists and nobody was told.
/// `random:SEED:PERCENT` lets so many of all requests go wrong, the same ones for the same seed and order
/// of requests; none of them hangs.
///
/// Of several faults that are due, a request meets the one that was given first.
///
/// ```
/// let fault: bird_sandbox::Fault = "post:503x2".parse()?;
/// assert_eq!(fault.to_string(), "post:503x2");
/// # Ok::<(), bird_sandbox::ParseFaultError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(pub(crate) Plan);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    First { method: Method, kind: Kind, times: u32, after: u32 },
    Random { seed: u64, percent: u8 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Status(u16),
    Reset,
    Hang,
    Lost,
    Garbage,
}

/// Why a text is not a [`Fault`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not a fault such as `post:503x2`, `get:reset`, `post:lost`, `post:garbage`, `get:hang` or \
     `random:7:20`"
)]
pub struct ParseFaultError;

impl Fault {
    /// Lets `percent` of all requests go wrong, at most all of them: `random:SEED:PERCENT`.
    #[must_use]
    pub fn random(seed: u64, percent: u8) -> Self {
        Self(Plan::Random { seed, percent: percent.min(100) })
    }
}

impl FromStr for Fault {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Result<Self, ParseFaultError> {
        let (method, what) = text.split_once(':').ok_or(ParseFaultError)?;
        if method == "random" {
            let (seed, percent) = what.split_once(':').ok_or(ParseFaultError)?;
            let seed = seed.parse().map_err(|_| ParseFaultError)?;
            let percent = percent.parse().map_err(|_| ParseFaultError)?;
            if percent > 100 {
                return Err(ParseFaultError);
            }
            return Ok(Self(Plan::Random { seed, percent }));
        }
        let method = match method {
            "get" => Method::Get,
            "post" => Method::Post,
            _ => return Err(ParseFaultError),
        };
        let (what, after) = match what.split_once('@') {
            Some((what, after)) => (what, after.parse().map_err(|_| ParseFaultError)?),
            None => (what, 0),
        };
        let (kind, times) = match what.rsplit_once('x') {
            Some((kind, times)) => (kind, times.parse().map_err(|_| ParseFaultError)?),
            None => (what, 1),
        };
        let kind = match kind {
            "reset" => Kind::Reset,
            "hang" => Kind::Hang,
            "lost" => Kind::Lost,
            "garbage" => Kind::Garbage,
            status => match status.parse() {
                Ok(status @ 300..=599) => Kind::Status(status),
                _ => return Err(ParseFaultError),
            },
        };
        Ok(Self(Plan::First { method, kind, times, after }))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (method, kind, times, after) = match self.0 {
            Plan::Random { seed, percent } => return write!(f, "random:{seed}:{percent}"),
            Plan::First { method, kind, times, after } => (method, kind, times, after),
        };
        f.write_str(match method {
            Method::Get => "get:",
            Method::Post => "post:",
        })?;
        match kind {
            Kind::Status(status) => write!(f, "{status}")?,
            Kind::Reset => f.write_str("reset")?,
            Kind::Hang => f.write_str("hang")?,
            Kind::Lost => f.write_str("lost")?,
            Kind::Garbage => f.write_str("garbage")?,
        }
        if times != 1 {
            write!(f, "x{times}")?;
        }
        if after != 0 {
            write!(f, "@{after}")?;
        }
        Ok(())
    }
}

/// The faults that are still to come.
#[derive(Debug)]
pub(crate) struct Faults {
    first: Vec<First>,
    gets: u32,
    posts: u32,
    random: Vec<(fastrand::Rng, u8)>,
}

#[derive(Debug)]
struct First {
    method: Method,
    kind: Kind,
    left: u32,
    after: u32,
}

impl Faults {
    pub(crate) fn new(faults: &[Fault]) -> Self {
        let (mut first, mut random) = (Vec::new(), Vec::new());
        for Fault(plan) in faults {
            match *plan {
                Plan::First { method, kind, times, after } => {
                    first.push(First { method, kind, left: times, after });
                }
                Plan::Random { seed, percent } => {
                    random.push((fastrand::Rng::with_seed(seed), percent));
                }
            }
        }
        Self { first, gets: 0, posts: 0, random }
    }

    /// What goes wrong with this request.
    pub(crate) fn next(&mut self, method: Method) -> Option<Kind> {
        let count = match method {
            Method::Get => &mut self.gets,
            Method::Post => &mut self.posts,
        };
        let before = *count;
        *count = count.saturating_add(1);
        for fault in &mut self.first {
            if fault.method == method && fault.after <= before && fault.left > 0 {
                fault.left -= 1;
                return Some(fault.kind);
            }
        }
        for (rng, percent) in &mut self.random {
            if rng.u8(0..100) < *percent {
                const KINDS: [Kind; 6] = [
                    Kind::Status(500),
                    Kind::Status(503),
                    Kind::Status(429),
                    Kind::Reset,
                    Kind::Lost,
                    Kind::Garbage,
                ];
                return Some(KINDS[rng.usize(..KINDS.len())]);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_prints_as_it_was_written() {
        for text in
            ["post:503x2@4", "get:302", "get:reset@3", "post:lost", "post:garbagex3", "random:7:20"]
        {
            assert_eq!(text.parse::<Fault>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_fault_is_refused() {
        for text in [
            "",
            "post",
            "put:503",
            "post:200",
            "post:503x",
            "post:503@",
            "post:503@1x2",
            "post:what",
            "random:1",
            "random:1:101",
        ] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_fault_happens_as_often_as_it_says_and_to_its_method_alone() {
        let mut faults = Faults::new(&["post:503x2".parse().unwrap()]);
        assert_eq!(faults.next(Method::Get), None);
        assert_eq!(faults.next(Method::Post), Some(Kind::Status(503)));
        assert_eq!(faults.next(Method::Post), Some(Kind::Status(503)));
        assert_eq!(faults.next(Method::Post), None);
    }

    #[test]
    fn a_fault_lets_as_many_requests_pass_as_it_says() {
        let mut faults =
            Faults::new(&["get:503@1".parse().unwrap(), "get:hang@3".parse().unwrap()]);
        let seen = [(); 5].map(|()| faults.next(Method::Get));
        assert_eq!(seen, [None, Some(Kind::Status(503)), None, Some(Kind::Hang), None]);
    }

    #[test]
    fn random_faults_are_the_same_for_the_same_seed() {
        let faults = || {
            let mut faults = Faults::new(&["random:7:20".parse().unwrap()]);
            (0..1000).map(|_| faults.next(Method::Get)).collect::<Vec<_>>()
        };
        assert_eq!(faults(), faults());
        let some = faults().iter().flatten().count();
        assert!((100..300).contains(&some), "{some} of 1000 at 20 %");
    }
}
