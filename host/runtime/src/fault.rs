//! The one place where whatever goes wrong with a guest becomes a failure that names who did it.

use millrace_model::Failure;
use wasmtime::Trap;
use wasmtime_wasi::I32Exit;

use crate::contract::failure::Error as GuestError;
use crate::state::{Interruption, State};
use crate::translate;

/// How a call did not give what was asked for.
pub(crate) enum Broken {
    /// The guest stopped, or was stopped.
    Stopped(wasmtime::Error),
    /// It returned something that cannot be.
    Malformed(String),
    /// It returned more than is taken.
    TooMuch(String),
    /// It said no, in its own words.
    Refused(GuestError),
    /// The host has its own.
    Host(Failure),
}

impl Broken {
    /// Whether the instance may be used again.
    pub(crate) fn leaves_instance_usable(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Host(_))
    }
}

impl From<wasmtime::Error> for Broken {
    fn from(error: wasmtime::Error) -> Self {
        Self::Stopped(error)
    }
}

impl From<GuestError> for Broken {
    fn from(error: GuestError) -> Self {
        Self::Refused(error)
    }
}

/// Who is to blame: a plugin by name and digest, and the stage it ran for.
#[derive(Clone, Debug)]
pub(crate) struct Blame {
    name: String,
    origin: String,
    digest: String,
    stage: String,
}

/// How much of a guest's own words stands in a message; the fields hold more.
const WORDS_BYTES: usize = 400;

impl Blame {
    /// A plugin that has not introduced itself.
    pub(crate) fn of_file(origin: &str, sha256: &str) -> Self {
        Self::of_plugin(origin, origin, sha256, "")
    }

    pub(crate) fn of_plugin(name: &str, origin: &str, sha256: &str, stage: &str) -> Self {
        Self {
            name: name.to_owned(),
            origin: origin.to_owned(),
            digest: sha256.chars().take(12).collect(),
            stage: stage.to_owned(),
        }
    }

    fn who(&self) -> String {
        if self.stage.is_empty() {
            format!("plugin {} ({})", self.name, self.digest)
        } else {
            format!("plugin {} ({}) of stage {}", self.name, self.digest, self.stage)
        }
    }

    fn sign(&self, failure: Failure) -> Failure {
        let failure = failure
            .with("plugin", self.name.clone())
            .with("digest", self.digest.clone())
            .with("origin", self.origin.clone());
        if self.stage.is_empty() { failure } else { failure.with("stage", self.stage.clone()) }
    }

    /// The plugin cannot be used here.
    pub(crate) fn refuses(&self, code: &str, reason: &str) -> Failure {
        self.sign(Failure::config(code, format!("{} cannot be used: {reason}", self.who())))
    }

    /// The failure of one call. `task` completes "while …".
    pub(crate) fn failure(&self, task: &str, broken: Broken, state: &State) -> Failure {
        let failure = match broken {
            Broken::Host(failure) => return failure,
            Broken::Refused(error) => return self.refused(error, state),
            Broken::Malformed(reason) => Failure::internal(
                "plugin.malformed",
                format!("{} returned what cannot be while {task}: {reason}", self.who()),
            ),
            Broken::TooMuch(reason) => Failure::internal(
                "plugin.returned-too-much",
                format!("{} returned too much while {task}: {reason}", self.who()),
            ),
            Broken::Stopped(error) => self.stopped(task, &error, state),
        };
        let words = state.stderr.text();
        let failure = if words.is_empty() { failure } else { failure.with("stderr", words) };
        self.sign(failure).with("task", task)
    }

    fn stopped(&self, task: &str, error: &wasmtime::Error, state: &State) -> Failure {
        if let Some(interruption) = error.downcast_ref::<Interruption>() {
            return match interruption {
                Interruption::Cancelled => Failure::cancelled(format!("asked to stop while {} was {task}", self.who())),
                Interruption::Deadline(limit) => Failure::internal(
                    "plugin.deadline",
                    format!("{} was stopped while {task}: it ran for more than {limit:?}", self.who()),
                ),
            };
        }
        if state.meter.refused {
            return Failure::internal(
                "plugin.memory",
                format!(
                    "{} needed more memory than the {} MiB that it may have while {task}",
                    self.who(),
                    state.limits.memory_bytes >> 20
                ),
            );
        }
        let reason = reason(error);
        // Wasmtime keeps this error's type to itself; its words are held to by a test.
        if reason.contains("fuel allocated for hostcalls has been exhausted") {
            return Failure::internal(
                "plugin.returned-too-much",
                format!(
                    "{} returned too much while {task}: more than {} MiB",
                    self.who(),
                    state.limits.returned_bytes >> 20
                ),
            );
        }
        tracing::debug!(target: "plugin", plugin = self.name, digest = self.digest, error = ?error, "trapped");
        let words = own_words(&state.stderr.text());
        let said = if words.is_empty() { String::new() } else { format!("; its last words: {words}") };
        Failure::internal("plugin.trap", format!("{} broke down while {task}: {reason}{said}", self.who()))
    }

    /// The guest's own failure, with its code and fault.
    fn refused(&self, error: GuestError, state: &State) -> Failure {
        let mut failure = translate::failure_from_guest(error, state.limits.string_bytes);
        if !is_code(&failure.code) {
            let code = std::mem::replace(&mut failure.code, "plugin.unnamed-error".to_owned());
            failure = failure.with("guest-code", shortened(&code, 100));
        }
        self.sign(failure)
    }
}

/// One line: what stopped the guest, without the list of its functions.
fn reason(error: &wasmtime::Error) -> String {
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return trap.to_string();
    }
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return format!("it exited with status {}", exit.0);
    }
    error.root_cause().to_string()
}

/// The last thing that stands in a guest's standard error: a panic and what follows, else the last lines.
fn own_words(stderr: &str) -> String {
    let from =
        stderr.rfind("panicked at").unwrap_or_else(|| stderr.rmatch_indices('\n').nth(2).map_or(0, |(at, _)| at));
    let words: Vec<&str> = stderr[from..]
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("note: run with"))
        .collect();
    shortened(&words.join(" "), WORDS_BYTES)
}

/// At most so many bytes, cut where a character ends.
pub(crate) fn shortened(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let end = (0..=bytes).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", &text[..end])
}

/// Whether a guest's code looks like one: words of small letters, digits and hyphens, with points between.
fn is_code(code: &str) -> bool {
    let word = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    code.len() <= 100 && code.contains('.') && code.split('.').all(word)
}

#[cfg(test)]
mod tests {
    use super::{is_code, own_words, shortened};

    #[test]
    fn a_panic_is_the_last_word_whatever_was_said_before() {
        let stderr = "one\ntwo\nthread '<unnamed>' panicked at src/lib.rs:3:5:\nthe roof is on fire\nnote: run with `RUST_BACKTRACE=1`";
        assert_eq!(own_words(stderr), "panicked at src/lib.rs:3:5: the roof is on fire");
        assert_eq!(own_words("a\nb\nc\nd"), "b c d");
        assert_eq!(own_words(""), "");
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(shortened("äöü", 3), "ä…");
        assert_eq!(shortened("abc", 3), "abc");
    }

    #[test]
    fn codes_are_words_with_points_between() {
        for good in ["convert.out-of-range", "a.b.c", "x1.y-2"] {
            assert!(is_code(good), "{good}");
        }
        for bad in ["", "code", "A.b", "a..b", "a.b c", ".a"] {
            assert!(!is_code(bad), "{bad}");
        }
    }
}
