use std::fmt;
use std::str::FromStr;

/// What goes wrong, with which requests, and how often: `METHOD:KIND` or `METHOD:KINDxTIMES`.
///
/// | kind | the request is processed | the answer |
/// |---|---|---|
/// | `400` to `599` | no | that status |
/// | `reset` | no | none: the connection is reset |
/// | `hang` | no | none, ever |
/// | `lost` | **yes** | none: the connection is closed |
/// | `garbage` | **yes** | a success whose body cannot be read |
///
/// `post:503x2` answers the first two POSTs with 503; `get:reset` resets the connection of the first GET.
/// `random:SEED:PERCENT` lets so many of all requests go wrong, the same ones for the same seed and order
/// of requests.
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
    First { method: Method, kind: Kind, times: u32 },
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
                Ok(status @ 400..=599) => Kind::Status(status),
                _ => return Err(ParseFaultError),
            },
        };
        Ok(Self(Plan::First { method, kind, times }))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (method, kind, times) = match self.0 {
            Plan::Random { seed, percent } => return write!(f, "random:{seed}:{percent}"),
            Plan::First { method, kind, times } => (method, kind, times),
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
        if times == 1 { Ok(()) } else { write!(f, "x{times}") }
    }
}

/// The faults that are still to come.
#[derive(Debug)]
pub(crate) struct Faults {
    first: Vec<(Method, Kind, u32)>,
    random: Vec<(fastrand::Rng, u8)>,
}

impl Faults {
    pub(crate) fn new(faults: &[Fault]) -> Self {
        let (mut first, mut random) = (Vec::new(), Vec::new());
        for Fault(plan) in faults {
            match *plan {
                Plan::First { method, kind, times } => first.push((method, kind, times)),
                Plan::Random { seed, percent } => {
                    random.push((fastrand::Rng::with_seed(seed), percent));
                }
            }
        }
        Self { first, random }
    }

    /// What goes wrong with this request.
    pub(crate) fn next(&mut self, method: Method) -> Option<Kind> {
        for (of, kind, times) in &mut self.first {
            if *of == method && *times > 0 {
                *times -= 1;
                return Some(*kind);
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
            ["post:503x2", "get:reset", "post:lost", "post:garbagex3", "get:hang", "random:7:20"]
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
