//! Faults: failures that the sandbox injects.

use std::fmt;
use std::str::FromStr;

use hyper::Method;
use serde::Serialize;
use uuid::Uuid;

/// A failure to inject: `METHOD:KIND[xTIMES][@AFTER][#PHONE_NUMBER_ID]` or `random:SEED:PERCENT[#PHONE_NUMBER_ID]`.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use bird_sandbox::Fault;
/// use bird_sms::ConnectorState;
///
/// let fault: Fault = "post:422".parse()?; // the first POST gets a 422
/// # let sandbox = bird_sandbox::Sandbox::builder().fault(fault).in_memory();
/// # let transport = sandbox.transport();
/// # let key = sandbox.access_key();
/// # let id = sandbox.workspace_id();
/// # let workspace = bird_sms::test_util::workspace(transport, key, id);
/// # let number = bird_sms::uuid::Uuid::from_u128(1).into();
/// let error = workspace.install_sms_channel("My SMS channel", number).await.unwrap_err();
/// assert_eq!(error.connector_state(), ConnectorState::NotCreated);
/// # Ok(())
/// # }
/// ```
///
/// | kind | the request is processed | response |
/// |---|---|---|
/// | `300` to `599` | no | this status, with the body that Bird or a gateway sends with it |
/// | `reset` | no | none: the connection is reset |
/// | `hang` | no | none: the connection stays open |
/// | `lost` | **yes** | none: the connection is closed |
/// | `garbage` | **yes** | a success with a body that is not JSON |
/// | `cut` | **yes** | the first half of the body, and then the connection is closed |
///
/// `post:503x2` fails the first two POSTs with 503. `get:reset@3` passes three GETs and resets the connection of the fourth.
/// After a `post:lost`, the connector exists, but the client gets no response. A fault counts requests from the moment it
/// is added, including requests that another fault fails.
///
/// `post:409#2cffb55c-120e-91a8-8f10-ed9d1b412d29` fails the first POST whose body has this phone number id. For a GET,
/// the phone number id of the connector counts.
///
/// `random:SEED:PERCENT` fails this percentage of all requests, each with a random kind: 429, 500, 503, `reset`, `lost`
/// or `garbage`. The same seed and the same order of requests give the same failures.
///
/// If several faults apply to a request, the one that was added first is injected.
///
/// A response with a status that the contract documents has the body of the contract's example. A response with 502,
/// 504 or 520 to 530 has the HTML of a gateway.
#[derive(Clone, Debug)]
pub struct Fault {
    text: String,
    /// The phone number id that a request must be about, in lower case.
    phone_number_id: Option<String>,
    plan: Plan,
}

/// A fault that is active in a sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ActiveFault {
    /// The id of the fault, for [`Sandbox::remove_fault`](crate::Sandbox::remove_fault).
    pub id: u64,
    /// The fault, as it was written.
    pub fault: String,
    /// How many more requests it fails, or `None` for a random fault.
    pub remaining: Option<u32>,
}

#[derive(Clone, Debug)]
enum Plan {
    Counted { method: Method, kind: Kind, times: u32, after: u64 },
    // A clone of the generator repeats its numbers, so a clone of the fault fails the same requests.
    Random { rng: fastrand::Rng, percent: u8 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Status(u16),
    Reset,
    Hang,
    Lost,
    Garbage,
    Cut,
}

const RANDOM_KINDS: [Kind; 6] = [
    Kind::Status(500),
    Kind::Status(503),
    Kind::Status(429),
    Kind::Reset,
    Kind::Lost,
    Kind::Garbage,
];

/// An error from parsing a [`Fault`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected METHOD:KIND[xTIMES][@AFTER] or random:SEED:PERCENT, optionally followed by #PHONE_NUMBER_ID; \
     METHOD is get or post, and KIND is a status from 300 to 599, reset, hang, lost, garbage or cut"
)]
pub struct ParseFaultError;

impl FromStr for Fault {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Result<Self, ParseFaultError> {
        let (plan, id) = text.split_once('#').map_or((text, None), |(plan, id)| (plan, Some(id)));
        let id = id.map(Uuid::try_parse).transpose().map_err(|_| ParseFaultError)?;
        Ok(Self {
            text: text.to_owned(),
            phone_number_id: id.map(|id| id.to_string()),
            plan: parse(plan).ok_or(ParseFaultError)?,
        })
    }
}

