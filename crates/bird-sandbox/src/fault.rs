//! Faults: failures that the sandbox injects.

use std::fmt;
use std::str::FromStr;

/// A failure to inject: `METHOD:KIND[xTIMES][@AFTER]` or `random:SEED:PERCENT`.
///
/// | kind | the request is processed | response |
/// |---|---|---|
/// | `300` to `599` | no | this status |
/// | `reset` | no | none: the connection is reset |
/// | `hang` | no | none: the connection stays open |
/// | `lost` | **yes** | none: the connection is closed |
/// | `garbage` | **yes** | a success with a body that is not JSON |
///
/// `post:503x2` fails the first two POSTs with 503. `get:reset@3` passes three GETs and resets the connection
/// of the fourth. After a `post:lost` the connector exists, but the client has no response that says so.
///
/// `random:SEED:PERCENT` fails this percentage of all requests with random kinds other than `hang`. The same
/// seed and the same order of requests give the same failures.
///
/// When several faults apply to a request, the one that was added first is injected.
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
    Counted { method: Method, kind: Kind, times: u32, after: u32 },
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

/// The error of parsing a text that is not a [`Fault`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected METHOD:KIND[xTIMES][@AFTER] with the method get or post and the kind 300 to 599, reset, hang, \
     lost or garbage, or random:SEED:PERCENT"
)]
pub struct ParseFaultError;

impl Fault {
    /// Creates the fault `random:SEED:PERCENT`. A `percent` above 100 counts as 100.
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
        Ok(Self(Plan::Counted { method, kind, times, after }))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (method, kind, times, after) = match self.0 {
            Plan::Random { seed, percent } => return write!(f, "random:{seed}:{percent}"),
            Plan::Counted { method, kind, times, after } => (method, kind, times, after),
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

/// The faults of a sandbox with the requests that they have counted.
#[derive(Debug)]
pub(crate) struct Faults {
    counted: Vec<Counted>,
    gets: u32,
    posts: u32,
    random: Vec<(fastrand::Rng, u8)>,
}

#[derive(Debug)]
struct Counted {
    method: Method,
    kind: Kind,
    remaining: u32,
    after: u32,
}

impl Faults {
    pub(crate) fn new(faults: &[Fault]) -> Self {
        let (mut counted, mut random) = (Vec::new(), Vec::new());
        for Fault(plan) in faults {
            match *plan {
                Plan::Counted { method, kind, times, after } => {
                    counted.push(Counted { method, kind, remaining: times, after });
                }
                Plan::Random { seed, percent } => {
                    random.push((fastrand::Rng::with_seed(seed), percent));
                }
            }
        }
        Self { counted, gets: 0, posts: 0, random }
    }

    /// Counts a request and returns the failure to inject, if any.
    pub(crate) fn next(&mut self, method: Method) -> Option<Kind> {
        let count = match method {
            Method::Get => &mut self.gets,
            Method::Post => &mut self.posts,
        };
        let before = *count;
        *count = count.saturating_add(1);
        for fault in &mut self.counted {
            if fault.method == method && fault.after <= before && fault.remaining > 0 {
                fault.remaining -= 1;
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
    fn a_text_that_is_not_a_fault_is_refused() {
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
    fn a_fault_is_injected_the_given_number_of_times_for_its_method_alone() {
        let mut faults = Faults::new(&["post:503x2".parse().unwrap()]);
        assert_eq!(faults.next(Method::Get), None);
        assert_eq!(faults.next(Method::Post), Some(Kind::Status(503)));
        assert_eq!(faults.next(Method::Post), Some(Kind::Status(503)));
        assert_eq!(faults.next(Method::Post), None);
    }

    #[test]
    fn a_fault_passes_the_given_number_of_requests_first() {
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
