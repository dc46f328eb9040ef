//! `/tap`: the messages that come in from now on and fit an expression, as JSON lines, for as long as somebody reads.
//!
//! A tap reads the spool as consumers do and holds nothing back: what a slow reader does not take in time, it misses.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use metlog_core::wire::{batch::Batch, json::to_json};
use serde::Deserialize;
use tokio::sync::{Semaphore, mpsc};

use crate::{
    matcher::{Matcher, MessageView},
    spool::{Record, Spool},
    stop::Stop,
};

/// Taps at the same time: each has a thread while it lasts.
const MAX_TAPS: usize = 8;

/// Bytes read from the spool at once.
const READ_BYTES: usize = 256 * 1024;

/// How long the spool is waited for before a tap looks whether anybody still reads.
const STEP: Duration = Duration::from_millis(250);

/// Answers that wait for the reader.
const WAITING: usize = 4;

/// What taps are made from.
#[derive(Clone)]
pub(super) struct Taps {
    spool: Spool,
    stop: Stop,
    free: Arc<Semaphore>,
}

/// The query of the page.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    /// The expression; everything fits none.
    #[serde(rename = "where")]
    matching: Option<String>,
}

impl Taps {
    pub(super) fn new(spool: Spool, stop: Stop) -> Self {
        Self { spool, stop, free: Arc::new(Semaphore::new(MAX_TAPS)) }
    }

    /// Reads from the newest record on until nobody takes the lines any more.
    fn follow(&self, matcher: Option<&Matcher>, lines: &mpsc::Sender<String>) {
        let mut reader = self.spool.reader(self.spool.appended().saturating_add(1));
        while !lines.is_closed() && !self.stop.is_set() {
            let found: String =
                reader.next(READ_BYTES, STEP).iter().map(|record| json_lines(record, matcher)).collect();
            if !found.is_empty() && lines.blocking_send(found).is_err() {
                return;
            }
        }
    }
}

/// The messages of a record that fit, a line each.
fn json_lines(record: &Record, matcher: Option<&Matcher>) -> String {
    let mut lines = String::new();
    let Ok(batch) = Batch::parse(&record.frame) else { return lines };
    for (_, message) in batch.records() {
        let mut view = MessageView::new(message, batch.header.identity());
        if matcher.is_none_or(|matcher| matcher.matches(&mut view))
            && let Ok(message) = view.into_message()
        {
            lines.push_str(&to_json(&message));
            lines.push('\n');
        }
    }
    lines
}

pub(super) async fn tap(State(taps): State<Taps>, Query(asked): Query<Asked>) -> Response {
    let matcher = match asked.matching.as_deref().map(Matcher::compile).transpose() {
        Ok(matcher) => matcher,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    };
    let Ok(place) = Arc::clone(&taps.free).try_acquire_owned() else {
        let why = format!("{MAX_TAPS} taps are open already, which is as many as there may be\n");
        return (StatusCode::TOO_MANY_REQUESTS, why).into_response();
    };
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::task::spawn_blocking(move || {
        taps.follow(matcher.as_ref(), &sender);
        drop(place);
    });
    let next = async |mut receiver: mpsc::Receiver<String>| {
        let lines = receiver.recv().await?;
        Some((Ok::<_, Infallible>(lines), receiver))
    };
    Body::from_stream(stream::unfold(receiver, next)).into_response()
}