/// The text that the fault was parsed from.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn parse(text: &str) -> Option<Plan> {
    let (method, what) = text.split_once(':')?;
    let method = match method {
        "get" => Method::GET,
        "post" => Method::POST,
        "random" => {
            let (seed, percent) = what.split_once(':')?;
            let rng = fastrand::Rng::with_seed(seed.parse().ok()?);
            let percent = percent.parse().ok().filter(|percent| *percent <= 100)?;
            return Some(Plan::Random { rng, percent });
        }
        _ => return None,
    };
    let (what, after) = what.split_once('@').unwrap_or((what, "0"));
    let (kind, times) = what.split_once('x').unwrap_or((what, "1"));
    let kind = match kind {
        "reset" => Kind::Reset,
        "hang" => Kind::Hang,
        "lost" => Kind::Lost,
        "garbage" => Kind::Garbage,
        "cut" => Kind::Cut,
        status => Kind::Status(status.parse().ok().filter(|status| (300..=599).contains(status))?),
    };
    Some(Plan::Counted { method, kind, times: times.parse().ok()?, after: after.parse().ok()? })
}

impl Fault {
    /// Returns whether the fault depends on the phone number id of a request.
    pub(crate) fn has_phone_number_id(&self) -> bool {
        self.phone_number_id.is_some()
    }

    /// Returns how many requests the fault will still fail, or `None` for a random fault.
    pub(crate) fn remaining(&self) -> Option<u32> {
        match self.plan {
            Plan::Counted { times, .. } => Some(times),
            Plan::Random { .. } => None,
        }
    }

    /// Counts a request, and returns the failure to inject, or `None` if another fault was already `injected`.
    pub(crate) fn next(
        &mut self,
        of: &Method,
        phone_number_id: Option<&str>,
        injected: bool,
    ) -> Option<Kind> {
        if self.phone_number_id.as_deref().is_some_and(|id| Some(id) != phone_number_id) {
            return None;
        }
        match &mut self.plan {
            Plan::Counted { method, .. } if method != of => None,
            Plan::Counted { after, .. } if *after > 0 => {
                *after -= 1;
                None
            }
            Plan::Counted { kind, times, .. } if !injected && *times > 0 => {
                *times -= 1;
                Some(*kind)
            }
            Plan::Random { rng, percent } if !injected => {
                (rng.u8(0..100) < *percent).then(|| RANDOM_KINDS[rng.usize(..RANDOM_KINDS.len())])
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_fails_only_the_requests_it_describes() {
        let status = Some(Kind::Status(503));
        for (text, expected) in [
            ("get:503", [status, None, None]),
            ("get:503x2", [status, status, None]),
            ("get:lost@1", [None, Some(Kind::Lost), None]),
            ("get:resetx2@1", [None, Some(Kind::Reset), Some(Kind::Reset)]),
            ("get:hangx0", [None; 3]),
            ("post:garbagex3", [None; 3]),
            ("get:503#2cffb55c-120e-91a8-8f10-ed9d1b412d29", [None; 3]),
            ("random:7:0", [None; 3]),
        ] {
            let mut fault: Fault = text.parse().unwrap();
            assert_eq!([(); 3].map(|()| fault.next(&Method::GET, None, false)), expected, "{text}");
        }
    }

    #[test]
    fn an_invalid_fault_is_refused() {
        let texts = "|post|put:503|post:200|post:600|post:503x|post:503@|post:503@1x2|post:what|post:\
                     |random:1|random:1:101|random:x:1|post:503#|post:503#x|post:503#x2";
        for text in texts.split('|') {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_random_faults() {
        let fault: Fault = "random:7:20".parse().unwrap();
        let kinds = |mut fault: Fault| [(); 1000].map(|()| fault.next(&Method::GET, None, false));
        let first = kinds(fault.clone());
        assert_eq!(kinds(fault), first);
        let some = first.iter().flatten().count();
        assert!((100..300).contains(&some), "{some} of 1000 at 20 %");
    }
}
