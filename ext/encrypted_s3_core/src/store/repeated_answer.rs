//! Detection of answers that arrive twice.
//!
//! HTTP/1.1 assigns answers to requests by their order alone. If a broken proxy delivers an answer twice, the next
//! request on the connection gets it instead of its own. Hyper drops a connection on which an unexpected answer
//! arrives, but not if the next request has already been sent. A store gives each answer an id, so a repeated id shows
//! that the answer belongs to another request.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// The header with the id of an answer.
const REQUEST_ID: &str = "x-amz-request-id";
/// The number of remembered ids: more than answers can be under way at once.
const REMEMBERED: usize = 1024;

/// The error for a repeated answer. The connection must not be used any more.
#[derive(Debug)]
pub(super) struct RepeatedAnswer;

impl fmt::Display for RepeatedAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an answer arrived twice")
    }
}

impl std::error::Error for RepeatedAnswer {}

/// The ids of the last answers of a store.
#[derive(Debug, Default)]
pub(super) struct AnswerIds(Mutex<Ids>);

#[derive(Debug, Default)]
struct Ids {
    in_order: VecDeque<String>,
    once: HashSet<String>,
    twice: HashSet<String>,
    /// Some stores give many answers the same id (S3Proxy).
    meaningless: bool,
}

impl AnswerIds {
    /// Notes the id of an answer. An id that comes a third time shows that the store does not give each answer its own;
    /// from then on ids are ignored.
    ///
    /// # Errors
    /// [`RepeatedAnswer`] when an answer with this id has come before.
    pub(super) fn note(&self, answer: &aws_smithy_runtime_api::http::Headers) -> Result<(), RepeatedAnswer> {
        answer.get(REQUEST_ID).filter(|id| !id.is_empty()).map_or(Ok(()), |id| self.note_id(id))
    }

    fn note_id(&self, id: &str) -> Result<(), RepeatedAnswer> {
        let mut ids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ids.meaningless {
            return Ok(());
        }
        if !ids.once.contains(id) {
            ids.remember(id);
            return Ok(());
        }
        if ids.twice.insert(id.to_owned()) {
            return Err(RepeatedAnswer);
        }
        *ids = Ids { meaningless: true, ..Ids::default() };
        Ok(())
    }
}

impl Ids {
    fn remember(&mut self, id: &str) {
        self.once.insert(id.to_owned());
        self.in_order.push_back(id.to_owned());
        if self.in_order.len() > REMEMBERED
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.once.remove(&oldest);
            self.twice.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_comes_twice_is_refused() {
        let ids = AnswerIds::default();
        let repeated: Vec<_> = ["a", "b", "a", "c", "b"].map(|id| ids.note_id(id).is_err()).into();
        assert_eq!(repeated, [false, false, true, false, true]);
    }

    #[test]
    fn ids_that_repeat_often_are_ignored() {
        let ids = AnswerIds::default();
        let repeated: Vec<_> = ["same"; 5].map(|id| ids.note_id(id).is_err()).into();
        assert_eq!(repeated, [false, true, false, false, false]);
        assert!(ids.note_id("other").is_ok() && ids.note_id("other").is_ok());
    }

    #[test]
    fn no_more_ids_are_remembered_than_needed() {
        let ids = AnswerIds::default();
        for number in 0..=REMEMBERED {
            assert!(ids.note_id(&number.to_string()).is_ok());
        }
        assert!(ids.note_id("0").is_ok(), "it is forgotten");
        assert!(ids.note_id(&REMEMBERED.to_string()).is_err(), "it is remembered");
        assert!(ids.0.lock().is_ok_and(|ids| ids.once.len() == REMEMBERED && ids.in_order.len() == REMEMBERED));
    }
}
